//! Who calls, and how long AWS takes to know of a change.

use std::time::Duration;

use crate::policy::Policy;

/// Who calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Its ARN.
    pub arn: String,
    /// Its account.
    pub account: String,
    /// Its unique id.
    pub user_id: String,
    /// What it may do.
    pub policy: Policy,
}

/// How long AWS takes to know of a change. All zero at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// Until Associate, Describe and List know an entry that was made (facts §4.3; terraform-provider-aws pull
    /// request 35736: up to two minutes).
    pub entry: Duration,
    /// Until the cluster's API server honours a change (facts §4.4; teleport pull request 49467: up to 30 s).
    pub kubernetes: Duration,
    /// Until entries are taken after the mode was changed (facts §2.5).
    pub mode: Duration,
}

impl Delays {
    /// What is met on an ordinary day.
    #[must_use]
    pub fn realistic() -> Self {
        let seconds = Duration::from_secs;
        Self { entry: seconds(5), kubernetes: seconds(20), mode: seconds(5) }
    }
}
