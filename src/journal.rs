//! The journal of one request: what was done, what it changed, what may have been changed, what to be warned of.
//!
//! It outlives a failure, so that no failure can leave a change unnamed.

use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::aws::{ApiError, Operation};
use crate::clock::Stopwatch;
use crate::log::{Level, Log};
use crate::observation::Observation;
use crate::plan::Step;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepOutcome {
    /// It was carried out.
    Succeeded,
    /// There was no need for it, or no way, and it can be done without.
    Skipped,
    /// It would be carried out.
    Planned,
    /// It was tried, in vain.
    Failed,
}

/// One step, as results and logs show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    /// The AWS operation, or the name of a step of our own.
    pub operation: String,
    /// How it ended.
    pub outcome: StepOutcome,
    /// How long it took; zero for what was not done.
    pub duration_ms: u64,
    /// What came of it, for a person.
    pub detail: String,
}

/// Something that the requester should know although the request was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A name that programs can look for.
    pub code: &'static str,
    /// What it means, for a person.
    pub message: String,
}

/// The journal of one request.
#[derive(Debug)]
pub struct Journal {
    /// The log that it is copied to as it is written.
    pub log: Log,
    steps: Vec<StepRecord>,
    warnings: Vec<Warning>,
    changes: Vec<String>,
    doubts: Vec<String>,
}

