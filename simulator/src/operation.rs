//! The API operations, as types, and the errors that AWS answers them with.

mod xml;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(crate) use xml::{element, escape};

/// A call, as the wire brought it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is documented in AWS's API reference under its name")]
pub enum Operation {
    GetCallerIdentity,
    AssumeRole { role_arn: String, session_name: String, external_id: Option<String>, policy: Option<String> },
    GetRole { name: String },
    GetUser { name: String },
    ListRoles { path_prefix: Option<String>, page: Page },
    ListUsers { path_prefix: Option<String>, page: Page },
    ListClusters { page: Page },
    DescribeCluster { name: String },
    UpdateClusterConfig { name: String, config: Map<String, Value>, token: Option<String> },
    DescribeUpdate { name: String, id: String },
    ListUpdates { name: String, page: Page },
    ListNodegroups { cluster: String, page: Page },
    DescribeNodegroup { cluster: String, nodegroup: String },
    ListFargateProfiles { cluster: String, page: Page },
    DescribeFargateProfile { cluster: String, profile: String },
    ListAccessPolicies { page: Page },
    ListAccessEntries { cluster: String, policy: Option<String>, page: Page },
    CreateAccessEntry { cluster: String, entry: NewEntry, token: Option<String> },
    DescribeAccessEntry { cluster: String, principal: String },
    UpdateAccessEntry { cluster: String, principal: String, change: EntryChange, token: Option<String> },
    DeleteAccessEntry { cluster: String, principal: String },
    AssociateAccessPolicy { cluster: String, principal: String, policy: String, scope: Scope },
    DisassociateAccessPolicy { cluster: String, principal: String, policy: String },
    ListAssociatedAccessPolicies { cluster: String, principal: String, page: Page },
    TagResource { arn: String, tags: BTreeMap<String, String> },
    UntagResource { arn: String, keys: Vec<String> },
    ListTagsForResource { arn: String },
    CreateSchedule { schedule: NewSchedule },
    GetSchedule { group: String, name: String },
    UpdateSchedule { schedule: NewSchedule },
    DeleteSchedule { group: String, name: String },
    ListSchedules { group: Option<String>, prefix: Option<String>, page: Page },
    PutEvents { entries: Vec<Entry> },
}

/// An event for a bus, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub struct Entry {
    pub bus: String,
    pub source: String,
    pub detail_type: String,
    pub detail: String,
}

/// What a schedule is to be made with, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub struct NewSchedule {
    pub group: String,
    pub name: String,
    pub expression: String,
    pub timezone: Option<String>,
    pub description: Option<String>,
    pub flexible: Option<String>,
    pub action_after_completion: Option<String>,
    pub state: Option<String>,
    pub target_arn: Option<String>,
    pub role_arn: Option<String>,
    pub input: Option<String>,
    pub maximum_event_age: Option<u32>,
    pub maximum_retry_attempts: Option<u32>,
    pub dead_letter_arn: Option<String>,
    pub token: Option<String>,
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

