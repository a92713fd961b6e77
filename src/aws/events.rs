//! `EventBridge`: one event, put.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::Connection;
use super::call::{Call, Patience};
use super::endpoint::Service;
use crate::announce::Announcement;
use crate::clock::Deadline;

/// Who announces. Rules match it.
pub const SOURCE: &str = "eks-break-glass";
/// Whoever asked waits for the announcement, too. One that was taken and not acknowledged is told twice; so may `EventBridge` itself.
const PATIENCE: Patience =
    Patience { tries: 3, pause: Duration::from_millis(200), one: Duration::from_secs(1), all: Duration::from_secs(2) };

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    failed_entry_count: u32,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    error_code: Option<String>,
    error_message: Option<String>,
}

impl Connection {
    /// Puts an event on a bus, given by its name or ARN, in the function's own account and region.
    ///
    /// # Errors
    /// Why it is not on the bus, in words.
    pub async fn announce(&self, bus: &str, announcement: &Announcement, deadline: Deadline) -> Result<(), String> {
        let entry = json!({
            "Source": SOURCE,
            "DetailType": announcement.detail_type,
            "Detail": announcement.detail.to_string(),
            "EventBusName": bus,
        });
        let body = json!({ "Entries": [entry] });
        let call = Call::json(Service::EventBridge, "AWSEvents", "1.1", "PutEvents", &body);
        let answer = self.home_call(call, PATIENCE, deadline).await.map_err(|error| error.to_string())?;
        match serde_json::from_slice::<Put>(&answer) {
            Ok(Put { failed_entry_count: 0, .. }) => Ok(()),
            Ok(Put { entries, .. }) => {
                let why = entries.into_iter().find_map(|entry| Some((entry.error_code?, entry.error_message)));
                let (code, message) = why.unwrap_or_default();
                Err(format!("EventBridge refused it: {} ({code})", message.unwrap_or_default()))
            }
            Err(_) => Err("EventBridge's answer cannot be understood".to_owned()),
        }
    }
}
