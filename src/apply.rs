//! Carrying out a step: the calls that change something, and the waiting that EKS's delays make necessary.

use std::time::Duration;

use serde_json::json;

use crate::arn::PolicyArn;
use crate::aws::{ApiError, ApiErrorKind, NewEntry, Operation, UpdateStatus};
use crate::clock::{Deadline, Pauses, Stopwatch};
use crate::context::Context;
use crate::error::{ErrorName, Failure};
use crate::expiry::{PendingRevoke, Slot};
use crate::journal::{Journal, StepOutcome, Timed};
use crate::log::Level;
use crate::observation::{AccessEntry, AccessPolicy, AuthenticationMode, Cluster, Observation};
use crate::outcome;
use crate::plan::{Step, policy_name};
use crate::principal::PrincipalArn;

/// How long EKS may take to know a new principal, and to show a new entry: two minutes
/// (terraform-provider-aws issue 35535 and pull request 35736).
pub const PROPAGATION: Duration = Duration::from_mins(2);
/// How long an entry that was deleted may stand in the way of the one that is made anew.
const SLOW_DELETE: Duration = Duration::from_secs(20);
/// How long a failed change of mode may look like one that has not begun.
const MODE_GRACE: Duration = Duration::from_mins(1);
/// Between two tries of a call that waits for EKS to catch up.
pub const PAUSES: Pauses = Pauses { first: Duration::from_millis(500), longest: Duration::from_secs(10) };
/// Between two looks at a cluster whose mode is changing, which takes a minute or more.
const MODE_PAUSES: Pauses = Pauses { first: Duration::from_secs(2), longest: Duration::from_secs(10) };

/// How a step ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It was carried out.
    Done,
    /// Somebody else was there first: look again before going on.
    Overtaken,
    /// The time for it is up, and it goes on by itself; why, in words.
    StillRunning(String),
}

/// What steps are carried out on, and with.
#[derive(Debug)]
pub struct Hand<'a> {
    /// AWS, and what else the request has.
    pub context: &'a Context<'a>,
    /// The cluster, as it was seen last.
    pub cluster: &'a mut Cluster,
    /// Whose access.
    pub principal: &'a PrincipalArn,
    /// By which policy.
    pub policy: &'a PolicyArn,
    /// Until when to wait for a change of authentication mode.
    pub mode_deadline: Deadline,
    /// The update of the authentication mode, once it was started.
    pub update_id: Option<String>,
    /// Whether an entry was deleted that has to come back: nothing is given up on the way that may pass.
    pub remaking: bool,
}

