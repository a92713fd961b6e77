//! How a request fails: a name that a state machine can catch, and a message for the on-call engineer:
//! *What happened. What was changed. What to do.* `[technical detail]`.

use std::fmt;

use crate::domain::api_error::{ApiError, ApiErrorKind as Kind};
use crate::domain::codes::Setting;
use crate::domain::operation::Operation;
use crate::domain::principal::{PrincipalArn, PrincipalKind};

/// What Lambda reports as `errorType`. Runbooks retry and catch by these names, so they are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorName {
    /// The event is malformed, contradictory, or names a principal that cannot be granted access.
    InvalidRequest,
    /// A guardrail setting forbids it.
    RequestDenied,
    /// There is no such cluster.
    ClusterNotFound,
    /// The cluster's kind or state rules a recovery out.
    ClusterNotRecoverable,
    /// Neither EKS nor IAM knows the principal, after IAM's own delay.
    PrincipalNotFound,
    /// The principal's entry is of another type, which must not be touched.
    AccessEntryConflict,
    /// The function's role lacks a permission.
    PermissionDenied,
    /// The end of the access could not be scheduled, so it was not given.
    ExpiryUnavailable,
    /// EKS did not carry out the change of authentication mode.
    AuthenticationModeFailed,
    /// What was granted cannot be read back.
    VerificationFailed,
    /// Something else is changing the same thing.
    Conflict,
    /// Too many calls.
    Throttled,
    /// AWS answered 5xx, or nothing, or something that cannot be read.
    ServiceUnavailable,
    /// A quota is used up.
    LimitExceeded,
    /// The function's settings are wrong.
    Misconfigured,
    /// A defect of this program.
    Internal,
}

impl ErrorName {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::InvalidRequest,
        Self::RequestDenied,
        Self::ClusterNotFound,
        Self::ClusterNotRecoverable,
        Self::PrincipalNotFound,
        Self::AccessEntryConflict,
        Self::PermissionDenied,
        Self::ExpiryUnavailable,
        Self::AuthenticationModeFailed,
        Self::VerificationFailed,
        Self::Conflict,
        Self::Throttled,
        Self::ServiceUnavailable,
        Self::LimitExceeded,
        Self::Misconfigured,
        Self::Internal,
    ];

    /// Whether the same event, sent again in a while, may well succeed.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::VerificationFailed | Self::Conflict | Self::Throttled | Self::ServiceUnavailable)
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a request was not carried out to its end. What had been changed by then is in the request's [record](super::record).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// The name to catch it by.
    pub name: ErrorName,
    /// What happened, in sentences.
    pub what: String,
    /// What to do, in sentences.
    pub remedy: String,
    /// AWS's own words, its request id, or the content of an entry.
    pub detail: Option<String>,
}

impl Failure {
    /// A failure without technical detail.
    #[must_use]
    pub fn new(name: ErrorName, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, what: what.into(), remedy: remedy.into(), detail: None }
    }

    /// The same with further technical detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = Some(match self.detail.take() {
            Some(before) => format!("{before}; {detail}"),
            None => detail,
        });
        self
    }

    /// A guardrail's refusal; `setting` is the one that forbids the request, and `what` says what it allows.
    #[must_use]
    pub fn denied(setting: Setting, what: impl fmt::Display) -> Self {
        Self::new(
            ErrorName::RequestDenied,
            format!("The setting `{setting}` of this function forbids the request: {what}."),
            format!("Change the request, or ask the platform team to change `{setting}`."),
        )
    }

    /// The whole message; `changes` says what was changed, in sentences.
    #[must_use]
    pub fn message(&self, changes: &str) -> String {
        let detail = self.detail.as_ref().map(|detail| format!(" [{detail}]")).unwrap_or_default();
        format!("{} {} {}{detail}", sentence(&self.what), sentence(changes), sentence(&self.remedy))
    }
}

