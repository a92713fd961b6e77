//! The authentication mode of a cluster, and its changes.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::state::moment::epoch;

/// How a cluster authenticates principals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By aws-auth alone.
    ConfigMap,
    /// By entries, then by aws-auth.
    ApiAndConfigMap,
    /// By entries alone.
    Api,
}

impl Mode {
    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "CONFIG_MAP",
            Self::ApiAndConfigMap => "API_AND_CONFIG_MAP",
            Self::Api => "API",
        }
    }

    /// One step at a time and never back (facts §2.1; "Change authentication mode to use access entries" in the UG).
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::ConfigMap => Some(Self::ApiAndConfigMap),
            Self::ApiAndConfigMap => Some(Self::Api),
            Self::Api => None,
        }
    }
}

/// How a change of mode goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeChange {
    /// How long it takes (facts §2.4; terraform-aws-eks issue 2913: about a minute and a half).
    pub takes: Duration,
    /// How long the status stays ACTIVE after it was asked for (facts §2.3; ACK community issue 1192).
    pub hidden_for: Duration,
    /// Why it fails, where it does.
    pub fails: Option<String>,
}

impl Default for ModeChange {
    fn default() -> Self {
        Self { takes: Duration::from_secs(90), hidden_for: Duration::ZERO, fails: None }
    }
}

/// An update of a cluster, in progress or over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub(crate) id: String,
    pub(crate) status: &'static str,
    /// The mode that it leads to. None: it is of another kind.
    pub(crate) mode: Option<Mode>,
    pub(crate) created_at: Timestamp,
    /// From when the cluster's status tells of it.
    pub(crate) shows_at: Timestamp,
    pub(crate) ends_at: Timestamp,
    pub(crate) fails: Option<String>,
}

impl Update {
    pub(crate) fn json(&self) -> Value {
        let errors: Vec<_> = match (&self.fails, self.status) {
            (Some(why), "Failed") => {
                vec![json!({ "errorCode": "Unknown", "errorMessage": why, "resourceIds": [] })]
            }
            _ => Vec::new(),
        };
        // A value inside the parameters is JSON in a string.
        let (kind, params) = match self.mode {
            Some(mode) => (
                "AccessConfigUpdate",
                vec![json!({ "type": "AuthenticationMode", "value": format!("\"{}\"", mode.name()) })],
            ),
            None => ("VersionUpdate", Vec::new()),
        };
        json!({
            "id": self.id, "status": self.status, "type": kind, "params": params,
            "createdAt": epoch(self.created_at), "errors": errors
        })
    }
}
