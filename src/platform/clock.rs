//! What time it is, and how long there is left. The only file that reads a clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The largest part of a pause that jitter takes away.
const JITTER: f32 = 0.25;

/// The time of day, for what people read and what is scheduled. Tests have their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// One that `read` tells.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The time since an arbitrary moment, for what is measured and waited for. Tests simulate it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// How long something takes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(instant())
    }

    /// What has gone by.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        instant().duration_since(self.0)
    }
}

/// A moment after which nothing more is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment after a time.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        // Beyond what a clock can show, a day is as good as for ever: no invocation lasts 15 minutes.
        let now = instant();
        Self(now.checked_add(time).unwrap_or(now + Duration::from_hours(24)))
    }

    /// What is left; zero when it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(instant())
    }

    /// The same, but no later than after that time.
    #[must_use]
    pub fn capped_at(self, time: Duration) -> Self {
        self.min(Self::after(time))
    }

    /// Waits for `future`, but not beyond the deadline: then `None`.
    pub async fn timeout<T>(self, future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.0, future).await.ok()
    }

    /// Asks again and again, with growing pauses and jitter, until `attempt` has an answer; `None` when the deadline comes first.
    /// This is the only wait loop of the program.
    pub async fn poll<T>(self, backoff: Backoff, mut attempt: impl AsyncFnMut() -> Option<T>) -> Option<T> {
        let mut pause = backoff.first;
        loop {
            if let Some(answer) = attempt().await {
                return Some(answer);
            }
            // Many that wait for the same thing must not ask all at once.
            let jittered = pause.mul_f32(1.0 - JITTER * fastrand::f32());
            if self.left() <= jittered {
                return None;
            }
            tokio::time::sleep(jittered).await;
            pause = pause.mul_f32(1.5).min(backoff.longest);
        }
    }
}

/// How long to pause between two attempts.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first; each later one is half as long again.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}
