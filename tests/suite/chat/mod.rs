//! The chat function: what people type, who they are, and what is made of their clicks.

mod grammar;
mod scene;
mod signature;
