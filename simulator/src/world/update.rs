//! Updates of a cluster: the slow, hidden, failing, one-way changes of its authentication mode, and those of other kinds that
//! stand in their way.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::entries::Context;
use super::page::paged;
use super::principal::Principal;
use super::{after, epoch, uuid};
use crate::operation::{ApiError, Page};

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
    fn next(self) -> Option<Self> {
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
pub(super) struct Update {
    pub(super) id: String,
    pub(super) status: &'static str,
    /// The mode that it leads to. None: it is of another kind.
    pub(super) mode: Option<Mode>,
    pub(super) created_at: Timestamp,
    /// From when the cluster's status tells of it.
    pub(super) shows_at: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) fails: Option<String>,
}

impl Cluster {
    /// What has come to pass by now.
    pub(super) fn settle(&mut self, now: Timestamp, principals: &BTreeMap<String, Principal>) {
        let mut opened = None;
        for update in &mut self.updates {
            if update.status != "InProgress" || now < update.ends_at {
                continue;
            }
            update.status = if update.fails.is_some() { "Failed" } else { "Successful" };
            if let (None, Some(mode)) = (&update.fails, update.mode) {
                if self.mode == Mode::ConfigMap {
                    opened = Some(update.ends_at);
                }
                self.mode = mode;
            }
        }
        if let Some(at) = opened {
            self.mode_since = Some(at);
            self.make_own_entries(at, principals);
        }
        // The status tells of an update, unless something graver is the matter (facts §2.4).
        let updating = self.updates.iter().any(|update| update.status == "InProgress" && update.shows_at <= now);
        match (updating, self.status.as_str()) {
            (true, "ACTIVE") => "UPDATING".clone_into(&mut self.status),
            (false, "UPDATING") => "ACTIVE".clone_into(&mut self.status),
            _ => {}
        }
    }

    /// `UpdateClusterConfig`, of the authentication mode alone. A step back, or two at once, is refused (facts §2.2; pulumi-eks
    /// issue 1493), the mode that there is as well (aws-cdk issue 31032), and all of it while another update is in progress,
    /// whatever the status says (facts §2.3; aws-cdk issue 33452).
    pub(super) fn update_config(
        &mut self,
        config: &Map<String, Value>,
        token: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Value, ApiError> {
        let body = Value::Object(config.clone());
        if let Some(answer) = self.answered_before(token, &body) {
            return Ok(answer);
        }
        if config.is_empty() {
            // EKS's own words are not on record.
            return Err(ApiError::invalid_parameter("There is nothing to update."));
        }
        if config.len() != 1 {
            return Err(ApiError::invalid_parameter("Only one type of update can be allowed."));
        }
        let wanted = body.pointer("/accessConfig/authenticationMode").and_then(Value::as_str);
        let Some(wanted) = wanted else {
            return Err(ApiError::invalid_parameter("This update is not one that the simulator knows."));
        };
        if self.description.contains_key("outpostConfig") || self.description.contains_key("connectorConfig") {
            return Err(ApiError::invalid_request("This operation is not supported for this kind of cluster."));
        }
        if let Some(update) = self.updates.iter().find(|update| update.status == "InProgress") {
            return Err(ApiError::in_use(format!(
                "Cannot AccessConfigUpdate because cluster {} currently has update {} in progress",
                self.name, update.id
            )));
        }
        let Some(mode) = self.mode.next().filter(|next| next.name() == wanted) else {
            return Err(ApiError::invalid_parameter(format!(
                "Unsupported authentication mode update from {} to {wanted}",
                self.mode.name()
            )));
        };
        if self.status != "ACTIVE" {
            return Err(ApiError::in_use(format!("Cluster {} is {}", self.name, self.status)));
        }
        self.updates.push(Update {
            id: uuid(context.id),
            status: "InProgress",
            mode: Some(mode),
            created_at: context.now,
            shows_at: after(context.now, self.mode_change.hidden_for),
            ends_at: after(context.now, self.mode_change.takes),
            fails: self.mode_change.fails.clone(),
        });
        let shown = json!({ "update": self.updates.last().map(Update::json) });
        self.settle(context.now, context.principals);
        self.remember(token, body, &shown);
        Ok(shown)
    }

    pub(super) fn describe_update(&self, id: &str) -> Result<Value, ApiError> {
        self.updates
            .iter()
            .find(|update| update.id == id)
            .map(|update| json!({ "update": update.json() }))
            .ok_or_else(|| ApiError::not_found(format!("No update found for ID: {id}")))
    }

    pub(super) fn list_updates(&self, page: &Page) -> Result<Value, ApiError> {
        paged("updateIds", self.updates.iter().map(|update| json!(update.id)).collect(), page)
    }
}

impl Update {
    fn json(&self) -> Value {
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
