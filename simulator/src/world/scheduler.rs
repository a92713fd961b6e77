//! EventBridge Scheduler: one-time schedules, which fire when their time has come (facts §10.1; the EventBridge Scheduler API Reference).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::cluster::partition_of;
use super::page::paged_as;
use super::{Caller, World, epoch, key_of};
use crate::operation::{ApiError, NewSchedule, Operation};

/// Account, region, group and name.
pub(super) type Key = (String, String, String, String);

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
    sent: NewSchedule,
    created: Timestamp,
    modified: Timestamp,
    fired: bool,
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

impl World {
    /// A schedule group, by its ARN or, in the home account and region, by its name. The group `default` is always there.
    #[must_use]
    pub fn with_schedule_group(mut self, name: &str) -> Self {
        self.schedule_groups.insert(key_of("schedule-group/", name));
        self
    }

    /// So many schedules may be made in an account's region ("Quotas for Amazon EventBridge Scheduler").
    #[must_use]
    pub fn with_schedule_quota(mut self, quota: usize) -> Self {
        self.schedule_quota = quota;
        self
    }

    /// The schedules that there are.
    #[must_use]
    pub fn schedules(&self) -> Vec<&Schedule> {
        self.schedules.values().collect()
    }

    /// Another user of Scheduler alters a schedule, which is given by its name or as `GROUP/NAME`. The first one of that name is altered, in order of
    /// account, region and group. False: no schedule has that name.
    ///
    /// As after `UpdateSchedule`, a schedule that has fired fires again if its time is in the future.
    pub fn alter_schedule(&mut self, name: &str, alter: impl FnOnce(&mut Schedule)) -> bool {
        let (now, (group, name)) =
            (self.now(), name.split_once('/').map_or((None, name), |(group, name)| (Some(group), name)));
        let mut found = self.schedules.values_mut();
        let Some(schedule) =
            found.find(|schedule| schedule.name == name && group.is_none_or(|group| group == schedule.group))
        else {
            return false;
        };
        alter(schedule);
        if let Some(at) = schedule.raw_expression.as_ref().and_then(|raw| moment(raw, &schedule.timezone)) {
            schedule.at = at;
        }
        schedule.modified = now;
        schedule.fired &= schedule.at <= now;
        true
    }

    /// Fires what is due, each once, in order of time. One that is to be deleted after completion is gone then.
    pub fn due(&mut self) -> Vec<Delivery> {
        let now = self.now();
        let mut deliveries = Vec::new();
        for schedule in self.schedules.values_mut() {
            let due = schedule.at <= now && schedule.is_one_time();
            if due && schedule.state == "ENABLED" && !schedule.fired {
                schedule.fired = true;
                let (target, input) = (schedule.target_arn.clone(), schedule.input.clone());
                deliveries.push(Delivery { target, input, at: schedule.at });
            }
        }
        self.schedules.retain(|_, schedule| !(schedule.fired && schedule.action_after_completion == "DELETE"));
        deliveries.sort_by_key(|delivery| delivery.at);
        deliveries
    }

