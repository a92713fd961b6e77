//! A grant: observe, plan, execute, read back, until there is nothing left to do.
//!
//! Every pass starts from what AWS shows, so an event that is sent again, at once or after a crash, continues from wherever the last one
//! got to and ends in the same state.

use crate::domain::codes::WarningCode;
use std::time::Duration;

use serde_json::Value;

use crate::decide::history::History;
use crate::decide::ownership::{self};
use crate::decide::plan::{self, Goal};
use crate::decide::{access_review, guardrails};
use crate::domain::access_entry::{Ends, EntryState};
use crate::domain::api_error::ApiError;
use crate::domain::cluster::AuthenticationMode;
use crate::domain::codes::Status;
use crate::domain::failure::Failure;
use crate::domain::identity::IamPrincipal;
use crate::domain::observed_state::Observation;
use crate::domain::record::StepOutcome;
use crate::domain::scheduled_revoke::{ExpiryState, Restore};
use crate::domain::verification::{Kubernetes, Verdict};
use crate::input::event::{Grant, Request, Verify};
use crate::platform::clock::Deadline;
use crate::report::kubeconfig;
use crate::report::next_steps::{self, Granted};
use crate::report::outcome::{self, AccessEntryReport, ClusterReport, Outcome, PrincipalReport, Verification};
use crate::workflow::context::{Context, Subject};
use crate::workflow::execute::{self};
use crate::workflow::reconcile::{Progress, Reconciler};
use crate::workflow::recorder::Recorder;
use crate::workflow::verify::{self, Expected};
use crate::workflow::{mode_change, observe};

/// When to send an event again whose cluster is still changing its authentication mode, in seconds.
const RETRY_AFTER_SECONDS: u64 = 30;

/// Grants access to a principal.
///
/// # Errors
/// If it can't be done, or must not be. The recorder knows what was changed by then.
pub async fn run(
    context: &Context<'_>,
    request: &Request,
    grant: &Grant,
    recorder: &mut Recorder,
) -> Result<Outcome, Failure> {
    let settings = context.settings;
    let duration = guardrails::duration(settings, grant)?;
    let subject = Subject {
        cluster: &request.cluster,
        principal: &grant.principal.principal,
        policy: &grant.policy,
        grant: Some(grant),
        expiry_is_optional: duration.is_none(),
    };
    let seen = observe::observe(context, subject, recorder).await?;
    guardrails::cluster(settings, &seen.cluster.name, Some(&seen.cluster.arn))?;
    guardrails::principal(settings, &seen.principal, seen.cluster.account())?;
    guardrails::own_roles(settings, &seen.own, &seen.principal)?;
    let goal = Goal {
        policy: grant.policy.clone(),
        scope: grant.scope.clone(),
        duration,
        recreate: grant.recreate_entry,
        emergency: grant.emergency,
        instance_role: grant.instance_role,
        tags: context.installation.tags(context.request_id, request, grant),
        request_id: context.request_id,
        installation: &context.installation,
        settings,
    };
    let deadline = context.aws.deadline;
    let mode_deadline = grant.wait.map_or(deadline, |wait| deadline.min(Deadline::after(wait)));
    let mut reconciler = GrantReconciler {
        context,
        request,
        grant,
        goal,
        initial_mode: seen.cluster.authentication_mode,
        engine: Reconciler { context, subject, seen, history: History::default(), mode_deadline },
    };
    match reconciler.reconcile(recorder).await {
        Ok(end) => {
            let verdict = reconciler.verify(end.status, recorder).await;
            Ok(reconciler.outcome(end, verdict, recorder))
        }
        Err(failure) => {
            reconciler.remove_unneeded_schedule(recorder).await;
            Err(failure)
        }
    }
}

/// How the loop ended.
#[derive(Debug, Clone, Copy)]
struct End {
    status: Status,
    /// What a dry run would have ended in.
    planned: Option<Status>,
}

