//! `EventBridge`: event buses, and what was put on them ("`PutEvents`" in the `EventBridge` API reference).

use serde_json::{Value, json};

use super::cluster::partition_of;
use super::{Caller, World, uuid};
use crate::operation::{ApiError, Entry};

/// The largest entry, in bytes.
const LARGEST_ENTRY: usize = 256 * 1024;

/// An event that was put on a bus.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub struct BusEvent {
    pub bus: String,
    pub source: String,
    pub detail_type: String,
    pub detail: Value,
}

impl World {
    /// An event bus. The bus `default` is always there.
    #[must_use]
    pub fn with_event_bus(mut self, name: &str) -> Self {
        self.event_buses.insert(name.to_owned());
        self
    }

    /// What was put on event buses, in order.
    #[must_use]
    pub fn bus_events(&self) -> &[BusEvent] {
        &self.bus_events
    }

    /// # Errors
    /// What `EventBridge` would answer.
    pub(super) fn put_events(&mut self, entries: &[Entry]) -> Result<Value, ApiError> {
        let mut answers = Vec::new();
        let mut failed = 0;
        for entry in entries {
            let bus = entry.bus.rsplit('/').next().unwrap_or_default();
            if bus != "default" && !self.event_buses.contains(bus) {
                return Err(ApiError::not_found(format!("Event bus {bus} does not exist.")));
            }
            let size = entry.source.len() + entry.detail_type.len() + entry.detail.len();
            let (Ok(detail), true) = (serde_json::from_str(&entry.detail), size <= LARGEST_ENTRY) else {
                failed += 1;
                answers.push(json!({ "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." }));
                continue;
            };
            self.ids += 1;
            answers.push(json!({ "EventId": uuid(self.ids) }));
            self.bus_events.push(BusEvent {
                bus: bus.to_owned(),
                source: entry.source.clone(),
                detail_type: entry.detail_type.clone(),
                detail,
            });
        }
        Ok(json!({ "FailedEntryCount": failed, "Entries": answers }))
    }
}

/// The ARN of the bus that a call is about.
pub(super) fn arn(caller: &Caller, region: &str, entries: &[Entry]) -> String {
    let bus = entries.first().and_then(|entry| entry.bus.rsplit('/').next()).unwrap_or("default");
    format!("arn:{}:events:{region}:{}:event-bus/{bus}", partition_of(region), caller.account)
}
