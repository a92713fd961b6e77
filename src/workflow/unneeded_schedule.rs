//! Cleans up after a grant that scheduled its end and then gave nothing.

use crate::decide::expiry::read_scheduled;
use crate::decide::history::History;
use crate::domain::access_entry::AccessPolicy;
use crate::domain::arn::PolicyArn;
use crate::domain::observed_state::Observation;
use crate::domain::operation::Operation;
use crate::domain::scheduled_revoke::{PendingRevoke, ScheduleTarget};
use crate::workflow::context::Context;
use crate::workflow::recorder::{Recorder, TimedCall};

/// Deletes the schedule of a grant that came to nothing, if it still is as it was written: another grant may count on it by now.
pub async fn remove(
    context: &Context<'_>,
    target: &ScheduleTarget,
    revoke: &PendingRevoke,
    history: &History,
    seen: &Observation,
    policy: &PolicyArn,
    recorder: &mut Recorder,
) {
    // The same event, sent twice in one second, writes the same schedule: the other one may have given the access that it ends.
    let now = context.aws.list_associated_access_policies(&seen.cluster.name, &seen.principal).await;
    let held = |held: Option<Vec<AccessPolicy>>| {
        held.unwrap_or_default().into_iter().find(|held| held.policy_arn == policy.as_str())
    };
    // What was held before this request needs no end, unless this installation gave it: its own end may have just come.
    let before = history.baseline().and_then(|baseline| baseline.entry.present());
    let before = before.filter(|entry| !context.installation.created_for(entry, policy.name()));
    let before = before.and_then(|entry| entry.policy(policy));
    match (now.map(held), before) {
        (Ok(None), _) => {}
        (Ok(Some(now)), Some(before)) if now == *before => {}
        _ => return,
    }
    let found = TimedCall::call(Operation::GetSchedule, context.aws.get_schedule(target)).await;
    recorder.record_best_effort(&found, |_| "is the schedule still as this grant wrote it?".to_owned());
    let found = found.answer.ok().flatten();
    let found = found.and_then(|found| read_scheduled(&found.input, &context.settings.region).ok());
    if found.is_some_and(|(_, found)| found == *revoke) {
        let timed = TimedCall::call(Operation::DeleteSchedule, context.aws.delete_schedule(target)).await;
        recorder.record_best_effort(&timed, |()| "nothing was granted, so there is nothing to revoke".to_owned());
        if timed.answer.is_ok() {
            recorder.record.undone(Operation::CreateSchedule);
        }
    }
}
