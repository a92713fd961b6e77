//! Slack: its requests, its signature, its texts, and what is sent to it.

pub mod client;
pub mod mrkdwn;
pub mod payload;
pub mod replay;
pub mod signature;
