//! The plan of a revoke.

use super::{Plan, Step, foreign_type, policy_name};
use crate::arn::PolicyArn;
use crate::aws::Operation;
use crate::error::Failure;
use crate::expiry::Expiry;
use crate::observation::{AccessEntry, EntryState, Observation};
use crate::ownership;
use crate::request::Restore;

/// Plans to take back what a grant of a policy gave, and to put back what was there before it. `restore` is what the
/// grant wrote down; without it, nothing tells whose the access is, and just the policy is taken off.
///
/// # Errors
/// If the principal's entry is of a type that must not be touched.
pub fn revoke(policy: &PolicyArn, restore: Option<&Restore>, seen: &Observation) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    match &seen.entry {
        EntryState::Present(entry) if entry.r#type != "STANDARD" => return Err(foreign_type(seen, entry)),
        EntryState::Present(entry) => take_back(policy, restore, entry, &mut plan),
        EntryState::Absent => plan.skip(Operation::DeleteAccessEntry, "the principal has no access entry"),
        EntryState::Unreadable => {
            plan.skip(Operation::DeleteAccessEntry, "there are no access entries in this authentication mode");
        }
    }
    if let Expiry::Pending(slot, _) = &seen.expiry {
        plan.steps.push(Step::CancelRevoke(slot.clone()));
    }
    Ok(plan)
}

/// Never widens anything: of what is held, that stays which was there before the grant.
fn take_back(policy: &PolicyArn, restore: Option<&Restore>, entry: &AccessEntry, plan: &mut Plan) {
    let held = entry.scope_of(policy);
    let before = restore.and_then(|restore| restore.access_scope.as_ref());
    let stays = held.zip(before).and_then(|(held, before)| held.intersection(before));
    let entry_is_ours = ownership::is_ours(entry) || restore.is_some_and(|restore| !restore.entry_existed);
    let others = others_on(entry, policy);
    match (held, stays) {
        (Some(held), Some(stays)) if stays.covers(held) => {
            plan.skip(Operation::DisassociateAccessPolicy, format!("the policy reached {held} before the grant, too"));
        }
        (Some(_), Some(scope)) => {
            plan.steps.push(Step::AssociatePolicy { policy: policy.as_str().to_owned(), scope });
        }
        (_, None) if restore.is_some() && entry_is_ours && others.is_empty() => {
            plan.steps.push(Step::RemoveEntry);
        }
        (Some(_), None) => {
            plan.steps.push(Step::DisassociatePolicy { policy: policy.as_str().to_owned() });
            if entry_is_ours {
                plan.warnings.push((
                    "ENTRY_KEPT",
                    format!(
                        "the grant made the access entry, but it stays, for others use it by now: {}",
                        others.join("; ")
                    ),
                ));
            }
        }
        (None, _) => plan.skip(Operation::DisassociateAccessPolicy, "the policy is not associated with the entry"),
    }
}

/// What hangs on an entry beside a policy, and so was added by somebody else.
fn others_on(entry: &AccessEntry, policy: &PolicyArn) -> Vec<String> {
    let mut others: Vec<String> = entry
        .access_policies
        .iter()
        .filter(|held| held.policy_arn != policy.as_str())
        .map(|held| format!("{} with {}", policy_name(&held.policy_arn), held.access_scope))
        .collect();
    if !entry.kubernetes_groups.is_empty() {
        others.push(format!("groups {}", entry.kubernetes_groups.join(", ")));
    }
    if !entry.tags.is_empty() && !ownership::is_ours(entry) {
        others.push("tags that this function did not set".to_owned());
    }
    others
}
