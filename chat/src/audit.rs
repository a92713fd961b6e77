//! What the log says of each request.

use eks_break_glass::platform::log::{Level, Log};
use serde_json::{Map, Value, json};

/// The audit line of one request.
#[derive(Debug)]
pub(crate) struct Audit {
    level: Level,
    fields: Map<String, Value>,
}

impl Audit {
    /// A line with an outcome and what is known besides.
    pub(crate) fn new(level: Level, outcome: &str, fields: Value) -> Self {
        let mut audit = Self { level, fields: Map::new() };
        audit.set("status", json!(outcome));
        if let Value::Object(fields) = fields {
            audit.fields.extend(fields);
        }
        audit
    }

    /// How it ended after all.
    pub(crate) fn end(&mut self, level: Level, outcome: &str) {
        self.level = level;
        self.set("status", json!(outcome));
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// Writes the line.
    pub(crate) fn write(self, log: &Log) {
        log.record(self.level, "audit", Value::Object(self.fields));
    }
}
