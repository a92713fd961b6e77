//! The lines of the log.

use std::sync::{Arc, Mutex};

use eks_break_glass::domain::codes::WarningCode;
use eks_break_glass::platform::clock::Clock;
use eks_break_glass::platform::log::{Level, Log, Sink};
use eks_break_glass::workflow::recorder::Recorder;
use jiff::Timestamp;
use serde_json::{Value, json};

#[test]
fn the_line_of_a_warning_keeps_its_own_message_beside_the_warnings() {
    let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
    let written = Arc::clone(&lines);
    let sink = Sink::new(move |line| written.lock().unwrap().push(serde_json::from_str(line).unwrap()));
    let log = Log::new(sink, Clock::new(|| Timestamp::UNIX_EPOCH), Level::Info, "r-1");
    Recorder::new(log).warn(WarningCode::TagsNotSet, "the tags are not set");
    let expected = json!({
        "timestamp": "1970-01-01T00:00:00Z",
        "level": "WARN",
        "message": "warning",
        "requestId": "r-1",
        "warning": { "code": "TAGS_NOT_SET", "message": "the tags are not set" },
    });
    assert_eq!(*lines.lock().unwrap(), [expected]);
}
