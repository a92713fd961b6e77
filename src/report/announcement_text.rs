//! An announcement in words, for e-mails and chats. Pure.
//!
//! Rules of `EventBridge` make them out of templates, and put values in as they are: a quotation mark in a reason would break the
//! message, a line break would forge a line of it, and a value that is not there may lose the whole. Source: "Amazon `EventBridge` input
//! transformation", common issues. So each of these is always there, a text, and without any such character.

use aws_smithy_types::base64;
use serde_json::{Map, Value, json};

use crate::domain::arn::PolicyArn;
use crate::domain::failure::ErrorName;
use crate::domain::sanitize;
use crate::input::event::Request;
use crate::report::outcome::Outcome;

/// How a request ended: its result, or the name and the words of its failure.
pub type Ending<'a> = Result<&'a Outcome, (ErrorName, &'a str)>;

/// The fields of `words`, but for `undo`.
pub const WORDS: [&str; 7] = ["cluster", "principal", "policy", "requestedBy", "reason", "until", "outcome"];

/// The longest text, in characters: the whole of it is in the announcement's other fields, and in the log.
const LONGEST: usize = 2000;
/// The longest event in base64, in characters; of a longer one, the event says less of what to restore, which the schedule and the tags know, too.
pub const LONGEST_UNDO: usize = 20_000;

/// What a message says: who, which cluster, which principal, which policy, why, until when, how it ended, and the event that takes it
/// back, in base64 as the AWS CLI takes a payload.
#[must_use]
pub fn words(request: &Request, ending: &Ending<'_>) -> Value {
    let outcome = ending.ok();
    let cluster = outcome.map(|outcome| outcome.cluster.arn.clone()).or_else(|| request.cluster.arn());
    let cluster = cluster.as_ref().unwrap_or(&request.cluster.name);
    let requested = request.principal().map_or("", |principal| principal.text.as_str());
    let principal =
        outcome.and_then(|outcome| outcome.principal.as_ref()).map_or(requested, |principal| &principal.arn);
    let ended = match ending {
        Ok(outcome) => with_warnings(outcome),
        Err((name, message)) => format!("{name}: {message}"),
    };
    let until = match outcome.map(|outcome| outcome.expires_at) {
        Some(Some(expires_at)) => expires_at.to_string(),
        Some(None) => "it is revoked".to_owned(),
        None => "not known".to_owned(),
    };
    let manual = json!({
        "action": "revoke",
        "clusterName": cluster,
        "region": request.cluster.region.as_str(),
        "principalArn": requested,
        "policyArn": request.policy().map(PolicyArn::as_str),
    });
    let undo = outcome.and_then(|outcome| outcome.undo.as_ref()).map(|undo| base64::encode(undo.to_string()));
    let undo = undo.filter(|undo| undo.len() <= LONGEST_UNDO).unwrap_or_else(|| base64::encode(manual.to_string()));
    let texts: [&str; 7] = [
        cluster,
        principal,
        request.policy().map_or("", PolicyArn::name),
        request.requested_by.as_deref().unwrap_or("not said"),
        request.reason.as_deref().unwrap_or("not said"),
        &until,
        &ended,
    ];
    let texts = WORDS.into_iter().zip(texts);
    let mut words: Map<_, _> = texts.map(|(name, text)| (name.to_owned(), json!(harmless(text)))).collect();
    words.insert("undo".to_owned(), json!(undo));
    Value::Object(words)
}

/// A status, and what the result warns of.
fn with_warnings(outcome: &Outcome) -> String {
    let said = outcome.warnings.iter().map(|warning| format!("; {}: {}", warning.code, warning.message));
    std::iter::once(outcome.status.to_string()).chain(said).collect()
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
            forging if sanitize::forges(forging) => ' ',
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
