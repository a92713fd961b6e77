//! The log: every line is one JSON object on standard output, in the shape of Lambda's own JSON lines.
//!
//! No credentials, access key ids, tokens or presigned URLs ever reach it: it is given fields by name,
//! and no type that holds a secret is among them. What the SDK logs goes through [`sdk_log`](crate::platform::sdk_log).

use std::io::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::platform::clock::Clock;

/// How much it matters. Source of the names: Lambda's advanced logging controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Also what the SDK does in detail.
    Trace,
    /// Also what the SDK and the Lambda runtime do.
    Debug,
    /// What was done.
    Info,
    /// What needs attention.
    Warn,
    /// What failed.
    Error,
    /// What ended the function.
    Fatal,
}

impl Level {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("TRACE", Self::Trace),
        ("DEBUG", Self::Debug),
        ("INFO", Self::Info),
        ("WARN", Self::Warn),
        ("ERROR", Self::Error),
        ("FATAL", Self::Fatal),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, level)| *level == self).map_or("INFO", |(name, _)| name)
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, level)| *level).ok_or_else(|| {
            let names = Self::NAMES.map(|(name, _)| name).join(", ");
            format!("`{text}` is none of {names}")
        })
    }
}

/// Where lines go: in Lambda, standard output; tests read them.
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(&str) + Send + Sync>);

impl Sink {
    /// Lines go to `write`, without a line break at their end.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Lines go to standard output. A log that cannot be written is no reason to refuse a recovery.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(|line| {
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        })
    }

    pub(crate) fn object(&self, fields: &Map<String, Value>) {
        // Not by `Display`, which goes through a formatter piece by piece. It cannot fail.
        (self.0)(&serde_json::to_string(fields).unwrap_or_default());
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

/// The dimensions of the metrics.
pub const DIMENSIONS: [&str; 3] = ["FunctionName", "Action", "Status"];
/// The metrics of one request, with their units.
pub const METRICS: [(&str, &str); 5] = [
    ("Requests", "Count"),
    ("Failures", "Count"),
    ("Duration", "Milliseconds"),
    ("FailedSteps", "Count"),
    ("NotAnnounced", "Count"),
];

/// The log of one request.
#[derive(Debug, Clone)]
pub struct Log {
    sink: Sink,
    clock: Clock,
    threshold: Level,
    request_id: String,
}

impl Log {
    /// A log whose lines carry the Lambda request id; lines below `threshold` are left out.
    #[must_use]
    pub fn new(sink: Sink, clock: Clock, threshold: Level, request_id: &str) -> Self {
        Self { sink, clock, threshold, request_id: request_id.to_owned() }
    }

    /// One line, if its level is high enough. `fields` is a JSON object.
    pub fn line(&self, level: Level, message: &str, fields: Value) {
        if level >= self.threshold {
            self.record(level, message, fields);
        }
    }

    /// One line at every level: what must not be missing later. A field of a reserved name (`timestamp`, `level`, `message`, `requestId`)
    /// is left out.
    pub fn record(&self, level: Level, message: &str, fields: Value) {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), json!(self.clock.now().to_string()));
        line.insert("level".to_owned(), json!(level.name()));
        line.insert("message".to_owned(), json!(message));
        line.insert("requestId".to_owned(), json!(self.request_id));
        if let Value::Object(fields) = fields {
            for (name, value) in fields {
                line.entry(name).or_insert(value);
            }
        }
        self.sink.object(&line);
    }

    /// [`METRICS`] in CloudWatch's embedded metric format: a line of the log, no call of AWS. It is written at every level. Each metric is
    /// there with the first of the [`DIMENSIONS`] alone, with the first two, and so on: an alarm cannot add up over a dimension's values.
    pub fn metrics(&self, dimensions: &[&str; DIMENSIONS.len()], values: &[u64; METRICS.len()]) {
        let sets: Vec<_> = (1..=DIMENSIONS.len()).filter_map(|length| DIMENSIONS.get(..length)).collect();
        let definitions: Vec<_> = METRICS.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": self.clock.now().as_millisecond(),
                "CloudWatchMetrics": [
                    { "Namespace": "EksBreakGlass", "Dimensions": sets, "Metrics": definitions }
                ]
            }),
        );
        line.insert("requestId".to_owned(), json!(self.request_id));
        line.extend(DIMENSIONS.iter().zip(dimensions).map(|(name, value)| ((*name).to_owned(), json!(value))));
        line.extend(METRICS.iter().zip(values).map(|((name, _), value)| ((*name).to_owned(), json!(value))));
        self.sink.object(&line);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn fields_never_replace_the_reserved_keys() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let sink = Sink::new(move |line| written.lock().into_iter().for_each(|mut lines| lines.push(line.to_owned())));
        let log = Log::new(sink, Clock::new(|| Timestamp::UNIX_EPOCH), Level::Info, "r-1");
        let fields = json!({ "timestamp": 1, "level": "X", "message": "forged", "requestId": "X", "own": true });
        log.record(Level::Warn, "audit", fields);
        let expected = json!({
            "timestamp": "1970-01-01T00:00:00Z", "level": "WARN", "message": "audit", "requestId": "r-1", "own": true,
        });
        let lines = lines.lock().map(|lines| lines.clone()).unwrap_or_default();
        assert_eq!(lines.iter().map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>(), [Some(expected)]);
    }
}
