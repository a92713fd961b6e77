//! The plan: what to do, given what is wanted and what was seen. Pure: no call, no clock, no choice left to whoever
//! carries it out. Planning again after it was carried out yields nothing.

mod grant;
mod revoke;

pub use grant::{End, Goal, grant, recoverable};
pub use revoke::revoke;

use crate::aws::{NewEntry, Operation};
use crate::error::{ErrorName, Failure};
use crate::expiry::{PendingRevoke, Slot};
use crate::observation::{AccessEntry, Observation};
use crate::scope::AccessScope;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Start the change of the authentication mode from `CONFIG_MAP` to `API_AND_CONFIG_MAP`.
    OpenAccessEntries,
    /// Wait until it is through. What EKS will show then is not known yet, so the plan is made anew after it.
    AwaitAuthenticationMode,
    /// Schedule the revoke, before anything is given that it takes back.
    ScheduleRevoke {
        /// Where.
        slot: Slot,
        /// What it will do, and when.
        revoke: PendingRevoke,
        /// Whether one waits already, and is moved.
        moves: bool,
    },
    /// Delete the entry, to make it anew.
    DeleteEntry(Box<AccessEntry>),
    /// Make the entry.
    CreateEntry(NewEntry),
    /// Associate a policy, in a scope that covers what was there and what is wanted.
    AssociatePolicy {
        /// The policy's ARN.
        policy: String,
        /// How far.
        scope: AccessScope,
    },
    /// Take a policy off the entry.
    DisassociatePolicy {
        /// The policy's ARN.
        policy: String,
    },
    /// Delete the entry that a grant made.
    RemoveEntry,
    /// Remove the schedule of a revoke that has nothing to do any more.
    CancelRevoke(Slot),
}

impl Step {
    /// The name that results and logs show.
    #[must_use]
    pub fn operation(&self) -> String {
        match self {
            Self::OpenAccessEntries => Operation::UpdateClusterConfig.to_string(),
            Self::AwaitAuthenticationMode => "AwaitAuthenticationMode".to_owned(),
            Self::ScheduleRevoke { moves: false, .. } => Operation::CreateSchedule.to_string(),
            Self::ScheduleRevoke { moves: true, .. } => Operation::UpdateSchedule.to_string(),
            Self::DeleteEntry(_) | Self::RemoveEntry => Operation::DeleteAccessEntry.to_string(),
            Self::CreateEntry(_) => Operation::CreateAccessEntry.to_string(),
            Self::AssociatePolicy { .. } => Operation::AssociateAccessPolicy.to_string(),
            Self::DisassociatePolicy { .. } => Operation::DisassociateAccessPolicy.to_string(),
            Self::CancelRevoke(_) => Operation::DeleteSchedule.to_string(),
        }
    }

    /// What it does, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::OpenAccessEntries => {
                "switch the authentication mode from CONFIG_MAP to API_AND_CONFIG_MAP; there is no way back".to_owned()
            }
            Self::AwaitAuthenticationMode => "wait until EKS has switched the authentication mode".to_owned(),
            Self::ScheduleRevoke { revoke, moves: false, .. } => {
                format!("schedule the revoke for {}", revoke.expires_at)
            }
            Self::ScheduleRevoke { revoke, moves: true, .. } => {
                format!("move the scheduled revoke to {}", revoke.expires_at)
            }
            Self::DeleteEntry(entry) => format!(
                "delete the access entry of {}, to make it anew as it was",
                entry.created_at.map_or_else(|| "unknown age".to_owned(), |time| time.to_string())
            ),
            Self::CreateEntry(entry) if entry.groups.is_empty() => "create an access entry of type STANDARD".to_owned(),
            Self::CreateEntry(entry) => {
                format!("create an access entry of type STANDARD with groups {}", entry.groups.join(", "))
            }
            Self::AssociatePolicy { policy, scope } => {
                format!("associate {} with {scope}", policy_name(policy))
            }
            Self::DisassociatePolicy { policy } => format!("disassociate {}", policy_name(policy)),
            Self::RemoveEntry => "delete the access entry that the grant made".to_owned(),
            Self::CancelRevoke(_) => "remove the scheduled revoke, which has nothing left to do".to_owned(),
        }
    }
}

/// What to do, in order; and what not to do, and why.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What to do.
    pub steps: Vec<Step>,
    /// What a reader may expect, and why it is not done.
    pub skipped: Vec<(Operation, String)>,
    /// What a requester should know, by the code of the warning.
    pub warnings: Vec<(&'static str, String)>,
}

impl Plan {
    fn skip(&mut self, operation: Operation, why: impl Into<String>) {
        self.skipped.push((operation, why.into()));
    }
}

fn foreign_type(seen: &Observation, entry: &AccessEntry) -> Failure {
    Failure::new(
        ErrorName::AccessEntryConflict,
        format!(
            "`{}` has an access entry of type {} on cluster `{}`, which lets nodes or AWS itself in and must not be touched",
            seen.principal, entry.r#type, seen.cluster.name
        ),
        "name another principal: one that people use",
    )
}

/// The name of a policy, out of its ARN.
#[must_use]
pub fn policy_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
