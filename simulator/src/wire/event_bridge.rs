//! `EventBridge`'s requests: AWS's JSON protocol 1.1, with the operation in a header.

use bytes::Bytes;
use http::Request;
use serde::Deserialize;

use crate::operation::{ApiError, Entry, Operation};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    entries: Vec<BodyEntry>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct BodyEntry {
    event_bus_name: Option<String>,
    source: String,
    detail_type: String,
    detail: String,
}

/// Reads a request by its target.
pub(super) fn read(request: &Request<Bytes>) -> Result<Operation, ApiError> {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    if target != Some("AWSEvents.PutEvents") {
        return Err(ApiError::unknown_operation());
    }
    let body: Body = serde_json::from_slice(request.body()).map_err(|error| ApiError::unreadable(error.to_string()))?;
    let entries = body.entries.into_iter().map(|entry| Entry {
        bus: entry.event_bus_name.unwrap_or_else(|| "default".to_owned()),
        source: entry.source,
        detail_type: entry.detail_type,
        detail: entry.detail,
    });
    Ok(Operation::PutEvents { entries: entries.collect() })
}
