//! What is announced on the event bus, so that no change of access stays unseen. Pure; sending it is the handler's last act.

use serde_json::{Map, Value, json};

use crate::domain::codes::{AnnouncementType, Status};
use crate::domain::failure::ErrorName;
use crate::domain::operation::Operation;
use crate::domain::record::Record;
use crate::input::event::{Action, Request};
use crate::report::announcement_text::{Ending, words};

/// The version of `detail`. Rules and consumers are written against it: it changes only when a field changes its meaning or goes.
const VERSION: u32 = 1;
/// `EventBridge` takes 256 KB for an entry, with room for its envelope. Source: `PutEvents` in the `EventBridge` API reference.
const LARGEST_DETAIL: usize = 240 * 1024;
/// How long a text may be that has to be cut, in characters.
const LONGEST_CUT: usize = 300;

/// One event for the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// What rules match: `EKS access granted`, …
    pub detail_type: AnnouncementType,
    /// The result without the kubeconfig, or the error; and the same in words.
    pub detail: Value,
}

/// What there is to announce: what was changed, what may have been, and what a guardrail refused. Neither inspections nor dry runs
/// nor malformed events.
#[must_use]
pub fn announcement(request: &Request, request_id: &str, ending: Ending<'_>, record: &Record) -> Option<Announcement> {
    let dry_run = match &request.action {
        Action::Grant(grant) => grant.dry_run,
        Action::Revoke(revoke) => revoke.dry_run,
        Action::Inspect(_) => true,
    };
    if dry_run {
        return None;
    }
    let detail_type = match &ending {
        Err((ErrorName::RequestDenied, _)) if !record.may_have_changes() => AnnouncementType::Refused,
        // The approvers have to know of access that works, however the request ended.
        Err(_) if request.is_emergency() && record.may_have_done(Operation::AssociateAccessPolicy) => {
            AnnouncementType::GrantedWithoutApproval
        }
        Err(_) if record.may_have_changes() => AnnouncementType::Failed,
        Ok(outcome) if record.has_changes() => match outcome.status {
            Status::Granted if request.is_emergency() => AnnouncementType::GrantedWithoutApproval,
            Status::Granted if only_extended(record) => AnnouncementType::Extended,
            Status::Granted => AnnouncementType::Granted,
            Status::InProgress => AnnouncementType::InProgress,
            // A revoke that only deletes or corrects a schedule changes when access ends, or what stays then.
            Status::Revoked | Status::NothingToRevoke | Status::Superseded => AnnouncementType::Revoked,
            _ => return None,
        },
        _ => return None,
    };
    Some(Announcement { detail_type, detail: detail(request, request_id, ending, record) })
}

/// Whether just the end of the access was moved.
fn only_extended(record: &Record) -> bool {
    let did = |operation| record.may_have_done(operation);
    did(Operation::UpdateSchedule) && !did(Operation::CreateAccessEntry) && !did(Operation::AssociateAccessPolicy)
}

fn detail(request: &Request, request_id: &str, ending: Ending<'_>, record: &Record) -> Value {
    let words = words(request, &ending);
    let mut detail = match ending {
        Ok(outcome) => json!(outcome).as_object().cloned().unwrap_or_default(),
        Err((name, message)) => failure(request, request_id, name, message, record),
    };
    detail.remove("kubeconfig");
    detail.insert("version".to_owned(), json!(VERSION));
    detail.insert("words".to_owned(), words);
    detail.insert("reason".to_owned(), json!(request.reason));
    detail.insert("requestedBy".to_owned(), json!(request.requested_by));
    if fits(&detail) { Value::Object(detail) } else { Value::Object(shortened(detail)) }
}

fn fits(detail: &Map<String, Value>) -> bool {
    json!(detail).to_string().len() <= LARGEST_DETAIL
}

/// What it came to, less how it came to it, which the log has. What is left in the end cannot be too large: a test counts its texts.
fn shortened(mut detail: Map<String, Value>) -> Map<String, Value> {
    detail.insert("shortened".to_owned(), json!(true));
    let mut empty = |names: &[&str], emptied: Value| {
        for &name in names {
            detail.entry(name).and_modify(|field| *field = emptied.clone());
        }
        fits(&detail)
    };
    if !empty(&["steps", "accessPolicies"], json!([]))
        && !empty(&["accessEntry", "undo"], Value::Null)
        && !empty(&["nextSteps"], json!([]))
        && !empty(&["replacedEntry"], Value::Null)
    {
        // An event in base64 that was cut would take nothing back; `words` bounds it.
        let undo = detail.get("words").and_then(|words| words.get("undo")).cloned();
        detail.values_mut().for_each(cut);
        if let Some(words) = detail.get_mut("words").and_then(Value::as_object_mut) {
            words.extend(undo.map(|undo| ("undo".to_owned(), undo)));
        }
    }
    detail
}

/// Cuts every text.
fn cut(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().count() > LONGEST_CUT => {
            *text = text.chars().take(LONGEST_CUT).chain("…".chars()).collect();
        }
        Value::Array(items) => items.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        _ => {}
    }
}

fn failure(request: &Request, request_id: &str, name: ErrorName, message: &str, record: &Record) -> Map<String, Value> {
    let cluster = &request.cluster;
    let fields = json!({
        "status": null,
        "action": request.action.name(),
        "requestId": request_id,
        "errorType": name.to_string(),
        "errorMessage": message,
        "cluster": {
            "name": cluster.name, "arn": cluster.arn(), "region": cluster.region.as_str(), "accountId": cluster.account,
        },
        "principal": { "requested": request.principal().map(|principal| &principal.text) },
        "steps": record.steps,
        "warnings": record.warnings,
    });
    fields.as_object().cloned().unwrap_or_default()
}