impl Hand<'_> {
    /// Carries out a step.
    ///
    /// # Errors
    /// If it cannot be.
    pub async fn carry_out(&mut self, step: &Step, journal: &mut Journal) -> Result<Progress, Failure> {
        match step {
            Step::OpenAccessEntries => self.open_access_entries(step, journal).await,
            Step::AwaitAuthenticationMode => self.await_authentication_mode(step, journal).await,
            Step::DeleteEntry(entry) => self.delete_entry(step, entry, journal).await,
            Step::CreateEntry(entry) => self.create_entry(step, entry, journal).await,
            Step::AssociatePolicy { policy, scope } => {
                let remaking = self.remaking;
                let again = |error: &ApiError| {
                    error.kind == ApiErrorKind::EntryNotFound || (remaking && error.kind.is_transient())
                };
                let call = async || {
                    self.context.aws.associate_access_policy(&self.cluster.name, self.principal, policy, scope).await
                };
                let timed = persist(Operation::AssociateAccessPolicy, self.propagation(), again, call).await;
                journal.call(timed, |()| step.describe())?;
                journal.changed(format!("{} was associated, with {scope}", policy_name(policy)));
                Ok(Progress::Done)
            }
            Step::DisassociatePolicy { policy } => {
                let call = self.context.aws.disassociate_access_policy(&self.cluster.name, self.principal, policy);
                let timed = Timed::call(Operation::DisassociateAccessPolicy, call).await;
                journal.call(timed, |()| step.describe())?;
                journal.changed(format!("{} was disassociated", policy_name(policy)));
                Ok(Progress::Done)
            }
            Step::RemoveEntry => {
                let call = self.context.aws.delete_access_entry(&self.cluster.name, self.principal);
                let timed = Timed::call(Operation::DeleteAccessEntry, call).await;
                journal.call(timed, |()| step.describe())?;
                journal.changed("the access entry was deleted");
                Ok(Progress::Done)
            }
            Step::ScheduleRevoke { slot, revoke, moves } => {
                self.schedule_revoke(step, slot, revoke, *moves, journal).await
            }
            Step::CancelRevoke(slot) => self.cancel_revoke(step, slot, journal).await,
        }
    }

    /// Somebody else may schedule, move or remove the same revoke meanwhile: then what there is now is looked at again.
    async fn schedule_revoke(
        &mut self,
        step: &Step,
        slot: &Slot,
        revoke: &PendingRevoke,
        moves: bool,
        journal: &mut Journal,
    ) -> Result<Progress, Failure> {
        let undo = outcome::undo(self.cluster, self.principal, self.policy, &revoke.restore);
        let (input, aws) = (revoke.input(undo), self.context.aws);
        let timed = if moves {
            Timed::call(Operation::UpdateSchedule, aws.update_schedule(slot, revoke.expires_at, &input)).await
        } else {
            Timed::call(Operation::CreateSchedule, aws.create_schedule(slot, revoke.expires_at, &input)).await
        };
        let overtaken = match &timed.answer {
            Err(error) if moves => error.kind == ApiErrorKind::NotFound,
            Err(error) => error.kind == ApiErrorKind::InUse,
            Ok(()) => false,
        };
        if overtaken {
            journal.overtaken(&timed);
            return Ok(Progress::Overtaken);
        }
        journal.call(timed, |()| step.describe())?;
        journal.changed(scheduled(revoke, moves));
        Ok(Progress::Done)
    }

    /// The access is gone by now: a schedule that may not be removed is no failure, but it will fire.
    async fn cancel_revoke(&mut self, step: &Step, slot: &Slot, journal: &mut Journal) -> Result<Progress, Failure> {
        let timed = Timed::call(Operation::DeleteSchedule, self.context.aws.delete_schedule(slot)).await;
        match &timed.answer {
            Err(error) if !error.kind.is_transient() => {
                journal.optional_call(&timed, |()| String::new());
                journal.warn(
                    "SCHEDULE_NOT_REMOVED",
                    format!(
                        "the scheduled revoke `{}` is still there and would take away what is granted to this principal in the meantime: remove it, and mend this: {error}",
                        slot.name
                    ),
                );
                Ok(Progress::Overtaken)
            }
            _ => {
                journal.call(timed, |()| step.describe())?;
                journal.changed("the scheduled revoke was removed");
                Ok(Progress::Done)
            }
        }
    }

    fn propagation(&self) -> Deadline {
        self.context.aws.deadline.min(Deadline::after(PROPAGATION))
    }

    /// Another update may be in progress, and hide behind the status ACTIVE (containers-roadmap issue 1500): it is waited out.
    async fn open_access_entries(&mut self, step: &Step, journal: &mut Journal) -> Result<Progress, Failure> {
        let again = |error: &ApiError| error.kind == ApiErrorKind::InUse;
        let call = async || self.context.aws.update_cluster_config(&self.cluster.name, None).await;
        let timed = persist(Operation::UpdateClusterConfig, self.mode_deadline, again, call).await;
        match &timed.answer {
            Err(error) if error.kind == ApiErrorKind::InUse => {
                let why = format!("another update of the cluster is in progress ({})", error.message);
                journal.overtaken(&timed);
                return Ok(Progress::StillRunning(why));
            }
            // Somebody else has switched it in the meantime; the wait that follows shows to what.
            Err(error) if error.kind == ApiErrorKind::ModeUnsupported => {
                journal.overtaken(&timed);
                return Ok(Progress::Done);
            }
            _ => {}
        }
        self.update_id = journal
            .call(timed, |id| format!("{}; update {}", step.describe(), id.as_deref().unwrap_or("without id")))?;
        journal.changed("EKS was told to switch the authentication mode to API_AND_CONFIG_MAP");
        warn_of_mode_change(&self.cluster.name, journal);
        Ok(Progress::Done)
    }

    /// Follows the change by `DescribeCluster` alone, which the article's role allows: the first ACTIVE may be older than the
    /// change, so the mode itself has to be seen. `DescribeUpdate`, where it is allowed, tells why a change failed.
    async fn await_authentication_mode(&mut self, step: &Step, journal: &mut Journal) -> Result<Progress, Failure> {
        let watch = Stopwatch::start();
        let mut updating_seen = false;
        let mut unchanged_since: Option<Stopwatch> = None;
        let mut why_unknown = None;
        let name = self.cluster.name.clone();
        let update_id = self.update_id.take();
        let failed = |why: &str| Some(Err(mode_failed(&name, update_id.as_deref(), why)));
        let end = self
            .mode_deadline
            .poll(MODE_PAUSES, async || {
                if let Some(id) = &update_id
                    && why_unknown.is_none()
                {
                    match self.context.aws.describe_update(&name, id).await {
                        Ok(update) if update.status == UpdateStatus::Failed => {
                            return failed(&update.errors.join("; "));
                        }
                        Err(error) if error.kind == ApiErrorKind::Denied => {
                            why_unknown = Some(error.denied_action());
                        }
                        _ => {}
                    }
                }
                match self.context.aws.describe_cluster(&name).await {
                    Ok(cluster) => *self.cluster = cluster,
                    // A look that failed is made up for by the next one.
                    Err(error) if error.kind.is_transient() => return None,
                    Err(error) => return Some(Err(Failure::from(error))),
                }
                match (self.cluster.status.as_str(), self.cluster.authentication_mode) {
                    ("ACTIVE", mode) if mode.has_access_entries() => Some(Ok(mode)),
                    (status @ ("FAILED" | "DELETING"), _) => failed(&format!("the cluster is {status} now")),
                    ("ACTIVE", _) if updating_seen => {
                        let since = *unchanged_since.get_or_insert_with(Stopwatch::start);
                        if since.elapsed() < MODE_GRACE {
                            return None;
                        }
                        failed(&format!(
                            "EKS does not say why; allow `{}` to the function's role to learn it",
                            why_unknown.as_deref().unwrap_or("eks:DescribeUpdate")
                        ))
                    }
                    (status, _) => {
                        updating_seen |= status == "UPDATING";
                        unchanged_since = None;
                        None
                    }
                }
            })
            .await;
        let (outcome, detail) = match &end {
            Some(Ok(mode)) => (StepOutcome::Succeeded, format!("the authentication mode is {mode} now")),
            Some(Err(failure)) => (StepOutcome::Failed, failure.what.clone()),
            None => (StepOutcome::Planned, "still changing".to_owned()),
        };
        journal.step(&step.operation(), outcome, watch.elapsed(), detail);
        match end {
            Some(Ok(_)) => Ok(Progress::Done),
            Some(Err(failure)) => Err(failure),
            None => Ok(Progress::StillRunning(format!(
                "the authentication mode is still {}, status {}",
                self.cluster.authentication_mode, self.cluster.status
            ))),
        }
    }

    /// The entry is written to the log before it is deleted: what makes it anew may never run.
    async fn delete_entry(
        &mut self,
        step: &Step,
        entry: &AccessEntry,
        journal: &mut Journal,
    ) -> Result<Progress, Failure> {
        journal.log.record(
            Level::Warn,
            "snapshot",
            json!({ "cluster": self.cluster.arn, "principalArn": self.principal.as_str(), "accessEntry": entry }),
        );
        let call = self.context.aws.delete_access_entry(&self.cluster.name, self.principal);
        let timed = Timed::call(Operation::DeleteAccessEntry, call).await;
        journal.call(timed, |()| step.describe())?;
        journal.changed("the access entry was deleted, to be made anew");
        Ok(Progress::Done)
    }

    async fn create_entry(
        &mut self,
        step: &Step,
        entry: &NewEntry,
        journal: &mut Journal,
    ) -> Result<Progress, Failure> {
        // After a change of mode, EKS may still refuse entries for a moment.
        let (remaking, slow_delete) = (self.remaking, Deadline::after(SLOW_DELETE));
        let again = |error: &ApiError| match error.kind {
            ApiErrorKind::InvalidPrincipal | ApiErrorKind::ModeWithoutEntries => true,
            // Not where it was made by a call whose answer was lost.
            ApiErrorKind::InUse => remaking && !error.unconfirmed && !slow_delete.left().is_zero(),
            kind => remaking && kind.is_transient(),
        };
        let limit = self.propagation();
        let call = async |entry: &NewEntry| {
            self.context.aws.create_access_entry(&self.cluster.name, self.principal, entry, None).await
        };
        let mut timed = persist(Operation::CreateAccessEntry, limit, again, async || call(entry).await).await;
        // Not every refusal names the action, so any may be about the tags.
        if !entry.tags.is_empty() && matches!(&timed.answer, Err(error) if error.kind == ApiErrorKind::Denied) {
            journal.optional_call(&timed, |()| String::new());
            let bare = NewEntry { tags: std::collections::BTreeMap::new(), ..entry.clone() };
            timed = persist(Operation::CreateAccessEntry, limit, again, async || call(&bare).await).await;
            if !matches!(&timed.answer, Err(error) if error.kind == ApiErrorKind::Denied) {
                journal.warn("TAGS_NOT_SET", tags_not_set(entry, remaking));
            }
        }
        if matches!(&timed.answer, Err(error) if error.kind == ApiErrorKind::InUse) {
            journal.overtaken(&timed);
            return Ok(Progress::Overtaken);
        }
        journal.call(timed, |()| step.describe())?;
        journal.changed("the access entry was created");
        Ok(Progress::Done)
    }
}

