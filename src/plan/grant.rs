//! The plan of a grant.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Plan, Step, foreign_type};
use crate::arn::PolicyArn;
use crate::aws::{NewEntry, Operation};
use crate::error::{ErrorName, Failure};
use crate::expiry::{Expiry, PendingRevoke};
use crate::observation::{AccessEntry, AccessPolicy, Cluster, ClusterKind, EntryState, IamPrincipal, Observation};
use crate::ownership;
use crate::principal::PrincipalArn;
use crate::request::Restore;
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
    /// When the access is to end; `None`: nobody asked.
    pub expires_at: Option<Timestamp>,
    /// What its end has to put back, as it was seen before anything was given; `None`: that was not seen yet, or nothing is given.
    pub restore: Option<Restore>,
    /// Who has scheduled an end.
    pub end: End,
    /// Whether the entry that was deleted was made anew, as EKS has answered: what is shown is the new one.
    pub remade: bool,
}

/// Who has scheduled the end of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Somebody had when this grant looked first, or that is not known.
    Found,
    /// Nobody had.
    NoneFound,
    /// This grant has: another may move it since, and is not contradicted.
    Scheduled,
}

/// Plans a grant.
///
/// # Errors
/// If what was seen rules it out.
pub fn grant(goal: &Goal, seen: &Observation) -> Result<Plan, Failure> {
    recoverable(&seen.cluster)?;
    principal_exists(seen)?;
    let mut plan = Plan::default();
    mode(goal, seen, &mut plan)?;
    expiry(goal, seen, &mut plan)?;
    match &seen.entry {
        EntryState::Present(entry) if entry.r#type != "STANDARD" => {
            return Err(foreign_type(seen, entry));
        }
        EntryState::Present(entry) if goal.recreate || (seen.entry_is_stale() && !is_new(goal, entry)) => {
            anew(goal, &seen.principal, entry, entry, &mut plan);
        }
        EntryState::Present(entry)
            if let Some(before) = goal.deleted.as_ref().filter(|was| !goal.remade && is_same(was, entry)) =>
        {
            anew(goal, &seen.principal, before, before, &mut plan);
        }
        EntryState::Present(entry)
            if let Some(before) = goal.deleted.as_ref().filter(|was| is_stopgap(goal, was, entry)) =>
        {
            anew(goal, &seen.principal, entry, &with_policies_of(before, entry), &mut plan);
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
///
/// # Errors
/// `ClusterNotRecoverable`, with the reason.
pub fn recoverable(cluster: &Cluster) -> Result<(), Failure> {
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

/// Schedules the end before anything is given. What waits already is moved and keeps what it puts back: that is what was
/// there before the first grant. Access that was there before and is not this function's gets no end.
fn expiry(goal: &Goal, seen: &Observation, plan: &mut Plan) -> Result<(), Failure> {
    if let (Some(was), Expiry::Pending(slot, pending)) = (&goal.deleted, &seen.expiry) {
        let held = || Restore::entry_existed(was.scope_of(&goal.policy).cloned());
        let restore = goal.restore.clone().unwrap_or_else(held);
        // Scheduled by a grant that came while the entry was away, and takes it for its own.
        if goal.end == End::NoneFound && !pending.restore.entry_existed && restore.entry_existed {
            let revoke = PendingRevoke { restore, expires_at: goal.expires_at.unwrap_or(pending.expires_at) };
            plan.steps.push(Step::ScheduleRevoke { slot: slot.clone(), revoke, moves: true });
            return Ok(());
        }
    }
    let Some(expires_at) = goal.expires_at else {
        return Ok(());
    };
    let before = goal.deleted.as_ref().or(seen.entry.present());
    let restore = goal.restore.clone().or_else(|| ownership::restore(before, &goal.policy, &goal.scope));
    let (slot, restore, moves) = match (&seen.expiry, restore) {
        (Expiry::Pending(..), _) if goal.end == End::Scheduled => return Ok(()),
        (Expiry::Pending(_, pending), _) if pending.expires_at == expires_at => return Ok(()),
        (Expiry::Pending(slot, pending), _) => (slot, pending.restore.clone(), true),
        (Expiry::Absent(slot), Some(restore)) => (slot, restore, false),
        (Expiry::Absent(_) | Expiry::Unavailable(_), None) => return Ok(()),
        (Expiry::Unknown(error), _) => return Err(Failure::from(error.clone())),
        (Expiry::Unavailable(why), Some(_)) => {
            return Err(Failure::new(
                ErrorName::ExpiryUnavailable,
                format!("the end of the access cannot be scheduled, so it is not given: {why}"),
                "have the operator of this function mend that, or send the event without `duration` and take the access back by hand",
            ));
        }
    };
    let revoke = PendingRevoke { restore, expires_at };
    plan.steps.push(Step::ScheduleRevoke { slot: slot.clone(), revoke, moves });
    Ok(())
}

/// Deletes an entry and makes it as another was, which may be itself.
fn anew(goal: &Goal, principal: &PrincipalArn, now: &AccessEntry, was: &AccessEntry, plan: &mut Plan) {
    plan.steps.push(Step::DeleteEntry(Box::new(now.clone())));
    create(goal, principal, Some(was), plan);
    associate(goal, Some(was), None, plan);
}

/// Whether EKS still shows the entry that was deleted.
fn is_same(was: &AccessEntry, now: &AccessEntry) -> bool {
    was.created_at.is_some()
        && (&was.arn, was.created_at, was.modified_at) == (&now.arn, now.created_at, now.modified_at)
}

/// Whether a grant that ran at the same time has found no entry, and made a bare one in the place of the one that was deleted.
fn is_stopgap(goal: &Goal, was: &AccessEntry, now: &AccessEntry) -> bool {
    let ours = ownership::is_ours(now);
    let bare = now.kubernetes_groups.is_empty() && (ours || now.tags.is_empty());
    let renamed = was.username.is_some() && now.username.is_some() && was.username != now.username;
    let differs = was.kubernetes_groups != now.kubernetes_groups || renamed || ours;
    let of_a_grant = |held: &AccessPolicy| held.policy_arn == goal.policy.as_str();
    bare && differs && !ownership::is_ours(was) && (ours || now.access_policies.iter().all(of_a_grant))
}

/// An entry as it was, with what a grant has given by another one in the meantime.
fn with_policies_of(was: &AccessEntry, now: &AccessEntry) -> AccessEntry {
    let mut both = was.clone();
    for given in &now.access_policies {
        match both.access_policies.iter_mut().find(|held| held.policy_arn == given.policy_arn) {
            Some(held) => held.access_scope = held.access_scope.union(&given.access_scope),
            None => both.access_policies.push(given.clone()),
        }
    }
    both
}

/// Whether this grant has made the entry itself: IAM's clock may be ahead of EKS's, so its age proves nothing.
fn is_new(goal: &Goal, entry: &AccessEntry) -> bool {
    goal.remade || ownership::is_of_grant(entry, &goal.tags)
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
