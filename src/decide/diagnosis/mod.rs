//! What an inspection finds: from everything that was read to explanations, each with its evidence and, if there is one, the event that
//! fixes it. Pure.

mod finding;
mod findings;
mod remedy;
mod snapshot;

pub use finding::{Finding, Severity};
pub use findings::diagnose;
pub use snapshot::{ActiveGrant, ClusterSnapshot, Iam, Subject};
