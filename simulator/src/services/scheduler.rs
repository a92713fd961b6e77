//! EventBridge Scheduler: one-time schedules, which fire when their time has come (facts §10.1; the EventBridge Scheduler API Reference).

use serde_json::{Value, json};

use crate::operation::{ApiError, NewSchedule, Operation};
use crate::services::page::paged_as;
use crate::state::caller::Caller;
use crate::state::resource::key_of;
use crate::state::schedule::{Delivery, Key, Schedule, arn, moment, unknown};
use crate::world::World;

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
    pub(crate) fn call_scheduler(
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
                self.create_schedule(caller, region, schedule, key(&schedule.group, &schedule.name))?;
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

    fn create_schedule(
        &mut self,
        caller: &Caller,
        region: &str,
        schedule: &NewSchedule,
        key: Key,
    ) -> Result<(), ApiError> {
        self.check_group(caller, region, &schedule.group)?;
        let made = Schedule::read(schedule, self.now())?;
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
        Ok(())
    }

    fn check_group(&self, caller: &Caller, region: &str, name: &str) -> Result<(), ApiError> {
        let key = (caller.account.clone(), region.to_owned(), name.to_owned());
        if name == "default" || self.schedule_groups.contains(&key) {
            return Ok(());
        }
        Err(ApiError::not_found(format!("Schedule group {name} does not exist.")))
    }
}

/// What is wrong with a schedule by itself.
pub(crate) fn check(new: &NewSchedule) -> Result<(), ApiError> {
    Schedule::read(new, World::START).map(drop)
}
