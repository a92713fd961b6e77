//! A grant: observe, plan, execute, read back, until there is nothing left to do.
//!
//! Every pass starts from what AWS shows, so an event that is sent again, at once or after a crash, continues from wherever the last one
//! got to and ends in the same state.

use std::time::Duration;

use crate::decide::guardrails;
use crate::decide::history::History;
use crate::decide::plan::{self, Goal, warnings};
use crate::domain::cluster::AuthenticationMode;
use crate::domain::codes::{Status, WarningCode};
use crate::domain::failure::Failure;
use crate::domain::observed_state::Observation;
use crate::domain::record::StepOutcome;
use crate::domain::scheduled_revoke::ExpiryState;
use crate::domain::verification::{Kubernetes, Verdict};
use crate::input::event::{Grant, Request, Verify};
use crate::platform::clock::Deadline;
use crate::report::grant_report;
use crate::report::outcome::Outcome;
use crate::workflow::context::{Context, Subject};
use crate::workflow::reconcile::{Progress, Reconciler};
use crate::workflow::recorder::Recorder;
use crate::workflow::verify::{self, Expected};
use crate::workflow::{observe, unneeded_schedule};

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
        recorder.warn_all(warnings::circumstances(goal, &self.engine.seen));
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
        if self.grant.verify != Verify::Kubernetes || !status.access_is_effective() {
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

    fn outcome(&self, end: End, verdict: Option<Verdict>, recorder: &mut Recorder) -> Outcome {
        let Reconciler { seen, history, .. } = &self.engine;
        let report = grant_report::Report {
            goal: &self.goal,
            history,
            seen,
            initial_mode: self.initial_mode,
            requested: &self.grant.principal.text,
            region: &self.request.cluster.region,
        };
        recorder.warn_all(warnings::afterwards(&self.goal, history, seen, self.initial_mode, end.status));
        report.ended(end.status, end.planned, verdict)
    }

    /// A grant that came to nothing leaves no revoke behind, which could remove what is granted later. If anything was given after the
    /// revoke was scheduled, or may have been, the schedule stays.
    async fn remove_unneeded_schedule(&self, recorder: &mut Recorder) {
        if let Some((target, revoke)) = self.engine.history.unneeded_schedule() {
            let (seen, policy) = (&self.engine.seen, &self.grant.policy);
            unneeded_schedule::remove(self.context, target, revoke, &self.engine.history, seen, policy, recorder).await;
        }
    }
}