    /// # Errors
    /// What Scheduler would answer.
    pub(super) fn call_scheduler(
        &mut self,
        caller: &Caller,
        region: &str,
        operation: &Operation,
    ) -> Result<Value, ApiError> {
        let key =
            |group: &str, name: &str| (caller.account.clone(), region.to_owned(), group.to_owned(), name.to_owned());
        let arn = |group: &str, name: &str| arn(caller, region, group, name);
        match operation {
            Operation::CreateSchedule { schedule } => {
                self.check_group(caller, region, &schedule.group)?;
                let made = Schedule::read(schedule, self.now())?;
                let key = key(&schedule.group, &schedule.name);
                let in_region = |(account, of, ..): &&Key| (account, of.as_str()) == (&caller.account, region);
                match self.schedules.get(&key) {
                    // The same request again, by its token (`CreateSchedule`, ClientToken).
                    Some(there) if schedule.token.is_some() && there.sent == *schedule => {}
                    Some(_) => {
                        return Err(ApiError::conflict(format!("Schedule {} already exists.", schedule.name)));
                    }
                    None if self.schedules.keys().filter(in_region).count() >= self.schedule_quota => {
                        return Err(ApiError::service_quota("The number of schedules exceeds the quota."));
                    }
                    None => {
                        self.schedules.insert(key, made);
                    }
                }
                Ok(json!({ "ScheduleArn": arn(&schedule.group, &schedule.name) }))
            }
            Operation::UpdateSchedule { schedule } => {
                self.check_group(caller, region, &schedule.group)?;
                let made = Schedule::read(schedule, self.now())?;
                let there = self
                    .schedules
                    .get_mut(&key(&schedule.group, &schedule.name))
                    .ok_or_else(|| unknown(&schedule.name))?;
                // Everything is replaced, but for when it was made.
                *there = Schedule { created: there.created, ..made };
                Ok(json!({ "ScheduleArn": arn(&schedule.group, &schedule.name) }))
            }
            Operation::GetSchedule { group, name } => {
                self.check_group(caller, region, group)?;
                let schedule = self.schedules.get(&key(group, name)).ok_or_else(|| unknown(name))?;
                Ok(schedule.json(&arn(group, name)))
            }
            Operation::DeleteSchedule { group, name } => {
                self.check_group(caller, region, group)?;
                self.schedules.remove(&key(group, name)).ok_or_else(|| unknown(name))?;
                Ok(json!({}))
            }
            Operation::ListSchedules { group, prefix, page } => {
                if let Some(group) = group {
                    self.check_group(caller, region, group)?;
                }
                let listed = self.schedules.iter().filter(|((account, of, ..), schedule)| {
                    (account, of.as_str()) == (&caller.account, region)
                        && group.as_ref().is_none_or(|group| *group == schedule.group)
                        && prefix.as_ref().is_none_or(|prefix| schedule.name.starts_with(prefix))
                });
                let all = listed.map(|(_, schedule)| schedule.summary(&arn(&schedule.group, &schedule.name)));
                paged_as("Schedules", "NextToken", all.collect(), page)
                    .map_err(|error| ApiError::validation_exception(error.message))
            }
            _ => Err(ApiError::unknown_operation()),
        }
    }

    fn check_group(&self, caller: &Caller, region: &str, name: &str) -> Result<(), ApiError> {
        let key = (caller.account.clone(), region.to_owned(), name.to_owned());
        if name == "default" || self.schedule_groups.contains(&key) {
            return Ok(());
        }
        Err(ApiError::not_found(format!("Schedule group {name} does not exist.")))
    }
}

impl Schedule {
    /// A schedule as it was sent, with defaults for what was not.
    ///
    /// # Errors
    /// What is wrong with it whatever else there is (facts §10.1).
    fn read(new: &NewSchedule, now: Timestamp) -> Result<Self, ApiError> {
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
    fn is_one_time(&self) -> bool {
        self.raw_expression.as_ref().is_none_or(|raw| moment(raw, &self.timezone).is_some())
    }

    fn json(&self, arn: &str) -> Value {
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

    fn summary(&self, arn: &str) -> Value {
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

/// What is wrong with a schedule by itself.
pub(super) fn check(new: &NewSchedule) -> Result<(), ApiError> {
    Schedule::read(new, World::START).map(drop)
}

/// The ARN of a schedule, which is also what its permissions are about.
pub(super) fn arn(caller: &Caller, region: &str, group: &str, name: &str) -> String {
    format!("arn:{}:scheduler:{region}:{}:schedule/{group}/{name}", partition_of(region), caller.account)
}

fn unknown(name: &str) -> ApiError {
    ApiError::not_found(format!("Schedule {name} does not exist."))
}

/// `at(2026-01-31T13:05:00)`, without an offset ("Schedule types in EventBridge Scheduler"). No other time zone than UTC is
/// simulated.
fn moment(expression: &str, timezone: &str) -> Option<Timestamp> {
    let text = expression.strip_prefix("at(")?.strip_suffix(')')?;
    // Other forms of ISO 8601 can be read, too; this is how the one form is written.
    let time: DateTime = text.parse().ok().filter(|time: &DateTime| time.to_string() == text)?;
    if timezone == "UTC" { TimeZone::UTC.to_timestamp(time).ok() } else { None }
}
