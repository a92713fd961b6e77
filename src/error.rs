//! How a request fails: a name that a state machine can catch, and words for a person at three in the morning.

use std::fmt;

use crate::arn::Malformed;
use crate::aws::{ApiError, ApiErrorKind, Operation};
use crate::json::Invalid;
use crate::settings::Misconfigured;

/// What Lambda reports as `errorType`. Runbooks retry and catch by these names, so they are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorName {
    /// The event is malformed, contradictory, or names somebody who cannot be let in.
    InvalidRequest,
    /// A guardrail setting forbids it.
    RequestDenied,
    /// There is no such cluster.
    ClusterNotFound,
    /// The cluster's kind or state rules this way in out.
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

/// Why a request was not carried out to its end. What had been changed by then is in the [journal](crate::journal).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// The name to catch it by.
    pub name: ErrorName,
    /// What failed.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Failure {
    /// A failure in words.
    #[must_use]
    pub fn new(name: ErrorName, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, what: what.into(), remedy: remedy.into() }
    }

    /// A guardrail's refusal; `setting` is the one that forbids it.
    #[must_use]
    pub fn denied(setting: &str, what: impl fmt::Display) -> Self {
        Self::new(
            ErrorName::RequestDenied,
            format!("the setting `{setting}` of this function forbids it: {what}"),
            format!("change the request, or have the operator of this function change `{setting}`"),
        )
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::new(ErrorName::InvalidRequest, invalid.to_string(), "correct the event and send it again")
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::from(Invalid::event(malformed))
    }
}

impl From<Misconfigured> for Failure {
    fn from(misconfigured: Misconfigured) -> Self {
        Self::new(
            ErrorName::Misconfigured,
            format!("the settings of this function are wrong: {misconfigured}"),
            "have its operator correct these environment variables (in the stack's parameters) and deploy again",
        )
    }
}

impl From<ApiError> for Failure {
    /// The one place that decides what a failed call is to the outside world.
    fn from(error: ApiError) -> Self {
        let again = "send the same event again";
        let (name, remedy) = match error.kind {
            // A grant whose end cannot be scheduled is not given; this is what no retry will mend.
            ApiErrorKind::Denied if error.operation.schedules() => (
                ErrorName::ExpiryUnavailable,
                format!("{}, then {again}", allow(&error)),
            ),
            ApiErrorKind::NotFound | ApiErrorKind::Rejected | ApiErrorKind::BadCredentials if error.operation.schedules() => (
                ErrorName::ExpiryUnavailable,
                "check `SCHEDULE_GROUP`, `SCHEDULE_ROLE_ARN` and `SCHEDULE_DLQ_ARN` of this function by what EventBridge Scheduler says, or take the access back by hand".to_owned(),
            ),
            ApiErrorKind::Quota if error.operation.schedules() => (
                ErrorName::LimitExceeded,
                "have the quota of EventBridge Scheduler raised, or remove schedules that nobody needs".to_owned(),
            ),
            ApiErrorKind::ClusterNotFound => (
                ErrorName::ClusterNotFound,
                "check `clusterName` and `region`: the account and region that were asked have no such cluster".to_owned(),
            ),
            ApiErrorKind::PolicyNotFound => (
                ErrorName::InvalidRequest,
                "correct `policyArn`: `aws eks list-access-policies` lists those that exist".to_owned(),
            ),
            ApiErrorKind::Rejected if error.operation == Operation::UpdateClusterConfig => (
                ErrorName::AuthenticationModeFailed,
                format!("mend what EKS names, then {again}"),
            ),
            ApiErrorKind::Rejected => (
                ErrorName::InvalidRequest,
                "correct the event by what AWS says of it and send it again".to_owned(),
            ),
            ApiErrorKind::PrincipalNotFound | ApiErrorKind::InvalidPrincipal => (
                ErrorName::PrincipalNotFound,
                "check `principalArn`, its path included: `aws iam get-role --role-name NAME --query Role.Arn` prints a role's".to_owned(),
            ),
            ApiErrorKind::NotStandard => (
                ErrorName::AccessEntryConflict,
                "name a principal that is not the role of nodes".to_owned(),
            ),
            ApiErrorKind::EntryNotFound => (
                ErrorName::VerificationFailed,
                format!("EKS does not show the access entry that it has made; {again} in a minute"),
            ),
            ApiErrorKind::InUse | ApiErrorKind::NotFound | ApiErrorKind::ModeWithoutEntries | ApiErrorKind::ModeUnsupported => (
                ErrorName::Conflict,
                format!("something else is changing the cluster or its access entries; {again} in a minute"),
            ),
            ApiErrorKind::Quota => (
                ErrorName::LimitExceeded,
                "delete access entries that nobody needs (`aws eks list-access-entries`); a cluster has at most 3,000, and no more can be had".to_owned(),
            ),
            ApiErrorKind::Denied => (ErrorName::PermissionDenied, format!("{}, then {again}", allow(&error))),
            ApiErrorKind::BadCredentials => (
                ErrorName::PermissionDenied,
                format!(
                    "AWS does not take the function's credentials for `{}`: check that the cluster's partition and region are open to its account, then {again}",
                    error.operation.iam_action()
                ),
            ),
            ApiErrorKind::Throttled => (ErrorName::Throttled, format!("{again} in half a minute")),
            ApiErrorKind::Unavailable | ApiErrorKind::NotSent => (
                ErrorName::ServiceUnavailable,
                format!("{again} in a minute; if it goes on, look at the AWS Health Dashboard"),
            ),
        };
        Self::new(name, format!("AWS did not carry out {error}"), remedy)
    }
}

/// What to allow to whom.
fn allow(error: &ApiError) -> String {
    format!("allow `{}` on {} to the function's role", error.denied_action(), error.denied_resource())
}
