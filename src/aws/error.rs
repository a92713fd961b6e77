//! Why a call failed, classified by what to do about it.
//!
//! The error code decides first. The message decides only if one code means several things, because EKS doesn't promise its messages.
//! Most EKS operations model neither access denied nor throttling, so both are known by their code alone.

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_eks::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_eks::operation::RequestId as _;

use super::Operation;
use super::endpoints::Service;

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// There is no cluster of that name.
    ClusterNotFound,
    /// The principal has no access entry on the cluster.
    EntryNotFound,
    /// There is no such access policy.
    PolicyNotFound,
    /// IAM knows no such role or user.
    PrincipalNotFound,
    /// Something else doesn't exist.
    NotFound,
    /// 409: the entry or the schedule exists, or another update of the cluster is in progress; the operation tells which.
    InUse,
    /// The authentication mode is `CONFIG_MAP`, which has no access entries.
    ModeWithoutEntries,
    /// The authentication mode can't change from what it is to what was requested.
    ModeUnsupported,
    /// EKS doesn't know the principal, or not yet.
    InvalidPrincipal,
    /// Only entries of type `STANDARD` have access policies.
    NotStandard,
    /// A quota is used up.
    Quota,
    /// The function lacks a permission.
    Denied,
    /// AWS doesn't accept the function's credentials.
    BadCredentials,
    /// Too many calls.
    Throttled,
    /// AWS answered 5xx, or nothing, or something that can't be read.
    Unavailable,
    /// The function's time was over before the call was sent.
    NotSent,
    /// AWS refuses the call as it is.
    Rejected,
}

impl ApiErrorKind {
    /// Whether the same call may succeed in a while.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::NotSent)
    }
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}{}", .request_id.as_ref().map(|id| format!(" (AWS request id {id})")).unwrap_or_default())]
pub struct ApiError {
    /// Which call.
    pub operation: Operation,
    /// Why, classified.
    pub kind: ApiErrorKind,
    /// Why, in AWS's words.
    pub message: String,
    /// What AWS Support asks for first.
    pub request_id: Option<String>,
    /// Whether an earlier attempt of the same call may have taken effect.
    pub unconfirmed: bool,
}

impl ApiError {
    fn new(operation: Operation, kind: ApiErrorKind, message: String) -> Self {
        Self { operation, kind, message, request_id: None, unconfirmed: false }
    }

    /// An answer that lacks what it must have.
    pub(crate) fn unreadable(operation: Operation, what: &str) -> Self {
        Self::new(operation, ApiErrorKind::Unavailable, format!("the answer cannot be understood: {what}"))
    }

    /// An answer that names a principal that can't be granted access (a service-linked role), or a request that can't be built.
    pub(super) fn unfit(operation: Operation, why: &impl std::fmt::Display) -> Self {
        Self::new(operation, ApiErrorKind::Rejected, why.to_string())
    }

    /// No answer before the function has to end.
    pub(crate) fn out_of_time(operation: Operation) -> Self {
        let message = "no answer in the time that the function has".to_owned();
        Self::new(operation, ApiErrorKind::Unavailable, message)
    }

    /// No answer in the time that such a call is given.
    pub(crate) fn silent(operation: Operation, time: Duration) -> Self {
        Self::new(operation, ApiErrorKind::Unavailable, format!("no answer in {} s", time.as_secs()))
    }

    /// The function has to end before it could send the call.
    pub(super) fn not_sent(operation: Operation) -> Self {
        let message = "it was not sent, because the function's time is over".to_owned();
        Self::new(operation, ApiErrorKind::NotSent, message)
    }

    /// Classifies an SDK's error.
    pub(super) fn from_sdk<E>(operation: Operation, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let SdkError::ServiceError(service) = error else {
            return Self::new(operation, ApiErrorKind::Unavailable, error_chain(error));
        };
        let metadata = service.err().meta();
        let status = service.raw().status().as_u16();
        let kind = classify(metadata.code(), metadata.message().unwrap_or_default(), status);
        let message =
            describe(metadata).unwrap_or_else(|| format!("HTTP status {status}, with nothing that can be read"));
        Self { request_id: error.request_id().map(str::to_owned), ..Self::new(operation, kind, message) }
    }

