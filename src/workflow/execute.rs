//! Carries out the steps of a plan: the calls that change something, and the waiting that EKS's delays make necessary.

use std::time::Duration;

use crate::decide::expiry::digest;
use crate::decide::history::{History, StepResult};
use crate::decide::plan::Plan;
use crate::domain::access_entry::{Ends, NewEntry, policy_name};
use crate::domain::access_scope::AccessScope;
use crate::domain::api_error::{ApiError, ApiErrorKind as Kind};
use crate::domain::arn::PolicyArn;
use crate::domain::cluster::Cluster;
use crate::domain::codes::WarningCode;
use crate::domain::failure::{Failure, about_principal};
use crate::domain::operation::Operation;
use crate::domain::principal::PrincipalArn;
use crate::domain::scheduled_revoke::{PendingRevoke, ScheduleTarget};
use crate::domain::step::Step;
use crate::platform::clock::{Backoff, Deadline};
use crate::report::outcome;
use crate::workflow::context::Context;
use crate::workflow::recorder::{Recorder, TimedCall};

/// How long EKS may take to know a new principal, and to show a new entry: two minutes
/// (terraform-provider-aws issue 35535 and pull request 35736).
pub const PROPAGATION: Duration = Duration::from_mins(2);
/// How long a deleted entry may still prevent the creation of its replacement.
const SLOW_DELETE: Duration = Duration::from_secs(20);
/// Between two tries of a call that waits for EKS to catch up.
pub const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(10) };

/// Carries out steps.
#[derive(Debug)]
pub struct Executor<'a> {
    /// AWS, and what else the request has.
    pub context: &'a Context<'a>,
    /// The cluster, as it was observed last.
    pub cluster: &'a mut Cluster,
    /// Whose access.
    pub principal: &'a PrincipalArn,
    /// By which policy.
    pub policy: &'a PolicyArn,
    /// Until when to wait for a change of the authentication mode.
    pub mode_deadline: Deadline,
    /// The update of the authentication mode, after it was started.
    pub update_id: Option<String>,
}

