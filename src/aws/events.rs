//! `EventBridge`: one event, put without its SDK.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::Connection;
use super::json_call::Service;
use crate::announce::Announcement;
use crate::clock::Deadline;

/// Who announces. Rules match it.
pub const SOURCE: &str = "eks-break-glass";
/// An announcement has what is left of an invocation's time for it, once: whoever asked waits.
const TIMEOUT: Duration = Duration::from_secs(2);

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
    pub async fn announce(&self, bus: &str, announcement: &Announcement, now: Timestamp) -> Result<(), String> {
        let put = Deadline::after(TIMEOUT).bound(self.put_event(bus, announcement, now)).await;
        put.unwrap_or_else(|| Err("EventBridge did not answer in time".to_owned()))
    }

    async fn put_event(&self, bus: &str, announcement: &Announcement, now: Timestamp) -> Result<(), String> {
        let entry = json!({
            "Source": SOURCE,
            "DetailType": announcement.detail_type,
            "Detail": announcement.detail.to_string(),
            "EventBusName": bus,
        });
        let body = json!({ "Entries": [entry] });
        let answer = self.json_call(Service::EventBridge, "PutEvents", &body, now).await;
        match serde_json::from_slice::<Put>(&answer.map_err(|error| error.to_string())?) {
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
