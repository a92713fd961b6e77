//! The end of a grant, in its plan: what is scheduled, and what it will restore.

use jiff::{SignedDuration, Timestamp};

use super::Plan;
use super::goal::{Access, Goal};
use crate::decide::history::History;
use crate::decide::ownership;
use crate::domain::access_entry::{Ends, EntryState};
use crate::domain::arn::PolicyArn;
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::observed_state::Observation;
use crate::domain::scheduled_revoke::{ExpiryState, PendingRevoke, Restore};
use crate::domain::step::Step;

/// Schedules the end before anything is given. What is scheduled already keeps what it restores: that is what was there before the first
/// grant. Access that works already and isn't this function's gets no end.
pub(super) fn schedule(
    goal: &Goal<'_>,
    history: &History,
    seen: &Observation,
    access: &Access,
    now: Timestamp,
    plan: &mut Plan,
) -> Result<(), Failure> {
    // For the principal that has the entry's ARN now, there is nothing to restore: the stale entry gave it nothing.
    let replaces = matches!(access, Access::Replace(..)) || history.replaced().is_some();
    let Some(duration) = goal.duration else {
        if let (true, ExpiryState::Pending(target, pending)) = (replaces, &seen.expiry) {
            let revoke = PendingRevoke { restore: Restore::entry_created(), ..pending.clone() };
            if revoke != *pending {
                plan.steps.push(Step::UpdateSchedule { target: target.clone(), revoke });
            }
        }
        return Ok(());
    };
    let restore = if replaces { Some(Restore::entry_created()) } else { restore(goal, history, seen, access) };
    let end = match history.scheduled_end().filter(|end| *end > now) {
        Some(end) => end,
        None => expires_at(now, duration)?,
    };
    match (&seen.expiry, restore) {
        // Scheduled by this request: another grant may have moved it since, and isn't contradicted.
        (ExpiryState::Pending(_, pending), restore)
            if history.scheduled_end().is_some()
                && pending.expires_at > now
                && (!replaces || restore.as_ref() == Some(&pending.restore)) => {}
        (ExpiryState::Pending(target, pending), restore) => {
            let restore = restore.unwrap_or_else(|| pending.restore.clone());
            let mut revoke = PendingRevoke { restore, expires_at: end };
            // Another request wrote it in the same second, and deletes what it wrote if it fails. Access that this request gives needs a
            // schedule that differs.
            if revoke == *pending && !matches!(access, Access::Held) {
                revoke.expires_at = end.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(end);
            }
            if revoke != *pending {
                plan.steps.push(Step::UpdateSchedule { target: target.clone(), revoke });
            }
        }
        (ExpiryState::Altered(target, _), restore) => {
            let restore = restore.unwrap_or_else(|| Restore::entry_existed(None));
            let revoke = PendingRevoke { restore, expires_at: end };
            plan.steps.push(Step::UpdateSchedule { target: target.clone(), revoke });
        }
        (ExpiryState::Absent(target), Some(restore)) => {
            let revoke = PendingRevoke { restore, expires_at: end };
            plan.steps.push(Step::CreateSchedule { target: target.clone(), revoke });
        }
        (ExpiryState::Absent(_) | ExpiryState::Unavailable(_), None) => {}
        (ExpiryState::Unknown(error), _) => return Err(Failure::from(error.clone())),
        (ExpiryState::Unavailable(why), Some(_)) => {
            return Err(Failure::new(
                ErrorName::ExpiryUnavailable,
                format!("Access was not granted, because its expiry can't be scheduled: {why}."),
                "To get access now, send the event without `duration`, if the settings allow that, and revoke it when you are done. Ask the platform team to set `SCHEDULE_GROUP` and `SCHEDULE_ROLE_ARN`.",
            ));
        }
    }
    Ok(())
}

/// What the end has to restore: what the schedule says, else what was there before this request changed anything. `None`: nothing is given
/// that has to end.
fn restore(goal: &Goal<'_>, history: &History, seen: &Observation, access: &Access) -> Option<Restore> {
    let known = known_restore(goal, history, seen, access);
    if matches!(access, Access::Recreate(_)) || history.recreated().is_some() {
        // The caller states that the entry doesn't work, so the access is new, even if the entry held it.
        let known = known.unwrap_or_else(|| Restore::entry_existed(None));
        return Some(Restore { access_scope: None, ..known });
    }
    known
}

fn known_restore(goal: &Goal<'_>, history: &History, seen: &Observation, access: &Access) -> Option<Restore> {
    let before = history.baseline().map_or(&seen.entry, |baseline| &baseline.entry);
    if let Some(scheduled) = seen.expiry.scheduled() {
        return Some(still_there(&scheduled.restore, before, &goal.policy));
    }
    let of = |entry: &EntryState| goal.installation.restore(entry.present(), &goal.policy, &goal.scope);
    let scheduled_before = history.baseline().and_then(|baseline| baseline.expiry.scheduled());
    let restore = scheduled_before.map(|pending| still_there(&pending.restore, before, &goal.policy));
    let restore = restore.or_else(|| of(before));
    // Invariant: what this plan gives has an end, even if another request has removed what was there before.
    let gives = match access {
        Access::Held | Access::CreateAsItWas(..) | Access::Recreate(_) => false,
        Access::Associate(policies) => policies.iter().any(|policy| policy.policy_arn == goal.policy.as_str()),
        Access::Create(_) | Access::Replace(..) => true,
    };
    restore.or_else(|| of(&seen.entry).filter(|_| gives))
}

/// What of a record is still there. What was removed since the first grant, by its owner or because it had an end of its own, must not
/// outlive this one.
fn still_there(restore: &Restore, now: &EntryState, policy: &PolicyArn) -> Restore {
    if *now == EntryState::Unreadable {
        return restore.clone();
    }
    let held = now.present().and_then(|entry| entry.scope_of(policy));
    let scope = restore.access_scope.as_ref().zip(held).and_then(|(was, held)| was.intersection(held));
    Restore { access_scope: scope, ..restore.clone() }
}

/// When the access ends, counted from now. Schedules know no fractions of a second.
fn expires_at(now: Timestamp, duration: SignedDuration) -> Result<Timestamp, Failure> {
    let end = now.checked_add(duration).and_then(|end| Timestamp::from_second(end.as_second()));
    end.map_err(|_| {
        Failure::new(
            ErrorName::InvalidRequest,
            format!("`duration`: {duration:#} from now is beyond what a clock can show."),
            "Send a shorter `duration`.",
        )
    })
}

/// An entry of this installation says in a tag whether an end is scheduled for any of its policies.
pub(super) fn tag(goal: &Goal<'_>, history: &History, seen: &Observation, plan: &mut Plan) {
    let ends = is_scheduled(seen, plan);
    let Some(entry) = seen.entry.present().filter(|entry| ends && goal.installation.created(entry)) else {
        return;
    };
    if let (Some(Ends::Never) | None, Some(arn)) = (ownership::ends(entry), &entry.arn) {
        let step = Step::TagEntry { arn: arn.clone(), ends: Ends::Scheduled };
        if !history.tried(&step) {
            plan.steps.push(step);
        }
    }
}

/// Whether an end of the access is scheduled, or is going to be.
pub(super) fn is_scheduled(seen: &Observation, plan: &Plan) -> bool {
    let schedules = |step: &Step| matches!(step, Step::CreateSchedule { .. } | Step::UpdateSchedule { .. });
    seen.expiry.target().is_some() || plan.steps.iter().any(schedules)
}
