//! What a request is carried out with.

use jiff::Timestamp;

use crate::aws::Aws;
use crate::decide::expiry::ScheduleConfig;
use crate::decide::ownership::Installation;
use crate::domain::arn::{Alias, ClusterRef, FunctionArn, PolicyArn};
use crate::domain::principal::Principal;
use crate::input::event::Grant;
use crate::input::settings::Settings;
use crate::platform::clock::Clock;

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

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The cluster.
    pub cluster: &'a ClusterRef,
    /// Whose access to it.
    pub principal: &'a Principal,
    /// By which policy.
    pub policy: &'a PolicyArn,
    /// What is asked for, if access is to be given: then it matters that IAM knows the principal, and that the cluster can be recovered.
    pub grant: Option<&'a Grant>,
    /// Whether the request can do without knowing what is scheduled: then EventBridge Scheduler gets little time.
    pub expiry_is_optional: bool,
}
