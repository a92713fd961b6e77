//! What a grant has given, and what a revoke of just that has to restore.

use super::goal::Goal;
use crate::decide::history::History;
use crate::domain::access_entry::EntryState;
use crate::domain::observed_state::Observation;
use crate::domain::scheduled_revoke::Restore;

/// Whether this request created the entry that exists now, in place of none or of a stale one.
#[must_use]
pub fn created_entry(goal: &Goal<'_>, history: &History, seen: &Observation) -> bool {
    let Some(entry) = seen.entry.present().filter(|_| history.recreated().is_none()) else {
        return false;
    };
    // The tags decide even if another request has deleted and created it since.
    if goal.installation.created(entry) {
        goal.installation.created_by_grant(entry, goal.request_id)
    } else {
        history.created_entry()
    }
}

/// What the event in `undo` restores; `None`: this function gave nothing.
#[must_use]
pub fn restore(goal: &Goal<'_>, history: &History, seen: &Observation) -> Option<Restore> {
    let before = history.baseline().map_or(&seen.entry, |baseline| &baseline.entry);
    match (seen.expiry.scheduled(), before) {
        // What was there before the first of the grants that this schedule ends.
        (Some(revoke), _) => Some(revoke.restore.clone()),
        _ if created_entry(goal, history, seen) || history.replaced().is_some() => Some(Restore::entry_created()),
        (_, EntryState::Present(entry)) => goal.installation.restore(Some(entry), &goal.policy, &goal.scope),
        // Another request created the entry at the same time.
        (_, EntryState::Absent | EntryState::Unreadable) => Some(Restore::entry_existed(None)),
    }
}
