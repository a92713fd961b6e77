//! What the operator's settings allow. Pure; asked before any call is made as far as the request alone
//! tells, and again for what only a look at AWS could tell, before anything is changed.

use jiff::SignedDuration;

use crate::arn::{PolicyArn, Principal, PrincipalArn};
use crate::error::Failure;
use crate::pattern;
use crate::request::{Action, Grant, Request};
use crate::settings::Settings;

/// Judges a request by what it alone tells. Grants are bound by the settings; a revoke without evidence is judged once that is
/// known, and an inspection changes nothing.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn request(settings: &Settings, request: &Request) -> Result<(), Failure> {
    let Action::Grant(grant) = &request.action else {
        return Ok(());
    };
    if settings.require_reason && request.reason.is_none() {
        return Err(Failure::denied("REQUIRE_REASON", "a grant needs a `reason`"));
    }
    policy(settings, &grant.policy)?;
    // A name alone does not yet say which ARN the cluster has: patterns of ARNs are then asked after the look.
    let arn = request.cluster.arn();
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
    if settings.allowed_policies.iter().any(|name| name == policy.name()) {
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

fn is_arn(pattern: &str) -> bool {
    pattern.starts_with("arn:")
}
