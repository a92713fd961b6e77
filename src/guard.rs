//! What the operator's settings allow. Pure; asked before any call is made as far as the request alone
//! tells, and again for what only a look at AWS could tell, before anything is changed.

use jiff::SignedDuration;

use crate::arn::{ClusterRef, PolicyArn};
use crate::error::Failure;
use crate::pattern;
use crate::principal::{Principal, PrincipalArn};
use crate::request::{Action, Grant, Request};
use crate::settings::Settings;
use crate::text;

/// Judges a request by what it alone tells. Grants are bound by the settings; a revoke without evidence is judged once that is
/// known, and an inspection changes nothing.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn request(settings: &Settings, request: &Request) -> Result<(), Failure> {
    let Action::Grant(grant) = &request.action else {
        return Ok(());
    };
    if settings.require_reason && !request.reason.as_deref().is_some_and(text::says_something) {
        return Err(Failure::denied("REQUIRE_REASON", "a grant needs a `reason`, in letters or digits"));
    }
    policy(settings, &grant.policy)?;
    // A name does not say in which account the cluster is: what may be allowed there is judged once its ARN was seen.
    let arn = request.cluster.arn();
    let patterns = settings.allowed_clusters.iter().filter(|pattern| is_arn(pattern));
    let waits_for_arn = arn.is_none() && patterns.into_iter().any(|pattern| may_match(pattern, &request.cluster));
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

/// A pattern of ARNs; names have neither colons nor slashes.
fn is_arn(pattern: &str) -> bool {
    pattern.contains([':', '/'])
}

/// Whether a cluster that was named without its account could be one that a pattern of ARNs stands for, in whatever account.
fn may_match(pattern: &str, cluster: &ClusterRef) -> bool {
    // The account, which may be a pattern itself; a pattern that is not made of an ARN's fields says nothing before the ARN is seen.
    pattern.split(':').nth(4).is_none_or(|account| pattern::matches(pattern, &cluster.arn_in(account)))
}
