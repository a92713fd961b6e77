//! What a request ends in: the result, in the shape that people, runbooks and chat front ends read.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::decide::diagnosis::Finding;
use crate::domain::access_entry::{AccessEntry, AccessPolicy};
use crate::domain::arn::{ClusterRef, PolicyArn};
use crate::domain::cluster::{AuthenticationMode, Cluster};
use crate::domain::codes::{Status, WarningCode};
use crate::domain::identity::Caller;
use crate::domain::principal::{PrincipalArn, PrincipalKind};
use crate::domain::record::{Record, StepRecord, Warning};
use crate::domain::scheduled_revoke::Restore;
use crate::domain::verification::Kubernetes;

/// The result of a request. The order of the fields is that of the contract (2): what matters most stands first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// What a dry run would have ended in, as far as its plan shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_status: Option<Status>,
    /// `grant`, `revoke` or `inspect`.
    pub action: &'static str,
    /// The Lambda request id.
    pub request_id: String,
    /// The cluster.
    pub cluster: ClusterReport,
    /// The principal; an inspection may be about the cluster alone.
    pub principal: Option<PrincipalReport>,
    /// When the access ends; `None`: when it is revoked, or the end is not certain.
    pub expires_at: Option<Timestamp>,
    /// What to do now.
    pub next_steps: Vec<String>,
    /// What the requester should know.
    pub warnings: Vec<Warning>,
    /// What was found, the gravest first; only of an inspection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// An event that removes exactly this grant.
    pub undo: Option<Value>,
    /// What was proved.
    pub verification: Verification,
    /// The principal's access entry, as EKS shows it now.
    pub access_entry: Option<AccessEntryReport>,
    /// The policies associated with it, as EKS shows them now.
    pub access_policies: Vec<AccessPolicy>,
    /// The entry that was deleted because it was stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_entry: Option<ReplacedEntry>,
    /// When to send the same event again, in seconds; only while the authentication mode is changing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// The function's identity.
    pub caller: Caller,
    /// What was done, in order.
    pub steps: Vec<StepRecord>,
    /// What `aws eks update-kubeconfig` would write.
    pub kubeconfig: Option<String>,
}

/// The largest result, in bytes of JSON: Step Functions takes 256 KB for the input and the output of a state.
const LARGEST: usize = 200 * 1000;
/// How many items a list keeps that had to be cut, at first.
const FIRST_CUT: usize = 64;

impl Outcome {
    /// The same with what the recorder knows.
    #[must_use]
    pub fn recorded(self, request_id: &str, record: &Record) -> Self {
        Self {
            request_id: request_id.to_owned(),
            warnings: record.warnings.clone(),
            steps: record.steps.clone(),
            ..self
        }
    }

    /// The same, with its longest lists cut until it is small enough; a warning says so.
    #[must_use]
    pub fn within_limit(mut self) -> Self {
        let size = |outcome: &Self| serde_json::to_vec(outcome).map_or(0, |json| json.len());
        if size(&self) <= LARGEST {
            return self;
        }
        self.warnings.push(Warning {
            code: WarningCode::ResultTruncated,
            message: format!(
                "The result was larger than {} KB, so its long lists were cut. The log has all of it.",
                LARGEST / 1000
            ),
        });
        let mut keep = FIRST_CUT;
        while size(&self) > LARGEST && keep > 0 {
            self.steps.truncate(keep);
            self.access_policies.truncate(keep);
            for list in self.access_policies.iter_mut().map(|held| &mut held.access_scope) {
                list.truncate(keep);
            }
            if let Some(findings) = &mut self.findings {
                findings.truncate(keep);
                for finding in findings {
                    cut(&mut finding.evidence, keep);
                }
            }
            if let Some(entry) = &mut self.access_entry {
                entry.truncate(keep);
            }
            if let Some(replaced) = &mut self.replaced_entry {
                replaced.truncate(keep);
            }
            self.next_steps.truncate(keep);
            keep /= 2;
        }
        self
    }
}

/// Cuts every list of a value.
fn cut(value: &mut Value, keep: usize) {
    match value {
        Value::Array(items) => {
            items.truncate(keep);
            for item in items {
                cut(item, keep);
            }
        }
        Value::Object(fields) => {
            for field in fields.values_mut() {
                cut(field, keep);
            }
        }
        _ => {}
    }
}

/// An entry that was deleted because it was stale: all that it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of the EKS API")]
pub struct ReplacedEntry {
    pub r#type: String,
    pub username: Option<String>,
    pub kubernetes_groups: Vec<String>,
    pub tags: std::collections::BTreeMap<String, String>,
    pub access_policies: Vec<AccessPolicy>,
    pub created_at: Option<Timestamp>,
}

