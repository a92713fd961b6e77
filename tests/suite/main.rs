//! All tests of the function, in one binary: linking the SDK once is slow enough.
//!
//! | module | shows |
//! |---|---|
//! | `request`, `principals`, `settings`, `guardrails`, `guardrail_table`, `planner`, `planner_…` | what is decided, without any I/O |
//! | `adapter`, `adapter_services` | what the SDK sends, of EKS and of the other services, and what is made of each answer |
//! | `workflow` | whole grants against the simulated EKS, under simulated time |
//! | `waiting`, `lost_answers` | what a grant waits for, and what it makes of answers that are lost |
//! | `modes`, `recreation` | the same where the authentication mode has to change, or the entry to be recreated |
//! | `paths`, `ways_around` | every path to access against every guardrail, and the ways around them |
//! | `security`, `robustness`, `field_cases`, `promises` | one test for each finding, for each case from the field, and for promises of the contract |
//! | `attacks` | sequences by which a principal gained access, or kept it, although each request was right |
//! | `accounts` | clusters of other accounts and regions |
//! | `announcements` | what is announced on the event bus |
//! | `expiry`, `expiry_races`, `revoke` | access that ends, by its schedule and manually |
//! | `verification` | what the cluster itself is asked, and what is made of its answers |
//! | `inspection` | what an inspection finds, in every kind of trouble |
//! | `interruption`, `timed_interruption` | the same, killed or failing at any call, in thousands of worlds |
//! | `endless` | sequences of requests by two installations, at once too: no access without an end |
//! | `hostile`, `hostile_events` | hundreds of hostile events, and millions that are made from them |
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
mod expiry_races;
mod field_cases;
mod guardrail_table;
mod guardrails;
mod harness;
mod hostile;
mod hostile_events;
mod inspection;
mod interruption;
mod log;
mod lost_answers;
mod modes;
mod paths;
mod planner;
mod planner_expiry;
mod planner_properties;
mod planner_recreation;
mod principals;
mod promises;
mod recreation;
mod request;
mod revoke;
mod robustness;
mod runtime;
mod schema;
mod security;
mod settings;
mod timed_interruption;
mod verification;
mod waiting;
mod ways_around;
mod workflow;
