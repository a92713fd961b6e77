//! EventBridge Scheduler: the one-time schedules that revokes wait in.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::call::Call;
use super::endpoint::Service;
use super::lost::Lost;
use super::{ApiError, Aws, Kind, Operation, PATIENCE};
use crate::expiry::Slot;

/// How long Scheduler tries to deliver a revoke: a day, the longest there is.
const LONGEST_TRY_SECONDS: u32 = 86_400;
/// How often it tries in that time: as often as can be.
const MOST_TRIES: u32 = 185;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Schedule {
    target: Target,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    schedules: Vec<Summary>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    name: String,
}

impl Aws {
    /// What waits in a schedule: the input that it will send. `None`: there is no such schedule.
    ///
    /// # Errors
    /// If Scheduler does not say.
    pub async fn scheduled_input(&self, slot: &Slot) -> Result<Option<String>, ApiError> {
        let operation = Operation::GetSchedule;
        let call = slot_call(operation, "GET", slot, &[("groupName", &slot.group)], None);
        match self.ask_scheduler(operation, call).await {
            Ok(answer) => read::<Schedule>(operation, &answer).map(|schedule| Some(schedule.target.input)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a schedule that sends `input` to the function once, and is then gone.
    ///
    /// # Errors
    /// [`Kind::InUse`] if there is one of that name.
    pub async fn create_schedule(&self, slot: &Slot, at: Timestamp, input: &str) -> Result<(), ApiError> {
        let operation = Operation::CreateSchedule;
        self.change_schedule(operation, slot_call(operation, "POST", slot, &[], Some(&schedule(slot, at, input)))).await
    }

    /// Moves a schedule that is there.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none any more.
    pub async fn move_schedule(&self, slot: &Slot, at: Timestamp, input: &str) -> Result<(), ApiError> {
        let operation = Operation::UpdateSchedule;
        self.change_schedule(operation, slot_call(operation, "PUT", slot, &[], Some(&schedule(slot, at, input)))).await
    }

    /// Removes a schedule.
    ///
    /// # Errors
    /// If Scheduler does not; that there is none is what was wanted.
    pub async fn delete_schedule(&self, slot: &Slot) -> Result<(), ApiError> {
        let operation = Operation::DeleteSchedule;
        let query = [("groupName", slot.group.as_str()), ("clientToken", &client_token())];
        match self.change_schedule(operation, slot_call(operation, "DELETE", slot, &query, None)).await {
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The names in a group that begin so.
    ///
    /// # Errors
    /// If Scheduler does not say.
    pub async fn schedule_names(&self, group: &str, prefix: &str) -> Result<Vec<String>, ApiError> {
        let operation = Operation::ListSchedules;
        let mut names = Vec::new();
        let mut next_token = None;
        loop {
            let from = next_token.as_deref().map(|token| ("NextToken", token));
            let query: Vec<_> = from.into_iter().chain([("ScheduleGroup", group), ("NamePrefix", prefix)]).collect();
            let call = Call::rest(Service::Scheduler, &operation.to_string(), "GET", "/schedules", &query, None);
            let page: Page = read(operation, &self.ask_scheduler(operation, call).await?)?;
            names.extend(page.schedules.into_iter().map(|schedule| schedule.name));
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(names);
            }
        }
    }

    async fn change_schedule(&self, operation: Operation, call: Call) -> Result<(), ApiError> {
        let lost = Lost::default();
        let answer = self.ask_scheduler(operation, call.watched(&lost)).await;
        answer.map_err(|error| lost.told(error)).map(drop)
    }

    /// The schedules of this function are in its own account and region, wherever the cluster is.
    async fn ask_scheduler(&self, operation: Operation, call: Call) -> Result<Vec<u8>, ApiError> {
        let shared = &self.connection.0;
        let endpoint = shared.endpoints.of(Service::Scheduler, &shared.home);
        self.answer(operation, call.send(&shared.config, &endpoint, PATIENCE)).await
    }
}

fn slot_call(
    operation: Operation,
    method: &'static str,
    slot: &Slot,
    query: &[(&str, &str)],
    body: Option<&Value>,
) -> Call {
    let path = format!("/schedules/{}", slot.name);
    Call::rest(Service::Scheduler, &operation.to_string(), method, &path, query, body)
}

fn read<T: DeserializeOwned>(operation: Operation, answer: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(answer).map_err(|error| ApiError::unreadable(operation, &error.to_string()))
}

/// A one-time schedule. Source of the time's form: "Schedule types in EventBridge Scheduler"; the time zone is UTC unless another is named.
fn schedule(slot: &Slot, at: Timestamp, input: &str) -> Value {
    let mut target = json!({
        "Arn": slot.function_arn,
        "RoleArn": slot.role_arn,
        "Input": input,
        "RetryPolicy": { "MaximumEventAgeInSeconds": LONGEST_TRY_SECONDS, "MaximumRetryAttempts": MOST_TRIES },
    });
    if let (Some(arn), Some(target)) = (&slot.dead_letter_arn, target.as_object_mut()) {
        target.insert("DeadLetterConfig".to_owned(), json!({ "Arn": arn }));
    }
    json!({
        "GroupName": slot.group,
        "ScheduleExpression": format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S")),
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "ActionAfterCompletion": "DELETE",
        "ClientToken": client_token(),
        "Target": target,
    })
}

/// The same for all tries of one call, so that they have one effect.
fn client_token() -> String {
    format!("{:032x}", fastrand::u128(..))
}
