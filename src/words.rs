//! An announcement in words, for e-mails and chats. Pure.
//!
//! Rules of `EventBridge` make them out of templates, and put values in as they are: a quotation mark in a reason would break the
//! message, a line break would forge a line of it, and a value that is not there may lose the whole. Source: "Amazon `EventBridge` input
//! transformation", common issues. So each of these is always there, a text, and without any such character.

use aws_smithy_types::base64;
use serde_json::{Map, Value, json};

use crate::announce::Ending;
use crate::arn::PolicyArn;
use crate::request::Request;
use crate::text;

/// The longest text, in characters: the whole of it is in the announcement's other fields, and in the log.
const LONGEST: usize = 2000;
/// The longest event in base64, in characters; what is longer says less of what to put back, which the schedule and the tags know, too.
pub const LONGEST_UNDO: usize = 20_000;

/// What a message says: who, which cluster, which principal, which policy, why, until when, how it ended, and the event that takes it
/// back, in base64 as the AWS CLI takes a payload.
#[must_use]
pub fn words(request: &Request, ending: &Ending<'_>) -> Value {
    let result = ending.ok();
    let told = |pointer: &str| result.and_then(|result| result.pointer(pointer)).and_then(Value::as_str);
    let cluster = told("/cluster/arn").map(str::to_owned).or_else(|| request.cluster.arn());
    let requested = request.principal().map_or("", |principal| &principal.text);
    let outcome = match ending {
        Ok(result) => with_warnings(told("/status").unwrap_or_default(), result),
        Err((name, message)) => format!("{name}: {message}"),
    };
    let until = if result.is_some() { told("/expiresAt").unwrap_or("it is revoked") } else { "not known" };
    let by_hand = json!({
        "action": "revoke",
        "clusterName": cluster.as_ref().unwrap_or(&request.cluster.name),
        "region": request.cluster.region.as_str(),
        "principalArn": requested,
        "policyArn": request.policy().map(PolicyArn::as_str),
    });
    let undo = result.and_then(|result| result.get("undo")).filter(|undo| !undo.is_null());
    let undo = undo.map(|undo| base64::encode(undo.to_string())).filter(|undo| undo.len() <= LONGEST_UNDO);
    let undo = undo.unwrap_or_else(|| base64::encode(by_hand.to_string()));
    let said = [
        ("cluster", cluster.as_ref().unwrap_or(&request.cluster.name).as_str()),
        ("principal", told("/principal/arn").unwrap_or(requested)),
        ("policy", request.policy().map_or("", PolicyArn::name)),
        ("requestedBy", request.requested_by.as_deref().unwrap_or("not said")),
        ("reason", request.reason.as_deref().unwrap_or("not said")),
        ("until", until),
        ("outcome", &outcome),
    ];
    let mut words: Map<_, _> = said.into_iter().map(|(name, text)| (name.to_owned(), json!(harmless(text)))).collect();
    words.insert("undo".to_owned(), json!(undo));
    Value::Object(words)
}

/// A status, and what the result warns of.
fn with_warnings(status: &str, result: &Value) -> String {
    let warnings = result.get("warnings").and_then(Value::as_array).into_iter().flatten();
    let said = warnings.filter_map(|warning| {
        let field = |name| warning.get(name).and_then(Value::as_str);
        Some(format!("; {}: {}", field("code")?, field("message")?))
    });
    std::iter::once(status.to_owned()).chain(said).collect()
}

/// A text that stays within its quotation marks and its line, and shows all that it holds.
fn harmless(text: &str) -> String {
    text.chars()
        .take(LONGEST)
        .map(|character| match character {
            '"' | '`' => '\'',
            '\\' => '/',
            '<' => '(',
            '>' => ')',
            forging if text::forges(forging) => ' ',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_text_cannot_leave_its_quotation_marks_nor_its_line() {
        assert_eq!(harmless("INC-1\"}\r\nPrincipal: \\\u{202e}<!channel>\u{0}"), "INC-1'}  Principal: / (!channel) ");
        assert_eq!(
            harmless("the SSO role was replaced: größer, 日本, 100 %"),
            "the SSO role was replaced: größer, 日本, 100 %"
        );
        assert_eq!(harmless(&"x".repeat(5000)).len(), 2000);
    }
}