impl Executor<'_> {
    /// Carries a plan out as far as it goes without another observation; the steps that are left if the time is up.
    ///
    /// # Errors
    /// If a step fails.
    pub async fn execute<'p>(
        &mut self,
        plan: &'p Plan,
        history: &mut History,
        recorder: &mut Recorder,
    ) -> Result<Option<&'p [Step]>, Failure> {
        for (index, step) in plan.steps.iter().enumerate() {
            let before = (recorder.record.changes.len(), recorder.record.unconfirmed.len());
            let result = self.carry_out(step, recorder).await.inspect_err(|_| {
                if (recorder.record.changes.len(), recorder.record.unconfirmed.len()) != before {
                    history.append(step.clone(), StepResult::Unconfirmed);
                }
            })?;
            history.append(step.clone(), result.clone());
            match (result, step) {
                (StepResult::InProgress(why), _) => {
                    recorder.warn(WarningCode::AuthenticationModeChanging, why);
                    return Ok(Some(plan.steps.get(index + 1..).unwrap_or_default()));
                }
                // The rest of the plan rests on what was observed before.
                (StepResult::AlreadyExists { .. } | StepResult::Conflict, _)
                | (_, Step::AwaitAuthenticationMode | Step::Observe) => {
                    return Ok(None);
                }
                (StepResult::Applied | StepResult::NotAllowed | StepResult::Unconfirmed, _) => {}
            }
        }
        Ok(None)
    }

    async fn carry_out(&mut self, step: &Step, recorder: &mut Recorder) -> Result<StepResult, Failure> {
        match step {
            Step::ChangeAuthenticationMode => self.change_authentication_mode(step, recorder).await,
            Step::AwaitAuthenticationMode => self.await_authentication_mode(recorder).await,
            Step::CreateSchedule { target, revoke } => self.write_schedule(step, target, revoke, false, recorder).await,
            Step::UpdateSchedule { target, revoke } => self.write_schedule(step, target, revoke, true, recorder).await,
            Step::ReplaceEntry(replacement) | Step::RecreateEntry(replacement) => {
                let recreates = matches!(step, Step::RecreateEntry(_));
                self.replace_entry(step, replacement, recreates, recorder).await
            }
            Step::CreateEntry(entry) => self.create_entry(step, entry, false, recorder).await,
            Step::TagEntry { arn, ends } => Ok(tag_best_effort(self.context, arn, *ends, recorder).await),
            Step::AssociatePolicy { policy, scope } => self.associate(policy, scope, false, recorder).await,
            Step::DisassociatePolicy { policy } => {
                let call = self.context.aws.disassociate_access_policy(&self.cluster.name, self.principal, policy);
                let timed = TimedCall::call(Operation::DisassociateAccessPolicy, call).await;
                recorder.call(timed, |()| step.describe())?;
                recorder
                    .record
                    .changed(Operation::DisassociateAccessPolicy, format!("{} was disassociated", policy_name(policy)));
                Ok(StepResult::Applied)
            }
            Step::DeleteEntry => {
                let call = self.context.aws.delete_access_entry(&self.cluster.name, self.principal);
                let timed = TimedCall::call(Operation::DeleteAccessEntry, call).await;
                recorder.call(timed, |()| step.describe())?;
                recorder.record.changed(Operation::DeleteAccessEntry, "the access entry was deleted");
                Ok(StepResult::Applied)
            }
            Step::DeleteSchedule(target) => self.delete_schedule(step, target, recorder).await,
            Step::Observe => Ok(StepResult::Applied),
        }
    }

    /// Another request may write or delete the same schedule meanwhile: then the next observation decides.
    async fn write_schedule(
        &mut self,
        step: &Step,
        target: &ScheduleTarget,
        revoke: &PendingRevoke,
        exists: bool,
        recorder: &mut Recorder,
    ) -> Result<StepResult, Failure> {
        let undo = outcome::undo(self.cluster, self.principal, self.policy, &revoke.restore);
        let (input, aws) = (revoke.input(undo), self.context.aws);
        let operation = if exists { Operation::UpdateSchedule } else { Operation::CreateSchedule };
        let timed = if exists {
            TimedCall::call(operation, aws.update_schedule(target, revoke.expires_at, &input)).await
        } else {
            TimedCall::call(operation, aws.create_schedule(target, revoke.expires_at, &input)).await
        };
        match &timed.answer {
            // It is gone: nobody has written it.
            Err(error) if exists && error.kind == Kind::NotFound => {
                recorder.record_best_effort(&timed, |()| String::new());
                Ok(StepResult::Conflict)
            }
            Err(error) if !exists && error.kind == Kind::InUse => {
                let unconfirmed = recorder.conflicting_step(&timed);
                Ok(StepResult::AlreadyExists { unconfirmed })
            }
            _ => {
                recorder.call(timed, |()| step.describe())?;
                recorder.record.changed(operation, scheduled(revoke, exists));
                Ok(StepResult::Applied)
            }
        }
    }

    /// The access is gone by now: a schedule that can't be deleted is no failure, but it fires.
    async fn delete_schedule(
        &mut self,
        step: &Step,
        target: &ScheduleTarget,
        recorder: &mut Recorder,
    ) -> Result<StepResult, Failure> {
        let timed = TimedCall::call(Operation::DeleteSchedule, self.context.aws.delete_schedule(target)).await;
        match &timed.answer {
            Err(error) if !error.kind.is_transient() => {
                recorder.record_best_effort(&timed, |()| String::new());
                recorder.warn(WarningCode::ScheduleNotRemoved, schedule_stays(Some(&target.name), error));
                Ok(StepResult::NotAllowed)
            }
            _ => {
                recorder.call(timed, |()| step.describe())?;
                recorder.record.changed(Operation::DeleteSchedule, "the scheduled revoke was deleted");
                Ok(StepResult::Applied)
            }
        }
    }

    /// A client token of the EKS API, from the request id, the step's key, and the moment: all attempts at a step have one effect, also if
    /// an answer is lost. A later pass, or a retry of the request, is another step: what it finds gone, it creates again.
    pub(crate) fn client_token(&self, step: &Step, what: &str) -> String {
        let (kind, target) = step.key();
        digest(&[self.context.request_id, kind, target, what, &self.context.now().to_string()], 64)
    }

    fn propagation(&self) -> Deadline {
        self.context.aws.deadline.min(Deadline::after(PROPAGATION))
    }

    pub(crate) async fn associate(
        &mut self,
        policy: &str,
        scope: &AccessScope,
        replacing: bool,
        recorder: &mut Recorder,
    ) -> Result<StepResult, Failure> {
        let again = |error: &ApiError| error.kind == Kind::EntryNotFound || (replacing && error.kind.is_transient());
        let (aws, name, principal) = (self.context.aws, &self.cluster.name, self.principal);
        let call = async || aws.associate_access_policy(name, principal, policy, scope).await;
        let timed = persist(Operation::AssociateAccessPolicy, self.propagation(), again, call).await;
        recorder.call(timed, |()| format!("associate {} with {scope}", policy_name(policy)))?;
        recorder
            .record
            .changed(Operation::AssociateAccessPolicy, format!("{} was associated, with {scope}", policy_name(policy)));
        Ok(StepResult::Applied)
    }

    pub(crate) async fn create_entry(
        &mut self,
        step: &Step,
        entry: &NewEntry,
        replacing: bool,
        recorder: &mut Recorder,
    ) -> Result<StepResult, Failure> {
        // After a change of mode, EKS may still refuse entries for a moment.
        let slow_delete = Deadline::after(SLOW_DELETE);
        let again = |error: &ApiError| match error.kind {
            Kind::InvalidPrincipal | Kind::ModeWithoutEntries => true,
            // Not if a call whose answer was lost has created it.
            Kind::InUse => replacing && !error.unconfirmed && !slow_delete.left().is_zero(),
            kind => replacing && kind.is_transient(),
        };
        let limit = self.propagation();
        let (aws, name, principal) = (self.context.aws, &self.cluster.name, self.principal);
        let tokens = [self.client_token(step, "tagged"), self.client_token(step, "bare")];
        let call = async |entry: &NewEntry| {
            let [tagged, bare] = &tokens;
            let token = if entry.tags.is_empty() { bare } else { tagged };
            aws.create_access_entry(name, principal, entry, Some(token)).await
        };
        let mut timed = persist(Operation::CreateAccessEntry, limit, again, async || call(entry).await).await;
        // Not every refusal names the action, so any may be about the tags.
        if !entry.tags.is_empty() && matches!(&timed.answer, Err(error) if error.kind == Kind::Denied) {
            recorder.record_best_effort(&timed, |()| String::new());
            let bare = NewEntry { tags: std::collections::BTreeMap::new(), ..entry.clone() };
            timed = persist(Operation::CreateAccessEntry, limit, again, async || call(&bare).await).await;
            if !matches!(&timed.answer, Err(error) if error.kind == Kind::Denied) {
                recorder.warn(WarningCode::TagsNotSet, tags_not_set(entry));
            }
        }
        if matches!(&timed.answer, Err(error) if error.kind == Kind::InUse) {
            let unconfirmed = recorder.conflicting_step(&timed);
            return Ok(StepResult::AlreadyExists { unconfirmed });
        }
        let created = Step::CreateEntry(entry.clone()).describe();
        recorder.call(timed, |()| created).map_err(|error| about_principal(error, self.principal))?;
        recorder.record.changed(Operation::CreateAccessEntry, "the access entry was created");
        Ok(StepResult::Applied)
    }
}

