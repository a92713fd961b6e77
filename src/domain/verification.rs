//! What the cluster's API server says of a principal's access.

use serde::Serialize;

/// What the API server says of the principal's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kubernetes {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
    /// The API server did not answer.
    Unreachable,
    /// It was not asked.
    NotPerformed,
}

/// What was proved, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the API server says.
    pub kubernetes: Kubernetes,
    /// How, or why not.
    pub detail: String,
    /// Whether it does not even know who the principal is (401).
    pub unauthorized: bool,
}

impl Verdict {
    /// A verdict of an API server that knows the principal, or wasn't asked.
    #[must_use]
    pub fn new(kubernetes: Kubernetes, detail: impl Into<String>) -> Self {
        Self { kubernetes, detail: detail.into(), unauthorized: false }
    }
}
