//! The API operations, as types, and the errors that AWS answers them with.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A call, as the wire brought it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is documented in AWS's API reference under its name")]
pub enum Operation {
    GetCallerIdentity,
    AssumeRole { role_arn: String, session_name: String, external_id: Option<String> },
    GetRole { name: String },
    GetUser { name: String },
    DescribeCluster { name: String },
    UpdateClusterConfig { name: String, config: Map<String, Value>, token: Option<String> },
    DescribeUpdate { name: String, id: String },
    ListUpdates { name: String },
    ListAccessPolicies { page: Page },
    ListAccessEntries { cluster: String, policy: Option<String>, page: Page },
    CreateAccessEntry { cluster: String, entry: NewEntry, token: Option<String> },
    DescribeAccessEntry { cluster: String, principal: String },
    UpdateAccessEntry { cluster: String, principal: String, username: Option<String>, groups: Option<Vec<String>> },
    DeleteAccessEntry { cluster: String, principal: String },
    AssociateAccessPolicy { cluster: String, principal: String, policy: String, scope: Scope },
    DisassociateAccessPolicy { cluster: String, principal: String, policy: String },
    ListAssociatedAccessPolicies { cluster: String, principal: String, page: Page },
    TagResource { arn: String, tags: BTreeMap<String, String> },
    UntagResource { arn: String, keys: Vec<String> },
    ListTagsForResource { arn: String },
}

/// What an access entry is to be made with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewEntry {
    /// Whom it is for.
    pub principal: String,
    /// `STANDARD` where it is not said.
    pub kind: Option<String>,
    /// The Kubernetes username.
    pub username: Option<String>,
    /// The Kubernetes groups.
    pub groups: Vec<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
}

/// An access scope as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `cluster` or `namespace`.
    pub kind: String,
    /// The namespaces.
    pub namespaces: Vec<String>,
}

impl Scope {
    /// The whole cluster.
    #[must_use]
    pub fn cluster() -> Self {
        Self { kind: "cluster".to_owned(), namespaces: Vec::new() }
    }

    /// Some namespaces.
    #[must_use]
    pub fn namespaces(names: &[&str]) -> Self {
        Self { kind: "namespace".to_owned(), namespaces: names.iter().map(|&name| name.to_owned()).collect() }
    }

    /// As the API shows it.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "type": self.kind, "namespaces": self.namespaces })
    }
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// At most so many.
    pub max_results: Option<usize>,
    /// Where the last page ended.
    pub next_token: Option<String>,
}

impl Operation {
    /// Its name in the API reference.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::AssumeRole { .. } => "AssumeRole",
            Self::GetRole { .. } => "GetRole",
            Self::GetUser { .. } => "GetUser",
            Self::DescribeCluster { .. } => "DescribeCluster",
            Self::UpdateClusterConfig { .. } => "UpdateClusterConfig",
            Self::DescribeUpdate { .. } => "DescribeUpdate",
            Self::ListUpdates { .. } => "ListUpdates",
            Self::ListAccessPolicies { .. } => "ListAccessPolicies",
            Self::ListAccessEntries { .. } => "ListAccessEntries",
            Self::CreateAccessEntry { .. } => "CreateAccessEntry",
            Self::DescribeAccessEntry { .. } => "DescribeAccessEntry",
            Self::UpdateAccessEntry { .. } => "UpdateAccessEntry",
            Self::DeleteAccessEntry { .. } => "DeleteAccessEntry",
            Self::AssociateAccessPolicy { .. } => "AssociateAccessPolicy",
            Self::DisassociateAccessPolicy { .. } => "DisassociateAccessPolicy",
            Self::ListAssociatedAccessPolicies { .. } => "ListAssociatedAccessPolicies",
            Self::TagResource { .. } => "TagResource",
            Self::UntagResource { .. } => "UntagResource",
            Self::ListTagsForResource { .. } => "ListTagsForResource",
        }
    }

    /// The service that it belongs to, as SigV4 names it.
    #[must_use]
    pub fn service(&self) -> &'static str {
        match self {
            Self::GetCallerIdentity | Self::AssumeRole { .. } => "sts",
            Self::GetRole { .. } | Self::GetUser { .. } => "iam",
            _ => "eks",
        }
    }

    /// Whether it only reads.
    #[must_use]
    pub fn reads(&self) -> bool {
        let name = self.name();
        name.starts_with("Get") || name.starts_with("Describe") || name.starts_with("List") || name == "AssumeRole"
    }
}

/// A call's answer: JSON for EKS, the inside of the result element for STS and IAM.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A body in JSON.
    Json(Value),
    /// A result in XML.
    Xml(String),
}

/// An error that AWS answers a call with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The code that clients sort by.
    pub code: &'static str,
    /// The message for people.
    pub message: String,
}

impl ApiError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterException", message)
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidRequestException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "ResourceNotFoundException", message)
    }

    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::new(409, "ResourceInUseException", message)
    }

    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(400, "ResourceLimitExceededException", message)
    }

    pub(crate) fn no_such_entity(message: impl Into<String>) -> Self {
        Self::new(404, "NoSuchEntity", message)
    }

    pub(crate) fn access_denied(service: &str, message: impl Into<String>) -> Self {
        let code = if service == "eks" { "AccessDeniedException" } else { "AccessDenied" };
        Self::new(403, code, message)
    }

    pub(crate) fn throttled(service: &str) -> Self {
        if service == "eks" {
            Self::new(429, "TooManyRequestsException", "Too Many Requests")
        } else {
            Self::new(400, "Throttling", "Rate exceeded")
        }
    }

    pub(crate) fn server(status: u16) -> Self {
        let code = if status == 503 { "ServiceUnavailableException" } else { "ServerException" };
        Self::new(status, code, "An internal error occurred; try again.")
    }

    pub(crate) fn unknown_operation() -> Self {
        Self::new(404, "UnknownOperationException", "The requested operation is not recognized by the service.")
    }
}
