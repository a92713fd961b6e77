//! A revoke: observe, find out whose the access is, remove what the grant gave, read back.

use std::time::Duration;

use jiff::Timestamp;

use crate::decide::guardrails;
use crate::decide::history::History;
use crate::decide::plan::{self, Plan, RevokeGoal};
use crate::domain::access_scope::AccessScope;
use crate::domain::api_error::{ApiError, ApiErrorKind as Kind};
use crate::domain::arn::{Alias, PolicyArn};
use crate::domain::cluster::AuthenticationMode;
use crate::domain::codes::{Status, WarningCode};
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::observed_state::Observation;
use crate::domain::operation::Operation;
use crate::domain::principal::Principal;
use crate::domain::record::StepOutcome;
use crate::domain::scheduled_revoke::{ExpiryState, PendingRevoke, Restore};
use crate::domain::step::Step;
use crate::domain::verification::{Kubernetes, Verdict};
use crate::input::event::{Request, Revoke, Verify};
use crate::report::outcome::{Outcome, Ownership};
use crate::report::revoke_report::Report;
use crate::workflow::context::{Context, Subject};
use crate::workflow::execute;
use crate::workflow::observe;
use crate::workflow::reconcile::Reconciler;
use crate::workflow::recorder::{Recorder, TimedCall};
use crate::workflow::verify::{self, Expected};

/// Removes what a grant gave.
///
/// # Errors
/// If it can't be done, or must not be. The recorder knows what was changed by then.
pub async fn run(
    context: &Context<'_>,
    request: &Request,
    revoke: &Revoke,
    recorder: &mut Recorder,
) -> Result<Outcome, Failure> {
    let subject = subject(request, revoke);
    let report = Report { revoke };
    let is_scheduled = context.alias == Alias::Revoke || revoke.expires_at.is_some();
    let seen = match observe::observe(context, subject, recorder).await {
        // A deleted cluster has taken the access with it.
        Err(failure) if failure.name == ErrorName::ClusterNotFound && is_scheduled => {
            return cluster_is_gone(context, &report, request, recorder).await;
        }
        seen => seen?,
    };
    if let Some(expires_at) = revoke.expires_at
        && is_superseded(expires_at, &revoke.policy, &seen)?
    {
        superseded(context, subject, revoke, expires_at, &seen, recorder).await?;
        return Ok(report.ended(&seen, Status::Superseded, ownership(context, revoke, &seen), None));
    }
    let ownership = ownership(context, revoke, &seen);
    warn_of_schedule(&seen, ownership, recorder)?;
    if ownership == Ownership::Unknown {
        require_guardrails(context, revoke, &seen, recorder)?;
    }
    let goal = RevokeGoal {
        policy: revoke.policy.clone(),
        restore: restore(context, revoke, &seen),
        is_proven: ownership == Ownership::Proven,
        installation: &context.installation,
    };
    let planner = |history: &History, seen: &Observation| plan::revoke(&goal, history, seen);
    let mut engine = engine(context, subject, seen);
    let mut plan = planner(&engine.history, &engine.seen)?;
    for (operation, why) in &plan.skipped {
        recorder.step(*operation, StepOutcome::Skipped, Duration::ZERO, why);
    }
    recorder.warn_all(std::mem::take(&mut plan.warnings));
    if revoke.dry_run {
        recorder.planned(&plan.steps);
        let removes = plan.steps.iter().any(Step::changes_access);
        let status = if removes { Status::Revoked } else { Status::NothingToRevoke };
        return Ok(report.ended(&engine.seen, status, ownership, None));
    }
    let held = engine.seen.entry.present().and_then(|entry| entry.scope_of(&revoke.policy)).cloned();
    engine.reconcile(&planner, plan, recorder).await?;
    let (removed, seen) = (engine.history.changed_access(), engine.seen);
    // Also if nothing was removed: a revoke that was killed before it got here is sent again.
    correct_ends_tag(context, subject, &seen, recorder).await;
    if !removed {
        return Ok(report.ended(&seen, Status::NothingToRevoke, ownership, None));
    }
    warn_residual_access(&seen, recorder);
    let verdict = verify(context, revoke, &seen, held.as_ref(), recorder).await;
    Ok(report.ended(&seen, Status::Revoked, ownership, verdict))
}