/// The text with a capital letter and a full stop.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let mut sentence: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => return String::new(),
    };
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

impl From<ApiError> for Failure {
    /// The one place that decides what a failed call is to the outside world.
    fn from(error: ApiError) -> Self {
        let operation = error.operation;
        if let Some((name, what, remedy)) = scheduling(&error).filter(|_| operation.schedules()) {
            return Self::new(name, what, remedy).with_detail(error.to_string());
        }
        let again = "Send the same event again";
        let refused = format!("AWS refused `{operation}`.");
        let (name, what, remedy) = match error.kind {
            Kind::Denied => {
                let (what, remedy) = denied(&error);
                (ErrorName::PermissionDenied, what, remedy)
            }
            Kind::Rejected if operation == Operation::UpdateClusterConfig => (
                ErrorName::AuthenticationModeFailed,
                "EKS refused to change the authentication mode.".to_owned(),
                format!("Fix what EKS names. {again}."),
            ),
            Kind::Rejected => (
                ErrorName::InvalidRequest,
                refused,
                "Correct the event by what AWS says, and send it again.".to_owned(),
            ),
            Kind::Quota => (
                ErrorName::LimitExceeded,
                "The cluster has the largest number of access entries already: 3,000, which AWS does not raise."
                    .to_owned(),
                "Delete access entries that are not needed (`aws eks list-access-entries`).".to_owned(),
            ),
            Kind::BadCredentials => (
                ErrorName::PermissionDenied,
                format!("AWS doesn't accept the function's credentials for `{}`.", operation.iam_action()),
                format!(
                    "Check that the cluster's partition and region are enabled for the function's account. {again}."
                ),
            ),
            Kind::ClusterNotFound
            | Kind::PolicyNotFound
            | Kind::PrincipalNotFound
            | Kind::InvalidPrincipal
            | Kind::NotStandard => of_the_event(error.kind),
            Kind::EntryNotFound
            | Kind::InUse
            | Kind::NotFound
            | Kind::ModeWithoutEntries
            | Kind::ModeUnsupported
            | Kind::Throttled
            | Kind::Unavailable
            | Kind::NotSent => passing(&error),
        };
        Self::new(name, what, remedy).with_detail(error.to_string())
    }
}

/// What a failed call is if the event names something wrong.
fn of_the_event(kind: Kind) -> (ErrorName, String, String) {
    match kind {
        Kind::ClusterNotFound => (
            ErrorName::ClusterNotFound,
            "EKS has no cluster of that name in the account and region that were asked.".to_owned(),
            "Check `clusterName` and `region`.".to_owned(),
        ),
        Kind::PolicyNotFound => (
            ErrorName::InvalidRequest,
            "EKS has no such access policy.".to_owned(),
            "Correct `policyArn`: `aws eks list-access-policies` lists those that exist.".to_owned(),
        ),
        Kind::PrincipalNotFound | Kind::InvalidPrincipal => (
            ErrorName::PrincipalNotFound,
            "AWS doesn't know the principal.".to_owned(),
            "Check `principalArn`, its path included.".to_owned(),
        ),
        _ => (
            ErrorName::AccessEntryConflict,
            "The principal's access entry is not of type STANDARD.".to_owned(),
            "Name a principal that is not the role of nodes.".to_owned(),
        ),
    }
}

/// What a failed call is that may succeed later.
fn passing(error: &ApiError) -> (ErrorName, String, String) {
    let (operation, again) = (error.operation, "Send the same event again");
    match error.kind {
        Kind::EntryNotFound => (
            ErrorName::VerificationFailed,
            "EKS doesn't show the access entry that it created.".to_owned(),
            format!("{again} in a minute."),
        ),
        Kind::InUse | Kind::NotFound | Kind::ModeWithoutEntries | Kind::ModeUnsupported => (
            ErrorName::Conflict,
            "Another change of the cluster or of its access entries is in progress.".to_owned(),
            format!("{again} in a minute."),
        ),
        Kind::Throttled => {
            (ErrorName::Throttled, format!("AWS throttled `{operation}`."), format!("{again} in half a minute."))
        }
        _ => (
            ErrorName::ServiceUnavailable,
            format!("AWS did not answer `{operation}`, or not readably."),
            format!("{again} in a minute. If the problem stays, look at the AWS Health Dashboard."),
        ),
    }
}

