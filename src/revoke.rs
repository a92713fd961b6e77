//! A revoke: look, find out whose the access is, take back what the grant gave, look again.

use std::time::Duration;

use jiff::Timestamp;

use crate::apply::Hand;
use crate::arn::PolicyArn;
use crate::aws::{ApiError, ApiErrorKind};
use crate::context::Context;
use crate::error::{ErrorName, Failure};
use crate::expiry::Expiry;
use crate::guard;
use crate::journal::{Journal, StepOutcome};
use crate::look::{self, Subject};
use crate::observation::{AuthenticationMode, Observation};
use crate::outcome::{AccessEntryReport, ClusterReport, Outcome, PrincipalReport, Status, Verification};
use crate::ownership;
use crate::plan::{self, Step};
use crate::request::{Request, Restore, Revoke, Verify};
use crate::review;
use crate::scope::AccessScope;
use crate::verify::{self, Kubernetes, Verdict, Wanted};

/// Takes back what a grant gave.
///
/// # Errors
/// If it cannot be done, or must not be. The journal tells what was changed by then.
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
        lets_in: false,
        may_end_unseen: false,
    };
    let mut seen = look::observe(context, subject, journal).await?;
    if let Some(expires_at) = revoke.expires_at
        && is_superseded(expires_at, &revoke.policy, &seen)?
    {
        let status = if revoke.dry_run { Status::Planned } else { Status::Superseded };
        return Ok(outcome(context, revoke, &seen, status, None, journal));
    }
    if let Expiry::Unknown(error) = &seen.expiry {
        // The schedule may hold what is to be put back, and a retry will see it.
        if error.kind.is_transient() && evidence(revoke, &seen).is_none() {
            return Err(Failure::from(error.clone()));
        }
        journal.warn(
            "EXPIRY_UNKNOWN",
            format!("whether a revoke is scheduled could not be found out ({error}); if one is, it stays"),
        );
    }
    let waiting = seen.expiry.pending().cloned();
    let held = seen.entry.present().and_then(|entry| entry.scope_of(&revoke.policy)).cloned();
    let restore = evidence(revoke, &seen);
    if restore.is_none() {
        unproven(context, revoke, &seen, journal)?;
    }

    let mut plan = plan::revoke(&revoke.policy, restore.as_ref(), &seen)?;
    for (operation, why) in &plan.skipped {
        journal.step(operation, StepOutcome::Skipped, Duration::ZERO, why);
    }
    for (code, message) in &plan.warnings {
        journal.warn(code, message);
    }
    if revoke.dry_run {
        journal.planned(&plan.steps);
        return Ok(outcome(context, revoke, &seen, Status::Planned, None, journal));
    }
    let again = |seen: &Observation| plan::revoke(&revoke.policy, restore.as_ref(), seen);
    let (mut revoked, mut cancelled) = (false, false);
    let mut done: Vec<Step> = Vec::new();
    loop {
        if plan.steps.iter().any(takes_access) {
            if !revoked {
                journal.record_before(&seen);
            }
            revoked = true;
            for step in plan.steps.iter().filter(|step| takes_access(step)) {
                hand(context, revoke, &mut seen).carry_out(step, journal).await?;
                done.push(step.clone());
            }
        } else if seen.expiry.pending() == waiting.as_ref() && !cancelled && !plan.steps.is_empty() {
            // The schedule goes last, once it is seen that the access is gone: a revoke that is stopped half-way comes again. One that
            // was moved in the meantime belongs to a later grant, and stays.
            for step in &plan.steps {
                hand(context, revoke, &mut seen).carry_out(step, journal).await?;
            }
            // What a grant at the same time has given, counting on that schedule, is taken back as well.
            cancelled = true;
            done.clear();
        } else {
            break;
        }
        plan = look::look_again(context, subject, &mut seen, &done, journal, again).await?;
    }
    if !revoked {
        return Ok(outcome(context, revoke, &seen, Status::NothingToRevoke, None, journal));
    }
    warn_of_what_remains(&seen, journal);
    let verdict = verify(context, revoke, &seen, held.as_ref(), journal).await;
    Ok(outcome(context, revoke, &seen, Status::Revoked, verdict, journal))
}

