//! What the settings allow. Pure; asked before any call as far as the request alone decides, and again for what only AWS can answer,
//! before anything is changed. The rules are described under "Settings" in `README.md`.

use jiff::SignedDuration;

use crate::domain::access_entry::AccessEntry;
use crate::domain::arn::{Alias, ClusterRef, FunctionArn, PolicyArn};
use crate::domain::codes::Setting;
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::identity::Caller;
use crate::domain::principal::{Principal, PrincipalArn, PrincipalKind};
use crate::domain::{sanitize, wildcard};
use crate::input::event::{Action, Grant, Request};
use crate::input::settings::Settings;

/// Judges a request by what it alone says. A revoke without evidence is judged once that is known; an inspection changes nothing.
///
/// # Errors
/// `RequestDenied` that names the setting or the alias; `InvalidRequest` for an `emergency` that has no meaning.
pub fn request(settings: &Settings, function: Option<&FunctionArn>, request: &Request) -> Result<(), Failure> {
    let alias = function.map_or(Alias::None, FunctionArn::alias);
    account(settings, function, &request.cluster)?;
    let grant = match &request.action {
        Action::Revoke(_) => return Ok(()),
        _ if alias == Alias::Revoke => {
            return Err(Failure::new(
                ErrorName::RequestDenied,
                format!("The alias `revoke` of this function accepts only `revoke`, not `{}`.", request.action.name()),
                "Send the event to the function itself, without an alias.",
            ));
        }
        Action::Inspect(_) => return Ok(()),
        Action::Grant(grant) => grant,
    };
    emergency(settings, alias, request, grant)?;
    if settings.grants_frozen && !grant.dry_run {
        return Err(Failure::denied(Setting::GrantsFrozen, "all grants are frozen, emergencies too"));
    }
    if settings.require_approval && !grant.dry_run && !grant.emergency && alias != Alias::Approved {
        return Err(Failure::denied(
            Setting::RequireApproval,
            "a grant needs an approval, so it must come from one of the workflows; a dry run needs none",
        ));
    }
    if settings.require_reason && !has_reason(request) {
        return Err(Failure::denied(Setting::RequireReason, "a grant needs a `reason`, in letters or digits"));
    }
    policy(settings, &grant.policy)?;
    // A name doesn't say which account the cluster is in: patterns of ARNs are judged again when EKS has shown the ARN.
    let arn = request.cluster.arn();
    let patterns = settings.allowed_clusters.iter().filter(|pattern| is_arn(pattern));
    let waits_for_arn = arn.is_none() && patterns.into_iter().any(|pattern| may_match(pattern, &request.cluster));
    if !waits_for_arn {
        cluster(settings, &request.cluster.name, arn.as_deref())?;
    }
    let own = function.map(|function| function.account.as_str());
    let cluster_account = request.cluster.account.as_deref().or(own);
    match &grant.principal.principal {
        Principal::Iam(arn) => {
            principal(settings, arn, cluster_account)?;
            own_roles(settings, &[], arn)?;
        }
        // The path of its role isn't known yet, so patterns are judged later.
        Principal::Session(session) if settings.allowed_principals.is_none() => {
            of_cluster_account(&grant.principal.text, &session.account, cluster_account)?;
        }
        Principal::Session(_) => {}
    }
    duration(settings, grant).map(drop)
}

fn has_reason(request: &Request) -> bool {
    request.reason.as_deref().is_some_and(sanitize::says_something)
}

/// What an emergency must have, wherever it is sent.
fn emergency(settings: &Settings, alias: Alias, request: &Request, grant: &Grant) -> Result<(), Failure> {
    if !grant.emergency {
        return Ok(());
    }
    let invalid = |what: &str, remedy: &str| Err(Failure::new(ErrorName::InvalidRequest, what, remedy));
    if !settings.require_approval {
        return invalid(
            "`emergency`: this function requires no approval (`REQUIRE_APPROVAL`), so there is none to skip.",
            "Send the event without `emergency`.",
        );
    }
    if alias == Alias::Approved {
        return invalid(
            "`emergency`: the event came through the alias `approved`, so it has its approval already.",
            "Send the event without `emergency`, or to the function itself.",
        );
    }
    if settings.emergency_max_duration.is_none() {
        return Err(Failure::denied(Setting::EmergencyMaxDuration, "emergency grants are refused (it is `0`)"));
    }
    if !has_reason(request) {
        return Err(Failure::denied(
            Setting::RequireApproval,
            "an emergency grant needs a `reason`, in letters or digits",
        ));
    }
    Ok(())
}

