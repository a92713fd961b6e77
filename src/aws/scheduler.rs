//! EventBridge Scheduler: the one-time schedules that revokes wait in.

use aws_sdk_scheduler::types;
use jiff::Timestamp;

use super::lost::Lost;
use super::{ApiError, Aws, Kind, Operation};
use crate::expiry::Slot;

/// How long Scheduler tries to deliver a revoke: a day, the longest there is.
const LONGEST_TRY_SECONDS: i32 = 86_400;
/// How often it tries in that time: as often as can be.
const MOST_TRIES: i32 = 185;

impl Aws {
    /// What waits in a schedule: the input that it will send. `None`: there is no such schedule.
    ///
    /// # Errors
    /// If Scheduler does not say.
    pub async fn scheduled_input(&self, slot: &Slot) -> Result<Option<String>, ApiError> {
        let operation = Operation::GetSchedule;
        let call = self.scheduler().get_schedule().group_name(&slot.group).name(&slot.name).send();
        match self.answer(operation, call).await {
            Ok(answer) => answer
                .target
                .and_then(|target| target.input)
                .map(Some)
                .ok_or_else(|| ApiError::unreadable(operation, "a schedule has no input")),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a schedule that sends `input` to the function once, and is then gone.
    ///
    /// # Errors
    /// [`Kind::InUse`] if there is one of that name.
    pub async fn create_schedule(&self, slot: &Slot, at: Timestamp, input: &str) -> Result<(), ApiError> {
        let lost = Lost::default();
        let call = self
            .scheduler()
            .create_schedule()
            .group_name(&slot.group)
            .name(&slot.name)
            .schedule_expression(expression(at))
            .set_flexible_time_window(on_time())
            .action_after_completion(types::ActionAfterCompletion::Delete)
            .set_target(target(slot, input))
            .customize()
            .interceptor(lost.clone())
            .send();
        self.answer(Operation::CreateSchedule, call).await.map_err(|error| lost.told(error)).map(drop)
    }

    /// Moves a schedule that is there.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none any more.
    pub async fn move_schedule(&self, slot: &Slot, at: Timestamp, input: &str) -> Result<(), ApiError> {
        let lost = Lost::default();
        let call = self
            .scheduler()
            .update_schedule()
            .group_name(&slot.group)
            .name(&slot.name)
            .schedule_expression(expression(at))
            .set_flexible_time_window(on_time())
            .action_after_completion(types::ActionAfterCompletion::Delete)
            .set_target(target(slot, input))
            .customize()
            .interceptor(lost.clone())
            .send();
        self.answer(Operation::UpdateSchedule, call).await.map_err(|error| lost.told(error)).map(drop)
    }

    /// Removes a schedule.
    ///
    /// # Errors
    /// If Scheduler does not; that there is none is what was wanted.
    pub async fn delete_schedule(&self, slot: &Slot) -> Result<(), ApiError> {
        let lost = Lost::default();
        let call = self
            .scheduler()
            .delete_schedule()
            .group_name(&slot.group)
            .name(&slot.name)
            .customize()
            .interceptor(lost.clone())
            .send();
        match self.answer(Operation::DeleteSchedule, call).await.map_err(|error| lost.told(error)) {
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The names in a group that begin so.
    ///
    /// # Errors
    /// If Scheduler does not say.
    pub async fn schedule_names(&self, group: &str, prefix: &str) -> Result<Vec<String>, ApiError> {
        let call = self.scheduler().list_schedules().group_name(group).name_prefix(prefix);
        let mut pages = call.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = self.answer(Operation::ListSchedules, async { pages.next().await.transpose() }).await? {
            names.extend(page.schedules.into_iter().filter_map(|schedule| schedule.name));
        }
        Ok(names)
    }

    fn scheduler(&self) -> &aws_sdk_scheduler::Client {
        self.connection.0.scheduler()
    }
}

/// Source of the form: "Schedule types in EventBridge Scheduler", one-time schedules; the time zone is UTC unless another is named.
fn expression(at: Timestamp) -> String {
    format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

fn on_time() -> Option<types::FlexibleTimeWindow> {
    types::FlexibleTimeWindow::builder().mode(types::FlexibleTimeWindowMode::Off).build().ok()
}

fn target(slot: &Slot, input: &str) -> Option<types::Target> {
    let dead_letters = slot.dead_letter_arn.as_ref();
    let retries = types::RetryPolicy::builder()
        .maximum_event_age_in_seconds(LONGEST_TRY_SECONDS)
        .maximum_retry_attempts(MOST_TRIES)
        .build();
    types::Target::builder()
        .arn(&slot.function_arn)
        .role_arn(&slot.role_arn)
        .input(input)
        .retry_policy(retries)
        .set_dead_letter_config(dead_letters.map(|arn| types::DeadLetterConfig::builder().arn(arn).build()))
        .build()
        .ok()
}