fn subject<'a>(request: &'a Request, revoke: &'a Revoke) -> Subject<'a> {
    Subject {
        cluster: &request.cluster,
        principal: &revoke.principal.principal,
        policy: &revoke.policy,
        grant: None,
        expiry_is_optional: false,
    }
}

/// The access was granted again since this revoke was scheduled.
async fn superseded(
    context: &Context<'_>,
    subject: Subject<'_>,
    revoke: &Revoke,
    expires_at: Timestamp,
    seen: &Observation,
    recorder: &mut Recorder,
) -> Result<(), Failure> {
    if seen.expiry.pending().is_none() {
        recorder.warn(
            WarningCode::AccessIsPermanent,
            "The access was given after the time of this revoke, and no revoke is scheduled for it. It stays until it is revoked.",
        );
    }
    // Only Scheduler sends what this function wrote; elsewhere, `restore` may be made up.
    let restore = revoke.restore.clone().filter(|_| context.alias == Alias::Revoke);
    let own = restore.map(|restore| PendingRevoke { restore, expires_at });
    let Some(step) = own.and_then(|own| plan::superseded(&own, &revoke.policy, seen)) else {
        return Ok(());
    };
    if revoke.dry_run {
        recorder.planned(&[step]);
        return Ok(());
    }
    let plan = Plan { steps: vec![step], ..Plan::default() };
    engine(context, subject, seen.clone()).execute(&plan, recorder).await?;
    Ok(())
}

fn engine<'a>(context: &'a Context<'a>, subject: Subject<'a>, seen: Observation) -> Reconciler<'a> {
    Reconciler { context, subject, seen, history: History::default(), mode_deadline: context.aws.deadline }
}

/// Whether something shows that the access is a grant of this installation.
fn ownership(context: &Context<'_>, revoke: &Revoke, seen: &Observation) -> Ownership {
    let scheduled = context.alias == Alias::Revoke || seen.expiry.scheduled().is_some();
    if scheduled || is_tagged(context, revoke, seen) { Ownership::Proven } else { Ownership::Unknown }
}

fn is_tagged(context: &Context<'_>, revoke: &Revoke, seen: &Observation) -> bool {
    let entry = seen.entry.present();
    entry.is_some_and(|entry| context.installation.created_for(entry, revoke.policy.name()))
}

/// What was there before the grant. What the schedule says is this function's own record; what the event says may be made up, but never
/// widens anything.
fn restore(context: &Context<'_>, revoke: &Revoke, seen: &Observation) -> Option<Restore> {
    let scheduled = seen.expiry.scheduled().map(|pending| pending.restore.clone());
    let tagged = || is_tagged(context, revoke, seen).then(Restore::entry_created);
    let sent = || {
        let restore = revoke.restore.clone()?;
        // A schedule whose input can't be read may be the only end. It goes with the access, or not at all.
        let unreadable = seen.expiry.target().is_some() && seen.expiry.scheduled().is_none();
        Some(if unreadable { Restore { access_scope: None, ..restore } } else { restore })
    };
    scheduled.or_else(sent).or_else(tagged)
}

/// Without evidence, a revoke is bound by what binds a grant.
fn require_guardrails(
    context: &Context<'_>,
    revoke: &Revoke,
    seen: &Observation,
    recorder: &mut Recorder,
) -> Result<(), Failure> {
    guardrails::cluster(context.settings, &seen.cluster.name, Some(&seen.cluster.arn))?;
    guardrails::principal(context.settings, &seen.principal, seen.cluster.account())?;
    guardrails::policy(context.settings, &revoke.policy)?;
    if seen.entry.present().is_some() {
        let what = match revoke.restore {
            Some(_) => "What the event says in `restore` decides what is removed.",
            None => "Only the policy is disassociated; the access entry stays with everything else that it holds.",
        };
        recorder.warn(
            WarningCode::OwnershipUnknown,
            format!("Nothing shows that this function granted the access: the entry has no tags of a grant of this policy, and no revoke is scheduled. {what}"),
        );
    }
    Ok(())
}

