//! A revoke: observe, find out whose the access is, remove what the grant gave, read back.

use std::time::Duration;

use jiff::Timestamp;

use crate::arn::{Alias, PolicyArn};
use crate::aws::{ApiError, ApiErrorKind as Kind, Operation};
use crate::context::Context;
use crate::error::{ErrorName, Failure};
use crate::execute::{self, Executor};
use crate::expiry::{ExpiryState, PendingRevoke};
use crate::guard;
use crate::history::History;
use crate::journal::{Journal, StepOutcome, Timed};
use crate::observation::{AuthenticationMode, Observation};
use crate::observe::{self, Subject};
use crate::outcome::{Outcome, Ownership, Status};
use crate::plan::{self, Plan, RevokeGoal, Step};
use crate::principal::Principal;
use crate::request::{Request, Restore, Revoke, Verify};
use crate::revoke_report::Report;
use crate::scope::AccessScope;
use crate::verify::{self, Expected, Kubernetes, Verdict};

/// Removes what a grant gave.
///
/// # Errors
/// If it can't be done, or must not be. The journal knows what was changed by then.
pub async fn run(
    context: &Context<'_>,
    request: &Request,
    revoke: &Revoke,
    journal: &mut Journal,
) -> Result<Outcome, Failure> {
    let subject = Subject {
        cluster: &request.cluster,
        principal: &revoke.principal.principal,
        policy: &revoke.policy,
        grant: None,
        expiry_is_optional: false,
    };
    let report = Report { context, revoke };
    let is_scheduled = context.alias == Alias::Revoke || revoke.expires_at.is_some();
    let mut seen = match observe::observe(context, subject, journal).await {
        // A deleted cluster has taken the access with it.
        Err(failure) if failure.name == ErrorName::ClusterNotFound && is_scheduled => {
            return cluster_is_gone(&report, request, journal).await;
        }
        seen => seen?,
    };
    if let Some(expires_at) = revoke.expires_at
        && is_superseded(expires_at, &revoke.policy, &seen)?
    {
        superseded(context, revoke, expires_at, &mut seen, journal).await?;
        return Ok(report.ended(&seen, Status::Superseded, ownership(context, revoke, &seen), None, journal));
    }
    let ownership = ownership(context, revoke, &seen);
    warn_of_schedule(&seen, ownership, journal)?;
    if ownership == Ownership::Unknown {
        require_guardrails(context, revoke, &seen, journal)?;
    }
    let restore = restore(context, revoke, &seen);
    let goal = RevokeGoal {
        policy: revoke.policy.clone(),
        restore,
        is_proven: ownership == Ownership::Proven,
        installation: &context.installation,
    };
    let plan = plan::revoke(&goal, &seen)?;
    for (operation, why) in &plan.skipped {
        journal.step(operation, StepOutcome::Skipped, Duration::ZERO, why);
    }
    for (code, message) in &plan.warnings {
        journal.warn(code, message);
    }
    let removes = plan.steps.iter().any(removes_access);
    if revoke.dry_run {
        journal.planned(&plan.steps);
        let status = if removes { Status::Revoked } else { Status::NothingToRevoke };
        return Ok(report.ended(&seen, status, ownership, None, journal));
    }
    let held = seen.entry.present().and_then(|entry| entry.scope_of(&revoke.policy)).cloned();
    if !execute(context, subject, revoke, &goal, plan, &mut seen, journal).await? {
        return Ok(report.ended(&seen, Status::NothingToRevoke, ownership, None, journal));
    }
    correct_ends_tag(context, subject, &seen, journal).await;
    warn_residual_access(&seen, journal);
    let verdict = verify(context, revoke, &seen, held.as_ref(), journal).await;
    Ok(report.ended(&seen, Status::Revoked, ownership, verdict, journal))
}

