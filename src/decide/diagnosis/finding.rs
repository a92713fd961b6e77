//! A finding.

use serde::Serialize;
use serde_json::Value;

use crate::domain::codes::FindingCode;

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// It keeps people out.
    Error,
    /// It will, or may.
    Warning,
    /// It is good to know.
    Info,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// A name that programs can look for.
    pub code: FindingCode,
    /// How grave it is.
    pub severity: Severity,
    /// What it means, for a person.
    pub message: String,
    /// What shows it.
    pub evidence: Value,
    /// The event to send against it.
    pub remedy: Option<Value>,
}
