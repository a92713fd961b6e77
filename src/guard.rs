//! What the operator's settings allow. Pure; asked before any call is made as far as the request alone
//! tells, and again for what only a look at AWS could tell, before anything is changed.

use jiff::SignedDuration;

use crate::arn::{PolicyArn, Principal, PrincipalArn};
use crate::error::Failure;
use crate::expiry::PendingRevoke;
use crate::pattern;
use crate::plan::{Plan, Step, policy_name};
use crate::request::{Action, Grant, Request, Restore};
use crate::settings::Settings;
use crate::text;

/// Judges a request by what it alone tells, and by the account that the function is in, where that is known. Grants are bound by the
/// settings; a revoke without evidence is judged once that is known, and an inspection changes nothing.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn request(settings: &Settings, request: &Request, home: Option<&str>) -> Result<(), Failure> {
    let Action::Grant(grant) = &request.action else {
        return Ok(());
    };
    if settings.require_reason && !request.reason.as_deref().is_some_and(text::says_something) {
        return Err(Failure::denied("REQUIRE_REASON", "a grant needs a `reason`, in letters or digits"));
    }
    policy(settings, &grant.policy)?;
    // Where the account is not known, a name does not yet say which ARN the cluster has: patterns of ARNs are asked after the look.
    let arn = home.map_or_else(|| request.cluster.arn(), |home| Some(request.cluster.arn_in(home)));
    let waits_for_arn = arn.is_none() && settings.allowed_clusters.iter().any(|pattern| is_arn(pattern));
    if !waits_for_arn {
        cluster(settings, &request.cluster.name, arn.as_deref())?;
    }
    if let Principal::Iam(arn) = &grant.principal.principal {
        principal(settings, arn)?;
    }
    duration(settings, grant).map(drop)
}

/// Judges a policy by its name.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn policy(settings: &Settings, policy: &PolicyArn) -> Result<(), Failure> {
    if is_listed(settings, policy.name()) {
        return Ok(());
    }
    Err(Failure::denied(
        "ALLOWED_POLICIES",
        format!("`{}` is not among the policies that may be granted", policy.name()),
    ))
}

/// Judges the cluster by its name and its ARN.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn cluster(settings: &Settings, name: &str, arn: Option<&str>) -> Result<(), Failure> {
    let allowed = settings.allowed_clusters.iter().any(|pattern| {
        if is_arn(pattern) {
            arn.is_some_and(|arn| pattern::matches(pattern, arn))
        } else {
            pattern::matches(pattern, name)
        }
    });
    if allowed {
        return Ok(());
    }
    Err(Failure::denied("ALLOWED_CLUSTERS", format!("cluster `{}` matches none of its patterns", arn.unwrap_or(name))))
}

/// Judges the principal by its ARN.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn principal(settings: &Settings, arn: &PrincipalArn) -> Result<(), Failure> {
    let allowed = settings.allowed_principals.iter().any(|pattern| pattern::matches(pattern, arn.as_str()));
    if allowed {
        return Ok(());
    }
    Err(Failure::denied("ALLOWED_PRINCIPALS", format!("principal `{arn}` matches none of its patterns")))
}

/// How long the access is to last: what the request says, else the default. `None`: until it is revoked.
///
/// # Errors
/// `RequestDenied`, if that is longer than the maximum.
pub fn duration(settings: &Settings, grant: &Grant) -> Result<Option<SignedDuration>, Failure> {
    let duration = grant.duration.or(settings.default_duration);
    match (duration, settings.max_duration) {
        (None, Some(max)) => {
            Err(Failure::denied("MAX_DURATION", format!("a grant needs a `duration`, of at most {max:#}")))
        }
        (Some(wanted), Some(max)) if wanted > max => {
            Err(Failure::denied("MAX_DURATION", format!("{wanted:#} is longer than {max:#}")))
        }
        _ => Ok(duration),
    }
}

/// Judges a plan before it is carried out. An entry that is made anew gives again what the old one had, and the old one may have let
/// nobody in: all of that counts as granted.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn plan(
    settings: &Settings,
    plan: &Plan,
    wanted: &PolicyArn,
    pending: Option<&PendingRevoke>,
) -> Result<(), Failure> {
    let Some(entry) = plan.steps.iter().find_map(|step| match step {
        Step::DeleteEntry(entry) => Some(entry),
        _ => None,
    }) else {
        return Ok(());
    };
    let policies = entry.access_policies.iter().map(|held| policy_name(&held.policy_arn));
    // Groups and a username of one's own reach as far as RBAC says, which cannot be seen from here.
    let bound = plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::CreateEntry(entry) if entry.username.is_some() || !entry.groups.is_empty()));
    let groups = bound.then_some("its Kubernetes groups or username");
    let unlisted: Vec<&str> = policies
        .clone()
        .filter(|name| !is_listed(settings, name))
        .chain(groups.filter(|_| !is_listed(settings, PolicyArn::CLUSTER_ADMIN)))
        .collect();
    if !unlisted.is_empty() {
        return Err(anew("ALLOWED_POLICIES", &unlisted, "which may not be granted"));
    }
    if settings.max_duration.is_none() {
        return Ok(());
    }
    let scheduled = plan.steps.iter().find_map(|step| match step {
        Step::ScheduleRevoke { revoke, .. } => Some(&revoke.restore),
        _ => None,
    });
    let takes_all_back = |restore: &Restore| restore.access_scope.is_none();
    let ends = scheduled.or(pending.map(|revoke| &revoke.restore)).is_some_and(takes_all_back);
    let endless: Vec<&str> = policies.filter(|name| !ends || *name != wanted.name()).chain(groups).collect();
    if endless.is_empty() { Ok(()) } else { Err(anew("MAX_DURATION", &endless, "without end")) }
}

fn anew(setting: &str, what: &[&str], why: &str) -> Failure {
    let denied = Failure::denied(
        setting,
        format!(
            "the access entry is stale, or is to be recreated, and made anew it would give {}, {why}",
            what.join(", ")
        ),
    );
    let remedy = format!(
        "have somebody delete the access entry (`aws eks delete-access-entry`) and send the event again, or have the operator of this function change `{setting}`"
    );
    Failure { remedy, ..denied }
}

fn is_listed(settings: &Settings, policy: &str) -> bool {
    settings.allowed_policies.iter().any(|name| name == policy)
}

fn is_arn(pattern: &str) -> bool {
    pattern.starts_with("arn:")
}
