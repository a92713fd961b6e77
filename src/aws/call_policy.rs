//! How long a call may take, and how often it is tried. The deadline of the invocation may end it earlier.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

/// How long a call may take, and how often it is tried while AWS throttles it, answers with 5xx or doesn't answer. The SDK's own
/// defaults have no time limit.
#[derive(Debug, Clone, Copy)]
pub struct CallPolicy {
    /// Attempts, including the first one.
    attempts: u32,
    /// The longest pause before the second attempt. Each later pause may be twice as long.
    initial_backoff: Duration,
    /// The longest that one attempt may take.
    attempt_timeout: Duration,
    /// The longest that all attempts together may take.
    timeout: Duration,
}

impl CallPolicy {
    /// Calls that a grant depends on.
    pub const DEFAULT: Self = Self {
        attempts: 4,
        initial_backoff: Duration::from_secs(1),
        attempt_timeout: Duration::from_secs(10),
        timeout: Duration::from_secs(40),
    };
    /// Calls that a person in a chat waits for.
    pub const INTERACTIVE: Self = Self {
        attempts: 4,
        initial_backoff: Duration::from_millis(200),
        attempt_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(3),
    };
    /// Calls to IAM. They only add to what is known, and some VPCs have no route to IAM.
    pub const BEST_EFFORT: Self =
        Self { attempt_timeout: Duration::from_secs(4), timeout: Duration::from_secs(4), ..Self::DEFAULT };
    /// The announcement, which the caller waits for. If an acknowledgement is lost, the event is sent twice, as `EventBridge` itself may do.
    pub const ANNOUNCEMENT: Self = Self {
        attempts: 3,
        initial_backoff: Duration::from_millis(200),
        attempt_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
    };

    /// The same time, in one attempt.
    #[must_use]
    pub const fn once(self) -> Self {
        Self { attempts: 1, attempt_timeout: self.timeout, ..self }
    }

    /// How the SDK is to retry.
    #[must_use]
    pub fn retries(self) -> RetryConfig {
        RetryConfig::standard().with_max_attempts(self.attempts).with_initial_backoff(self.initial_backoff)
    }

    /// The SDK's time limits.
    #[must_use]
    pub fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder().operation_timeout(self.timeout).operation_attempt_timeout(self.attempt_timeout).build()
    }
}