fn tags_not_set(entry: &NewEntry) -> String {
    let tags: Vec<String> = entry.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!(
        "The access entry has no tags, so nothing on it shows who created it. Allow `eks:TagResource` on the cluster's access entries to the function's role. These tags were not set: {}.",
        tags.join(", ")
    )
}

/// Sets the tag that says whether an end is scheduled. Only other requests and `inspect` read it, so its failure fails nothing.
pub async fn tag_best_effort(context: &Context<'_>, arn: &str, ends: Ends, recorder: &mut Recorder) -> StepResult {
    let (key, value) = ends.tag();
    let tags = [(key.clone(), value.clone())].into();
    let timed = TimedCall::call(Operation::TagResource, context.aws.tag_resource(arn, &tags)).await;
    recorder.record_best_effort(&timed, |()| format!("{key}={value}"));
    match timed.answer {
        Ok(()) => {
            recorder.record.changed(Operation::TagResource, format!("the access entry was tagged with {key}={value}"));
            StepResult::Applied
        }
        Err(error) => {
            recorder.warn(
                WarningCode::TagsNotSet,
                format!("The tag {key}={value} of the access entry could not be set. Allow `eks:TagResource` on the cluster's access entries to the function's role. [{error}]"),
            );
            StepResult::NotAllowed
        }
    }
}

/// What a schedule that stays does.
#[must_use]
pub fn schedule_stays(name: Option<&str>, error: &ApiError) -> String {
    let which =
        name.map_or("A scheduled revoke, if there is one,".to_owned(), |name| format!("The scheduled revoke `{name}`"));
    format!(
        "{which} is still there, and will remove what is granted to this principal by the same policy until then. Delete the schedule, and fix its cause. [{error}]"
    )
}

/// Makes a call until it does not fail in the way that passes by itself, or the time is up: then the last failure stands.
pub(crate) async fn persist<T>(
    operation: Operation,
    limit: Deadline,
    passes: impl Fn(&ApiError) -> bool,
    mut call: impl AsyncFnMut() -> Result<T, ApiError>,
) -> TimedCall<T> {
    let mut attempts = 0;
    let timed = TimedCall::call(operation, async {
        let mut last = ApiError::out_of_time(operation);
        let answer = limit
            .poll(BACKOFF, async || {
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

/// The change that writing a schedule is.
#[must_use]
pub fn scheduled(revoke: &PendingRevoke, existed: bool) -> String {
    let what = if existed { "moved to" } else { "scheduled for" };
    format!("the revoke was {what} {}", revoke.expires_at)
}