/// Asks the cluster itself, where that was asked for, until it says no to what was held.
async fn verify(
    context: &Context<'_>,
    revoke: &Revoke,
    seen: &Observation,
    held: Option<&AccessScope>,
    journal: &mut Journal,
) -> Option<Verdict> {
    let held = held.filter(|_| revoke.verify == Verify::Kubernetes)?;
    let verdict = verify::ask(context, seen, &revoke.policy, held, Wanted::Denied, journal).await;
    if verdict.kubernetes == Kubernetes::Allowed {
        journal.warn(
            "KUBERNETES_ACCESS_REMAINS",
            format!("EKS shows the access as taken back, but {}: look for what else lets the principal in (other policies of its entry, aws-auth, RoleBindings)", verdict.detail),
        );
    }
    Some(verdict)
}

fn takes_access(step: &Step) -> bool {
    !matches!(step, Step::CancelRevoke(_))
}

fn hand<'a>(context: &'a Context<'a>, revoke: &'a Revoke, seen: &'a mut Observation) -> Hand<'a> {
    Hand {
        context,
        cluster: &mut seen.cluster,
        principal: &seen.principal,
        policy: &revoke.policy,
        mode_deadline: context.aws.deadline,
        update_id: None,
        remaking: false,
    }
}

/// Whether the grant was extended since this revoke was scheduled: then another one waits. If that cannot be found out, the
/// revoke is not carried out: an early one must not end a later grant (iam-identity-center-team issues 279 and 513).
fn is_superseded(expires_at: Timestamp, policy: &PolicyArn, seen: &Observation) -> Result<bool, Failure> {
    match &seen.expiry {
        Expiry::Pending(_, pending) => Ok(pending.expires_at != expires_at),
        // What was given after the time of this revoke, it was not made for: it is late, or comes again.
        Expiry::Absent(_) | Expiry::Unavailable(_) => {
            let held = seen.entry.present().and_then(|entry| entry.policy(policy));
            Ok(held.and_then(|held| held.associated_at).is_some_and(|given| given > expires_at))
        }
        Expiry::Unknown(error) => Err(unseen_schedule(error.clone())),
    }
}

/// A grant has a name of its own for it, and another way on.
fn unseen_schedule(error: ApiError) -> Failure {
    let (kind, what) = (error.kind, error.to_string());
    let failure = Failure::from(error);
    let (name, remedy) = match kind {
        kind if kind.is_transient() => return failure,
        ApiErrorKind::Denied => (ErrorName::PermissionDenied, failure.remedy),
        _ => (
            ErrorName::ServiceUnavailable,
            "look at the schedule (`aws scheduler get-schedule`); where a later version of this function has made it, that version can carry it out; else revoke by hand, without `expiresAt`".to_owned(),
        ),
    };
    Failure::new(name, format!("whether the grant was extended since cannot be seen: {what}"), remedy)
}

/// What shows that the access is a grant of this function's: what its schedule holds, what its result said, the tags of its entry.
fn evidence(revoke: &Revoke, seen: &Observation) -> Option<Restore> {
    let scheduled = seen.expiry.pending().map(|pending| pending.restore.clone());
    let tagged = || {
        let entry = seen.entry.present()?;
        ownership::made_for(entry, revoke.policy.name()).then(Restore::entry_created)
    };
    scheduled.or_else(|| revoke.restore.clone()).or_else(tagged)
}

