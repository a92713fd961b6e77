//! Updates of a cluster: the slow, hidden, failing, one-way changes of its authentication mode, and those of other kinds that
//! stand in their way.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::operation::{ApiError, Page};
use crate::services::eks::context::Context;
use crate::services::page::paged;
use crate::state::cluster::Cluster;
use crate::state::mode::{Mode, Update};
use crate::state::moment::{after, uuid};
use crate::state::principal::Principal;

impl Cluster {
    /// What has come to pass by now.
    pub(crate) fn settle(&mut self, now: Timestamp, principals: &BTreeMap<String, Principal>) {
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
    pub(crate) fn update_config(
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

    pub(crate) fn describe_update(&self, id: &str) -> Result<Value, ApiError> {
        self.updates
            .iter()
            .find(|update| update.id == id)
            .map(|update| json!({ "update": update.json() }))
            .ok_or_else(|| ApiError::not_found(format!("No update found for ID: {id}")))
    }

    pub(crate) fn list_updates(&self, page: &Page) -> Result<Value, ApiError> {
        paged("updateIds", self.updates.iter().map(|update| json!(update.id)).collect(), page)
    }
}
