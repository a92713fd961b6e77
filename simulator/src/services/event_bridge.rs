//! `EventBridge`: event buses, and what was put on them ("`PutEvents`" in the `EventBridge` API reference).

use serde_json::{Value, json};

use crate::operation::{ApiError, Entry};
use crate::state::bus_event::BusEvent;
use crate::state::moment::uuid;
use crate::world::World;

/// The largest entry, in bytes.
const LARGEST_ENTRY: usize = 256 * 1024;

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
    pub(crate) fn put_events(&mut self, entries: &[Entry]) -> Result<Value, ApiError> {
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
