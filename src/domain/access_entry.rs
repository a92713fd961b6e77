//! Access entries, and the access policies associated with them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::access_scope::AccessScope;
use super::arn::PolicyArn;
use super::principal::PrincipalArn;

/// The principal's access entry on the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// The authentication mode keeps EKS from saying.
    Unreadable,
    /// There is none.
    Absent,
    /// There is one.
    Present(AccessEntry),
}

impl EntryState {
    /// The entry, if there is one.
    #[must_use]
    pub fn present(&self) -> Option<&AccessEntry> {
        match self {
            Self::Present(entry) => Some(entry),
            Self::Unreadable | Self::Absent => None,
        }
    }
}

/// An access entry, with the policies associated with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessEntry {
    /// Its ARN.
    pub arn: Option<String>,
    /// `STANDARD`, `EC2_LINUX`, …
    pub r#type: String,
    /// The Kubernetes username.
    pub username: Option<String>,
    /// The Kubernetes groups.
    pub kubernetes_groups: Vec<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub modified_at: Option<Timestamp>,
    /// What its principal may do.
    pub access_policies: Vec<AccessPolicy>,
}

impl AccessEntry {
    /// A policy, if it is associated with the entry.
    #[must_use]
    pub fn policy(&self, policy: &PolicyArn) -> Option<&AccessPolicy> {
        self.access_policies.iter().find(|held| held.policy_arn == policy.as_str())
    }

    /// The username, if it isn't the one that EKS generates for the principal.
    #[must_use]
    pub fn custom_username(&self, principal: &PrincipalArn) -> Option<&str> {
        self.username.as_deref().filter(|name| *name != principal.default_username())
    }

    /// Whether its principal may do everything in the whole cluster.
    #[must_use]
    pub fn is_cluster_admin(&self) -> bool {
        self.r#type == "STANDARD"
            && self.access_policies.iter().any(|held| {
                policy_name(&held.policy_arn) == PolicyArn::CLUSTER_ADMIN && held.access_scope == AccessScope::Cluster
            })
    }

    /// The scope that a policy has here.
    #[must_use]
    pub fn scope_of(&self, policy: &PolicyArn) -> Option<&AccessScope> {
        self.policy(policy).map(|held| &held.access_scope)
    }
}

/// An access policy associated with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicy {
    /// Which policy.
    pub policy_arn: String,
    /// How far it reaches.
    pub access_scope: AccessScope,
    /// Since when.
    pub associated_at: Option<Timestamp>,
}

/// A new access entry. Its type is always `STANDARD`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewEntry {
    /// The Kubernetes username; `None` leaves it to EKS.
    pub username: Option<String>,
    /// The Kubernetes groups.
    pub groups: Vec<String>,
    /// The tags. Any tag needs `eks:TagResource`.
    pub tags: BTreeMap<String, String>,
}

/// Whether an end was scheduled for any of the entry's policies: `scheduled` or `never`.
const ENDS: &str = "eks-break-glass:ends";

/// Whether an end is scheduled for any policy of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// For at least one.
    Scheduled,
    /// For none.
    Never,
}

impl Ends {
    /// The tag that says so.
    #[must_use]
    pub fn tag(self) -> (String, String) {
        let value = match self {
            Self::Scheduled => "scheduled",
            Self::Never => "never",
        };
        (ENDS.to_owned(), value.to_owned())
    }
}

/// The name of a policy, out of its ARN.
#[must_use]
pub fn policy_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