fn tags_not_set(entry: &NewEntry, remaking: bool) -> String {
    let allow = "allow `eks:TagResource` on the cluster's access entries to the function's role";
    if remaking {
        let lost: Vec<String> = entry.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!(
            "the access entry that was made anew lacks the tags that it had ({}): set them again, and {allow}",
            lost.join(", ")
        )
    } else {
        format!("the access entry carries no tags, so that later nothing tells who made it: {allow}")
    }
}

/// Makes a call until it does not fail in the way that passes by itself, or the time is up: then the last failure stands.
async fn persist<T>(
    operation: Operation,
    limit: Deadline,
    passes: impl Fn(&ApiError) -> bool,
    mut call: impl AsyncFnMut() -> Result<T, ApiError>,
) -> Timed<T> {
    let mut attempts = 0;
    let timed = Timed::call(operation, async {
        let mut last = ApiError::out_of_time(operation);
        let answer = limit
            .poll(PAUSES, async || {
                attempts += 1;
                // What an earlier attempt may have done, the last one answers for.
                let in_doubt = attempts > 1 && last.may_have_changed();
                match call().await.map_err(|error| ApiError { unconfirmed: error.unconfirmed || in_doubt, ..error }) {
                    Err(error) if passes(&error) => {
                        last = error;
                        None
                    }
                    answer => Some(answer),
                }
            })
            .await;
        answer.unwrap_or(Err(last))
    })
    .await;
    timed.after(attempts)
}