/// Without evidence, a revoke is bound by what a grant is bound by, and takes off nothing but the policy.
fn unproven(context: &Context<'_>, revoke: &Revoke, seen: &Observation, journal: &mut Journal) -> Result<(), Failure> {
    guard::cluster(context.settings, &seen.cluster.name, Some(&seen.cluster.arn))?;
    guard::principal(context.settings, &seen.principal)?;
    guard::policy(context.settings, &revoke.policy)?;
    if seen.entry.present().is_some_and(|entry| entry.scope_of(&revoke.policy).is_some()) {
        journal.warn(
            "OWNERSHIP_UNKNOWN",
            "nothing shows that this function has granted the access: the event has no `restore`, no revoke is scheduled, and the entry has no tags of a grant of this policy: the policy alone is taken off, and the access entry stays, with all else that it has",
        );
    }
    Ok(())
}

/// A revoked access is not ended everywhere (iam-identity-center-team issue 195, teleport issue 62578).
fn warn_of_what_remains(seen: &Observation, journal: &mut Journal) {
    journal.warn(
        "ACCESS_LINGERS",
        "the API server may honour the old access for half a minute, and a token lives for up to 15 minutes; what was made inside the cluster with it (RoleBindings, ServiceAccounts, their tokens) is still there: `nextSteps` has the commands to look for it",
    );
    if seen.cluster.authentication_mode == AuthenticationMode::ApiAndConfigMap {
        journal.warn(
            "AUTHENTICATION_MODE_STAYS",
            "the authentication mode stays API_AND_CONFIG_MAP: if the grant switched it, that cannot be undone; and what aws-auth says of the principal counts again where its access entry is gone",
        );
    }
}

fn outcome(
    context: &Context<'_>,
    revoke: &Revoke,
    seen: &Observation,
    status: Status,
    verdict: Option<Verdict>,
    journal: &Journal,
) -> Outcome {
    let entry = seen.entry.present();
    let (control_plane, detail) = match status {
        Status::Planned => (None, "nothing was revoked yet, so there is nothing to verify"),
        Status::Superseded => (None, "the grant was extended; the revoke that waits now ends it"),
        _ => (
            Some("CONFIRMED"),
            "EKS shows the access as it was before the grant; the cluster's API server was not asked",
        ),
    };
    let (kubernetes, detail) = match verdict {
        Some(verdict) => (verdict.kubernetes, verdict.detail),
        None => (Kubernetes::NotPerformed, detail.to_owned()),
    };
    Outcome {
        status,
        action: "revoke",
        request_id: context.request_id.to_owned(),
        caller: seen.caller.clone(),
        cluster: ClusterReport::new(&seen.cluster, seen.cluster.authentication_mode),
        principal: Some(PrincipalReport::new(&revoke.principal.text, &seen.principal)),
        access_entry: entry.map(|entry| AccessEntryReport::new(entry, false)),
        access_policies: entry.map(|entry| entry.access_policies.clone()).unwrap_or_default(),
        verification: Verification { control_plane, kubernetes, detail },
        expires_at: seen.expiry.pending().map(|pending| pending.expires_at),
        findings: None,
        steps: journal.steps().to_vec(),
        warnings: journal.warnings().to_vec(),
        kubeconfig: None,
        next_steps: next_steps(status, &revoke.policy),
        undo: None,
        retry_after_seconds: None,
    }
}

fn next_steps(status: Status, policy: &PolicyArn) -> Vec<String> {
    match status {
        Status::Planned => vec!["send the same event without `dryRun`".to_owned()],
        Status::Revoked => [
            review::command(policy, &AccessScope::Cluster),
            "kubectl get clusterrolebindings,rolebindings --all-namespaces --sort-by=.metadata.creationTimestamp -o wide".to_owned(),
            "kubectl get serviceaccounts --all-namespaces --sort-by=.metadata.creationTimestamp".to_owned(),
            "kubectl get secrets --all-namespaces --field-selector type=kubernetes.io/service-account-token".to_owned(),
        ]
        .to_vec(),
        _ => Vec::new(),
    }
}