/// What of an access entry is to be changed; what is not said stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntryChange {
    /// The Kubernetes username.
    pub username: Option<String>,
    /// The Kubernetes groups, all of them.
    pub groups: Option<Vec<String>>,
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
            Self::ListRoles { .. } => "ListRoles",
            Self::ListUsers { .. } => "ListUsers",
            Self::CreateSchedule { .. } => "CreateSchedule",
            Self::GetSchedule { .. } => "GetSchedule",
            Self::UpdateSchedule { .. } => "UpdateSchedule",
            Self::DeleteSchedule { .. } => "DeleteSchedule",
            Self::ListSchedules { .. } => "ListSchedules",
            Self::PutEvents { .. } => "PutEvents",
            Self::ListClusters { .. } => "ListClusters",
            Self::ListNodegroups { .. } => "ListNodegroups",
            Self::DescribeNodegroup { .. } => "DescribeNodegroup",
            Self::ListFargateProfiles { .. } => "ListFargateProfiles",
            Self::DescribeFargateProfile { .. } => "DescribeFargateProfile",
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
            Self::GetRole { .. } | Self::GetUser { .. } | Self::ListRoles { .. } | Self::ListUsers { .. } => "iam",
            Self::CreateSchedule { .. }
            | Self::GetSchedule { .. }
            | Self::UpdateSchedule { .. }
            | Self::DeleteSchedule { .. }
            | Self::ListSchedules { .. } => "scheduler",
            Self::PutEvents { .. } => "events",
            _ => "eks",
        }
    }

    /// The name of the cluster that it is about, where it is about one.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        match self {
            Self::DescribeCluster { name }
            | Self::UpdateClusterConfig { name, .. }
            | Self::DescribeUpdate { name, .. }
            | Self::ListUpdates { name, .. } => Some(name),
            Self::ListNodegroups { cluster, .. }
            | Self::DescribeNodegroup { cluster, .. }
            | Self::ListFargateProfiles { cluster, .. }
            | Self::DescribeFargateProfile { cluster, .. }
            | Self::ListAccessEntries { cluster, .. }
            | Self::CreateAccessEntry { cluster, .. }
            | Self::DescribeAccessEntry { cluster, .. }
            | Self::UpdateAccessEntry { cluster, .. }
            | Self::DeleteAccessEntry { cluster, .. }
            | Self::AssociateAccessPolicy { cluster, .. }
            | Self::DisassociateAccessPolicy { cluster, .. }
            | Self::ListAssociatedAccessPolicies { cluster, .. } => Some(cluster),
            // The ARN of an entry names its cluster: `…:access-entry/CLUSTER/role/ACCOUNT/NAME/UUID`.
            Self::TagResource { arn, .. } | Self::UntagResource { arn, .. } | Self::ListTagsForResource { arn } => {
                arn.split('/').nth(1)
            }
            _ => None,
        }
    }

    /// The ARN of the principal whose entry it is about, where it is about one.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        match self {
            Self::CreateAccessEntry { entry, .. } => Some(&entry.principal),
            Self::DescribeAccessEntry { principal, .. }
            | Self::UpdateAccessEntry { principal, .. }
            | Self::DeleteAccessEntry { principal, .. }
            | Self::AssociateAccessPolicy { principal, .. }
            | Self::DisassociateAccessPolicy { principal, .. }
            | Self::ListAssociatedAccessPolicies { principal, .. } => Some(principal),
            _ => None,
        }
    }

    /// Whether it only reads.
    #[must_use]
    pub fn reads(&self) -> bool {
        let name = self.name();
        name.starts_with("Get") || name.starts_with("Describe") || name.starts_with("List") || name == "AssumeRole"
    }
}

/// A call's answer: JSON for EKS and Scheduler, the inside of the result element for STS and IAM.
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
    /// The cluster that it is about: EKS names it beside the message (facts §1.1).
    pub cluster: Option<String>,
}

impl ApiError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), cluster: None }
    }

    /// The same, about that cluster.
    pub(crate) fn about(self, cluster: &str) -> Self {
        Self { cluster: Some(cluster.to_owned()), ..self }
    }

    /// Facts §3.4; ACK community issue 2144.
    pub(crate) fn not_standard() -> Self {
        Self::invalid_parameter("This operation can only be performed on Access Entries with a type of \"STANDARD\".")
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub(crate) fn malformed_policy(message: impl Into<String>) -> Self {
        Self::new(400, "MalformedPolicyDocument", message)
    }

    pub(crate) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(400, "SerializationException", message)
    }

    pub(crate) fn unsigned() -> Self {
        Self::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
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

    pub(crate) fn validation_exception(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationException", message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "ConflictException", message)
    }

    pub(crate) fn service_quota(message: impl Into<String>) -> Self {
        Self::new(402, "ServiceQuotaExceededException", message)
    }

    pub(crate) fn no_such_entity(message: impl Into<String>) -> Self {
        Self::new(404, "NoSuchEntity", message)
    }

    pub(crate) fn access_denied(service: &str, message: impl Into<String>) -> Self {
        let code = if speaks_json(service) { "AccessDeniedException" } else { "AccessDenied" };
        Self::new(403, code, message)
    }

    /// EKS throttles by a code that no operation's model has (facts §9; amazon-eks-ami issue 999).
    pub(crate) fn throttled(service: &str) -> Self {
        match service {
            "eks" => Self::new(429, "TooManyRequestsException", "Too Many Requests"),
            "scheduler" => Self::new(429, "ThrottlingException", "Rate exceeded"),
            "events" => Self::new(400, "ThrottlingException", "Rate exceeded"),
            _ => Self::new(400, "Throttling", "Rate exceeded"),
        }
    }

    pub(crate) fn server(service: &str, status: u16) -> Self {
        let code = match (status, service) {
            (503, _) => "ServiceUnavailableException",
            (_, "scheduler") => "InternalServerException",
            (_, "events") => "InternalException",
            _ => "ServerException",
        };
        Self::new(status, code, "An internal error occurred; try again.")
    }

    pub(crate) fn unknown_operation() -> Self {
        Self::new(404, "UnknownOperationException", "The requested operation is not recognized by the service.")
    }
}

/// Whether a service speaks JSON, rather than the query protocol.
pub(crate) fn speaks_json(service: &str) -> bool {
    matches!(service, "eks" | "scheduler" | "events")
}