/// Judges the cluster's account, for every action: no role is assumed in an account that isn't allowed.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn account(settings: &Settings, function: Option<&FunctionArn>, cluster: &ClusterRef) -> Result<(), Failure> {
    match (&cluster.account, function) {
        (Some(account), Some(function)) if *account != function.account => {
            foreign_account(settings, &cluster.name, account)
        }
        _ => Ok(()),
    }
}

/// Judges an account that isn't the function's own.
///
/// # Errors
/// `RequestDenied`, naming the settings that forbid it.
pub fn foreign_account(settings: &Settings, cluster: &str, account: &str) -> Result<(), Failure> {
    let allowed = settings.allowed_accounts.iter().any(|allowed| allowed == account);
    let lacking = match (allowed, &settings.target_role) {
        (true, Some(_)) => return Ok(()),
        (true, None) => "`TARGET_ROLE_NAME` is not set",
        (false, Some(_)) => "`ALLOWED_ACCOUNTS` does not list it",
        (false, None) => "`ALLOWED_ACCOUNTS` does not list it, and `TARGET_ROLE_NAME` is not set",
    };
    let listed = match settings.allowed_accounts.as_slice() {
        [] => "no other account".to_owned(),
        accounts => accounts.join(", "),
    };
    Err(Failure::new(
        ErrorName::RequestDenied,
        format!(
            "Cluster `{cluster}` is in account {account}, which this function may not reach: {lacking} (allowed: {listed})."
        ),
        format!(
            "Send the event to a function in account {account}, or ask the platform team to add the account to `ALLOWED_ACCOUNTS` and to deploy `target-account.yaml` there."
        ),
    ))
}

/// Judges a policy by its name.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn policy(settings: &Settings, policy: &PolicyArn) -> Result<(), Failure> {
    policy_named(settings, policy.name())
}

fn policy_named(settings: &Settings, name: &str) -> Result<(), Failure> {
    let allowed = &settings.allowed_policies;
    if allowed.iter().any(|allowed| allowed == name) {
        return Ok(());
    }
    Err(Failure::denied(Setting::AllowedPolicies, format!("policy `{name}` is not one of {}", allowed.join(", "))))
}

/// Judges the cluster by its name and its ARN.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn cluster(settings: &Settings, name: &str, arn: Option<&str>) -> Result<(), Failure> {
    let allowed = settings.allowed_clusters.iter().any(|pattern| {
        if is_arn(pattern) {
            arn.is_some_and(|arn| wildcard::matches_arn(pattern, arn))
        } else {
            wildcard::matches(pattern, name)
        }
    });
    if allowed {
        return Ok(());
    }
    let patterns = settings.allowed_clusters.join(", ");
    Err(Failure::denied(
        Setting::AllowedClusters,
        format!("cluster `{}` matches none of the patterns {patterns}", arn.unwrap_or(name)),
    ))
}

/// Judges the principal by its ARN. Without patterns, the principals of the cluster's own account are allowed; if that account isn't
/// known yet, the principal is judged later.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn principal(settings: &Settings, arn: &PrincipalArn, cluster_account: Option<&str>) -> Result<(), Failure> {
    let Some(patterns) = &settings.allowed_principals else {
        return of_cluster_account(arn.as_str(), &arn.account, cluster_account);
    };
    if patterns.iter().any(|pattern| wildcard::matches_arn(pattern, arn.as_str())) {
        return Ok(());
    }
    let patterns = patterns.join(", ");
    Err(Failure::denied(
        Setting::AllowedPrincipals,
        format!("principal `{arn}` matches none of the patterns {patterns}"),
    ))
}

fn of_cluster_account(principal: &str, account: &str, cluster_account: Option<&str>) -> Result<(), Failure> {
    match cluster_account {
        Some(allowed) if allowed != account => Err(Failure::denied(
            Setting::AllowedPrincipals,
            format!("principal `{principal}` is not of the cluster's account {allowed}, which is the default"),
        )),
        _ => Ok(()),
    }
}

