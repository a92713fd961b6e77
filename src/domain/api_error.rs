//! Why a call of AWS failed, classified by what to do about it.

use std::time::Duration;

use super::operation::Operation;

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
    /// A failure without request id.
    #[must_use]
    pub fn new(operation: Operation, kind: ApiErrorKind, message: String) -> Self {
        Self { operation, kind, message, request_id: None, unconfirmed: false }
    }

    /// An answer that lacks what it must have.
    #[must_use]
    pub fn unreadable(operation: Operation, what: &str) -> Self {
        Self::new(operation, ApiErrorKind::Unavailable, format!("the answer cannot be understood: {what}"))
    }

    /// An answer that names a principal that can't be granted access (a service-linked role), or a request that can't be built.
    #[must_use]
    pub fn unfit(operation: Operation, why: &impl std::fmt::Display) -> Self {
        Self::new(operation, ApiErrorKind::Rejected, why.to_string())
    }

    /// No answer before the function has to end.
    #[must_use]
    pub fn out_of_time(operation: Operation) -> Self {
        let message = "no answer in the time that the function has".to_owned();
        Self::new(operation, ApiErrorKind::Unavailable, message)
    }

    /// No answer in the time that such a call is given.
    #[must_use]
    pub fn silent(operation: Operation, time: Duration) -> Self {
        Self::new(operation, ApiErrorKind::Unavailable, format!("no answer in {} s", time.as_secs()))
    }

    /// The function has to end before it could send the call.
    #[must_use]
    pub fn not_sent(operation: Operation) -> Self {
        let message = "it was not sent, because the function's time is over".to_owned();
        Self::new(operation, ApiErrorKind::NotSent, message)
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
#[cfg(test)]
mod tests {
    use super::*;

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
