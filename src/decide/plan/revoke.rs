//! The plan of a revoke.

use super::{Plan, non_standard_entry};
use crate::decide::history::History;
use crate::decide::ownership::{self, Installation};
use crate::domain::access_entry::{AccessEntry, Ends, EntryState, policy_name};
use crate::domain::arn::PolicyArn;
use crate::domain::codes::WarningCode;
use crate::domain::failure::Failure;
use crate::domain::observed_state::Observation;
use crate::domain::operation::Operation;
use crate::domain::scheduled_revoke::{ExpiryState, PendingRevoke, Restore};
use crate::domain::step::Step;

/// What a revoke is to remove. It doesn't change during the request.
#[derive(Debug, Clone)]
pub struct RevokeGoal<'a> {
    /// The policy.
    pub policy: PolicyArn,
    /// What was there before the grant; without it, only the policy is disassociated.
    pub restore: Option<Restore>,
    /// Whether something beside the event shows that the access is this function's.
    pub is_proven: bool,
    /// Which entries are this function's.
    pub installation: &'a Installation,
}

/// Plans to remove what a grant of a policy gave, and to restore what was there before it.
///
/// # Errors
/// If the principal's entry is of a type that must not be changed.
pub fn revoke(goal: &RevokeGoal<'_>, history: &History, seen: &Observation) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    match &seen.entry {
        EntryState::Present(entry) if entry.r#type != "STANDARD" => return Err(non_standard_entry(seen, entry)),
        EntryState::Present(entry) => remove(goal, seen, entry, &mut plan),
        EntryState::Absent => plan.skip(Operation::DeleteAccessEntry, "the principal has no access entry"),
        EntryState::Unreadable => {
            plan.skip(Operation::DeleteAccessEntry, "this authentication mode has no access entries");
        }
    }
    // The schedule goes last, when the access is seen to be gone: a revoke that is stopped half-way comes again. One that was moved
    // meanwhile belongs to a later grant, and stays.
    let first = history.baseline().map_or(&seen.expiry, |baseline| &baseline.expiry);
    if let Some(target) = seen.expiry.target().filter(|_| seen.expiry == *first) {
        let delete = Step::DeleteSchedule(target.clone());
        if !history.tried(&delete) {
            if !plan.steps.is_empty() {
                plan.steps.push(Step::Observe);
            }
            plan.steps.push(delete);
        }
    }
    Ok(plan)
}

/// Never widens anything: of what is held, that stays which was there before the grant.
fn remove(goal: &RevokeGoal<'_>, seen: &Observation, entry: &AccessEntry, plan: &mut Plan) {
    let policy = &goal.policy;
    let held = entry.scope_of(policy);
    let before = goal.restore.as_ref().and_then(|restore| restore.access_scope.as_ref());
    let stays = held.zip(before).and_then(|(held, before)| held.intersection(before));
    let grant_created_it =
        goal.installation.created(entry) || goal.restore.as_ref().is_some_and(|restore| !restore.entry_existed);
    let others = used_by_others(goal, seen, entry);
    // A bare entry may be all that an owner wants: RBAC binds its username.
    let is_grants = held.is_some() || goal.is_proven;
    match (held, stays) {
        (Some(held), Some(stays)) if stays.covers(held) => {
            plan.skip(Operation::DisassociateAccessPolicy, format!("the policy reached {held} before the grant, too"));
        }
        (Some(_), Some(scope)) => {
            plan.steps.push(Step::AssociatePolicy { policy: policy.as_str().to_owned(), scope });
        }
        (_, None) if goal.restore.is_some() && grant_created_it && is_grants && others.is_empty() => {
            plan.steps.push(Step::DeleteEntry);
        }
        (Some(_), None) => {
            plan.steps.push(Step::DisassociatePolicy { policy: policy.as_str().to_owned() });
            if grant_created_it && !others.is_empty() {
                plan.warn(
                    WarningCode::EntryKept,
                    format!(
                        "The grant created the access entry, but the entry is kept, because others use it by now: {}.",
                        others.join("; ")
                    ),
                );
            }
        }
        (None, _) => plan.skip(Operation::DisassociateAccessPolicy, "the policy is not associated with the entry"),
    }
}

/// What an entry holds beside a policy, and so was added by others.
fn used_by_others(goal: &RevokeGoal<'_>, seen: &Observation, entry: &AccessEntry) -> Vec<String> {
    let mut others: Vec<String> = entry
        .access_policies
        .iter()
        .filter(|held| held.policy_arn != goal.policy.as_str())
        .map(|held| format!("{} with {}", policy_name(&held.policy_arn), held.access_scope))
        .collect();
    if !entry.kubernetes_groups.is_empty() {
        others.push(format!("groups {}", entry.kubernetes_groups.join(", ")));
    }
    if let Some(username) = entry.custom_username(&seen.principal) {
        others.push(format!("the username {username}"));
    }
    let tags: Vec<_> = goal.installation.tags_of_others(entry).collect();
    if !tags.is_empty() {
        others.push(format!("tags that this function did not set: {}", tags.join(", ")));
    }
    others
}

/// What a revoke that comes late must still do if the access was granted again meanwhile. That grant saw what this revoke was to remove, took
/// it for what was there before, and so its own end would restore it.
#[must_use]
pub fn superseded(own: &PendingRevoke, policy: &PolicyArn, seen: &Observation) -> Option<Step> {
    let ExpiryState::Pending(target, next) = &seen.expiry else {
        return None;
    };
    let held = seen.entry.present().and_then(|entry| entry.policy(policy));
    // EKS keeps this time if the same policy is associated with another scope. What was associated later, this revoke wasn't for.
    if held.and_then(|held| held.associated_at).is_none_or(|given| given > own.expires_at) {
        return None;
    }
    let both = next.restore.access_scope.as_ref().zip(own.restore.access_scope.as_ref());
    let restore = Restore {
        entry_existed: next.restore.entry_existed && own.restore.entry_existed,
        access_scope: both.and_then(|(next, own)| next.intersection(own)),
        ..next.restore.clone()
    };
    let revoke = PendingRevoke { restore, expires_at: next.expires_at };
    (revoke != *next).then(|| Step::UpdateSchedule { target: target.clone(), revoke })
}

/// How the tag of an entry has to change after a revoke that keeps the entry. `others_end`: whether an end is scheduled for another one
/// of its policies.
#[must_use]
pub fn ends_tag(installation: &Installation, entry: &AccessEntry, others_end: bool) -> Option<Step> {
    let says = ownership::ends(entry).filter(|_| installation.created(entry))?;
    let arn = entry.arn.clone()?;
    (says == Ends::Scheduled && !others_end).then_some(Step::TagEntry { arn, ends: Ends::Never })
}