    /// Whether the call may have changed something although it failed.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        self.operation.changes() && (self.unconfirmed || self.kind == ApiErrorKind::Unavailable)
    }

    /// The IAM action that was denied: the one that AWS names (`eks:TagResource` may be needed for `CreateAccessEntry`), else that of the
    /// operation.
    #[must_use]
    pub fn denied_action(&self) -> String {
        self.between("not authorized to perform: ", " ").map_or_else(|| self.operation.iam_action(), str::to_owned)
    }

    /// The resource that it was denied on: the one that AWS names, else what the operation is about, in words.
    #[must_use]
    pub fn denied_resource(&self) -> String {
        let named = self.between(" on resource: ", " ").map(|resource| format!("`{resource}`"));
        named.unwrap_or_else(|| self.operation.resource().to_owned())
    }

    /// What kind of policy denies the call explicitly; `None` if no policy is known to. Then a permission is missing, which the platform
    /// team can add. Source: "Access denied error message examples" in the IAM User Guide.
    #[must_use]
    pub fn explicit_deny(&self) -> Option<&'static str> {
        let (_, rest) = self.message.split_once("with an explicit deny")?;
        let rest = rest.strip_prefix(" in a ").or_else(|| rest.strip_prefix(" in an ")).unwrap_or_default();
        Some(DENYING_POLICIES.into_iter().find(|policy| rest.starts_with(policy)).unwrap_or("policy"))
    }

    fn between(&self, before: &str, after: &str) -> Option<&str> {
        let (_, rest) = self.message.split_once(before)?;
        rest.split(after).next().map(|text| text.trim_end_matches([',', ')', '"']))
    }
}

/// Why a call without an [`Operation`] failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// AWS refused the call.
    #[error("{service} refused it: {message}")]
    Refused {
        /// The service's name for people.
        service: &'static str,
        /// The error's code.
        code: String,
        /// Why, in AWS's words, and the code.
        message: String,
    },
    /// AWS answered nothing, or something that can't be read.
    #[error("{0}")]
    Unanswered(String),
}

impl CallError {
    pub(super) fn from_sdk<E>(service: Service, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let name = service.name();
        match error {
            SdkError::ServiceError(refused) => match (refused.err().code(), describe(refused.err().meta())) {
                (Some(code), Some(message)) => Self::Refused { service: name, code: code.to_owned(), message },
                _ => Self::Unanswered(format!("{name} answered with HTTP status {}", refused.raw().status())),
            },
            SdkError::TimeoutError(_) => Self::timed_out(service),
            other => Self::Unanswered(error_chain(other)),
        }
    }

    pub(super) fn timed_out(service: Service) -> Self {
        Self::Unanswered(format!("{} did not answer in time", service.name()))
    }

    /// The error's code, if AWS gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unanswered(_) => None,
        }
    }
}

