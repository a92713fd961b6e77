//! What a request ends in: the result, in the shape that people, runbooks and chat front ends read.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::arn::PolicyArn;
use crate::findings::Finding;
use crate::journal::{StepRecord, Warning};
use crate::observation::{AccessEntry, AccessPolicy, AuthenticationMode, Caller, Cluster};
use crate::principal::{PrincipalArn, PrincipalKind};
use crate::request::Restore;
use crate::verify::Kubernetes;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Access was given, or changed.
    Granted,
    /// Everything asked for was there already; nothing was changed.
    AlreadyGranted,
    /// The authentication mode is still changing; nothing was granted yet.
    InProgress,
    /// The steps are what would be done.
    Planned,
    /// What a grant had added is gone, what was there before it is back.
    Revoked,
    /// There was no such access.
    NothingToRevoke,
    /// The grant was extended since this revoke was scheduled; nothing was changed.
    Superseded,
    /// What was found is in the findings.
    Inspected,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// `grant`, `revoke` or `inspect`.
    pub action: &'static str,
    /// The Lambda request id.
    pub request_id: String,
    /// Who the function is to AWS.
    pub caller: Caller,
    /// The cluster.
    pub cluster: ClusterReport,
    /// Whom it is about; an inspection may be about the cluster alone.
    pub principal: Option<PrincipalReport>,
    /// The principal's access entry, as EKS shows it now.
    pub access_entry: Option<AccessEntryReport>,
    /// The policies associated with it, as EKS shows them now.
    pub access_policies: Vec<AccessPolicy>,
    /// What was proved.
    pub verification: Verification,
    /// When the access ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
    /// What was found, the gravest first; only of an inspection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// What was done, in order.
    pub steps: Vec<StepRecord>,
    /// What the requester should know.
    pub warnings: Vec<Warning>,
    /// What `aws eks update-kubeconfig` would write.
    pub kubeconfig: Option<String>,
    /// What to do now.
    pub next_steps: Vec<String>,
    /// An event that takes back exactly this grant.
    pub undo: Option<Value>,
    /// When to send the same event again, in seconds; only while the authentication mode is changing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

/// A cluster, as results show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of the EKS API")]
pub struct ClusterReport {
    pub name: String,
    pub arn: String,
    pub region: String,
    pub account_id: Option<String>,
    pub status: String,
    pub version: Option<String>,
    pub platform_version: Option<String>,
    pub endpoint: Option<String>,
    pub authentication_mode: ModeChange,
}

/// The authentication mode, as this invocation first saw it, and as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ModeChange {
    /// Seen first.
    pub before: AuthenticationMode,
    /// Seen last.
    pub after: AuthenticationMode,
}

impl ClusterReport {
    /// The report of a cluster as it is seen now, whose authentication mode was `before` when it was first seen.
    #[must_use]
    pub fn new(cluster: &Cluster, before: AuthenticationMode) -> Self {
        let field =
            |index| cluster.arn.split(':').nth(index).map(str::to_owned).filter(|text: &String| !text.is_empty());
        Self {
            name: cluster.name.clone(),
            arn: cluster.arn.clone(),
            region: field(3).unwrap_or_default(),
            account_id: field(4),
            status: cluster.status.clone(),
            version: cluster.version.clone(),
            platform_version: cluster.platform_version.clone(),
            endpoint: cluster.endpoint.clone(),
            authentication_mode: ModeChange { before, after: cluster.authentication_mode },
        }
    }
}

/// A principal, as results show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrincipalReport {
    /// As it was sent.
    pub requested: String,
    /// The role's or user's ARN.
    pub arn: String,
    /// Role or user.
    pub kind: PrincipalKind,
}

impl PrincipalReport {
    /// The report of a principal that was sent as `requested`.
    #[must_use]
    pub fn new(requested: &str, arn: &PrincipalArn) -> Self {
        Self { requested: requested.to_owned(), arn: arn.as_str().to_owned(), kind: arn.kind }
    }
}

/// An access entry, as results show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of the EKS API")]
pub struct AccessEntryReport {
    pub arn: Option<String>,
    pub r#type: String,
    pub username: Option<String>,
    pub kubernetes_groups: Vec<String>,
    pub created_at: Option<Timestamp>,
    pub modified_at: Option<Timestamp>,
    /// Whether this invocation made it, and nobody had it before.
    pub created_by_this_grant: bool,
}

impl AccessEntryReport {
    /// The report of an entry.
    #[must_use]
    pub fn new(entry: &AccessEntry, created_by_this_grant: bool) -> Self {
        Self {
            arn: entry.arn.clone(),
            r#type: entry.r#type.clone(),
            username: entry.username.clone(),
            kubernetes_groups: entry.kubernetes_groups.clone(),
            created_at: entry.created_at,
            modified_at: entry.modified_at,
            created_by_this_grant,
        }
    }
}

/// What was proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// `CONFIRMED`: EKS shows the entry and the policy as asked. `None`: there was nothing to confirm yet.
    pub control_plane: Option<&'static str>,
    /// What the cluster's API server says of the principal's access.
    pub kubernetes: Kubernetes,
    /// In words.
    pub detail: String,
}

/// An event that takes back a grant. It names the cluster by its ARN, so that it means the same wherever it is sent from.
#[must_use]
pub fn undo(cluster: &Cluster, principal: &PrincipalArn, policy: &PolicyArn, restore: &Restore) -> Value {
    json!({
        "action": "revoke",
        "clusterName": cluster.arn,
        "principalArn": principal.as_str(),
        "policyArn": policy.as_str(),
        "restore": restore,
    })
}
