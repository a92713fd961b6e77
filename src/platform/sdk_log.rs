//! What the AWS SDK and the Lambda runtime log, at `LOG_LEVEL` DEBUG and TRACE: JSON lines like those of [`log`](crate::platform::log).
//!
//! At TRACE, the SDK logs whole requests and answers, with credentials in them. So only messages, numbers and the fields of
//! [`SHOWN_FIELDS`] are written, and no text that looks as if it held a secret. Release builds don't contain the SDK's TRACE events at all
//! (`release_max_level_debug` in `Cargo.toml`). Why: `docs/decisions/0012-logging.md`.

use std::fmt::{Debug, Write as _};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::platform::clock::Clock;
use crate::platform::log::{Level, Sink};

/// Fields with text that are written. All others are left out: requests, answers, identities, signatures, errors.
const SHOWN_FIELDS: [&str; 8] = [
    "attempt_timeout_config",
    "endpoint_params",
    "endpoint_prefix",
    "event",
    "operation_timeout_config",
    "requestId",
    "scheme_id",
    "task_id",
];
/// Whose events are left out: the canonical request, which is all that the signer logs, holds the session token.
const HIDDEN_TARGETS: [&str; 1] = ["aws_sigv4"];
/// What a text holds that may be a secret, in lower case.
const SECRET_MARKS: [&str; 14] = [
    "authorization",
    "aws4-hmac-sha256",
    "bearer ",
    "credential=",
    "externalid",
    "external_id",
    "hooks.slack.com",
    "k8s-aws-v1",
    "secret",
    "session_token",
    "task_token",
    "tasktoken",
    "x-amz-security-token",
    "x-amz-signature",
];
/// The beginnings of access key ids. Source: "Unique identifiers" in the IAM User Guide.
const ACCESS_KEYS: [&str; 2] = ["AKIA", "ASIA"];
const REDACTED: &str = "[redacted]";

/// Writes what the SDK and the runtime log to `sink`, for the rest of the process, if `level` is DEBUG or TRACE. Otherwise nothing is
/// installed, and nothing is formatted.
pub fn install(level: Level, sink: &Sink, clock: &Clock) {
    if level <= Level::Debug {
        // It fails only if another subscriber is there, and then that one logs.
        let _ = tracing::subscriber::set_global_default(subscriber(level, sink.clone(), clock.clone()));
    }
}

/// What [`install`] installs.
#[must_use]
pub fn subscriber(level: Level, sink: Sink, clock: Clock) -> impl Subscriber + Send + Sync {
    let filter = if level == Level::Trace { LevelFilter::TRACE } else { LevelFilter::DEBUG };
    tracing_subscriber::registry().with(SdkLog { filter, sink, clock })
}

struct SdkLog {
    filter: LevelFilter,
    sink: Sink,
    clock: Clock,
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for SdkLog {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let hidden = HIDDEN_TARGETS.iter().any(|target| metadata.target().starts_with(target));
        *metadata.level() <= self.filter && !hidden
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (mut names, mut request_id) = (Vec::new(), None);
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            names.push(span.name());
            if let Some(id) = span.extensions().get::<Fields>().and_then(|fields| fields.0.get("requestId")) {
                request_id = Some(id.clone());
            }
        }
        // An event without a message, all of whose fields are left out.
        if fields.0.is_empty() {
            return;
        }
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), json!(self.clock.now().to_string()));
        line.insert("level".to_owned(), json!(event.metadata().level().as_str()));
        line.insert("message".to_owned(), fields.0.remove("message").unwrap_or_else(|| json!("")));
        line.insert("requestId".to_owned(), json!(request_id));
        line.insert("target".to_owned(), json!(event.metadata().target()));
        line.insert("span".to_owned(), json!(names.join("/")));
        line.insert("fields".to_owned(), Value::Object(fields.0));
        self.sink.object(&line);
    }
}

/// The fields of an event or a span that may be written.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&mut self, field: &Field, text: String) {
        let name = field.name();
        if name == "message" || SHOWN_FIELDS.contains(&name) {
            let shown = if may_be_secret(&text) { REDACTED.to_owned() } else { text };
            self.0.insert(name.to_owned(), Value::String(shown));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing into a text can't fail.
        let _ = write!(text, "{value:?}");
        self.text(field, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
}

fn may_be_secret(text: &str) -> bool {
    let lower_case = text.to_lowercase();
    SECRET_MARKS.iter().any(|mark| lower_case.contains(mark)) || ACCESS_KEYS.iter().any(|key| text.contains(key))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;

    use super::*;

    fn logged(level: Level, log: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let sink = Sink::new(move |line| written.lock().into_iter().for_each(|mut lines| lines.push(line.to_owned())));
        let subscriber = subscriber(level, sink, Clock::new(|| Timestamp::UNIX_EPOCH));
        tracing::subscriber::with_default(subscriber, log);
        lines.lock().map(|lines| lines.clone()).unwrap_or_default()
    }

    #[test]
    fn a_line_has_the_keys_of_the_log_and_the_spans_that_it_is_in() {
        let lines = logged(Level::Debug, || {
            let _outer = tracing::info_span!("invoke", requestId = "r-1").entered();
            let _inner = tracing::debug_span!("EKS.DescribeCluster").entered();
            tracing::debug!(target: "aws_smithy_runtime", attempt = 2, "retrying");
            tracing::trace!("below the level");
        });
        let expected = json!({
            "timestamp": "1970-01-01T00:00:00Z", "level": "DEBUG", "message": "retrying", "requestId": "r-1",
            "target": "aws_smithy_runtime", "span": "invoke/EKS.DescribeCluster", "fields": { "attempt": 2 },
        });
        assert_eq!(lines.iter().map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>(), [Some(expected)]);
    }

    #[test]
    fn what_may_be_a_secret_is_not_written() {
        let lines = logged(Level::Trace, || {
            tracing::trace!(target: "aws_sigv4::http_request", "canonical request");
            tracing::trace!(request = "very-secret", "transmitting");
            tracing::trace!(identity = ?"very-secret");
            tracing::trace!("x-amz-security-token: very-secret");
            tracing::trace!("Authorization: Bearer very-secret");
            tracing::trace!(endpoint_params = "ASIAIOSFODNN7EXAMPLE very-secret", "resolving");
            tracing::trace!("k8s-aws-v1.very-secret");
        });
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains("very-secret") && !line.contains("ASIA")), "{lines:?}");
        assert!(lines.iter().filter(|line| line.contains(REDACTED)).count() == 4, "{lines:?}");
    }
}
