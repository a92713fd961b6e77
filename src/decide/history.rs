//! What one request has done so far: append-only, and the only memory of the engine. What to restore, whether this request created the
//! entry, and whether its schedule may be removed again are derived from it.

use jiff::Timestamp;

use crate::domain::access_entry::{AccessEntry, EntryState};
use crate::domain::observed_state::Observation;
use crate::domain::scheduled_revoke::{ExpiryState, PendingRevoke, ScheduleTarget};
use crate::domain::step::Step;

/// How a step ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepResult {
    /// It was carried out.
    Applied,
    /// AWS answered that it exists already: by another request, or by a call of this one whose answer was lost.
    AlreadyExists {
        /// Whether an answer was lost before.
        unconfirmed: bool,
    },
    /// What the plan rests on has changed; nothing was done.
    Conflict,
    /// It failed, and may have been carried out all the same: its answer was lost.
    Unconfirmed,
    /// The permission for a step that is not essential is missing.
    NotAllowed,
    /// The time for it is up, and EKS continues by itself; why, as a clause.
    InProgress(String),
}

/// What was there before this request changed anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// The access entry.
    pub entry: EntryState,
    /// What was scheduled.
    pub expiry: ExpiryState,
}

#[derive(Debug, Clone, PartialEq)]
struct Executed {
    step: Step,
    result: StepResult,
}

impl Executed {
    /// Whether it changed something, or may have.
    fn may_have_changed(&self) -> bool {
        let result = matches!(
            self.result,
            StepResult::Applied | StepResult::Unconfirmed | StepResult::AlreadyExists { unconfirmed: true }
        );
        result && !matches!(self.step, Step::AwaitAuthenticationMode | Step::Observe)
    }
}

/// The history of one request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    baseline: Option<Baseline>,
    executed: Vec<Executed>,
}

impl History {
    /// Takes the first complete observation as the baseline; whether it did.
    pub fn observe(&mut self, seen: &Observation) -> bool {
        if self.baseline.is_some() || seen.entry == EntryState::Unreadable {
            return false;
        }
        self.baseline = Some(Baseline { entry: seen.entry.clone(), expiry: seen.expiry.clone() });
        true
    }

    /// Appends a step.
    pub fn append(&mut self, step: Step, result: StepResult) {
        self.executed.push(Executed { step, result });
    }

    /// What was there first.
    #[must_use]
    pub fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_ref()
    }

    /// Whether AWS has accepted a step like this one, so that it is going to show. What was done before a schedule was deleted isn't
    /// expected any more: a grant at the same time, counting on the schedule, may have changed it since.
    #[must_use]
    pub fn expects(&self, step: &Step) -> bool {
        let since = self.executed.iter().rev().take_while(|done| !matches!(done.step, Step::DeleteSchedule(_)));
        let mut like = since.filter(|done| done.step.key() == step.key());
        match step {
            Step::Observe => false,
            // A schedule that was there and is gone was deleted by another request: it is created again.
            Step::CreateSchedule { .. } => {
                let last = self.executed.last();
                last.is_some_and(|last| {
                    last.step.key() == step.key() && matches!(last.result, StepResult::AlreadyExists { .. })
                })
            }
            _ => like.any(|done| matches!(done.result, StepResult::Applied | StepResult::AlreadyExists { .. })),
        }
    }

    /// Whether this request has changed, or tried to change, what the principal may do.
    #[must_use]
    pub fn changed_access(&self) -> bool {
        self.executed.iter().any(|done| done.step.changes_access())
    }

    /// Whether a step like this one was tried.
    #[must_use]
    pub fn tried(&self, step: &Step) -> bool {
        self.executed.iter().any(|done| done.step.key() == step.key())
    }

    fn applied(&self) -> impl DoubleEndedIterator<Item = &Executed> {
        self.executed.iter().filter(|done| done.result == StepResult::Applied)
    }

    /// Whether this request created the entry, as far as AWS has answered.
    #[must_use]
    pub fn created_entry(&self) -> bool {
        self.applied()
            .any(|done| matches!(done.step, Step::CreateEntry(_) | Step::ReplaceEntry(_) | Step::RecreateEntry(_)))
    }

    /// The stale entry that this request deleted.
    #[must_use]
    pub fn replaced(&self) -> Option<&AccessEntry> {
        self.deleted().find_map(|step| match step {
            Step::ReplaceEntry(replacement) => Some(&replacement.old),
            _ => None,
        })
    }

    /// The entry that this request deleted to recreate it as it was.
    #[must_use]
    pub fn recreated(&self) -> Option<&AccessEntry> {
        self.deleted().find_map(|step| match step {
            Step::RecreateEntry(replacement) => Some(&replacement.old),
            _ => None,
        })
    }

    /// The steps that have deleted an entry; the one that was deleted first is the one that was there.
    fn deleted(&self) -> impl Iterator<Item = &Step> {
        let done = self.executed.iter();
        done.filter(|done| !matches!(done.result, StepResult::Conflict | StepResult::Unconfirmed))
            .map(|done| &done.step)
    }

    /// The end that this request has scheduled.
    #[must_use]
    pub fn scheduled_end(&self) -> Option<Timestamp> {
        self.applied().rev().find_map(|done| match &done.step {
            Step::CreateSchedule { revoke, .. } | Step::UpdateSchedule { revoke, .. } => Some(revoke.expires_at),
            _ => None,
        })
    }

    /// The schedule that this request created, or may have created, and that ends nothing, because nothing was changed after it.
    #[must_use]
    pub fn unneeded_schedule(&self) -> Option<(&ScheduleTarget, &PendingRevoke)> {
        let last = self.executed.iter().rev().find(|done| done.may_have_changed())?;
        match (&last.step, &last.result) {
            (Step::CreateSchedule { target, revoke }, StepResult::Applied | StepResult::Unconfirmed) => {
                Some((target, revoke))
            }
            _ => None,
        }
    }

    /// The last step, if AWS answered that it was done already after an answer had been lost: it may have been this request's own doing.
    #[must_use]
    pub fn unconfirmed(&self) -> Option<&Step> {
        let last = self.executed.last()?;
        (last.result == StepResult::AlreadyExists { unconfirmed: true }).then_some(&last.step)
    }
}