impl ReplacedEntry {
    /// The report of an entry.
    #[must_use]
    pub fn new(entry: &AccessEntry) -> Self {
        Self {
            r#type: entry.r#type.clone(),
            username: entry.username.clone(),
            kubernetes_groups: entry.kubernetes_groups.clone(),
            tags: entry.tags.clone(),
            access_policies: entry.access_policies.clone(),
            created_at: entry.created_at,
        }
    }

    fn truncate(&mut self, keep: usize) {
        self.kubernetes_groups.truncate(keep);
        self.access_policies.truncate(keep);
        for held in &mut self.access_policies {
            held.access_scope.truncate(keep);
        }
    }
}

/// A cluster, as results show it. Of one that was deleted, only its name and place are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of the EKS API")]
pub struct ClusterReport {
    pub name: String,
    pub arn: String,
    pub region: String,
    pub account_id: Option<String>,
    pub status: Option<String>,
    pub version: Option<String>,
    pub platform_version: Option<String>,
    pub endpoint: Option<String>,
    pub public_access_cidrs: Vec<String>,
    pub private_endpoint: Option<bool>,
    pub authentication_mode: ModeChange,
}

/// The authentication mode, as this invocation first observed it, and as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ModeChange {
    /// Observed first.
    pub before: Option<AuthenticationMode>,
    /// Observed last.
    pub after: Option<AuthenticationMode>,
}

impl ClusterReport {
    /// The report of a cluster as it is observed now, whose authentication mode was `before` when it was first observed.
    #[must_use]
    pub fn new(cluster: &Cluster, before: AuthenticationMode) -> Self {
        Self {
            name: cluster.name.clone(),
            arn: cluster.arn.clone(),
            region: cluster.arn.split(':').nth(3).unwrap_or_default().to_owned(),
            account_id: cluster.account().map(str::to_owned),
            status: Some(cluster.status.clone()),
            version: cluster.version.clone(),
            platform_version: cluster.platform_version.clone(),
            endpoint: cluster.endpoint.clone(),
            public_access_cidrs: cluster.public_access_cidrs.clone(),
            private_endpoint: Some(cluster.private_endpoint),
            authentication_mode: ModeChange { before: Some(before), after: Some(cluster.authentication_mode) },
        }
    }

    /// The report of a cluster that doesn't exist any more; `home` is the account that was asked.
    #[must_use]
    pub fn gone(cluster: &ClusterRef, home: &str) -> Self {
        Self {
            name: cluster.name.clone(),
            arn: cluster.arn_in(home),
            region: cluster.region.as_str().to_owned(),
            account_id: Some(cluster.account.clone().unwrap_or_else(|| home.to_owned())),
            status: None,
            version: None,
            platform_version: None,
            endpoint: None,
            public_access_cidrs: Vec::new(),
            private_endpoint: None,
            authentication_mode: ModeChange { before: None, after: None },
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

/// Whether something shows that the access is a grant of this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Ownership {
    /// The alias, the entry's tags or a schedule show it.
    Proven,
    /// Nothing does.
    Unknown,
}

/// An access entry, as results show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AccessEntryReport {
    /// There is one.
    Present(PresentEntry),
    /// There is none, and a revoke is planned.
    Absent {
        /// Whose the access would be.
        ownership: Ownership,
    },
}

/// An access entry that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of the EKS API")]
pub struct PresentEntry {
    pub arn: Option<String>,
    pub r#type: String,
    pub username: Option<String>,
    pub kubernetes_groups: Vec<String>,
    pub created_at: Option<Timestamp>,
    pub modified_at: Option<Timestamp>,
    /// Whether this invocation created it, and no usable one was there before.
    pub created_by_this_grant: bool,
    /// Only in a dry run of a revoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Ownership>,
}

impl AccessEntryReport {
    /// The report of an entry.
    #[must_use]
    pub fn new(entry: &AccessEntry, created_by_this_grant: bool) -> Self {
        Self::Present(PresentEntry {
            arn: entry.arn.clone(),
            r#type: entry.r#type.clone(),
            username: entry.username.clone(),
            kubernetes_groups: entry.kubernetes_groups.clone(),
            created_at: entry.created_at,
            modified_at: entry.modified_at,
            created_by_this_grant,
            ownership: None,
        })
    }

    /// The report of a planned revoke without an entry.
    #[must_use]
    pub fn absent(ownership: Ownership) -> Self {
        Self::Absent { ownership }
    }

    /// The same, with whose the access is.
    #[must_use]
    pub fn with_ownership(self, ownership: Option<Ownership>) -> Self {
        match self {
            Self::Present(entry) => Self::Present(PresentEntry { ownership, ..entry }),
            absent @ Self::Absent { .. } => absent,
        }
    }

    fn truncate(&mut self, keep: usize) {
        if let Self::Present(entry) = self {
            entry.kubernetes_groups.truncate(keep);
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

/// An event that removes a grant. It names the cluster by its ARN, so that it means the same wherever it is sent from.
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