/// A schedule that can't be read may hold what has to be restored, and a retry may read it.
fn warn_of_schedule(seen: &Observation, ownership: Ownership, recorder: &mut Recorder) -> Result<(), Failure> {
    match &seen.expiry {
        ExpiryState::Unknown(error) if error.kind.is_transient() && ownership == Ownership::Unknown => {
            Err(Failure::from(error.clone()))
        }
        ExpiryState::Unknown(error) => {
            recorder.warn(
                WarningCode::ExpiryUnknown,
                format!(
                    "The function could not find out whether a revoke is scheduled. If one is, it stays. [{error}]"
                ),
            );
            Ok(())
        }
        ExpiryState::Altered(target, altered) => {
            recorder.warn(
                WarningCode::ExpiryAltered,
                format!(
                    "The schedule `{}` was not as this function writes it: {}. It is deleted with the access.",
                    target.name,
                    altered.differences.join("; ")
                ),
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The scheduled end of an access to a cluster that was deleted. The schedule goes, too.
async fn cluster_is_gone(
    context: &Context<'_>,
    report: &Report<'_>,
    request: &Request,
    recorder: &mut Recorder,
) -> Result<Outcome, Failure> {
    let revoke = report.revoke;
    let who = TimedCall::call(Operation::GetCallerIdentity, context.aws.get_caller_identity()).await;
    let caller = recorder.call(who, |caller| caller.arn.clone())?;
    if let (Ok(schedules), Principal::Iam(arn), false) =
        (&context.schedules, &revoke.principal.principal, revoke.dry_run)
    {
        let target = schedules.target(&request.cluster, arn, &revoke.policy);
        let found = TimedCall::call(Operation::GetSchedule, context.aws.get_schedule(&target)).await;
        recorder.record_best_effort(&found, |found| {
            format!("the schedule {}", if found.is_some() { "exists" } else { "is gone" })
        });
        if let Ok(Some(_)) = found.answer {
            let timed = TimedCall::call(Operation::DeleteSchedule, context.aws.delete_schedule(&target)).await;
            recorder.record_best_effort(&timed, |()| "the cluster is gone".to_owned());
            match &timed.answer {
                Ok(()) => recorder.record.changed(Operation::DeleteSchedule, "the scheduled revoke was deleted"),
                Err(error) => {
                    recorder.warn(WarningCode::ScheduleNotRemoved, execute::schedule_stays(Some(&target.name), error));
                }
            }
        }
    }
    recorder.step(
        Operation::DisassociateAccessPolicy,
        StepOutcome::Skipped,
        Duration::ZERO,
        "the cluster doesn't exist any more, so neither does the access",
    );
    Ok(report.gone(request, caller))
}

/// An entry that is kept says in a tag whether an end is scheduled for any of its policies: this one's is gone. The tag is only a record,
/// so what can't be read or set is a warning at most.
async fn correct_ends_tag(context: &Context<'_>, subject: Subject<'_>, seen: &Observation, recorder: &mut Recorder) {
    let (Some(entry), Ok(schedules)) = (seen.entry.present(), &context.schedules) else {
        return;
    };
    if seen.expiry.target().is_some() || plan::ends_tag(&context.installation, entry, false).is_none() {
        return;
    }
    let mut others_end = false;
    for held in &entry.access_policies {
        let Ok(policy) = PolicyArn::parse(&held.policy_arn, subject.cluster.partition) else {
            continue;
        };
        let target = schedules.target(subject.cluster, &seen.principal, &policy);
        let found = TimedCall::call(Operation::GetSchedule, context.aws.get_schedule(&target)).await;
        recorder.record_best_effort(&found, |found| {
            format!("an end of {} is {}scheduled", policy.name(), if found.is_some() { "" } else { "not " })
        });
        // One that can't be read may be there.
        others_end |= !matches!(found.answer, Ok(None));
    }
    if let Some(Step::TagEntry { arn, ends }) = plan::ends_tag(&context.installation, entry, others_end) {
        execute::tag_best_effort(context, &arn, ends, recorder).await;
    }
}

/// Asks the cluster itself, if the event says so, until it denies what was held.
async fn verify(
    context: &Context<'_>,
    revoke: &Revoke,
    seen: &Observation,
    held: Option<&AccessScope>,
    recorder: &mut Recorder,
) -> Option<Verdict> {
    let held = held.filter(|_| revoke.verify == Verify::Kubernetes)?;
    let verdict = verify::ask(context, seen, &revoke.policy, held, Expected::Denied, recorder).await;
    if verdict.kubernetes == Kubernetes::Allowed {
        recorder.warn(
            WarningCode::KubernetesAccessRemains,
            format!("EKS shows the access as removed, but the cluster still allows it: {}. Look for what else gives access to the principal: other policies of its entry, aws-auth, RoleBindings.", verdict.detail),
        );
    }
    Some(verdict)
}

/// Whether the grant was extended since this revoke was scheduled: then another one waits. If that can't be found out, the revoke is not
/// carried out, because an early one must not end a later grant (iam-identity-center-team issues 279 and 513). A schedule that others have
/// altered postpones nothing.
fn is_superseded(expires_at: Timestamp, policy: &PolicyArn, seen: &Observation) -> Result<bool, Failure> {
    match &seen.expiry {
        ExpiryState::Pending(_, pending) => Ok(pending.expires_at != expires_at),
        ExpiryState::Altered(..) => Ok(false),
        // What was given after the time of this revoke, it was not scheduled for: it is late, or comes again.
        ExpiryState::Absent(_) | ExpiryState::Unavailable(_) => {
            let held = seen.entry.present().and_then(|entry| entry.policy(policy));
            Ok(held.and_then(|held| held.associated_at).is_some_and(|given| given > expires_at))
        }
        ExpiryState::Unknown(error) => Err(unseen_schedule(error.clone())),
    }
}

/// A grant has a name of its own for it, and another way on.
fn unseen_schedule(error: ApiError) -> Failure {
    let kind = error.kind;
    let failure = Failure::from(error);
    let (name, remedy) = match kind {
        kind if kind.is_transient() => return failure,
        Kind::Denied => (ErrorName::PermissionDenied, failure.remedy),
        _ => (
            ErrorName::ServiceUnavailable,
            "Look at the schedule (`aws scheduler get-schedule`), or send the revoke without `expiresAt`.".to_owned(),
        ),
    };
    let what =
        "The function could not find out whether the grant was extended since this revoke was scheduled.".to_owned();
    Failure { name, what, remedy, detail: failure.detail }
}

/// A revoked access isn't ended everywhere (iam-identity-center-team issue 195, teleport issue 62578).
fn warn_residual_access(seen: &Observation, recorder: &mut Recorder) {
    recorder.warn(
        WarningCode::AccessMayPersist,
        "The API server may honour the old access for half a minute, and a token lives for up to 15 minutes. What was created inside the cluster with it (RoleBindings, ServiceAccounts, their tokens) is still there: `nextSteps` has the commands that show it.",
    );
    if seen.cluster.authentication_mode == AuthenticationMode::ApiAndConfigMap {
        recorder.warn(
            WarningCode::AuthenticationModeStays,
            "The authentication mode stays API_AND_CONFIG_MAP: if the grant changed it, that can't be undone. Where its access entry is gone, what aws-auth says about the principal counts again.",
        );
    }
    if let ExpiryState::Unknown(error) = &seen.expiry {
        recorder.warn(WarningCode::ScheduleNotRemoved, execute::schedule_stays(None, error));
    }
}
