//! The plan of a grant.

use jiff::Timestamp;

use super::goal::{Access, Goal};
use super::{Plan, end, non_standard_entry, warnings};
use crate::decide::guardrails;
use crate::decide::history::History;
use crate::domain::access_entry::{AccessEntry, AccessPolicy, Ends, NewEntry};
use crate::domain::cluster::{Cluster, ClusterKind};
use crate::domain::codes::{Setting, WarningCode};
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::identity::{IamPrincipal, NodeRole};
use crate::domain::observed_state::Observation;
use crate::domain::operation::Operation;
use crate::domain::step::{Replacement, Step};

/// Plans a grant.
///
/// # Errors
/// If what was observed or the guardrails rule it out.
pub fn grant(goal: &Goal<'_>, history: &History, seen: &Observation, now: Timestamp) -> Result<Plan, Failure> {
    ensure_recoverable(&seen.cluster)?;
    principal_exists(seen)?;
    if let Some(entry) = seen.entry.present().filter(|entry| entry.r#type != "STANDARD") {
        return Err(non_standard_entry(seen, entry));
    }
    let mut plan = Plan::default();
    instance_role(goal, seen, &mut plan)?;
    mode(goal, seen, &mut plan)?;
    let access = access(goal, history, seen)?;
    end::schedule(goal, history, seen, &access, now, &mut plan)?;
    end::tag(goal, history, seen, &mut plan);
    warnings::access(goal, seen, &access, &mut plan);
    give(goal, seen, access, &mut plan);
    Ok(plan)
}

/// Whether access entries can be created for the cluster at all, now.
///
/// # Errors
/// `ClusterNotRecoverable`, with the reason.
pub fn ensure_recoverable(cluster: &Cluster) -> Result<(), Failure> {
    let (why, remedy) = match (cluster.kind, cluster.status.as_str()) {
        (ClusterKind::OutpostsLocal, _) => (
            "it is a local cluster on an Outpost, which has no access entries",
            "Restore the aws-auth ConfigMap from a node or from a backup of the control plane.",
        ),
        (ClusterKind::Connected, _) => (
            "it is registered through the EKS Connector, and its access is managed where it runs",
            "Restore the access where the cluster runs.",
        ),
        (_, "CREATING" | "PENDING") => {
            ("it is still being created", "Wait until it is ACTIVE, then send the same event again.")
        }
        (_, "DELETING") => ("it is being deleted", "Name another cluster."),
        (_, "FAILED") => ("its creation has failed", "Delete the cluster and create it again."),
        _ => return Ok(()),
    };
    Err(Failure::new(
        ErrorName::ClusterNotRecoverable,
        format!(
            "Cluster `{}` (status {}) can't be recovered through access entries: {why}.",
            cluster.name, cluster.status
        ),
        remedy,
    ))
}

/// A change of the authentication mode can't be undone, so it is not made for a principal that doesn't exist.
fn principal_exists(seen: &Observation) -> Result<(), Failure> {
    let IamPrincipal::Absent { instead } = &seen.iam else {
        return Ok(());
    };
    Err(Failure::new(
        ErrorName::PrincipalNotFound,
        format!("IAM has no principal `{}`.", seen.principal),
        match instead {
            // Anybody who may create roles can create one with the name of Identity Center's.
            Some(arn) if !arn.looks_like_identity_center() => {
                format!("Send `{arn}`, which has the same name under another path, if that is the one you mean.")
            }
            _ => "Check `principalArn`.".to_owned(),
        },
    ))
}

/// An entry of type STANDARD takes precedence over the mapping of nodes in aws-auth, so a role of instances gets one only if
/// the caller says so, and a node role of this cluster never.
fn instance_role(goal: &Goal<'_>, seen: &Observation, plan: &mut Plan) -> Result<(), Failure> {
    let Some(evidence) = &seen.instance.evidence else {
        return Ok(());
    };
    if let NodeRole::Yes(user) = &seen.instance.node_role {
        return Err(Failure::new(
            ErrorName::AccessEntryConflict,
            format!(
                "`{}` is a node role of cluster `{}` ({user}). An access entry of type STANDARD for it disconnects the nodes.",
                seen.principal, seen.cluster.name
            ),
            "Name a principal that people use.",
        ));
    }
    if !goal.instance_role {
        return Err(Failure::new(
            ErrorName::InvalidRequest,
            format!(
                "`{}` is the role of instances or pods ({evidence}), not of a person. If nodes of cluster `{}` use it, an access entry of type STANDARD disconnects them.",
                seen.principal, seen.cluster.name
            ),
            "Name a principal that people use. If you know that no node uses the role, send the event with `instanceRole`: true.",
        ));
    }
    if let NodeRole::Unknown(why) = &seen.instance.node_role {
        plan.warn(
            WarningCode::NodeRolesUnknown,
            format!("The function could not find out whether nodes of the cluster use this role ({why}). If they do, they lose their access while this entry exists."),
        );
    }
    Ok(())
}

fn mode(goal: &Goal<'_>, seen: &Observation, plan: &mut Plan) -> Result<(), Failure> {
    let mode = seen.cluster.authentication_mode;
    if mode.has_access_entries() {
        plan.skip(
            Operation::UpdateClusterConfig,
            format!("the authentication mode is {mode}, which has access entries"),
        );
        return Ok(());
    }
    if !goal.settings.allow_authentication_mode_change {
        return Err(Failure::denied(
            Setting::AllowAuthenticationModeChange,
            format!(
                "the authentication mode of cluster `{}` is CONFIG_MAP, and access entries need API_AND_CONFIG_MAP",
                seen.cluster.name
            ),
        ));
    }
    plan.steps.push(Step::ChangeAuthenticationMode);
    plan.steps.push(Step::AwaitAuthenticationMode);
    Ok(())
}