/// A grant under way: what is asked for, what was observed last, and what was done.
struct GrantReconciler<'a> {
    context: &'a Context<'a>,
    request: &'a Request,
    grant: &'a Grant,
    goal: Goal<'a>,
    /// The authentication mode, as it was observed first.
    initial_mode: AuthenticationMode,
    engine: Reconciler<'a>,
}

impl GrantReconciler<'_> {
    async fn reconcile(&mut self, recorder: &mut Recorder) -> Result<End, Failure> {
        let (goal, context) = (&self.goal, self.context);
        let planner = |history: &History, seen: &Observation| plan::grant(goal, history, seen, context.now());
        let mut plan = planner(&self.engine.history, &self.engine.seen)?;
        for (operation, why) in &plan.skipped {
            recorder.step(*operation, StepOutcome::Skipped, Duration::ZERO, why);
        }
        warn_of_circumstances(goal, &self.engine.seen, recorder);
        if plan.steps.is_empty() && goal.duration.is_some() && matches!(self.engine.seen.expiry, ExpiryState::Absent(_))
        {
            // Access that is there, and no end of it: another grant may have given both between two of the reads.
            plan = self.engine.read_back(&planner, recorder).await?;
        }
        recorder.warn_all(std::mem::take(&mut plan.warnings));
        let ends_in = if plan.steps.is_empty() { Status::AlreadyGranted } else { Status::Granted };
        if self.grant.dry_run {
            recorder.planned(&plan.steps);
            return Ok(End { status: Status::Planned, planned: Some(ends_in) });
        }
        let progress = self.engine.reconcile(&planner, plan, recorder).await?;
        let status = match progress {
            Progress::InProgress => Status::InProgress,
            Progress::Complete if recorder.record.has_changes() => Status::Granted,
            Progress::Complete => Status::AlreadyGranted,
        };
        Ok(End { status, planned: None })
    }

    /// Asks the cluster itself, if the event says so. The grant counts whatever the answer is.
    async fn verify(&self, status: Status, recorder: &mut Recorder) -> Option<Verdict> {
        if self.grant.verify != Verify::Kubernetes || !access_is_effective(status) {
            return None;
        }
        let (policy, scope) = (&self.grant.policy, &self.grant.scope);
        let verdict = verify::ask(self.context, &self.engine.seen, policy, scope, Expected::Allowed, recorder).await;
        if verdict.kubernetes == Kubernetes::Denied {
            let stale = if verdict.unauthorized {
                " If this stays so, run `aws sts get-caller-identity` with the principal's credentials, and compare its Arn with `principal.arn`."
            } else {
                ""
            };
            recorder.warn(
                WarningCode::KubernetesAccessDenied,
                format!(
                    "EKS shows the access as granted, but the cluster denies it: {}.{stale}",
                    verdict.detail.trim_end_matches('.')
                ),
            );
        }
        Some(verdict)
    }

    /// A grant that came to nothing leaves no revoke behind, which could remove what is granted later. If anything was given after the
    /// revoke was scheduled, or may have been, the schedule stays.
    async fn remove_unneeded_schedule(&self, recorder: &mut Recorder) {
        if let Some((target, revoke)) = self.engine.history.unneeded_schedule() {
            let (seen, policy) = (&self.engine.seen, &self.grant.policy);
            execute::remove_unneeded_schedule(self.context, target, revoke, seen, policy, recorder).await;
        }
    }

    /// Whether this request created the entry that exists now, in place of none or of a stale one.
    fn created(&self) -> bool {
        let Some(entry) = self.engine.seen.entry.present().filter(|_| self.engine.history.recreated().is_none()) else {
            return false;
        };
        // Tags tell even if another request has deleted and created it since.
        if self.goal.installation.created(entry) {
            self.goal.installation.created_by_grant(entry, self.goal.request_id)
        } else {
            self.engine.history.created_entry()
        }
    }

    /// The event that removes exactly this grant, if there is something of it.
    fn undo(&self) -> Option<Value> {
        let before = self.engine.history.baseline().map_or(&self.engine.seen.entry, |baseline| &baseline.entry);
        let restore = match (self.engine.seen.expiry.scheduled(), before) {
            // What was there before the first of the grants that this schedule ends.
            (Some(revoke), _) => revoke.restore.clone(),
            _ if self.created() || self.engine.history.replaced().is_some() => Restore::entry_created(),
            (_, EntryState::Present(entry)) => {
                self.goal.installation.restore(Some(entry), &self.grant.policy, &self.grant.scope)?
            }
            // Another request created the entry at the same time.
            (_, EntryState::Absent | EntryState::Unreadable) => Restore::entry_existed(None),
        };
        Some(outcome::undo(&self.engine.seen.cluster, &self.engine.seen.principal, &self.grant.policy, &restore))
    }

    fn outcome(&self, end: End, verdict: Option<Verdict>, recorder: &mut Recorder) -> Outcome {
        let status = end.status;
        let effective = access_is_effective(status);
        if self.initial_mode != self.engine.seen.cluster.authentication_mode {
            mode_change::warn_of_mode_change(&self.engine.seen.cluster.name, recorder);
        }
        if let (ExpiryState::Unknown(error), true) = (&self.engine.seen.expiry, effective) {
            warn_of_unknown_end(error, recorder);
        }
        let undo = self.undo();
        let endless = self.goal.duration.is_some()
            && matches!(self.engine.seen.expiry, ExpiryState::Absent(_) | ExpiryState::Unavailable(_));
        if endless && (effective || (status == Status::Planned && undo.is_none())) {
            self.warn_of_permanent_access(recorder);
        }
        let entry = self.engine.seen.entry.present();
        let replaced = self.engine.history.replaced();
        Outcome {
            status,
            planned_status: end.planned,
            action: "grant",
            request_id: self.context.request_id.to_owned(),
            cluster: ClusterReport::new(&self.engine.seen.cluster, self.initial_mode),
            principal: Some(PrincipalReport::new(&self.grant.principal.text, &self.engine.seen.principal)),
            expires_at: self.engine.seen.expiry.pending().map(|revoke| revoke.expires_at),
            next_steps: self.next_steps(status, effective.then_some(undo.as_ref()).flatten()),
            warnings: recorder.record.warnings.clone(),
            findings: None,
            undo: undo.filter(|_| effective),
            verification: self.verification(effective, verdict),
            access_entry: entry.map(|entry| AccessEntryReport::new(entry, self.created())),
            access_policies: entry.map(|entry| entry.access_policies.clone()).unwrap_or_default(),
            replaced_entry: replaced.map(outcome::ReplacedEntry::new),
            retry_after_seconds: (status == Status::InProgress).then_some(RETRY_AFTER_SECONDS),
            caller: self.engine.seen.caller.clone(),
            steps: recorder.record.steps.clone(),
            kubeconfig: kubeconfig::render(&self.engine.seen.cluster, &self.request.cluster.region),
        }
    }

    fn warn_of_permanent_access(&self, recorder: &mut Recorder) {
        let entry = self.engine.seen.entry.present();
        let anothers = entry.filter(|entry| ownership::created_by_another(&self.context.installation, entry));
        let end = match anothers.and_then(ownership::ends) {
            Some(Ends::Scheduled) => {
                "Another installation of this function gave it, and has scheduled an end for the entry"
            }
            _ => "It has no end, and nothing shows that this function gave it",
        };
        recorder.warn(
            WarningCode::AccessIsPermanent,
            format!("The principal had the access already. {end}. This function does not remove what it did not give, so the access stays as it is."),
        );
    }

    fn verification(&self, effective: bool, verdict: Option<Verdict>) -> Verification {
        let command = access_review::command(&self.grant.policy, &self.grant.scope);
        let (kubernetes, detail) = match (verdict, effective) {
            (Some(verdict), _) => (verdict.kubernetes, verdict.detail),
            (None, false) => {
                (Kubernetes::NotPerformed, "Nothing was granted yet, so there is nothing to verify.".to_owned())
            }
            (None, true) => (
                Kubernetes::NotPerformed,
                format!(
                    "EKS shows the entry and the policy as asked for. The cluster's API server was not asked: as the principal, run `{command}`."
                ),
            ),
        };
        Verification { control_plane: effective.then_some("CONFIRMED"), kubernetes, detail }
    }

    fn next_steps(&self, status: Status, undo: Option<&Value>) -> Vec<String> {
        let settings = self.context.settings;
        let mut steps = match status {
            Status::InProgress => vec![format!(
                "Send the same event again after {RETRY_AFTER_SECONDS} seconds. It continues from where this one stopped."
            )],
            Status::Planned => vec!["Send the same event without `dryRun`.".to_owned()],
            _ => next_steps::granted(&Granted {
                cluster: &self.engine.seen.cluster,
                region: &self.request.cluster.region,
                principal: &self.engine.seen.principal,
                policy: &self.grant.policy,
                scope: &self.grant.scope,
                already: status == Status::AlreadyGranted,
                may_recreate: matches!(self.engine.seen.iam, IamPrincipal::Unknown { .. })
                    && self.engine.seen.entry.present().is_some_and(|entry| {
                        guardrails::recreation(
                            settings,
                            entry,
                            entry.custom_username(&self.engine.seen.principal),
                            false,
                        )
                        .is_ok()
                    }),
            }),
        };
        if self.initial_mode != self.engine.seen.cluster.authentication_mode {
            steps.extend(next_steps::mode_changed(&self.engine.seen.cluster));
        }
        if let Some(old) = self.engine.history.replaced() {
            // What a timed grant gave was to end.
            if ownership::ends(old) == Some(Ends::Scheduled) {
                steps.push(
                    "The old entry was of a timed grant. If its access is still needed, grant it again.".to_owned(),
                );
                return steps;
            }
            steps.extend(next_steps::restore_entry(
                &self.engine.seen.cluster,
                &self.engine.seen.principal,
                old,
                undo.is_some(),
            ));
        }
        steps
    }
}

