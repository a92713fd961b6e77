//! Schedules of EventBridge Scheduler.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::operation::{ApiError, NewSchedule};
use crate::state::caller::Caller;
use crate::state::moment::epoch;
use crate::state::resource::partition_of;

/// Account, region, group and name.
pub(crate) type Key = (String, String, String, String);

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub struct Schedule {
    pub group: String,
    pub name: String,
    pub at: Timestamp,
    pub timezone: String,
    pub target_arn: String,
    pub role_arn: String,
    pub input: String,
    pub maximum_event_age: u32,
    pub maximum_retry_attempts: u32,
    pub dead_letter_arn: Option<String>,
    pub action_after_completion: String,
    pub state: String,
    pub flexible: String,
    pub description: Option<String>,
    /// The expression, if it is another one than `at(…)` of the field `at` in UTC. [`World::alter_schedule`] sets `at` from it, if it is an
    /// `at(…)` in UTC. A schedule with any other expression does not fire: it is not simulated.
    pub raw_expression: Option<String>,
    pub(crate) sent: NewSchedule,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) fired: bool,
}

/// What a schedule has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub target: String,
    /// What.
    pub input: String,
    /// When it was due.
    pub at: Timestamp,
}

impl Schedule {
    /// A schedule as it was sent, with defaults for what was not.
    ///
    /// # Errors
    /// What is wrong with it whatever else there is (facts §10.1).
    pub(crate) fn read(new: &NewSchedule, now: Timestamp) -> Result<Self, ApiError> {
        let invalid = |what: &str| Err(ApiError::validation_exception(what));
        let missing = |field: &str| {
            ApiError::validation_exception(format!(
                "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
            ))
        };
        let named = (1..=64).contains(&new.name.len())
            && new.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !named {
            return invalid("1 validation error detected: Value at 'name' failed to satisfy constraint");
        }
        let timezone = new.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
        let Some(at) = moment(&new.expression, &timezone) else {
            return invalid(&format!("Invalid Schedule Expression {}.", new.expression));
        };
        let flexible = new.flexible.clone().ok_or_else(|| missing("flexibleTimeWindow"))?;
        let target_arn = new.target_arn.clone().ok_or_else(|| missing("target.arn"))?;
        let role_arn = new.role_arn.clone().ok_or_else(|| missing("target.roleArn"))?;
        let (age, attempts) = (new.maximum_event_age.unwrap_or(86_400), new.maximum_retry_attempts.unwrap_or(185));
        if !(60..=86_400).contains(&age) || attempts > 185 {
            return invalid("1 validation error detected: Value at 'target.retryPolicy' failed to satisfy constraint");
        }
        let state = new.state.clone().unwrap_or_else(|| "ENABLED".to_owned());
        let action_after_completion = new.action_after_completion.clone().unwrap_or_else(|| "NONE".to_owned());
        for (field, value, known) in [
            ("state", &state, ["ENABLED", "DISABLED"]),
            ("actionAfterCompletion", &action_after_completion, ["NONE", "DELETE"]),
            ("flexibleTimeWindow.mode", &flexible, ["OFF", "FLEXIBLE"]),
        ] {
            if !known.contains(&value.as_str()) {
                return invalid(&format!(
                    "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
                    known.join(", ")
                ));
            }
        }
        Ok(Self {
            group: new.group.clone(),
            name: new.name.clone(),
            at,
            timezone,
            target_arn,
            role_arn,
            input: new.input.clone().unwrap_or_default(),
            maximum_event_age: age,
            maximum_retry_attempts: attempts,
            dead_letter_arn: new.dead_letter_arn.clone(),
            action_after_completion,
            state,
            flexible,
            description: new.description.clone(),
            raw_expression: None,
            sent: new.clone(),
            created: now,
            modified: now,
            fired: false,
        })
    }

    /// The expression, as `GetSchedule` shows it.
    #[must_use]
    pub fn expression(&self) -> String {
        match &self.raw_expression {
            Some(raw) => raw.clone(),
            None => format!("at({})", self.at.strftime("%Y-%m-%dT%H:%M:%S")),
        }
    }

    /// Whether it fires at the time in `at`.
    pub(crate) fn is_one_time(&self) -> bool {
        self.raw_expression.as_ref().is_none_or(|raw| moment(raw, &self.timezone).is_some())
    }

    pub(crate) fn json(&self, arn: &str) -> Value {
        json!({
            "Arn": arn,
            "GroupName": self.group,
            "Name": self.name,
            "Description": self.description,
            "ScheduleExpression": self.expression(),
            "ScheduleExpressionTimezone": self.timezone,
            "State": self.state,
            "ActionAfterCompletion": self.action_after_completion,
            "FlexibleTimeWindow": { "Mode": self.flexible },
            "CreationDate": epoch(self.created),
            "LastModificationDate": epoch(self.modified),
            "Target": {
                "Arn": self.target_arn,
                "RoleArn": self.role_arn,
                "Input": self.input,
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": self.maximum_event_age,
                    "MaximumRetryAttempts": self.maximum_retry_attempts,
                },
                "DeadLetterConfig": self.dead_letter_arn.as_ref().map(|arn| json!({ "Arn": arn })),
            },
        })
    }

    pub(crate) fn summary(&self, arn: &str) -> Value {
        json!({
            "Arn": arn,
            "GroupName": self.group,
            "Name": self.name,
            "State": self.state,
            "CreationDate": epoch(self.created),
            "LastModificationDate": epoch(self.modified),
            "Target": { "Arn": self.target_arn },
        })
    }
}

/// The ARN of a schedule, which is also what its permissions are about.
pub(crate) fn arn(caller: &Caller, region: &str, group: &str, name: &str) -> String {
    format!("arn:{}:scheduler:{region}:{}:schedule/{group}/{name}", partition_of(region), caller.account)
}

pub(crate) fn unknown(name: &str) -> ApiError {
    ApiError::not_found(format!("Schedule {name} does not exist."))
}

/// `at(2026-01-31T13:05:00)`, without an offset ("Schedule types in EventBridge Scheduler"). No other time zone than UTC is
/// simulated.
pub(crate) fn moment(expression: &str, timezone: &str) -> Option<Timestamp> {
    let text = expression.strip_prefix("at(")?.strip_suffix(')')?;
    // Other forms of ISO 8601 can be read, too; this is how the one form is written.
    let time: DateTime = text.parse().ok().filter(|time: &DateTime| time.to_string() == text)?;
    if timezone == "UTC" { TimeZone::UTC.to_timestamp(time).ok() } else { None }
}
