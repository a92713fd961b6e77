//! Events on the bus.

use serde_json::Value;

use crate::operation::Entry;
use crate::state::caller::Caller;
use crate::state::resource::partition_of;

/// An event that was put on a bus.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub struct BusEvent {
    pub bus: String,
    pub source: String,
    pub detail_type: String,
    pub detail: Value,
}

/// The ARN of the bus that a call is about.
pub(crate) fn arn(caller: &Caller, region: &str, entries: &[Entry]) -> String {
    let bus = entries.first().and_then(|entry| entry.bus.rsplit('/').next()).unwrap_or("default");
    format!("arn:{}:events:{region}:{}:event-bus/{bus}", partition_of(region), caller.account)
}
