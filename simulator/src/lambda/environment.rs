//! An execution environment: a function's process and the Runtime API that feeds it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Function;
use super::function::LogSink;
use super::runtime_api::{Invocation, Outcome, RuntimeApi};
use crate::world::Delivery;

/// How long the end of a log is waited for once its process is dead: only a process that it left
/// behind can hold it open.
const LOG_DRAIN: Duration = Duration::from_secs(1);

/// A running function. Dropping it kills the process.
#[derive(Debug)]
pub struct Environment {
    api: RuntimeApi,
    process: Child,
    spawned: Instant,
    log: Option<JoinHandle<()>>,
    /// The function's ARN, without a qualifier.
    arn: String,
}

/// How long the function took, from just before its process was spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Until it asked for its first event: its initialisation.
    pub first_next: Option<Duration>,
    /// Until its first response or error.
    pub first_answer: Option<Duration>,
}

impl Environment {
    pub(super) async fn start(function: Function) -> io::Result<Self> {
        let api = RuntimeApi::start().await?;
        let arn = function.arn();
        let (mut command, log) = function.command(api.address())?;
        let spawned = Instant::now();
        let process = command.spawn().map_err(|error| {
            let program = command.as_std().get_program().to_string_lossy();
            io::Error::new(error.kind(), format!("cannot run `{program}`: {error}"))
        })?;
        // The command holds the writing end of the log's pipe too: the log ends when nobody holds it.
        drop(command);
        let log = log.map(|(log, sink)| tokio::spawn(pass_on(log, sink)));
        Ok(Self { api, process, spawned, log, arn })
    }

    /// Sends an event and waits for what comes of it. At the deadline, counted from now, the process
    /// is killed, as Lambda does; after that or [`Outcome::Exited`], this environment is of no more use.
    ///
    /// # Errors
    /// Where the process's end can't be observed.
    pub async fn invoke(&mut self, event: &Value, deadline: Duration) -> io::Result<Outcome> {
        self.send(self.arn.clone(), Bytes::from(event.to_string()), deadline).await
    }

    /// Invokes an alias or a version: the context that the function sees names it (facts §12.6).
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    pub async fn invoke_qualified(
        &mut self,
        qualifier: &str,
        event: &Value,
        deadline: Duration,
    ) -> io::Result<Outcome> {
        self.send(format!("{}:{qualifier}", self.arn), Bytes::from(event.to_string()), deadline).await
    }

    /// Invokes what a schedule invokes: its target is this function, or one of its aliases or versions. The function sees the target's own
    /// ARN.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke), and if the target is another function.
    pub async fn deliver(&mut self, delivery: &Delivery, deadline: Duration) -> io::Result<Outcome> {
        if !self.is_target(&delivery.target) {
            let message = format!("the schedule's target is `{}`, the function is `{}`", delivery.target, self.arn);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.send(delivery.target.clone(), Bytes::from(delivery.input.clone()), deadline).await
    }

    /// The function's ARN, without a qualifier.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Whether a target is this function, or one of its aliases or versions.
    #[must_use]
    pub fn is_target(&self, target: &str) -> bool {
        target.strip_prefix(&self.arn).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|name| !name.is_empty() && !name.contains(':'))
        })
    }

    async fn send(&mut self, invoked_arn: String, event: Bytes, deadline: Duration) -> io::Result<Outcome> {
        let request_id = request_id();
        let invocation = Invocation {
            request_id: request_id.clone(),
            deadline_ms: (since_epoch() + deadline).as_millis(),
            invoked_arn,
            event,
        };
        // A function that is gone shows in its exit below.
        let _ = self.api.events.send(invocation);
        let expiry = tokio::time::sleep(deadline);
        tokio::pin!(expiry);
        loop {
            tokio::select! {
                biased;
                Some(answer) = self.api.answers.recv() => {
                    if answer.request_id.is_none_or(|answered| answered == request_id) {
                        return Ok(answer.outcome);
                    }
                }
                status = self.process.wait() => return Ok(Outcome::Exited(status?)),
                () = &mut expiry => {
                    self.process.kill().await?;
                    return Ok(Outcome::TimedOut);
                }
            }
        }
    }

    /// Waits until the function has asked for its first event. False where it ended instead.
    ///
    /// # Errors
    /// Where the process's end can't be observed.
    pub async fn ready(&mut self) -> io::Result<bool> {
        tokio::select! {
            biased;
            _ = self.api.milestones.first_next.wait() => Ok(true),
            status = self.process.wait() => status.map(|_| false),
        }
    }

    /// How long the first event and the first answer took.
    #[must_use]
    pub fn timings(&self) -> Timings {
        let since = |at: &Instant| at.duration_since(self.spawned);
        Timings {
            first_next: self.api.milestones.first_next.get().map(since),
            first_answer: self.api.milestones.first_answer.get().map(since),
        }
    }

    /// The process's id, for what the operating system knows about it. None once it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Kills the process and waits until it has ended and the log sink has seen its last line.
    ///
    /// # Errors
    /// Where it can't be killed.
    pub async fn stop(mut self) -> io::Result<()> {
        self.process.kill().await?;
        if let Some(log) = self.log.take() {
            let _ = tokio::time::timeout(LOG_DRAIN, log).await;
        }
        Ok(())
    }
}

async fn pass_on(log: pipe::Receiver, mut sink: LogSink) {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    while let Ok(1..) = log.read_until(b'\n', &mut line).await {
        sink(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

/// In the shape of Lambda's; unlike any other of this machine's processes.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let seconds = since_epoch().as_secs() & 0xffff_ffff;
    format!("{seconds:08x}-0000-4000-8000-{:06x}{count:06x}", std::process::id())
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
