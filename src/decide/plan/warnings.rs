//! What a grant warns of. A plan has its own warnings; the others are for what was observed.

use super::goal::{Access, Goal};
use super::{Plan, given};
use crate::decide::history::History;
use crate::decide::ownership::{self, Installation};
use crate::domain::access_entry::{Ends, EntryState};
use crate::domain::api_error::ApiError;
use crate::domain::cluster::AuthenticationMode;
use crate::domain::codes::{Status, WarningCode};
use crate::domain::identity::IamPrincipal;
use crate::domain::observed_state::Observation;
use crate::domain::scheduled_revoke::ExpiryState;

/// A code, and what it means, for a person.
pub type Warning = (WarningCode, String);

/// What the requester should know before anything is done.
#[must_use]
pub fn circumstances(goal: &Goal<'_>, seen: &Observation) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let cluster = &seen.cluster;
    if !cluster.health.is_empty() {
        warnings.push((
            WarningCode::ClusterHealth,
            format!("EKS reports issues that may deny access all the same: {}.", cluster.health.join("; ")),
        ));
    }
    if !cluster.public_endpoint {
        warnings.push((WarningCode::PrivateEndpoint, "The cluster's endpoint is private: kubectl works only from its VPC or from a network that is connected to it.".to_owned()));
    }
    if let ExpiryState::Unknown(error) = &seen.expiry {
        warnings.push(expiry_unknown(error));
    }
    if let ExpiryState::Altered(target, altered) = &seen.expiry {
        let fix =
            if goal.duration.is_some() { "This grant corrects it." } else { "A grant with `duration` corrects it." };
        warnings.push((WarningCode::ExpiryAltered, format!("The schedule `{}` that ends the access is not as this function writes it: {}. The end is not certain. {fix}", target.name, altered.differences.join("; "))));
    }
    if let (IamPrincipal::Unknown { reason }, EntryState::Present(_), false) = (&seen.iam, &seen.entry, goal.recreate) {
        warnings.push((WarningCode::StalenessUnknown, format!(
                "The function could not find out whether the access entry belongs to a deleted principal with the same ARN, which denies access to the present one. Allow `iam:GetRole` and `iam:GetUser` to the function's role. [{reason}]"
            )));
    }
    warnings
}

/// The end of the access can't be read.
#[must_use]
pub fn expiry_unknown(error: &ApiError) -> Warning {
    (
        WarningCode::ExpiryUnknown,
        format!(
            "The function could not find out whether an earlier grant has scheduled an end of the access. [{error}]"
        ),
    )
}

/// What the requester should know of a grant that ended with `status`.
#[must_use]
pub fn afterwards(
    goal: &Goal<'_>,
    history: &History,
    seen: &Observation,
    initial_mode: AuthenticationMode,
    status: Status,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let effective = status.access_is_effective();
    if initial_mode != seen.cluster.authentication_mode {
        warnings.push(mode_changed(&seen.cluster.name));
    }
    if let (ExpiryState::Unknown(error), true) = (&seen.expiry, effective) {
        warnings.push(expiry_unknown(error));
    }
    let endless =
        goal.duration.is_some() && matches!(seen.expiry, ExpiryState::Absent(_) | ExpiryState::Unavailable(_));
    let gives_nothing = status == Status::Planned && given::restore(goal, history, seen).is_none();
    if endless && (effective || gives_nothing) {
        warnings.push(access_is_permanent(goal.installation, seen));
    }
    warnings
}

/// Access that was there already gets no end.
fn access_is_permanent(installation: &Installation, seen: &Observation) -> Warning {
    let entry = seen.entry.present();
    let anothers = entry.filter(|entry| ownership::created_by_another(installation, entry));
    let end = match anothers.and_then(ownership::ends) {
        Some(Ends::Scheduled) => {
            "Another installation of this function gave it, and has scheduled an end for the entry"
        }
        _ => "It has no end, and nothing shows that this function gave it",
    };
    (
        WarningCode::AccessIsPermanent,
        format!(
            "The principal had the access already. {end}. This function does not remove what it did not give, so the access stays as it is."
        ),
    )
}

/// A change that can't be undone, and that others have to follow (aws-cdk issue 31032, pulumi-eks issue 1493).
#[must_use]
pub fn mode_changed(cluster: &str) -> Warning {
    (
        WarningCode::AuthenticationModeChanged,
        format!(
            "The authentication mode of cluster `{cluster}` changes from CONFIG_MAP to API_AND_CONFIG_MAP, which can't be undone. The aws-auth ConfigMap still counts. Infrastructure code that says CONFIG_MAP must be updated."
        ),
    )
}

/// What the requester should know of the access that is planned.
pub(super) fn access(goal: &Goal<'_>, seen: &Observation, access: &Access, plan: &mut Plan) {
    let cluster = &seen.cluster;
    let creates = !matches!(access, Access::Held | Access::Associate(_));
    if creates && cluster.authentication_mode != AuthenticationMode::Api {
        plan.warn(
            WarningCode::AwsAuthOverridden,
            format!("While the access entry exists, it decides about `{}`: groups that the aws-auth ConfigMap gives to this principal do not apply.", seen.principal),
        );
    }
    let account = cluster.arn.split(':').nth(4).unwrap_or_default();
    if seen.principal.account != account {
        plan.warn(
            WarningCode::ForeignAccount,
            format!(
                "`{}` is a principal of account {}, not of the cluster's account {account}.",
                seen.principal, seen.principal.account
            ),
        );
    }
    if seen.principal.looks_like_identity_center() {
        plan.warn(
            WarningCode::SsoLookalike,
            format!("`{}` has a name like a role of IAM Identity Center, but is none: its path is not Identity Center's. Anybody who may create roles can create one with such a name.", seen.principal),
        );
    }
    let old = match access {
        Access::Replace(old, _) => old,
        Access::Recreate(replacement) => &replacement.old,
        _ => return,
    };
    let owners = ownership::managed_by(old);
    if !owners.is_empty() {
        plan.warn(
            WarningCode::ManagedElsewhere,
            format!("Tags show that other tools manage the access entry ({}): they may report a difference, or restore the old entry. Tell their owner.", owners.join(", ")),
        );
    }
    if matches!(access, Access::Replace(..)) {
        plan.warn(
            WarningCode::EntryReplaced,
            "The access entry belonged to a deleted principal with the same ARN. It is replaced by an entry with the access that you asked for. `replacedEntry` shows what the old entry held, and `nextSteps` how to restore it.",
        );
    } else {
        let lost: Vec<_> = old.tags.keys().filter(|key| key.starts_with("aws:")).map(String::as_str).collect();
        let lost = if lost.is_empty() {
            String::new()
        } else {
            format!(" Tags of AWS can't be set again, so these are gone: {}.", lost.join(", "))
        };
        let ends = goal.duration.map_or(String::new(), |_| {
            format!(" {} is removed from it at the expiry, even if the entry held it before.", goal.policy.name())
        });
        plan.warn(
            WarningCode::EntryRecreated,
            format!("The access entry is deleted and recreated as it was, because the event says `recreateEntry`: it keeps its groups, username, policies and tags.{lost}{ends}"),
        );
    }
}
