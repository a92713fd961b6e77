//! What one request did, as results, announcements and logs show it.

use serde::Serialize;

use super::codes::WarningCode;
use super::operation::Operation;

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
    /// What was done.
    pub operation: StepName,
    /// How it ended.
    pub outcome: StepOutcome,
    /// How long it took; zero for what was not done.
    pub duration_ms: u64,
    /// What came of it, for a person.
    pub detail: String,
}

/// What a step is called: an operation of AWS, or what this function does by several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepName {
    /// One operation.
    Operation(Operation),
    /// Waiting until EKS has changed the authentication mode.
    AwaitAuthenticationMode,
    /// Reading node groups and Fargate profiles.
    LookUpNodeRoles,
    /// Asking the cluster's API server.
    VerifyKubernetesAccess,
}

impl From<Operation> for StepName {
    fn from(operation: Operation) -> Self {
        Self::Operation(operation)
    }
}

impl AsRef<str> for StepName {
    fn as_ref(&self) -> &str {
        match self {
            Self::Operation(operation) => operation.as_str(),
            Self::AwaitAuthenticationMode => "AwaitAuthenticationMode",
            Self::LookUpNodeRoles => "LookUpNodeRoles",
            Self::VerifyKubernetesAccess => "VerifyKubernetesAccess",
        }
    }
}

impl Serialize for StepName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_ref())
    }
}

/// A change, as a clause that completes "Already changed: …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The operation that made it.
    pub operation: Operation,
    /// What is different now.
    pub what: String,
}

/// Something that the requester should know although the request was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A name that programs can look for.
    pub code: WarningCode,
    /// What it means, for a person.
    pub message: String,
}

/// What one request did: its steps and warnings, what it changed, and what it may have changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The steps, in order.
    pub steps: Vec<StepRecord>,
    /// The warnings, each code once.
    pub warnings: Vec<Warning>,
    /// The changes.
    pub changes: Vec<Change>,
    /// The operations whose answers were lost.
    pub unconfirmed: Vec<Operation>,
}

impl Record {
    /// Adds a change.
    pub fn changed(&mut self, operation: Operation, what: impl Into<String>) {
        self.changes.push(Change { operation, what: what.into() });
    }

    /// Removes the last change of an operation, confirmed or not, because it was undone.
    pub fn undone(&mut self, operation: Operation) {
        if self.confirm(operation, None) {
            return;
        }
        if let Some(index) = self.changes.iter().rposition(|change| change.operation == operation) {
            self.changes.remove(index);
        }
    }

    /// Confirms an operation whose answer was lost, if there is one: `own` says what it changed; `None`: it changed nothing. Whether there
    /// was one.
    pub fn confirm(&mut self, operation: Operation, own: Option<String>) -> bool {
        let found = self.unconfirmed.iter().rposition(|unconfirmed| *unconfirmed == operation);
        if let Some(index) = found {
            self.unconfirmed.remove(index);
            self.changes.extend(own.map(|what| Change { operation, what }));
        }
        found.is_some()
    }

    /// Whether a call of that operation succeeded, or may have.
    #[must_use]
    pub fn may_have_done(&self, operation: Operation) -> bool {
        let did = |step: &StepRecord| step.operation == operation.into() && step.outcome == StepOutcome::Succeeded;
        self.steps.iter().any(did) || self.unconfirmed.contains(&operation)
    }

    /// Whether anything was changed.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether anything was, or may have been, changed.
    #[must_use]
    pub fn may_have_changes(&self) -> bool {
        self.has_changes() || !self.unconfirmed.is_empty()
    }

    /// What was, and what may have been, changed: sentences for a failure.
    #[must_use]
    pub fn describe_changes(&self) -> String {
        let mut parts = Vec::new();
        if !self.may_have_changes() {
            parts.push("Nothing was changed.".to_owned());
        }
        if self.has_changes() {
            let changes: Vec<_> = self.changes.iter().map(|change| change.what.as_str()).collect();
            parts.push(format!("Already changed: {}.", changes.join(", ")));
        }
        if !self.unconfirmed.is_empty() {
            let lost: Vec<_> = self.unconfirmed.iter().map(|operation| operation.as_str()).collect();
            parts.push(format!(
                "These calls may have been carried out, because their answers were lost: {}.",
                lost.join(", ")
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
}
