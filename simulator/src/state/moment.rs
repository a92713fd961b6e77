//! Moments and ids on the wire.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// When a world begins.
pub(crate) const START: Timestamp = Timestamp::constant(1_795_500_000, 0);

/// A moment on the wire: seconds since the epoch, with a fraction.
pub(crate) fn epoch(time: Timestamp) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
    let seconds = time.as_millisecond() as f64 / 1000.0;
    json!(seconds)
}

/// A unique id in UUID's shape.
pub(crate) fn uuid(id: u64) -> String {
    format!("5ca1ab1e-0000-4000-8000-{id:012x}")
}

/// The moment after a time.
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}
