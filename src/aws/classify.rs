//! Classifies the SDK's errors.
//!
//! The error code decides first. The message decides only if one code means several things, because EKS doesn't promise its messages.
//! Most EKS operations model neither access denied nor throttling, so both are known by their code alone.

use std::error::Error;
use std::iter::successors;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_eks::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_eks::operation::RequestId as _;

use super::endpoints::Service;
use crate::domain::api_error::{ApiError, ApiErrorKind};
use crate::domain::operation::Operation;

/// Classifies an SDK's error.
pub(super) fn api_error<E>(operation: Operation, error: &SdkError<E>) -> ApiError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let SdkError::ServiceError(service) = error else {
        return ApiError::new(operation, ApiErrorKind::Unavailable, error_chain(error));
    };
    let metadata = service.err().meta();
    let status = service.raw().status().as_u16();
    let kind = classify(metadata.code(), metadata.message().unwrap_or_default(), status);
    let message = describe(metadata).unwrap_or_else(|| format!("HTTP status {status}, with nothing that can be read"));
    ApiError { request_id: error.request_id().map(str::to_owned), ..ApiError::new(operation, kind, message) }
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
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
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
}
