//! The chat function: what people type, who they are, and what is made of their clicks.

mod clicks;
mod commands;
mod grammar;
mod messages;
mod runbook;
mod scene;
mod settings;
mod signature;