/// An error and its causes, each in its own words. Not through `Debug`, which shows requests and answers, and the secrets in them.
pub(crate) fn error_chain(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// AWS's words and the error's code; `None` if there is no code.
fn describe(metadata: &ErrorMetadata) -> Option<String> {
    let code = metadata.code()?;
    Some(if BAD_CREDENTIALS.contains(&code) {
        // AWS's own words hold the request that it couldn't verify, with access key and session token.
        format!("AWS does not take the credentials ({code})")
    } else {
        format!("{} ({code})", metadata.message().unwrap_or_default())
    })
}

/// Kinds of policies that AWS names in an explicit deny.
const DENYING_POLICIES: [&str; 7] = [
    "service control policy",
    "resource control policy",
    "permissions boundary",
    "identity-based policy",
    "resource-based policy",
    "session policy",
    "VPC endpoint policy",
];
/// Source: the services' "Common errors" pages.
const DENIED: [&str; 3] = ["AccessDeniedException", "AccessDenied", "UnauthorizedOperation"];
const BAD_CREDENTIALS: [&str; 12] = [
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "InvalidAccessKeyId",
];
/// What EKS sends under load (amazon-eks-ami issue 999), whether or not the SDK's list has it.
const EKS_THROTTLING: &str = "TooManyRequestsException";

fn classify(code: Option<&str>, message: &str, status: u16) -> ApiErrorKind {
    let says = |words: &str| message.contains(words);
    match code {
        Some(code) if DENIED.contains(&code) => ApiErrorKind::Denied,
        Some(code) if BAD_CREDENTIALS.contains(&code) => ApiErrorKind::BadCredentials,
        Some(code) if code == EKS_THROTTLING || THROTTLING_ERRORS.contains(&code) => ApiErrorKind::Throttled,
        Some(code) if TRANSIENT_ERRORS.contains(&code) => ApiErrorKind::Unavailable,
        Some("ResourceNotFoundException" | "ClientException") if says("No cluster found") => {
            ApiErrorKind::ClusterNotFound
        }
        Some("ResourceNotFoundException") if says("policyArn") => ApiErrorKind::PolicyNotFound,
        Some("ResourceNotFoundException") if says("principalArn") => ApiErrorKind::EntryNotFound,
        Some("ResourceNotFoundException") => ApiErrorKind::NotFound,
        Some("NoSuchEntity" | "NoSuchEntityException") => ApiErrorKind::PrincipalNotFound,
        Some("ResourceInUseException" | "ConflictException") => ApiErrorKind::InUse,
        Some("InvalidRequestException" | "InvalidParameterException") if says("authentication mode must be set") => {
            ApiErrorKind::ModeWithoutEntries
        }
        Some("InvalidParameterException")
            if says("Unsupported authentication mode update") && !says("from CONFIG_MAP ") =>
        {
            ApiErrorKind::ModeUnsupported
        }
        Some("InvalidParameterException") if says("invalid principal") => ApiErrorKind::InvalidPrincipal,
        Some("InvalidParameterException") if says("with a type of \"STANDARD\"") => ApiErrorKind::NotStandard,
        Some("ResourceLimitExceededException" | "ServiceQuotaExceededException" | "LimitExceeded") => {
            ApiErrorKind::Quota
        }
        _ if status == 429 => ApiErrorKind::Throttled,
        Some(_) if matches!(status, 401 | 403) => ApiErrorKind::Denied,
        _ if status == 408 => ApiErrorKind::Unavailable,
        Some(_) if (400..500).contains(&status) => ApiErrorKind::Rejected,
        _ => ApiErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_the_sdk_retries_is_transient_whatever_the_status() {
        for code in THROTTLING_ERRORS.iter().chain(TRANSIENT_ERRORS).chain([&EKS_THROTTLING]) {
            for status in [200, 400, 403, 404, 409, 429, 500, 503] {
                assert!(classify(Some(code), "", status).is_transient(), "{code} {status}");
            }
        }
    }

    #[test]
    fn an_explicit_deny_names_its_kind_of_policy() {
        let denied = |reason: &str| {
            let message = format!("User: u is not authorized to perform: eks:DescribeCluster on resource: r {reason}");
            ApiError::new(Operation::DescribeCluster, ApiErrorKind::Denied, message).explicit_deny()
        };
        for policy in DENYING_POLICIES {
            let article = if policy == "identity-based policy" { "an" } else { "a" };
            assert_eq!(denied(&format!("with an explicit deny in {article} {policy}: id")), Some(policy));
        }
        assert_eq!(denied("with an explicit deny"), Some("policy"));
        assert_eq!(denied("with an explicit deny in a new kind of policy"), Some("policy"));
        assert_eq!(denied("because no identity-based policy allows the eks:DescribeCluster action"), None);
    }
}
