//! What was seen of the cluster, the principal and its access: one value, which the planner decides on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::arn::PolicyArn;
use crate::expiry::ExpiryState;
use crate::principal::PrincipalArn;
use crate::region::Region;
use crate::scope::AccessScope;

/// Who the function is to AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// The account that its credentials belong to.
    pub account_id: String,
    /// Its ARN.
    pub arn: String,
    /// Its unique id.
    pub user_id: String,
}

impl Caller {
    /// The name of the role whose session it is; `None` for a user.
    #[must_use]
    pub fn role_name(&self) -> Option<&str> {
        let (_, session) = self.arn.split_once(":assumed-role/")?;
        session.split('/').next()
    }
}

/// How a cluster authenticates principals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthenticationMode {
    /// By the aws-auth `ConfigMap` alone: access entries are refused.
    ConfigMap,
    /// By access entries first, then by aws-auth.
    ApiAndConfigMap,
    /// By access entries alone.
    Api,
}

impl AuthenticationMode {
    /// Whether the cluster has access entries.
    #[must_use]
    pub fn has_access_entries(self) -> bool {
        self != Self::ConfigMap
    }
}

impl std::fmt::Display for AuthenticationMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "CONFIG_MAP",
            Self::ApiAndConfigMap => "API_AND_CONFIG_MAP",
            Self::Api => "API",
        })
    }
}

/// What EKS says about a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `ACTIVE`, `UPDATING`, …
    pub status: String,
    /// The Kubernetes version.
    pub version: Option<String>,
    /// The EKS platform version.
    pub platform_version: Option<String>,
    /// Where its API server answers; none until it has first become active.
    pub endpoint: Option<String>,
    /// The CA of that endpoint, base64 of PEM.
    pub certificate_authority: Option<String>,
    /// How it finds out who somebody is.
    pub authentication_mode: AuthenticationMode,
    /// A kind of cluster that access entries are not made for.
    pub kind: ClusterKind,
    /// What EKS says is wrong with it.
    pub health: Vec<String>,
    /// Whether its endpoint can be reached from outside its VPC.
    pub public_endpoint: bool,
    /// Whether its endpoint can be reached from inside its VPC.
    pub private_endpoint: bool,
    /// The ARN of the role of its Auto Mode nodes, if it has any.
    pub auto_mode_node_role: Option<String>,
    /// From where, if not from everywhere.
    pub public_access_cidrs: Vec<String>,
}

impl Cluster {
    /// The account that it is in.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.arn.split(':').nth(4).filter(|account| !account.is_empty())
    }

    /// The region that it is in.
    ///
    /// # Errors
    /// If its ARN does not tell.
    pub fn region(&self) -> Result<Region, String> {
        let field = self.arn.split(':').nth(3).unwrap_or_default();
        Region::parse(field).map_err(|error| error.to_string())
    }
}

/// What kind of cluster it is, as far as that decides whether this way in exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterKind {
    /// In a region.
    Regional,
    /// Local on an Outpost, of the older kind that knows only aws-auth (eksctl issue 7552).
    OutpostsLocal,
    /// Registered by the EKS Connector.
    Connected,
}

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
    /// The entry, where there is one.
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
    /// A policy, where it is associated with the entry.
    #[must_use]
    pub fn policy(&self, policy: &PolicyArn) -> Option<&AccessPolicy> {
        self.access_policies.iter().find(|held| held.policy_arn == policy.as_str())
    }

    /// The username, if it isn't the one that EKS generates for the principal.
    #[must_use]
    pub fn custom_username(&self, principal: &PrincipalArn) -> Option<&str> {
        self.username.as_deref().filter(|name| *name != principal.default_username())
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

/// What IAM says about the principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IamPrincipal {
    /// It exists, since then.
    Exists {
        /// When it was made.
        created_at: Timestamp,
    },
    /// IAM knows no such principal.
    Absent {
        /// The one that has the same name under another path.
        instead: Option<PrincipalArn>,
    },
    /// IAM was not, or could not be, asked.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Whether a principal is the role of EC2 instances, Fargate or EKS pods: an entry of type `STANDARD` for such a role takes precedence
/// over the aws-auth mapping of its nodes, and disconnects them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceRole {
    /// What shows that it is one, as a clause; `None`: nothing does.
    pub evidence: Option<String>,
    /// Whether it is a node role of this cluster.
    pub node_role: NodeRole,
}

/// Whether a role is a node role of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NodeRole {
    /// It wasn't looked up, or no node group, Fargate profile or Auto Mode uses it.
    #[default]
    No,
    /// What uses it, such as "node group `workers`".
    Yes(String),
    /// It can't be found out; why.
    Unknown(String),
}

/// Everything that a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Who the function is.
    pub caller: Caller,
    /// The function's own identities: at home, and in the cluster's account.
    pub own: Vec<Caller>,
    /// The cluster.
    pub cluster: Cluster,
    /// The principal's ARN.
    pub principal: PrincipalArn,
    /// What IAM says about the principal.
    pub iam: IamPrincipal,
    /// Whether the principal is the role of instances or pods.
    pub instance: InstanceRole,
    /// The principal's access entry.
    pub entry: EntryState,
    /// Whether its access by the policy in question is to end.
    pub expiry: ExpiryState,
}

impl Observation {
    /// Whether the principal's entry was made for an earlier principal of the same ARN.
    #[must_use]
    pub fn entry_is_stale(&self) -> bool {
        self.entry.present().is_some_and(|entry| is_stale(&self.iam, entry))
    }
}

/// Whether an entry was made for an earlier principal of the same ARN. EKS keeps the principal's unique id, so such an entry
/// looks healthy and lets nobody in (containers-roadmap issue 2441). A principal younger than its entry proves it.
#[must_use]
pub fn is_stale(iam: &IamPrincipal, entry: &AccessEntry) -> bool {
    match (iam, entry.created_at) {
        (IamPrincipal::Exists { created_at }, Some(made)) => *created_at > made,
        _ => false,
    }
}