/// The access was granted again since this revoke was scheduled.
async fn superseded(
    context: &Context<'_>,
    revoke: &Revoke,
    expires_at: Timestamp,
    seen: &mut Observation,
    journal: &mut Journal,
) -> Result<(), Failure> {
    if seen.expiry.pending().is_none() {
        journal.warn(
            "ACCESS_IS_PERMANENT",
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
        journal.planned(&[step]);
        return Ok(());
    }
    let plan = Plan { steps: vec![step], ..Plan::default() };
    executor(context, revoke, seen).execute(&plan, &mut History::default(), journal).await?;
    Ok(())
}

fn executor<'a>(context: &'a Context<'a>, revoke: &'a Revoke, seen: &'a mut Observation) -> Executor<'a> {
    Executor {
        context,
        cluster: &mut seen.cluster,
        principal: &seen.principal,
        policy: &revoke.policy,
        mode_deadline: context.aws.deadline,
        update_id: None,
    }
}

/// Executes the plan, and what is left of it after each observation. Whether access was removed.
async fn execute(
    context: &Context<'_>,
    subject: Subject<'_>,
    revoke: &Revoke,
    goal: &RevokeGoal<'_>,
    mut plan: Plan,
    seen: &mut Observation,
    journal: &mut Journal,
) -> Result<bool, Failure> {
    let waiting = seen.expiry.clone();
    let mut history = History::default();
    let (mut removed, mut cancelled) = (false, false);
    loop {
        let (access, rest): (Vec<Step>, Vec<Step>) = plan.steps.into_iter().partition(removes_access);
        let steps = if !access.is_empty() {
            if history.observe(seen) {
                journal.record_before(seen);
            }
            removed = true;
            access
        } else if seen.expiry == waiting && !cancelled && !rest.is_empty() {
            // The schedule goes last, when the access is seen to be gone: a revoke that is stopped half-way comes again. One that was
            // moved in the meantime belongs to a later grant, and stays. What a grant at the same time has given, counting on the
            // schedule, is removed in the next pass.
            cancelled = true;
            history = History::default();
            rest
        } else {
            return Ok(removed);
        };
        let mut executor = executor(context, revoke, seen);
        executor.execute(&Plan { steps, ..Plan::default() }, &mut history, journal).await?;
        let expects = |step: &Step| removes_access(step) && history.expects(step);
        plan = observe::read_back(context, subject, seen, expects, journal, |seen| plan::revoke(goal, seen)).await?;
    }
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
    scheduled.or_else(|| revoke.restore.clone()).or_else(tagged)
}

/// Without evidence, a revoke is bound by what binds a grant.
fn require_guardrails(
    context: &Context<'_>,
    revoke: &Revoke,
    seen: &Observation,
    journal: &mut Journal,
) -> Result<(), Failure> {
    guard::cluster(context.settings, &seen.cluster.name, Some(&seen.cluster.arn))?;
    guard::principal(context.settings, &seen.principal, seen.cluster.account())?;
    guard::policy(context.settings, &revoke.policy)?;
    if seen.entry.present().is_some() {
        let what = match revoke.restore {
            Some(_) => "What the event says in `restore` decides what is removed.",
            None => "Only the policy is disassociated; the access entry stays with everything else that it holds.",
        };
        journal.warn(
            "OWNERSHIP_UNKNOWN",
            format!("Nothing shows that this function granted the access: the entry has no tags of a grant of this policy, and no revoke is scheduled. {what}"),
        );
    }
    Ok(())
}

/// A schedule that can't be read may hold what has to be restored, and a retry may read it.
fn warn_of_schedule(seen: &Observation, ownership: Ownership, journal: &mut Journal) -> Result<(), Failure> {
    match &seen.expiry {
        ExpiryState::Unknown(error) if error.kind.is_transient() && ownership == Ownership::Unknown => {
            Err(Failure::from(error.clone()))
        }
        ExpiryState::Unknown(error) => {
            journal.warn(
                "EXPIRY_UNKNOWN",
                format!(
                    "The function could not find out whether a revoke is scheduled. If one is, it stays. [{error}]"
                ),
            );
            Ok(())
        }
        ExpiryState::Altered(target, altered) => {
            journal.warn(
                "EXPIRY_ALTERED",
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
async fn cluster_is_gone(report: &Report<'_>, request: &Request, journal: &mut Journal) -> Result<Outcome, Failure> {
    let Report { context, revoke } = *report;
    let who = Timed::call(Operation::GetCallerIdentity, context.aws.get_caller_identity()).await;
    let caller = journal.call(who, |caller| caller.arn.clone())?;
    if let (Ok(schedules), Principal::Iam(arn), false) =
        (&context.schedules, &revoke.principal.principal, revoke.dry_run)
    {
        let target = schedules.target(&request.cluster, arn, &revoke.policy);
        let found = Timed::call(Operation::GetSchedule, context.aws.get_schedule(&target)).await;
        journal.optional_call(&found, |found| {
            format!("the schedule {}", if found.is_some() { "exists" } else { "is gone" })
        });
        if let Ok(Some(_)) = found.answer {
            let timed = Timed::call(Operation::DeleteSchedule, context.aws.delete_schedule(&target)).await;
            journal.optional_call(&timed, |()| "the cluster is gone".to_owned());
            match &timed.answer {
                Ok(()) => journal.changed("the scheduled revoke was deleted"),
                Err(error) => journal.warn("SCHEDULE_NOT_REMOVED", execute::schedule_stays(Some(&target.name), error)),
            }
        }
    }
    journal.step(
        &Operation::DisassociateAccessPolicy,
        StepOutcome::Skipped,
        Duration::ZERO,
        "the cluster doesn't exist any more, so neither does the access",
    );
    Ok(report.gone(request, caller, journal))
}

/// An entry that is kept says in a tag whether an end is scheduled for any of its policies: this one's is gone. The tag is only a record,
/// so what can't be read or set is a warning at most.
async fn correct_ends_tag(context: &Context<'_>, subject: Subject<'_>, seen: &Observation, journal: &mut Journal) {
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
        let found = Timed::call(Operation::GetSchedule, context.aws.get_schedule(&target)).await;
        journal.optional_call(&found, |found| {
            format!("an end of {} is {}scheduled", policy.name(), if found.is_some() { "" } else { "not " })
        });
        // One that can't be read may be there.
        others_end |= !matches!(found.answer, Ok(None));
    }
    if let Some(Step::TagEntry { arn, ends }) = plan::ends_tag(&context.installation, entry, others_end) {
        execute::tag_best_effort(context, &arn, ends, journal).await;
    }
}

/// Asks the cluster itself, if the event says so, until it denies what was held.
async fn verify(
    context: &Context<'_>,
    revoke: &Revoke,
    seen: &Observation,
    held: Option<&AccessScope>,
    journal: &mut Journal,
) -> Option<Verdict> {
    let held = held.filter(|_| revoke.verify == Verify::Kubernetes)?;
    let verdict = verify::ask(context, seen, &revoke.policy, held, Expected::Denied, journal).await;
    if verdict.kubernetes == Kubernetes::Allowed {
        journal.warn(
            "KUBERNETES_ACCESS_REMAINS",
            format!("EKS shows the access as removed, but the cluster still allows it: {}. Look for what else gives access to the principal: other policies of its entry, aws-auth, RoleBindings.", verdict.detail),
        );
    }
    Some(verdict)
}

fn removes_access(step: &Step) -> bool {
    !matches!(step, Step::DeleteSchedule(_))
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
fn warn_residual_access(seen: &Observation, journal: &mut Journal) {
    journal.warn(
        "ACCESS_MAY_PERSIST",
        "The API server may honour the old access for half a minute, and a token lives for up to 15 minutes. What was created inside the cluster with it (RoleBindings, ServiceAccounts, their tokens) is still there: `nextSteps` has the commands that show it.",
    );
    if seen.cluster.authentication_mode == AuthenticationMode::ApiAndConfigMap {
        journal.warn(
            "AUTHENTICATION_MODE_STAYS",
            "The authentication mode stays API_AND_CONFIG_MAP: if the grant changed it, that can't be undone. Where its access entry is gone, what aws-auth says about the principal counts again.",
        );
    }
    if let ExpiryState::Unknown(error) = &seen.expiry {
        journal.warn("SCHEDULE_NOT_REMOVED", execute::schedule_stays(None, error));
    }
}
