//! The change of the authentication mode, which can't be undone: started, and followed to its end.

use std::time::Duration;

use crate::aws::UpdateStatus;
use crate::decide::history::StepResult;
use crate::decide::plan::warnings;
use crate::domain::api_error::{ApiError, ApiErrorKind as Kind};
use crate::domain::cluster::AuthenticationMode;
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::operation::Operation;
use crate::domain::record::{StepName, StepOutcome};
use crate::domain::step::Step;
use crate::platform::clock::{Backoff, Stopwatch};
use crate::workflow::context::Context;
use crate::workflow::execute::{Executor, persist};
use crate::workflow::recorder::Recorder;

/// How long a failed change of mode may look like one that has not begun.
const MODE_GRACE: Duration = Duration::from_mins(1);
/// Between two reads of a cluster whose mode is changing, which takes a minute or more.
const MODE_BACKOFF: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(10) };

impl Executor<'_> {
    /// Another update may be in progress, and hide behind the status ACTIVE (containers-roadmap issue 1500): it is waited out.
    pub(crate) async fn change_authentication_mode(
        &mut self,
        step: &Step,
        recorder: &mut Recorder,
    ) -> Result<StepResult, Failure> {
        let again = |error: &ApiError| error.kind == Kind::InUse;
        let token = self.client_token(step, "");
        let call = async || self.context.aws.update_cluster_config(&self.cluster.name, Some(&token)).await;
        let timed = persist(Operation::UpdateClusterConfig, self.mode_deadline, again, call).await;
        match &timed.answer {
            Err(error) if error.kind == Kind::InUse => {
                let why = format!("another update of the cluster is in progress ({})", error.message);
                recorder.conflicting_step(&timed);
                return Ok(StepResult::InProgress(why));
            }
            // Another caller has changed it in the meantime; the wait that follows shows to what.
            Err(error) if error.kind == Kind::ModeUnsupported => {
                recorder.conflicting_step(&timed);
                return Ok(StepResult::Applied);
            }
            _ => {}
        }
        self.update_id = recorder
            .call(timed, |id| format!("{}; update {}", step.describe(), id.as_deref().unwrap_or("without id")))?;
        recorder.record.changed(
            Operation::UpdateClusterConfig,
            "the change of the authentication mode to API_AND_CONFIG_MAP was started",
        );
        let (code, message) = warnings::mode_changed(&self.cluster.name);
        recorder.warn(code, message);
        Ok(StepResult::Applied)
    }

    /// Why the update failed, if it has. An error is the action that is not allowed.
    async fn update_failed(context: &Context<'_>, cluster: &str, id: &str) -> Result<Option<String>, String> {
        match context.aws.describe_update(cluster, id).await {
            Ok(update) if update.status == UpdateStatus::Failed => Ok(Some(update.errors.join("; "))),
            Err(error) if error.kind == Kind::Denied => Err(error.denied_action()),
            _ => Ok(None),
        }
    }

    /// Follows the change by `DescribeCluster` alone, which the article's role allows: the first ACTIVE may be older than the
    /// change, so the mode itself has to be seen. `DescribeUpdate`, if it is allowed, tells why a change failed.
    pub(crate) async fn await_authentication_mode(&mut self, recorder: &mut Recorder) -> Result<StepResult, Failure> {
        let watch = Stopwatch::start();
        let mut updating_seen = false;
        let mut unchanged_since: Option<Stopwatch> = None;
        let mut why_unknown = None;
        let name = self.cluster.name.clone();
        let update_id = self.update_id.take();
        let failed = |why: &str| Some(Err(mode_failed(&name, update_id.as_deref(), why)));
        let end = self
            .mode_deadline
            .poll(MODE_BACKOFF, async || {
                if let (Some(id), None) = (&update_id, &why_unknown) {
                    match Self::update_failed(self.context, &name, id).await {
                        Ok(None) => {}
                        Ok(Some(why)) => return failed(&why),
                        Err(action) => why_unknown = Some(action),
                    }
                }
                match self.context.aws.describe_cluster(&name).await {
                    Ok(cluster) => *self.cluster = cluster,
                    // The next read makes up for one that failed.
                    Err(error) if error.kind.is_transient() => return None,
                    Err(error) => return Some(Err(Failure::from(error))),
                }
                match (self.cluster.status.as_str(), self.cluster.authentication_mode) {
                    ("ACTIVE", mode) if mode.has_access_entries() => Some(Ok(mode)),
                    (status @ ("FAILED" | "DELETING"), _) => failed(&format!("the cluster is {status} now")),
                    ("ACTIVE", _) if updating_seen => {
                        let since = *unchanged_since.get_or_insert_with(Stopwatch::start);
                        if since.elapsed() < MODE_GRACE {
                            return None;
                        }
                        failed(&format!(
                            "EKS does not say why; allow `{}` to the function's role to learn it",
                            why_unknown.as_deref().unwrap_or("eks:DescribeUpdate")
                        ))
                    }
                    (status, _) => {
                        updating_seen |= status == "UPDATING";
                        unchanged_since = None;
                        None
                    }
                }
            })
            .await;
        let (outcome, detail) = match &end {
            Some(Ok(mode)) => (StepOutcome::Succeeded, format!("the authentication mode is {mode} now")),
            Some(Err(failure)) => (StepOutcome::Failed, failure.what.clone()),
            None => (StepOutcome::Planned, "still changing".to_owned()),
        };
        recorder.step(StepName::AwaitAuthenticationMode, outcome, watch.elapsed(), detail);
        match end {
            Some(Ok(_)) => Ok(StepResult::Applied),
            Some(Err(failure)) => Err(failure),
            None => Ok(StepResult::InProgress(format!(
                "the authentication mode is still {}, status {}",
                self.cluster.authentication_mode, self.cluster.status
            ))),
        }
    }
}

fn mode_failed(cluster: &str, update_id: Option<&str>, why: &str) -> Failure {
    let command =
        format!("`aws eks describe-update --name '{cluster}' --update-id '{}'`", update_id.unwrap_or("UPDATE-ID"));
    Failure::new(
        ErrorName::AuthenticationModeFailed,
        format!(
            "EKS did not change the authentication mode of cluster `{cluster}` from {} to {}.",
            AuthenticationMode::ConfigMap,
            AuthenticationMode::ApiAndConfigMap
        ),
        format!("Fix what EKS names ({command} shows it), then send the same event again."),
    )
    .with_detail(why)
}