impl Journal {
    /// An empty one.
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self { log, steps: Vec::new(), warnings: Vec::new(), changes: Vec::new(), doubts: Vec::new() }
    }

    /// Writes down a step.
    pub fn step(
        &mut self,
        operation: &(impl Display + ?Sized),
        outcome: StepOutcome,
        duration: Duration,
        detail: impl Into<String>,
    ) {
        let step = StepRecord {
            operation: operation.to_string(),
            outcome,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            detail: detail.into(),
        };
        let level = if outcome == StepOutcome::Failed { Level::Warn } else { Level::Info };
        self.log.line(level, "step", json!(step));
        self.steps.push(step);
    }

    /// Writes down a call that was timed, and what it answered, or why not.
    ///
    /// # Errors
    /// The call's own.
    pub fn call<T>(&mut self, timed: Timed<T>, detail: impl FnOnce(&T) -> String) -> Result<T, ApiError> {
        let attempts = match timed.attempts {
            0 | 1 => String::new(),
            attempts => format!(" (attempt {attempts})"),
        };
        match timed.answer {
            Ok(answer) => {
                let detail = format!("{}{attempts}", detail(&answer));
                self.step(&timed.operation, StepOutcome::Succeeded, timed.duration, detail);
                Ok(answer)
            }
            Err(error) => {
                let detail = format!("{error}{attempts}");
                self.step(&timed.operation, StepOutcome::Failed, timed.duration, detail);
                if error.may_have_changed() {
                    self.doubts.push(error.operation.to_string());
                }
                Err(error)
            }
        }
    }

    /// Writes down a call that only adds to what is known: its failure fails nothing else.
    pub fn optional_call<T>(&mut self, timed: &Timed<T>, detail: impl FnOnce(&T) -> String) {
        let (outcome, detail) = match &timed.answer {
            Ok(answer) => (StepOutcome::Succeeded, detail(answer)),
            Err(error) => (StepOutcome::Skipped, error.to_string()),
        };
        self.step(&timed.operation, outcome, timed.duration, detail);
    }

    /// The same, and hands the answer on.
    ///
    /// # Errors
    /// The call's own.
    pub fn optional<T>(&mut self, timed: Timed<T>, detail: impl FnOnce(&T) -> String) -> Result<T, ApiError> {
        self.optional_call(&timed, detail);
        timed.answer
    }

    /// Logs what is there before anything is changed, so that it can be put back whatever happens to this invocation.
    pub fn record_before(&self, seen: &Observation) {
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
            self.step(&operation, StepOutcome::Planned, Duration::ZERO, detail);
        }
    }

    /// Remembers a change, as a clause that completes "Already changed: …".
    pub fn changed(&mut self, what: impl Into<String>) {
        self.changes.push(what.into());
    }

    /// Records a call that was refused as done already: by another request, or, if an answer was lost, perhaps by this one. Whether an
    /// answer was lost.
    pub fn overtaken<T>(&mut self, timed: &Timed<T>) -> bool {
        self.optional_call(timed, |_| String::new());
        let lost = matches!(&timed.answer, Err(error) if error.may_have_changed());
        if lost {
            self.doubts.push(timed.operation.clone());
        }
        lost
    }

    /// Settles such a doubt, where there is one: it was this request's own doing, in words as for [`Journal::changed`], or it was not.
    pub fn settle(&mut self, operation: &str, own: Option<String>) -> bool {
        let doubt = self.doubts.iter().rposition(|doubt| doubt == operation);
        if let Some(index) = doubt {
            self.doubts.remove(index);
            self.changes.extend(own);
        }
        doubt.is_some()
    }

    /// Whether a call of that operation succeeded, or may have.
    #[must_use]
    pub fn may_have_done(&self, operation: Operation) -> bool {
        let name = operation.to_string();
        let did = |step: &StepRecord| step.operation == name && step.outcome == StepOutcome::Succeeded;
        self.steps.iter().any(did) || self.doubts.contains(&name)
    }

    /// Forgets a change that was taken back.
    pub fn unchanged(&mut self, what: &str) {
        self.changes.retain(|change| change != what);
    }

    /// How much was, or may have been, changed so far.
    #[must_use]
    pub fn count_of_changes(&self) -> usize {
        self.changes.len() + self.doubts.len()
    }

    /// Warns the requester, once for each code.
    pub fn warn(&mut self, code: &'static str, message: impl Into<String>) {
        if self.warnings.iter().any(|warning| warning.code == code) {
            return;
        }
        let warning = Warning { code, message: message.into() };
        self.log.line(Level::Warn, "warning", json!({ "warning": warning }));
        self.warnings.push(warning);
    }

    /// Whether anything was changed.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether anything was, or may have been, changed.
    #[must_use]
    pub fn may_have_changes(&self) -> bool {
        self.count_of_changes() > 0
    }

    /// What a failure has to say about what is different now.
    #[must_use]
    pub fn account_of_changes(&self) -> String {
        let mut parts = Vec::new();
        if self.changes.is_empty() && self.doubts.is_empty() {
            parts.push("Nothing was changed.".to_owned());
        }
        if !self.changes.is_empty() {
            parts.push(format!("Already changed: {}.", self.changes.join(", ")));
        }
        if !self.doubts.is_empty() {
            parts.push(format!(
                "These calls may have been carried out, because their answers were lost: {}.",
                self.doubts.join(", ")
            ));
        }
        parts.join(" ")
    }

    /// How many steps failed.
    #[must_use]
    pub fn failed_steps(&self) -> u64 {
        let failed = self.steps.iter().filter(|step| step.outcome == StepOutcome::Failed);
        failed.count() as u64
    }

    /// The steps so far.
    #[must_use]
    pub fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    /// The warnings so far.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// A call's answer and how long it took.
#[derive(Debug)]
pub struct Timed<T> {
    operation: String,
    duration: Duration,
    attempts: u32,
    /// What was answered.
    pub answer: Result<T, ApiError>,
}

impl<T> Timed<T> {
    /// Measures a call; calls that run at once are each measured, then written down in order.
    pub async fn call(operation: impl Display, call: impl Future<Output = Result<T, ApiError>>) -> Self {
        let watch = Stopwatch::start();
        let answer = call.await;
        Self { operation: operation.to_string(), duration: watch.elapsed(), attempts: 1, answer }
    }

    /// The same, of a call that was made so often.
    #[must_use]
    pub fn after(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }
}
