//! Records what one request does, and logs it as it happens. The record outlives a failure, so that no failure leaves a change unnamed.

use std::time::Duration;

use serde_json::json;

use crate::domain::api_error::ApiError;
use crate::domain::codes::WarningCode;
use crate::domain::observed_state::Observation;
use crate::domain::operation::Operation;
use crate::domain::record::{Record, StepName, StepOutcome, StepRecord, Warning};
use crate::domain::step::Step;
use crate::platform::clock::Stopwatch;
use crate::platform::log::{Level, Log};

/// Records one request.
#[derive(Debug)]
pub struct Recorder {
    /// The log that it is copied to as it is written.
    pub log: Log,
    /// What was recorded.
    pub record: Record,
}

impl Recorder {
    /// An empty one.
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self { log, record: Record::default() }
    }

    /// Records a step.
    pub fn step(
        &mut self,
        operation: impl Into<StepName>,
        outcome: StepOutcome,
        duration: Duration,
        detail: impl Into<String>,
    ) {
        let step = StepRecord {
            operation: operation.into(),
            outcome,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            detail: detail.into(),
        };
        let level = if outcome == StepOutcome::Failed { Level::Warn } else { Level::Info };
        self.log.line(level, "step", json!(step));
        self.record.steps.push(step);
    }

    /// Records a call that was timed, and what it answered, or why not.
    ///
    /// # Errors
    /// The call's own.
    pub fn call<T>(&mut self, timed: TimedCall<T>, detail: impl FnOnce(&T) -> String) -> Result<T, ApiError> {
        let attempts = match timed.attempts {
            0 | 1 => String::new(),
            attempts => format!(" (attempt {attempts})"),
        };
        match timed.answer {
            Ok(answer) => {
                let detail = format!("{}{attempts}", detail(&answer));
                self.step(timed.operation, StepOutcome::Succeeded, timed.duration, detail);
                Ok(answer)
            }
            Err(error) => {
                let detail = format!("{error}{attempts}");
                self.step(timed.operation, StepOutcome::Failed, timed.duration, detail);
                if error.may_have_changed() {
                    self.record.unconfirmed.push(error.operation);
                }
                Err(error)
            }
        }
    }

    /// Records a call that only adds to what is known: its failure fails nothing else.
    pub fn record_best_effort<T>(&mut self, timed: &TimedCall<T>, detail: impl FnOnce(&T) -> String) {
        let (outcome, detail) = match &timed.answer {
            Ok(answer) => (StepOutcome::Succeeded, detail(answer)),
            Err(error) => (StepOutcome::Skipped, error.to_string()),
        };
        self.step(timed.operation, outcome, timed.duration, detail);
    }

    /// The same, and hands the answer on.
    ///
    /// # Errors
    /// The call's own.
    pub fn optional<T>(&mut self, timed: TimedCall<T>, detail: impl FnOnce(&T) -> String) -> Result<T, ApiError> {
        self.record_best_effort(&timed, detail);
        timed.answer
    }

    /// Logs what is there before anything is changed, so that it can be restored whatever happens to this invocation.
    pub fn capture_baseline(&self, seen: &Observation) {
        self.log.record(
            Level::Info,
            "before",
            json!({
                "cluster": seen.cluster.arn,
                "principalArn": seen.principal.as_str(),
                "accessEntry": seen.entry.present(),
            }),
        );
    }

    /// Records steps that are not, or not yet, carried out.
    pub fn planned(&mut self, steps: &[Step]) {
        for (operation, detail) in steps.iter().flat_map(Step::operations) {
            self.step(operation, StepOutcome::Planned, Duration::ZERO, detail);
        }
    }

    /// Records a call that was refused as done already: by another request, or, if an answer was lost, perhaps by this one. Whether an
    /// answer was lost.
    pub fn conflicting_step<T>(&mut self, timed: &TimedCall<T>) -> bool {
        self.record_best_effort(timed, |_| String::new());
        let lost = matches!(&timed.answer, Err(error) if error.may_have_changed());
        if lost {
            self.record.unconfirmed.push(timed.operation);
        }
        lost
    }

    /// Warns of all that a plan warns of.
    pub fn warn_all(&mut self, warnings: Vec<(WarningCode, String)>) {
        for (code, message) in warnings {
            self.warn(code, message);
        }
    }

    /// Warns the requester, once for each code.
    pub fn warn(&mut self, code: WarningCode, message: impl Into<String>) {
        if self.record.warnings.iter().any(|warning| warning.code == code) {
            return;
        }
        let warning = Warning { code, message: message.into() };
        self.log.line(Level::Warn, "warning", json!({ "warning": warning }));
        self.record.warnings.push(warning);
    }
}

/// A call's answer and how long it took.
#[derive(Debug)]
pub struct TimedCall<T> {
    operation: Operation,
    duration: Duration,
    attempts: u32,
    /// What was answered.
    pub answer: Result<T, ApiError>,
}

impl<T> TimedCall<T> {
    /// Measures a call; calls that run at once are each measured, then recorded in order.
    pub async fn call(operation: Operation, call: impl Future<Output = Result<T, ApiError>>) -> Self {
        let watch = Stopwatch::start();
        let answer = call.await;
        Self { operation, duration: watch.elapsed(), attempts: 1, answer }
    }

    /// The same, of a call that was made so often.
    #[must_use]
    pub fn after(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }
}
