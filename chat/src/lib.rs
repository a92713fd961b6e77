//! `/break-glass` in Slack: starts the workflow, and approvers answer it by buttons. Nothing is granted here.
//!
//! 1. [`handler`] takes a request of Slack's, or of the workflow.
//! 2. [`slack::signature`] says whether Slack sent it, by the [`secret`]; [`slack::payload`] reads it.
//! 3. [`command`] makes an event of what a user typed; [`approval`] says who may approve what.
//! 4. [`actions`] starts the workflow or answers it ([`aws`]), and [`message`] says so in Slack.
//! 5. [`audit`] is one line of the log for each request.

pub mod actions;
pub mod approval;
pub mod audit;
pub mod aws;
pub mod command;
pub mod conversation;
pub mod handler;
pub mod message;
pub mod secret;
pub mod settings;
pub mod slack;
