//! The chat function: what users type, who they are, and what is made of their clicks.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should stop there"
)]

mod clicks;
mod command;
mod commands;
mod guide;
mod harness;
mod messages;
mod runbook;
mod settings;
mod signature;