/// Refuses the roles that this function works with: its own (`own`, as STS names its sessions), the one that Scheduler assumes, and the
/// one in other accounts.
///
/// # Errors
/// `RequestDenied`.
pub fn own_roles(settings: &Settings, own: &[Caller], arn: &PrincipalArn) -> Result<(), Failure> {
    let is = |account: &str, name: &str| arn.kind == PrincipalKind::Role && arn.account == account && arn.name == name;
    let function = own.iter().any(|caller| caller.role_name().is_some_and(|name| is(&caller.account_id, name)));
    let schedule = settings.schedule.as_ref().and_then(|place| PrincipalArn::parse(&place.role_arn).ok());
    let which = if function {
        "the function's own role"
    } else if schedule.is_some_and(|role| is(&role.account, &role.name)) {
        "the role that EventBridge Scheduler assumes for this function (`SCHEDULE_ROLE_ARN`)"
    } else if settings.target_role.as_ref().is_some_and(|role| is(&arn.account, &role.name)) {
        "the role that this function assumes in other accounts (`TARGET_ROLE_NAME`)"
    } else {
        return Ok(());
    };
    Err(Failure::new(
        ErrorName::RequestDenied,
        format!("`{arn}` is {which}. This function never grants access to its own roles."),
        "Name the role or user of a person.",
    ))
}

/// How long the access is to last: what the request says, else the default; an emergency has a limit of its own. `None`: until it is
/// revoked.
///
/// # Errors
/// `RequestDenied`, if that is longer than the maximum.
pub fn duration(settings: &Settings, grant: &Grant) -> Result<Option<SignedDuration>, Failure> {
    let max = settings.max_duration;
    if let (true, Some(limit)) = (grant.emergency, settings.emergency_max_duration) {
        let wanted = grant.duration.unwrap_or_else(|| max.map_or(limit, |max| max.min(limit)));
        within(Setting::EmergencyMaxDuration, wanted, limit)?;
        if let Some(max) = max {
            within(Setting::MaxDuration, wanted, max)?;
        }
        return Ok(Some(wanted));
    }
    match (grant.duration.or(settings.default_duration), max) {
        (None, Some(max)) => {
            Err(Failure::denied(Setting::MaxDuration, format!("a grant needs a `duration`, of at most {max:#}")))
        }
        (Some(wanted), Some(max)) => within(Setting::MaxDuration, wanted, max).map(|()| Some(wanted)),
        (duration, None) => Ok(duration),
    }
}

fn within(setting: Setting, wanted: SignedDuration, max: SignedDuration) -> Result<(), Failure> {
    if wanted <= max {
        return Ok(());
    }
    Err(Failure::denied(setting, format!("{wanted:#} is longer than {max:#}")))
}

/// Judges an entry that is to be recreated as it was, although nothing proves that it doesn't work: all that it holds would be granted
/// again, without end. An emergency ends always, so it recreates nothing that an entry holds.
///
/// # Errors
/// `RequestDenied`, naming the setting that forbids it.
pub fn recreation(
    settings: &Settings,
    entry: &AccessEntry,
    custom_username: Option<&str>,
    emergency: bool,
) -> Result<(), Failure> {
    for held in &entry.access_policies {
        policy_named(settings, crate::domain::access_entry::policy_name(&held.policy_arn))?;
    }
    let username = custom_username.map(|name| format!("user:{name}"));
    for group in entry.kubernetes_groups.iter().chain(&username) {
        if !settings.allowed_groups.iter().any(|pattern| wildcard::matches(pattern, group)) {
            let patterns = match settings.allowed_groups.as_slice() {
                [] => "it allows none".to_owned(),
                patterns => format!("it matches none of the patterns {}", patterns.join(", ")),
            };
            return Err(Failure::denied(
                Setting::AllowedGroups,
                format!("the recreated entry would keep `{group}`, and {patterns}"),
            ));
        }
    }
    let holds = !entry.access_policies.is_empty() || !entry.kubernetes_groups.is_empty() || username.is_some();
    let emergency_limit =
        settings.emergency_max_duration.filter(|_| emergency).map(|max| (Setting::EmergencyMaxDuration, max));
    match settings.max_duration.map(|max| (Setting::MaxDuration, max)).or(emergency_limit) {
        Some((setting, max)) if holds => Err(Failure::denied(
            setting,
            format!(
                "the recreated entry would keep its policies, groups and username without end, and the longest that access may last is {max:#}"
            ),
        )),
        _ => Ok(()),
    }
}

/// A pattern of ARNs; names have neither colons nor slashes.
fn is_arn(pattern: &str) -> bool {
    pattern.contains([':', '/'])
}

/// Whether a cluster that was named without its account could be one that a pattern of ARNs stands for, in any account.
fn may_match(pattern: &str, cluster: &ClusterRef) -> bool {
    // The account may be a pattern itself. A pattern without an ARN's fields decides nothing before the ARN is known.
    pattern.split(':').nth(4).is_none_or(|account| wildcard::matches(pattern, &cluster.arn_in(account)))
}
