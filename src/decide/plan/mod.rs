//! The plan: what to do, given the goal, what was done already, and what was observed. Pure: no call, no clock, and no choice left to
//! the execution. Planning again after execution yields nothing.

use crate::domain::step::Step;

mod end;
pub mod given;
mod goal;
mod grant;
mod revoke;
pub mod warnings;

pub use goal::Goal;
pub use grant::{ensure_recoverable, grant};
pub use revoke::{RevokeGoal, ends_tag, revoke, superseded};

use crate::domain::access_entry::AccessEntry;
use crate::domain::codes::WarningCode;
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::observed_state::Observation;
use crate::domain::operation::Operation;

/// What to do, in order; and what is not done, and why.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What to do.
    pub steps: Vec<Step>,
    /// What a reader may expect, and why it is not done.
    pub skipped: Vec<(Operation, String)>,
    /// What a requester should know, by the code of the warning.
    pub warnings: Vec<(WarningCode, String)>,
}

impl Plan {
    fn skip(&mut self, operation: Operation, why: impl Into<String>) {
        self.skipped.push((operation, why.into()));
    }

    fn warn(&mut self, code: WarningCode, message: impl Into<String>) {
        self.warnings.push((code, message.into()));
    }
}

fn non_standard_entry(seen: &Observation, entry: &AccessEntry) -> Failure {
    Failure::new(
        ErrorName::AccessEntryConflict,
        format!(
            "`{}` has an access entry of type {} on cluster `{}`: nodes or AWS itself use it, so it must not be changed.",
            seen.principal, entry.r#type, seen.cluster.name
        ),
        "Name a principal that people use.",
    )
}