/// What a failed call of EventBridge Scheduler is, if a retry doesn't help: a grant whose end can't be scheduled is not given.
fn scheduling(error: &ApiError) -> Option<(ErrorName, String, String)> {
    let operation = error.operation;
    Some(match error.kind {
        // A grant whose end can't be scheduled is not given; a retry doesn't help here.
        Kind::Denied => {
            let (what, remedy) = denied(error);
            (ErrorName::ExpiryUnavailable, what, remedy)
        }
        Kind::NotFound | Kind::Rejected | Kind::BadCredentials => (
            ErrorName::ExpiryUnavailable,
            format!("EventBridge Scheduler refused `{operation}`."),
            "Ask the platform team to check `SCHEDULE_GROUP`, `SCHEDULE_ROLE_ARN` and `SCHEDULE_DLQ_ARN` of this function. To get access now, send the event without `duration`, if the settings allow that, and revoke it when you are done.".to_owned(),
        ),
        Kind::Quota => (
            ErrorName::LimitExceeded,
            "The account's quota of EventBridge Scheduler is used up.".to_owned(),
            "Ask the platform team to raise the quota, or to remove schedules that are not needed.".to_owned(),
        ),
        _ => return None,
    })
}

/// The failure of a call about a principal, which it names.
#[must_use]
pub fn about_principal(error: ApiError, principal: &PrincipalArn) -> Failure {
    let unknown = matches!(error.kind, Kind::InvalidPrincipal | Kind::PrincipalNotFound);
    let failure = Failure::from(error);
    if !unknown {
        return failure;
    }
    let (command, option) = match principal.kind {
        PrincipalKind::Role => ("get-role", "--role-name"),
        PrincipalKind::User => ("get-user", "--user-name"),
    };
    let query = if principal.kind == PrincipalKind::Role { "Role.Arn" } else { "User.Arn" };
    Failure {
        what: format!("EKS doesn't know the principal `{principal}`, even after the time that IAM needs."),
        remedy: format!(
            "Check `principalArn`, its path included: `aws iam {command} {option} '{}' --query {query}` prints it.",
            principal.name
        ),
        ..failure
    }
}

/// What is denied, and what to do: a missing permission is added to the function's role, an explicit deny is its owner's to change.
fn denied(error: &ApiError) -> (String, String) {
    let (action, resource) = (error.denied_action(), error.denied_resource());
    match error.explicit_deny() {
        Some(policy) => {
            let article = if policy.starts_with('i') { "an" } else { "a" };
            (
                format!(
                    "The function's role is refused `{action}` on {resource} with an explicit deny in {article} {policy}."
                ),
                format!(
                    "Ask the owner of that {policy} to exempt the function's role; allowing `{action}` to the role doesn't help. Then send the same event again."
                ),
            )
        }
        None => (
            format!("The function's role is not allowed to perform `{action}` on {resource}."),
            format!("Allow `{action}` on {resource} to the function's role. Then send the same event again."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorName, Failure, sentence};

    #[test]
    fn a_message_says_what_happened_what_was_changed_and_what_to_do_with_the_detail_last() {
        let failure = Failure::new(ErrorName::Conflict, "EKS is busy", "wait").with_detail("409").with_detail("id 1");
        assert_eq!(failure.message("Nothing was changed."), "EKS is busy. Nothing was changed. Wait. [409; id 1]");
        assert_eq!(sentence("`x`: it is missing"), "`x`: it is missing.");
    }
}
