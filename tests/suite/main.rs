//! All tests of the function, in one binary: linking the SDK once is slow enough.
//!
//! | module | shows |
//! |---|---|
//! | `request`, `principals`, `settings`, `guardrails`, `guardrail_table`, `planner` | what is decided, without any I/O |
//! | `adapter`, `adapter_services` | what the SDK sends, of EKS and of the other services, and what is made of each answer |
//! | `workflow` | whole grants against the simulated EKS, under simulated time |
//! | `modes`, `recreation` | the same where the authentication mode has to change, or the entry to be recreated |
//! | `paths` | every path to access against every guardrail |
//! | `security` | one test for each case of the security findings |
//! | `attacks` | sequences by which a principal gained access, or kept it, although each request was right
//! | `accounts` | clusters of other accounts and regions |
//! | `announcements` | what is announced on the event bus |
//! | `expiry`, `revoke` | access that ends, by its schedule and by hand |
//! | `verification` | what the cluster itself is asked, and what is made of its answers |
//! | `inspection` | what an inspection finds, in every kind of trouble |
//! | `interruption` | the same, killed or failing at any call, in thousands of worlds |
//! | `endless` | sequences of requests by two installations, at once too: no access without an end |
//! | `hostile` | hundreds of events that nobody means well with, and millions that are made from them |
//! | `schema` | the JSON Schemas of events, results and announcements: everything in this suite fits them |
//! | `log` | the lines of the log |
//! | `architecture` | folders import in one direction, no circles, no I/O where decisions are made |
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
mod adapter_services;
mod announcements;
mod architecture;
mod attacks;
mod contract;
mod endless;
mod expiry;
mod guardrail_table;
mod guardrails;
mod harness;
mod hostile;
mod inspection;
mod interruption;
mod log;
mod modes;
mod paths;
mod planner;
mod principals;
mod recreation;
mod request;
mod revoke;
mod runtime;
mod schema;
mod security;
mod settings;
mod verification;
mod workflow;
