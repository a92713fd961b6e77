//! All tests of the function, in one binary: linking the SDK once is slow enough.
//!
//! | module | shows |
//! |---|---|
//! | `request`, `principals`, `settings`, `guardrails`, `planner` | what is decided, without any I/O |
//! | `adapter` | what the SDK sends, and what is made of each answer |
//! | `workflow` | whole grants against the simulated EKS, under simulated time |
//! | `accounts` | clusters of other accounts and regions |
//! | `announcements` | what the event bus is told |
//! | `chat` | commands, signatures, approvals and messages in Slack |
//! | `expiry` | access that ends: schedules, extensions, revokes |
//! | `verification` | what the cluster itself is asked, and what is made of its answers |
//! | `inspection` | what an inspection finds, in every kind of trouble |
//! | `interruption` | the same, killed or failing at any call, in thousands of worlds |
//! | `contract` | documents, events, template and code agree |
//! | `runtime` | the real binary behind a Lambda Runtime API |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should stop there"
)]

mod accounts;
mod adapter;
mod announcements;
mod chat;
mod contract;
mod expiry;
mod guardrails;
mod inspection;
mod interruption;
mod planner;
mod principals;
mod request;
mod runtime;
mod scene;
mod settings;
mod verification;
mod workflow;
