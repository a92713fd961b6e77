//! What a request is carried out with.

use jiff::Timestamp;

use crate::arn::{Alias, FunctionArn};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::expiry::ScheduleConfig;
use crate::ownership::Installation;
use crate::settings::Settings;

/// What a request is carried out with.
#[derive(Debug)]
pub struct Context<'a> {
    /// AWS, in the cluster's region.
    pub aws: &'a Aws,
    /// What the platform team has decided.
    pub settings: &'a Settings,
    /// Where revokes are scheduled, or why none can be.
    pub schedules: Result<ScheduleConfig, String>,
    /// Which access entries are this function's.
    pub installation: Installation,
    /// The function's own ARN, if Lambda gave it.
    pub function: Option<&'a FunctionArn>,
    /// The alias that the request came through.
    pub alias: Alias,
    /// The Lambda request id.
    pub request_id: &'a str,
    /// The time of day.
    pub clock: &'a Clock,
}

impl Context<'_> {
    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
