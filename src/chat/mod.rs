//! Chat: `/break-glass` in Slack starts the runbook, and buttons answer it. Nothing is granted here.
//!
//! | module | holds |
//! |---|---|
//! | [`handler`] | Slack's requests and the runbook's, in and out; the audit |
//! | [`desk`] | what is done for each of them |
//! | [`signature`] | whether it is Slack, and the seals of buttons (*pure*), with the [`secret`] and the memory of [`replay`]s |
//! | [`incoming`] | commands and clicks, read (*pure*) |
//! | [`grammar`] | what people type, made into an event (*pure*) |
//! | [`approval`] | who may approve what, and what a click means (*pure*) |
//! | [`conversation`] | who speaks, and where they are answered (*pure*) |
//! | [`message`] | what is said, as Block Kit (*pure*), by way of [`mrkdwn`] |
//! | [`settings`] | what the operator has decided (*pure*) |
//! | [`web`] | Slack, as far as it is called |

pub mod approval;
pub mod conversation;
pub mod desk;
pub mod grammar;
pub mod handler;
pub mod incoming;
pub mod message;
pub mod mrkdwn;
pub mod replay;
pub mod secret;
pub mod settings;
pub mod signature;
pub mod web;
