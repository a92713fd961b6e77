//! The plan: what to do, given what is wanted and what was seen. Pure: no call, no clock, no choice left to whoever
//! carries it out. Planning again after it was carried out yields nothing.

use std::collections::BTreeMap;

use crate::arn::{PolicyArn, PrincipalArn};
use crate::aws::{NewEntry, Operation};
use crate::error::{ErrorName, Failure};
use crate::observation::{AccessEntry, AccessPolicy, ClusterKind, EntryState, IamPrincipal, Observation};
use crate::scope::AccessScope;

/// What a grant is to end in.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// The policy to be associated with the principal's entry.
    pub policy: PolicyArn,
    /// How far it has to reach, at least.
    pub scope: AccessScope,
    /// Whether the entry is to be made anew although it looks healthy. Done once: whoever deletes it, sets `deleted`.
    pub recreate: bool,
    /// An entry that was deleted to be made anew: what it had has to come back.
    pub deleted: Option<AccessEntry>,
    /// May the authentication mode be changed?
    pub may_change_mode: bool,
    /// The tags of an entry that is made for this grant.
    pub tags: BTreeMap<String, String>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Start the change of the authentication mode from `CONFIG_MAP` to `API_AND_CONFIG_MAP`.
    OpenAccessEntries,
    /// Wait until it is through. What EKS will show then is not known yet, so the plan is made anew after it.
    AwaitAuthenticationMode,
    /// Delete the entry, to make it anew.
    DeleteEntry(Box<AccessEntry>),
    /// Make the entry.
    CreateEntry(NewEntry),
    /// Associate a policy, in a scope that covers what was there and what is wanted.
    AssociatePolicy {
        /// The policy's ARN.
        policy: String,
        /// How far.
        scope: AccessScope,
    },
}

impl Step {
    /// The name that results and logs show.
    #[must_use]
    pub fn operation(&self) -> String {
        match self {
            Self::OpenAccessEntries => Operation::UpdateClusterConfig.to_string(),
            Self::AwaitAuthenticationMode => "AwaitAuthenticationMode".to_owned(),
            Self::DeleteEntry(_) => Operation::DeleteAccessEntry.to_string(),
            Self::CreateEntry(_) => Operation::CreateAccessEntry.to_string(),
            Self::AssociatePolicy { .. } => Operation::AssociateAccessPolicy.to_string(),
        }
    }

    /// What it does, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::OpenAccessEntries => {
                "switch the authentication mode from CONFIG_MAP to API_AND_CONFIG_MAP; there is no way back".to_owned()
            }
            Self::AwaitAuthenticationMode => "wait until EKS has switched the authentication mode".to_owned(),
            Self::DeleteEntry(entry) => format!(
                "delete the access entry of {}, to make it anew as it was",
                entry.created_at.map_or_else(|| "unknown age".to_owned(), |time| time.to_string())
            ),
            Self::CreateEntry(entry) if entry.groups.is_empty() => "create an access entry of type STANDARD".to_owned(),
            Self::CreateEntry(entry) => {
                format!("create an access entry of type STANDARD with groups {}", entry.groups.join(", "))
            }
            Self::AssociatePolicy { policy, scope } => {
                format!("associate {} with {scope}", policy.rsplit('/').next().unwrap_or(policy))
            }
        }
    }
}

/// What to do, in order; and what not to do, and why.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What to do.
    pub steps: Vec<Step>,
    /// What a reader may expect, and why it is not done.
    pub skipped: Vec<(Operation, String)>,
}

impl Plan {
    fn skip(&mut self, operation: Operation, why: impl Into<String>) {
        self.skipped.push((operation, why.into()));
    }
}

/// Plans a grant.
///
/// # Errors
/// If what was seen rules it out.
pub fn grant(goal: &Goal, seen: &Observation) -> Result<Plan, Failure> {
    recoverable(seen)?;
    principal_exists(seen)?;
    let mut plan = Plan::default();
    mode(goal, seen, &mut plan)?;
    match &seen.entry {
        EntryState::Present(entry) if entry.r#type != "STANDARD" => {
            return Err(foreign_type(seen, entry));
        }
        EntryState::Present(entry) if goal.recreate || seen.entry_is_stale() => {
            plan.steps.push(Step::DeleteEntry(Box::new(entry.clone())));
            create(goal, &seen.principal, Some(entry), &mut plan);
            associate(goal, Some(entry), None, &mut plan);
        }
        EntryState::Present(entry) => {
            plan.skip(Operation::CreateAccessEntry, "the principal has an access entry of type STANDARD");
            associate(goal, goal.deleted.as_ref(), Some(entry), &mut plan);
        }
        EntryState::Absent | EntryState::Unreadable => {
            create(goal, &seen.principal, goal.deleted.as_ref(), &mut plan);
            associate(goal, goal.deleted.as_ref(), None, &mut plan);
        }
    }
    Ok(plan)
}

