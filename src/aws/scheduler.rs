//! EventBridge Scheduler: the one-time schedules that send revokes. They are in the function's own account and home region, wherever
//! the cluster is.

use aws_sdk_scheduler::error::BuildError;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, ScheduleState,
    Target,
};
use jiff::Timestamp;

use super::Aws;
use super::complete::Complete;
use super::unconfirmed::Unconfirmed;
use crate::domain::api_error::{ApiError, ApiErrorKind};
use crate::domain::operation::Operation;
use crate::domain::scheduled_revoke::{Schedule, ScheduleTarget, expression};

/// How long Scheduler tries to deliver a revoke, in seconds: one day, the maximum.
const MAXIMUM_EVENT_AGE: i32 = 86_400;
/// How often it tries in that time: the maximum.
const MAXIMUM_RETRIES: i32 = 185;

impl Aws {
    /// A schedule; `None` if there is none of that name.
    ///
    /// # Errors
    /// If Scheduler doesn't answer, or not completely.
    pub async fn get_schedule(&self, target: &ScheduleTarget) -> Result<Option<Schedule>, ApiError> {
        let operation = Operation::GetSchedule;
        let call = self.scheduler().get_schedule().group_name(&target.group).name(&target.name).send();
        let answer = match self.answer(operation, call).await {
            Err(error) if error.kind == ApiErrorKind::NotFound => return Ok(None),
            answer => answer?,
        };
        match (answer.state, answer.schedule_expression, answer.target) {
            (Some(state), Some(expression), Some(target)) => Ok(Some(Schedule {
                state: state.as_str().to_owned(),
                expression,
                timezone: answer.schedule_expression_timezone,
                target_arn: target.arn,
                role_arn: target.role_arn,
                input: target.input.unwrap_or_default(),
            })),
            _ => Err(ApiError::unreadable(operation, "it has no state, no expression or no target")),
        }
    }

    /// Creates a schedule that sends `input` to the function once and is then deleted.
    ///
    /// # Errors
    /// [`ApiErrorKind::InUse`] if there is one of that name.
    pub async fn create_schedule(&self, target: &ScheduleTarget, at: Timestamp, input: &str) -> Result<(), ApiError> {
        let (operation, unconfirmed) = (Operation::CreateSchedule, Unconfirmed::default());
        let (window, to) = parts(target, input).map_err(|error| ApiError::unfit(operation, &error))?;
        let call = self
            .scheduler()
            .create_schedule()
            .group_name(&target.group)
            .name(&target.name)
            .schedule_expression(expression(at))
            .state(ScheduleState::Enabled)
            .flexible_time_window(window)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(to)
            .customize()
            .interceptor(unconfirmed.clone())
            .send();
        self.answer(operation, call).await.map(drop).map_err(|error| unconfirmed.mark(error))
    }

    /// Replaces a schedule.
    ///
    /// # Errors
    /// [`ApiErrorKind::NotFound`] if there is none any more.
    pub async fn update_schedule(&self, target: &ScheduleTarget, at: Timestamp, input: &str) -> Result<(), ApiError> {
        let (operation, unconfirmed) = (Operation::UpdateSchedule, Unconfirmed::default());
        let (window, to) = parts(target, input).map_err(|error| ApiError::unfit(operation, &error))?;
        let call = self
            .scheduler()
            .update_schedule()
            .group_name(&target.group)
            .name(&target.name)
            .schedule_expression(expression(at))
            .state(ScheduleState::Enabled)
            .flexible_time_window(window)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(to)
            .customize()
            .interceptor(unconfirmed.clone())
            .send();
        self.answer(operation, call).await.map(drop).map_err(|error| unconfirmed.mark(error))
    }

    /// Deletes a schedule.
    ///
    /// # Errors
    /// If Scheduler doesn't; no error if there is none.
    pub async fn delete_schedule(&self, target: &ScheduleTarget) -> Result<(), ApiError> {
        let unconfirmed = Unconfirmed::default();
        let call = self.scheduler().delete_schedule().group_name(&target.group).name(&target.name);
        let call = call.customize().interceptor(unconfirmed.clone()).send();
        match self.answer(Operation::DeleteSchedule, call).await {
            Err(error) if error.kind != ApiErrorKind::NotFound => Err(unconfirmed.mark(error)),
            _ => Ok(()),
        }
    }

    /// The names of the schedules in a group that begin with `prefix`.
    ///
    /// # Errors
    /// If Scheduler doesn't answer completely.
    pub async fn list_schedules(&self, group: &str, prefix: &str) -> Result<Vec<String>, ApiError> {
        let operation = Operation::ListSchedules;
        let (mut names, mut next_token) = (Vec::new(), None);
        loop {
            let call = self.scheduler().list_schedules().group_name(group).name_prefix(prefix);
            let call = call.set_next_token(next_token).customize().interceptor(Complete::Contains("Schedules")).send();
            let page = self.answer(operation, call).await?;
            for schedule in page.schedules {
                names.push(schedule.name.ok_or_else(|| ApiError::unreadable(operation, "a schedule has no name"))?);
            }
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(names);
            }
        }
    }
}

fn parts(target: &ScheduleTarget, input: &str) -> Result<(FlexibleTimeWindow, Target), BuildError> {
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build()?;
    let retries = RetryPolicy::builder()
        .maximum_event_age_in_seconds(MAXIMUM_EVENT_AGE)
        .maximum_retry_attempts(MAXIMUM_RETRIES)
        .build();
    let dead_letters = target.dead_letter_arn.as_ref().map(|arn| DeadLetterConfig::builder().arn(arn).build());
    let target = Target::builder()
        .arn(&target.target_arn)
        .role_arn(&target.role_arn)
        .input(input)
        .retry_policy(retries)
        .set_dead_letter_config(dead_letters)
        .build()?;
    Ok((window, target))
}
