//! Who may approve what, and what a click means. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::Decision;
use crate::conversation::SlackUser;
use crate::settings::Rules;
use crate::slack::signature::{seal, unseal};

/// How long a request for approval waits if the workflow does not say.
pub const LIFE: SignedDuration = SignedDuration::from_mins(25);
/// The longest value of a button. Source: "Button element" in Slack's Block Kit reference.
pub const LONGEST_VALUE: usize = 2000;
/// What the buttons are sealed for.
const APPROVAL: &str = "approval";
const UNDO: &str = "undo";

/// What the buttons of one request for approval hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalToken {
    /// The task that waits for the answer.
    #[serde(rename = "t")]
    pub token: String,
    /// Who asked, and so may not approve.
    #[serde(rename = "u")]
    pub requester: String,
    /// When it is too late, in seconds since 1970.
    #[serde(rename = "e")]
    pub ends: i64,
}

impl ApprovalToken {
    /// As the value of a button that nobody else can make; `None` if it is too long for one.
    #[must_use]
    pub fn seal(&self, secret: &str) -> Option<String> {
        fitting(seal(secret, APPROVAL, &json!(self).to_string())?)
    }

    /// Reads a button's value; `None` if this program has not made it.
    #[must_use]
    pub fn unseal(secret: &str, value: &str) -> Option<Self> {
        serde_json::from_str(unseal(secret, APPROVAL, value)?).ok()
    }
}

/// The value of an Undo button: the event that takes a grant back; if that is too long, the revoke that a user would ask for.
#[must_use]
pub fn seal_undo(secret: &str, undo: &Value) -> Option<String> {
    let short = || {
        let names = ["action", "clusterName", "principalArn", "policyArn"];
        names.iter().filter_map(|name| Some(((*name).to_owned(), undo.get(name)?.clone()))).collect::<Value>()
    };
    let sealed = |event: &Value| fitting(seal(secret, UNDO, &event.to_string())?);
    undo.is_object().then(|| sealed(undo).or_else(|| sealed(&short())))?
}

/// Reads an Undo button's value; `None` if this program has not made it.
#[must_use]
pub fn unseal_undo(secret: &str, value: &str) -> Option<Value> {
    serde_json::from_str(unseal(secret, UNDO, value)?).ok()
}

fn fitting(value: String) -> Option<String> {
    (value.len() <= LONGEST_VALUE).then_some(value)
}

/// What a click asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Let it go ahead.
    Approve,
    /// Don't.
    Refuse,
}

/// Why a click does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// This program has not made the button, or the secret has changed since.
    Forged,
    /// Nobody approves of what they asked for themselves.
    OwnRequest,
    /// The task was answered before, or timed out.
    TooLate,
    /// They are not among those who may.
    NotAnApprover,
}

impl RejectReason {
    /// For the user who clicked.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Forged => {
                "This button is not one that I can answer for: it was not made by this app, or the app's signing secret has changed since. Nothing was done. Ask for the access again."
            }
            Self::OwnRequest => "This is your own request: another approver has to answer it. Nothing was done.",
            Self::TooLate => "This request has already been answered, or its time is over. Nothing was done.",
            Self::NotAnApprover => {
                "You are not among those who may answer this request (the setting `CHAT_APPROVERS`). Nothing was done."
            }
        }
    }

    /// For the audit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forged => "FORGED",
            Self::OwnRequest => "OWN_REQUEST",
            Self::TooLate => "TOO_LATE",
            Self::NotAnApprover => "NOT_AN_APPROVER",
        }
    }
}

/// What is known of a clicker's right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// They may.
    Given,
    /// They may if they are in one of the user groups, which Slack has to be asked.
    InGroups,
}

/// Whether this user may answer that request.
///
/// # Errors
/// Why not.
pub fn right(
    ticket: &ApprovalToken,
    clicker: &SlackUser,
    rules: &Rules,
    now: Timestamp,
) -> Result<Right, RejectReason> {
    // By the user alone: one user may have several workspaces.
    let (_, requester) = ticket.requester.rsplit_once('/').unwrap_or(("", &ticket.requester));
    if requester == clicker.user {
        Err(RejectReason::OwnRequest)
    } else if now.as_second() > ticket.ends {
        Err(RejectReason::TooLate)
    } else if rules.approvers.contains(&clicker.user) {
        Ok(Right::Given)
    } else if rules.approver_groups.is_empty() {
        Err(RejectReason::NotAnApprover)
    } else {
        Ok(Right::InGroups)
    }
}

/// The answer to the workflow.
#[must_use]
pub fn decision(answer: Answer, clicker: &SlackUser, response_url: &str, thread_ts: Option<&str>) -> Decision {
    match answer {
        Answer::Approve => Decision::Success(json!({
            "approved": true,
            "by": clicker.to_string(),
            "chat": { "responseUrl": response_url, "threadTs": thread_ts },
        })),
        Answer::Refuse => Decision::Failure { error: "ApprovalRefused", cause: format!("refused by {clicker}") },
    }
}