fn access(goal: &Goal<'_>, history: &History, seen: &Observation) -> Result<Access, Failure> {
    let asked = AccessPolicy {
        policy_arn: goal.policy.as_str().to_owned(),
        access_scope: goal.scope.clone(),
        associated_at: None,
    };
    let Some(entry) = seen.entry.present() else {
        // An entry that this request has deleted to recreate it comes back as it was.
        return Ok(match history.recreated() {
            Some(was) => Access::CreateAsItWas(as_it_was(seen, was), with(was, &asked)),
            None => Access::Create(vec![asked]),
        });
    };
    // IAM's clock may be ahead of EKS's: the age of an entry that this request created itself proves nothing.
    let created_here = history.created_entry() || goal.installation.created_by_grant(entry, goal.request_id);
    if seen.entry_is_stale() && !created_here {
        return Ok(Access::Replace(entry.clone(), vec![asked]));
    }
    if let Some(was) = history.recreated() {
        let new = as_it_was(seen, was);
        if new.groups != entry.kubernetes_groups || custom_username(seen, was) != custom_username(seen, entry) {
            let content = serde_json::to_string(was).unwrap_or_default();
            return Err(Failure::new(
                ErrorName::Conflict,
                "Another request created an access entry for the principal while this one recreated it.",
                "Restore the groups and the username of the deleted entry with the AWS CLI, if they are still needed.",
            )
            .with_detail(format!("the deleted access entry: {content}")));
        }
        return Ok(missing(entry, with(was, &asked)));
    }
    if goal.recreate && !created_here {
        guardrails::recreation(goal.settings, entry, custom_username(seen, entry), goal.emergency)?;
        let replacement =
            Replacement { old: entry.clone(), new: as_it_was(seen, entry), policies: with(entry, &asked) };
        return Ok(Access::Recreate(Box::new(replacement)));
    }
    Ok(missing(entry, vec![asked]))
}

/// What an entry lacks of the policies that it should have. A scope is only ever widened.
fn missing(entry: &AccessEntry, wanted: Vec<AccessPolicy>) -> Access {
    let held = |arn: &str| entry.access_policies.iter().find(|held| held.policy_arn == arn);
    let lacking: Vec<_> = wanted
        .into_iter()
        .filter_map(|policy| match held(&policy.policy_arn).map(|held| &held.access_scope) {
            Some(scope) if scope.covers(&policy.access_scope) => None,
            Some(scope) => Some(AccessPolicy { access_scope: scope.union(&policy.access_scope), ..policy }),
            None => Some(policy),
        })
        .collect();
    if lacking.is_empty() { Access::Held } else { Access::Associate(lacking) }
}

/// The policies of an entry, plus what was asked for.
fn with(entry: &AccessEntry, asked: &AccessPolicy) -> Vec<AccessPolicy> {
    let mut policies = entry.access_policies.clone();
    match policies.iter_mut().find(|held| held.policy_arn == asked.policy_arn) {
        Some(held) => held.access_scope = held.access_scope.union(&asked.access_scope),
        None => policies.push(asked.clone()),
    }
    policies
}

/// An entry as another was. A username that EKS generated is left to EKS again, and tags of AWS's own can't be set.
fn as_it_was(seen: &Observation, entry: &AccessEntry) -> NewEntry {
    let tags = entry.tags.iter().filter(|(key, _)| !key.starts_with("aws:"));
    NewEntry {
        username: custom_username(seen, entry).map(str::to_owned),
        groups: entry.kubernetes_groups.clone(),
        tags: tags.map(|(key, value)| (key.clone(), value.clone())).collect(),
    }
}

fn custom_username<'a>(seen: &Observation, entry: &'a AccessEntry) -> Option<&'a str> {
    entry.custom_username(&seen.principal)
}

fn give(goal: &Goal<'_>, seen: &Observation, access: Access, plan: &mut Plan) {
    let ends = if end::is_scheduled(seen, plan) { Ends::Scheduled } else { Ends::Never };
    let tags = goal.tags.clone().into_iter().chain([ends.tag()]).collect();
    let new = NewEntry { tags, ..NewEntry::default() };
    let exists = "the principal has an access entry of type STANDARD";
    match access {
        Access::Held => {
            plan.skip(Operation::CreateAccessEntry, exists);
            plan.skip(
                Operation::AssociateAccessPolicy,
                "the policy is associated already, with a scope that covers what was asked for",
            );
        }
        Access::Associate(policies) => {
            plan.skip(Operation::CreateAccessEntry, exists);
            plan.steps.extend(policies.into_iter().map(associate));
        }
        Access::Create(policies) => create(new, policies, plan),
        Access::CreateAsItWas(was, policies) => create(was, policies, plan),
        Access::Replace(old, policies) => {
            plan.steps.push(Step::ReplaceEntry(Box::new(Replacement { old, new, policies })));
        }
        Access::Recreate(replacement) => plan.steps.push(Step::RecreateEntry(replacement)),
    }
}

fn create(new: NewEntry, policies: Vec<AccessPolicy>, plan: &mut Plan) {
    plan.steps.push(Step::CreateEntry(new));
    plan.steps.extend(policies.into_iter().map(associate));
}

fn associate(policy: AccessPolicy) -> Step {
    Step::AssociatePolicy { policy: policy.policy_arn, scope: policy.access_scope }
}
