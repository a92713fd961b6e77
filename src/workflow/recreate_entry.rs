//! Deletes an access entry and creates another one in its place: one step, executed as a unit.

use serde_json::json;

use crate::decide::history::StepResult;
use crate::domain::access_entry::EntryState;
use crate::domain::failure::Failure;
use crate::domain::operation::Operation;
use crate::domain::step::{Replacement, Step};
use crate::platform::log::Level;
use crate::workflow::execute::Executor;
use crate::workflow::recorder::{Recorder, TimedCall};

/// The change that deleting a stale entry is.
const REPLACING: &str = "the stale access entry was deleted, to be replaced";
/// The change that deleting an entry is that is recreated.
const RECREATING: &str = "the access entry was deleted, to be recreated";

impl Executor<'_> {
    /// Deletes an entry and creates another one in its place. A failure carries the entry that was deleted.
    pub(crate) async fn replace_entry(
        &mut self,
        step: &Step,
        replacement: &Replacement,
        recreates: bool,
        recorder: &mut Recorder,
    ) -> Result<StepResult, Failure> {
        // Another request may have replaced it meanwhile: what it created must not be deleted.
        let found = self.context.aws.describe_access_entry(&self.cluster.name, self.principal).await;
        if let Ok(EntryState::Present(now)) = &found
            && (&now.arn, now.created_at) != (&replacement.old.arn, replacement.old.created_at)
        {
            return Ok(StepResult::Conflict);
        }
        let result = self.delete_and_create(step, replacement, recreates, recorder).await;
        // Invariant: what the entry held is in the error, because the log line alone may be out of reach of the requester.
        result.map_err(|failure| {
            if recorder.record.may_have_changes() {
                let entry = json!(replacement.old);
                failure.with_detail(format!("the deleted access entry: {entry}"))
            } else {
                failure
            }
        })
    }

    async fn delete_and_create(
        &mut self,
        step: &Step,
        replacement: &Replacement,
        recreates: bool,
        recorder: &mut Recorder,
    ) -> Result<StepResult, Failure> {
        // Written to the log before the entry is deleted: what comes after may never run.
        recorder.log.record(
            Level::Warn,
            "snapshot",
            json!({
                "cluster": self.cluster.arn,
                "principalArn": self.principal.as_str(),
                "accessEntry": replacement.old,
            }),
        );
        let call = self.context.aws.delete_access_entry(&self.cluster.name, self.principal);
        let timed = TimedCall::call(Operation::DeleteAccessEntry, call).await;
        recorder.call(timed, |()| step.describe())?;
        recorder.record.changed(Operation::DeleteAccessEntry, if recreates { RECREATING } else { REPLACING });
        let created = self.create_entry(step, &replacement.new, true, recorder).await?;
        if created != StepResult::Applied {
            return Ok(created);
        }
        for policy in &replacement.policies {
            self.associate(&policy.policy_arn, &policy.access_scope, true, recorder).await?;
        }
        Ok(StepResult::Applied)
    }
}
