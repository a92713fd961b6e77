//! The steps that a plan is made of.

use super::access_entry::{AccessEntry, AccessPolicy, Ends, NewEntry, policy_name};
use super::access_scope::AccessScope;
use super::operation::Operation;
use super::record::StepName;
use super::scheduled_revoke::{PendingRevoke, ScheduleTarget};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Start the change of the authentication mode from `CONFIG_MAP` to `API_AND_CONFIG_MAP`.
    ChangeAuthenticationMode,
    /// Wait for the change. What EKS shows after it isn't known, so a pass of the execution ends here.
    AwaitAuthenticationMode,
    /// Schedule the revoke, before anything is given that it removes.
    CreateSchedule {
        /// Where.
        target: ScheduleTarget,
        /// What it does, and when.
        revoke: PendingRevoke,
    },
    /// Write the schedule that exists again, with another time or content.
    UpdateSchedule {
        /// Where.
        target: ScheduleTarget,
        /// What it does, and when.
        revoke: PendingRevoke,
    },
    /// Replace a stale entry by one that holds exactly what was asked for. Executed as a unit: delete, create, associate.
    ReplaceEntry(Box<Replacement>),
    /// Recreate an entry as it was, plus what was asked for. Executed as a unit, too.
    RecreateEntry(Box<Replacement>),
    /// Create the entry.
    CreateEntry(NewEntry),
    /// Correct the tag of an entry of this installation that says whether an end is scheduled.
    TagEntry {
        /// The entry's ARN.
        arn: String,
        /// What the tag has to say.
        ends: Ends,
    },
    /// Associate a policy, in a scope that covers what was there and what is asked for.
    AssociatePolicy {
        /// The policy's ARN.
        policy: String,
        /// How far.
        scope: AccessScope,
    },
    /// Disassociate a policy.
    DisassociatePolicy {
        /// The policy's ARN.
        policy: String,
    },
    /// Delete the entry that a grant created.
    DeleteEntry,
    /// Delete the schedule of a revoke that has nothing left to do.
    DeleteSchedule(ScheduleTarget),
    /// A barrier: what follows rests on an observation of what was done before.
    Observe,
}

/// An entry that is deleted and created again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    /// What is deleted.
    pub old: AccessEntry,
    /// What is created.
    pub new: NewEntry,
    /// What is associated with it.
    pub policies: Vec<AccessPolicy>,
}

impl Step {
    /// The API operations of the step, each with what it does, as results and logs show them.
    #[must_use]
    pub fn operations(&self) -> Vec<(StepName, String)> {
        let one = |operation: Operation| vec![(operation.into(), self.describe())];
        match self {
            Self::ChangeAuthenticationMode => one(Operation::UpdateClusterConfig),
            Self::AwaitAuthenticationMode => vec![(StepName::AwaitAuthenticationMode, self.describe())],
            Self::CreateSchedule { .. } => one(Operation::CreateSchedule),
            Self::UpdateSchedule { .. } => one(Operation::UpdateSchedule),
            Self::ReplaceEntry(replacement) | Self::RecreateEntry(replacement) => {
                let mut parts = vec![(Operation::DeleteAccessEntry.into(), self.describe())];
                let create = Self::CreateEntry(replacement.new.clone());
                let associates = replacement.policies.iter().map(|held| Self::AssociatePolicy {
                    policy: held.policy_arn.clone(),
                    scope: held.access_scope.clone(),
                });
                parts.extend(std::iter::once(create).chain(associates).flat_map(|step| step.operations()));
                parts
            }
            Self::CreateEntry(_) => one(Operation::CreateAccessEntry),
            Self::TagEntry { .. } => one(Operation::TagResource),
            Self::AssociatePolicy { .. } => one(Operation::AssociateAccessPolicy),
            Self::DisassociatePolicy { .. } => one(Operation::DisassociateAccessPolicy),
            Self::DeleteEntry => one(Operation::DeleteAccessEntry),
            Self::DeleteSchedule(_) => one(Operation::DeleteSchedule),
            Self::Observe => Vec::new(),
        }
    }

    /// What tells the steps of one request apart: the kind of step, and its target.
    #[must_use]
    pub fn key(&self) -> (&'static str, &str) {
        match self {
            Self::ChangeAuthenticationMode => ("ChangeAuthenticationMode", ""),
            Self::AwaitAuthenticationMode => ("AwaitAuthenticationMode", ""),
            Self::CreateSchedule { target, .. } => ("CreateSchedule", &target.name),
            Self::UpdateSchedule { target, .. } => ("UpdateSchedule", &target.name),
            Self::ReplaceEntry(_) => ("ReplaceEntry", ""),
            Self::RecreateEntry(_) => ("RecreateEntry", ""),
            Self::CreateEntry(_) => ("CreateEntry", ""),
            Self::TagEntry { arn, .. } => ("TagEntry", arn),
            Self::AssociatePolicy { policy, .. } => ("AssociatePolicy", policy),
            Self::DisassociatePolicy { policy } => ("DisassociatePolicy", policy),
            Self::DeleteEntry => ("DeleteEntry", ""),
            Self::DeleteSchedule(target) => ("DeleteSchedule", &target.name),
            Self::Observe => ("Observe", ""),
        }
    }

    /// Whether it changes what the principal may do.
    #[must_use]
    pub fn changes_access(&self) -> bool {
        matches!(
            self,
            Self::ReplaceEntry(_)
                | Self::RecreateEntry(_)
                | Self::CreateEntry(_)
                | Self::AssociatePolicy { .. }
                | Self::DisassociatePolicy { .. }
                | Self::DeleteEntry
        )
    }

    /// What it does, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        let age = |entry: &AccessEntry| {
            entry.created_at.map_or_else(|| "of unknown age".to_owned(), |time| format!("created at {time}"))
        };
        match self {
            Self::ChangeAuthenticationMode => {
                "change the authentication mode from CONFIG_MAP to API_AND_CONFIG_MAP, which can't be undone".to_owned()
            }
            Self::AwaitAuthenticationMode => "wait until EKS has changed the authentication mode".to_owned(),
            Self::CreateSchedule { revoke, .. } => format!("schedule the revoke for {}", revoke.expires_at),
            Self::UpdateSchedule { revoke, .. } => format!("set the scheduled revoke to {}", revoke.expires_at),
            Self::ReplaceEntry(replacement) => format!(
                "delete the stale access entry {}, to replace it by one with what was asked for",
                age(&replacement.old)
            ),
            Self::RecreateEntry(replacement) => {
                format!("delete the access entry {}, to recreate it as it was", age(&replacement.old))
            }
            Self::CreateEntry(entry) if entry.groups.is_empty() => "create an access entry of type STANDARD".to_owned(),
            Self::CreateEntry(entry) => {
                format!("create an access entry of type STANDARD with groups {}", entry.groups.join(", "))
            }
            Self::TagEntry { ends, .. } => format!("tag the access entry with {}={}", ends.tag().0, ends.tag().1),
            Self::AssociatePolicy { policy, scope } => format!("associate {} with {scope}", policy_name(policy)),
            Self::DisassociatePolicy { policy } => format!("disassociate {}", policy_name(policy)),
            Self::DeleteEntry => "delete the access entry that the grant created".to_owned(),
            Self::DeleteSchedule(_) => "delete the scheduled revoke, which has nothing left to do".to_owned(),
            Self::Observe => "observe again".to_owned(),
        }
    }
}