fn warn_of_unknown_end(error: &ApiError, recorder: &mut Recorder) {
    recorder.warn(
        WarningCode::ExpiryUnknown,
        format!(
            "The function could not find out whether an earlier grant has scheduled an end of the access. [{error}]"
        ),
    );
}

fn access_is_effective(status: Status) -> bool {
    matches!(status, Status::Granted | Status::AlreadyGranted)
}

fn warn_of_circumstances(goal: &Goal<'_>, seen: &Observation, recorder: &mut Recorder) {
    let cluster = &seen.cluster;
    if !cluster.health.is_empty() {
        recorder.warn(
            WarningCode::ClusterHealth,
            format!("EKS reports issues that may deny access all the same: {}.", cluster.health.join("; ")),
        );
    }
    if !cluster.public_endpoint {
        recorder.warn(
            WarningCode::PrivateEndpoint,
            "The cluster's endpoint is private: kubectl works only from its VPC or from a network that is connected to it.",
        );
    }
    if let ExpiryState::Unknown(error) = &seen.expiry {
        warn_of_unknown_end(error, recorder);
    }
    if let ExpiryState::Altered(target, altered) = &seen.expiry {
        let fix =
            if goal.duration.is_some() { "This grant corrects it." } else { "A grant with `duration` corrects it." };
        recorder.warn(
            WarningCode::ExpiryAltered,
            format!("The schedule `{}` that ends the access is not as this function writes it: {}. The end is not certain. {fix}", target.name, altered.differences.join("; ")),
        );
    }
    if let (IamPrincipal::Unknown { reason }, EntryState::Present(_), false) = (&seen.iam, &seen.entry, goal.recreate) {
        recorder.warn(
            WarningCode::StalenessUnknown,
            format!(
                "The function could not find out whether the access entry belongs to a deleted principal with the same ARN, which denies access to the present one. Allow `iam:GetRole` and `iam:GetUser` to the function's role. [{reason}]"
            ),
        );
    }
}
