//! What went wrong with a call, sorted by what to do about it.
//!
//! The error code decides first and the message only where one code means several things, for EKS does
//! not promise its messages. Neither access denied nor throttling is modelled on most EKS operations, so
//! both are known by their code alone.

use std::error::Error;
use std::iter::successors;

use aws_sdk_eks::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_eks::operation::RequestId as _;

use super::Operation;

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No cluster of that name.
    ClusterNotFound,
    /// The principal has no access entry on the cluster.
    EntryNotFound,
    /// No such access policy.
    PolicyNotFound,
    /// IAM knows no such role or user.
    PrincipalNotFound,
    /// Something else is not there.
    NotFound,
    /// 409: the entry or the schedule exists, or another update of the cluster is in progress; which, the operation tells.
    InUse,
    /// The authentication mode is `CONFIG_MAP`, which knows no access entries.
    ModeWithoutEntries,
    /// The authentication mode cannot go from what it is to what was asked for.
    ModeUnsupported,
    /// EKS does not know the principal, or not yet.
    InvalidPrincipal,
    /// Only entries of type `STANDARD` have access policies.
    NotStandard,
    /// A quota is used up.
    Quota,
    /// The function may not do this.
    Denied,
    /// The function's credentials are not accepted.
    BadCredentials,
    /// Too many calls.
    Throttled,
    /// AWS answered 5xx, or nothing, or something that cannot be read.
    Unavailable,
    /// The function's time was over before the call was sent.
    NotSent,
    /// AWS refuses the call as it is.
    Rejected,
}

impl Kind {
    /// Whether the same call may well succeed in a while.
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
    /// Why, sorted.
    pub kind: Kind,
    /// Why, in AWS's words.
    pub message: String,
    /// What AWS support asks for first.
    pub request_id: Option<String>,
    /// Whether the answer to an earlier try of the same call was lost.
    pub lost: bool,
}

impl ApiError {
    /// An answer that lacks what it must have.
    pub(crate) fn unreadable(operation: Operation, what: &str) -> Self {
        Self {
            operation,
            kind: Kind::Unavailable,
            message: format!("the answer cannot be understood: {what}"),
            request_id: None,
            lost: false,
        }
    }

    /// An answer that names somebody who cannot be let in: a service-linked role.
    pub(super) fn unfit(operation: Operation, why: &impl std::fmt::Display) -> Self {
        Self { operation, kind: Kind::Rejected, message: why.to_string(), request_id: None, lost: false }
    }

    /// A schedule that holds something else than a revoke of this function's.
    pub(crate) fn unknown_input(why: &str) -> Self {
        Self {
            operation: Operation::GetSchedule,
            kind: Kind::Rejected,
            message: format!("the schedule's input cannot be understood by this version: {why}"),
            request_id: None,
            lost: false,
        }
    }

    /// No answer before the function has to end.
    pub(crate) fn out_of_time(operation: Operation) -> Self {
        Self {
            operation,
            kind: Kind::Unavailable,
            message: "no answer in the time that the function has".to_owned(),
            request_id: None,
            lost: false,
        }
    }

    /// No answer in the time that such a call is given.
    pub(crate) fn silent(operation: Operation, time: std::time::Duration) -> Self {
        let message = format!("no answer in {} s", time.as_secs());
        Self { message, ..Self::out_of_time(operation) }
    }

    /// The function has to end before it could send the call.
    pub(super) fn not_sent(operation: Operation) -> Self {
        Self {
            operation,
            kind: Kind::NotSent,
            message: "it was not sent, for the function's time is over".to_owned(),
            request_id: None,
            lost: false,
        }
    }

    /// Sorts an SDK's error.
    pub(super) fn classify<E>(operation: Operation, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let SdkError::ServiceError(service) = error else {
            return Self { operation, kind: Kind::Unavailable, message: chain(error), request_id: None, lost: false };
        };
        let metadata = service.err().meta();
        let status = service.raw().status().as_u16();
        let kind = kind(metadata.code(), metadata.message().unwrap_or_default(), status);
        Self {
            operation,
            kind,
            message: told(metadata).unwrap_or_else(|| format!("HTTP status {status}, with nothing that can be read")),
            request_id: error.request_id().map(str::to_owned),
            lost: false,
        }
    }

    /// Whether the call may have changed something although it failed.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        self.operation.changes() && (self.lost || self.kind == Kind::Unavailable)
    }

    /// The IAM action that was denied: the one that AWS names (`eks:TagResource` may be wanted for
    /// `CreateAccessEntry`), else that of the operation.
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

    fn between(&self, before: &str, after: &str) -> Option<&str> {
        let (_, rest) = self.message.split_once(before)?;
        rest.split(after).next().map(|text| text.trim_end_matches([',', ')', '"']))
    }
}

/// An error and its causes, each in its own words. Not by `Debug`, which shows requests and answers, and the secrets in them.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// AWS's words and the error's name; `None` where it has no name.
pub(super) fn told(metadata: &ErrorMetadata) -> Option<String> {
    let code = metadata.code()?;
    Some(if BAD_CREDENTIALS.contains(&code) {
        // AWS's own words hold the request that it could not verify, with access key and session token.
        format!("AWS does not take the credentials ({code})")
    } else {
        format!("{} ({code})", metadata.message().unwrap_or_default())
    })
}

/// Codes that say that the function may not; source: the services' "Common errors" pages.
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
/// `TooManyRequestsException` is what EKS sends under load (amazon-eks-ami issue 999).
const THROTTLED: [&str; 6] = [
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
];
const UNAVAILABLE: [&str; 6] = [
    "ServerException",
    "ServiceUnavailableException",
    "ServiceUnavailable",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
];

fn kind(code: Option<&str>, message: &str, status: u16) -> Kind {
    let says = |words: &str| message.contains(words);
    match code {
        Some(code) if DENIED.contains(&code) => Kind::Denied,
        Some(code) if BAD_CREDENTIALS.contains(&code) => Kind::BadCredentials,
        Some(code) if THROTTLED.contains(&code) => Kind::Throttled,
        Some(code) if UNAVAILABLE.contains(&code) => Kind::Unavailable,
        Some("ResourceNotFoundException" | "ClientException") if says("No cluster found") => Kind::ClusterNotFound,
        Some("ResourceNotFoundException") if says("policyArn") => Kind::PolicyNotFound,
        Some("ResourceNotFoundException") if says("principalArn") => Kind::EntryNotFound,
        Some("ResourceNotFoundException") => Kind::NotFound,
        Some("NoSuchEntity" | "NoSuchEntityException") => Kind::PrincipalNotFound,
        Some("ResourceInUseException" | "ConflictException") => Kind::InUse,
        Some("InvalidRequestException" | "InvalidParameterException") if says("authentication mode must be set") => {
            Kind::ModeWithoutEntries
        }
        Some("InvalidParameterException")
            if says("Unsupported authentication mode update") && !says("from CONFIG_MAP ") =>
        {
            Kind::ModeUnsupported
        }
        Some("InvalidParameterException") if says("invalid principal") => Kind::InvalidPrincipal,
        Some("InvalidParameterException") if says("with a type of \"STANDARD\"") => Kind::NotStandard,
        Some("ResourceLimitExceededException" | "ServiceQuotaExceededException" | "LimitExceeded") => Kind::Quota,
        _ if status == 429 => Kind::Throttled,
        Some(_) if matches!(status, 401 | 403) => Kind::Denied,
        _ if status == 408 => Kind::Unavailable,
        Some(_) if (400..500).contains(&status) => Kind::Rejected,
        _ => Kind::Unavailable,
    }
}