/// Whether access entries can be made for the cluster at all, now.
fn recoverable(seen: &Observation) -> Result<(), Failure> {
    let cluster = &seen.cluster;
    let why = match (cluster.kind, cluster.status.as_str()) {
        (ClusterKind::OutpostsLocal, _) => {
            "it is a local cluster on an Outpost, which knows only the aws-auth ConfigMap; restore that from a node or a control plane backup"
        }
        (ClusterKind::Connected, _) => "it is registered by the EKS Connector; its access is managed where it runs",
        (_, "CREATING" | "PENDING") => "it is still being created; wait until it is ACTIVE, then send the event again",
        (_, "DELETING") => "it is being deleted",
        (_, "FAILED") => "its creation has failed; delete it and create it anew",
        _ => return Ok(()),
    };
    Err(Failure::new(
        ErrorName::ClusterNotRecoverable,
        format!("cluster `{}` (status {}) cannot be recovered by access entries", cluster.name, cluster.status),
        why,
    ))
}

/// A change of mode cannot be undone, so it is not made for a principal that does not exist.
fn principal_exists(seen: &Observation) -> Result<(), Failure> {
    let IamPrincipal::Absent { instead } = &seen.iam else {
        return Ok(());
    };
    Err(Failure::new(
        ErrorName::PrincipalNotFound,
        format!("IAM knows no principal `{}`", seen.principal),
        match instead {
            Some(arn) => format!("send `{arn}`, which has the same name under another path"),
            None => "check `principalArn`; where an IAM Identity Center permission set was provisioned again, its role has a new name: `aws iam list-roles --path-prefix /aws-reserved/sso.amazonaws.com/` lists them".to_owned(),
        },
    ))
}

fn foreign_type(seen: &Observation, entry: &AccessEntry) -> Failure {
    Failure::new(
        ErrorName::AccessEntryConflict,
        format!(
            "`{}` has an access entry of type {} on cluster `{}`, which lets nodes or AWS itself in and must not be touched",
            seen.principal, entry.r#type, seen.cluster.name
        ),
        "name another principal: one that people use",
    )
}

fn mode(goal: &Goal, seen: &Observation, plan: &mut Plan) -> Result<(), Failure> {
    let mode = seen.cluster.authentication_mode;
    if mode.has_access_entries() {
        plan.skip(
            Operation::UpdateClusterConfig,
            format!("the authentication mode is {mode}, which knows access entries"),
        );
        return Ok(());
    }
    if !goal.may_change_mode {
        return Err(Failure::denied(
            "ALLOW_AUTHENTICATION_MODE_CHANGE",
            format!(
                "the authentication mode of cluster `{}` is CONFIG_MAP, and access entries need API_AND_CONFIG_MAP",
                seen.cluster.name
            ),
        ));
    }
    plan.steps.push(Step::OpenAccessEntries);
    plan.steps.push(Step::AwaitAuthenticationMode);
    Ok(())
}

/// Makes the entry: as it was, where there was one, else for this grant.
fn create(goal: &Goal, principal: &PrincipalArn, before: Option<&AccessEntry>, plan: &mut Plan) {
    plan.steps.push(Step::CreateEntry(match before {
        None => NewEntry { tags: goal.tags.clone(), ..NewEntry::default() },
        Some(entry) => NewEntry {
            // A username that EKS made is left to EKS again.
            username: entry.username.clone().filter(|username| *username != principal.default_username()),
            groups: entry.kubernetes_groups.clone(),
            // Tags of AWS's own (`aws:cloudformation:…`) cannot be set by anybody else.
            tags: entry
                .tags
                .iter()
                .filter(|(key, _)| !key.starts_with("aws:"))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        },
    }));
}

/// Associates what is wanted, and what a deleted entry had, with an entry that holds some of it already.
fn associate(goal: &Goal, before: Option<&AccessEntry>, now: Option<&AccessEntry>, plan: &mut Plan) {
    let mut wanted: Vec<AccessPolicy> = before.map(|entry| entry.access_policies.clone()).unwrap_or_default();
    match wanted.iter_mut().find(|policy| policy.policy_arn == goal.policy.as_str()) {
        Some(policy) => policy.access_scope = policy.access_scope.union(&goal.scope),
        None => wanted.push(AccessPolicy {
            policy_arn: goal.policy.as_str().to_owned(),
            access_scope: goal.scope.clone(),
            associated_at: None,
        }),
    }
    let held = now.map(|entry| entry.access_policies.as_slice()).unwrap_or_default();
    for policy in wanted {
        let scope = held.iter().find(|held| held.policy_arn == policy.policy_arn).map(|held| &held.access_scope);
        match scope {
            Some(scope) if scope.covers(&policy.access_scope) => {
                plan.skip(Operation::AssociateAccessPolicy, format!("the policy is associated already, with {scope}"));
            }
            scope => plan.steps.push(Step::AssociatePolicy {
                scope: scope.map_or_else(|| policy.access_scope.clone(), |scope| scope.union(&policy.access_scope)),
                policy: policy.policy_arn,
            }),
        }
    }
}