/// A change that cannot be undone, and that others have to follow (aws-cdk issue 31032, pulumi-eks issue 1493).
pub fn warn_of_mode_change(cluster: &str, journal: &mut Journal) {
    journal.warn(
        "AUTHENTICATION_MODE_CHANGED",
        format!(
            "the authentication mode of cluster `{cluster}` goes from CONFIG_MAP to API_AND_CONFIG_MAP, which cannot be undone; aws-auth still counts; change infrastructure code that says CONFIG_MAP, or it will fail to apply"
        ),
    );
}

fn mode_failed(cluster: &str, update_id: Option<&str>, why: &str) -> Failure {
    Failure::new(
        ErrorName::AuthenticationModeFailed,
        format!(
            "EKS did not switch the authentication mode of cluster `{cluster}` from {} to {}: {why}",
            AuthenticationMode::ConfigMap,
            AuthenticationMode::ApiAndConfigMap
        ),
        format!(
            "mend what EKS names (`aws eks describe-update --name {cluster} --update-id {}`), then send the same event again",
            update_id.unwrap_or("UPDATE-ID")
        ),
    )
}

/// Takes back the schedule of a grant that came to nothing, if it still is as it was made: another grant may count on it by now.
pub async fn take_back_schedule(
    context: &Context<'_>,
    slot: &Slot,
    revoke: &PendingRevoke,
    seen: &Observation,
    policy: &PolicyArn,
    journal: &mut Journal,
) {
    // The same event, sent twice in one second, makes the same schedule: the other one may have given the access that it ends.
    let now = context.aws.list_associated_access_policies(&seen.cluster.name, &seen.principal).await;
    let holds = |held: Vec<AccessPolicy>| held.iter().any(|held| held.policy_arn == policy.as_str());
    if now.map_or(true, |held| held.is_some_and(holds)) {
        return;
    }
    let found = Timed::call(Operation::GetSchedule, context.aws.get_schedule(slot)).await;
    journal.optional_call(&found, |_| "is the schedule still as this grant made it?".to_owned());
    let found = found.answer.ok().flatten();
    let found = found.and_then(|schedule| PendingRevoke::read(&schedule.input, &context.settings.region).ok());
    if found.is_some_and(|(_, found)| found == *revoke) {
        let timed = Timed::call(Operation::DeleteSchedule, context.aws.delete_schedule(slot)).await;
        journal.optional_call(&timed, |()| "nothing was granted, so there is nothing to revoke".to_owned());
        if timed.answer.is_ok() {
            journal.unchanged(&scheduled(revoke, false));
        }
    }
}

/// The change that scheduling is.
#[must_use]
pub fn scheduled(revoke: &PendingRevoke, moved: bool) -> String {
    let what = if moved { "moved to" } else { "scheduled for" };
    format!("the revoke was {what} {}", revoke.expires_at)
}
