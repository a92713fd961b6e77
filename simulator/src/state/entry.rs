//! Access entries, with what is associated with them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::operation::Scope;
use crate::state::moment::{START, epoch, uuid};
use crate::state::resource::Resource;

/// An access entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whom it is for.
    pub principal: String,
    /// The principal's unique id when the entry was made: EKS keeps it, and shows it nowhere (facts §3.7; `CreateAccessEntry`
    /// in the API reference).
    pub principal_id: Option<String>,
    /// `STANDARD`, `EC2_LINUX`, …
    pub kind: String,
    /// The Kubernetes username; empty until the entry is on a cluster where it was left to EKS.
    pub username: String,
    /// The Kubernetes groups.
    pub groups: Vec<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The policies, by their ARN.
    pub policies: BTreeMap<String, Association>,
    /// When it was made.
    pub created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
    pub(crate) arn: String,
    /// From when Describe, List and Associate know it.
    pub(crate) visible_from: Timestamp,
}

/// A policy associated with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// How far it reaches.
    pub scope: Scope,
    pub(crate) associated_at: Timestamp,
    pub(crate) modified_at: Timestamp,
}

/// What of an entry there is to compare: not its age, nor what EKS makes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySnapshot {
    /// `STANDARD`, `EC2_LINUX`, …
    pub kind: String,
    /// The Kubernetes username.
    pub username: String,
    /// The Kubernetes groups.
    pub groups: Vec<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The policies and their scopes.
    pub policies: BTreeMap<String, Scope>,
}

impl Entry {
    /// A `STANDARD` entry without policies, made an hour before it all begins.
    #[must_use]
    pub fn new(principal: &str) -> Self {
        let made = START.saturating_sub(jiff::SignedDuration::from_hours(1)).unwrap_or(START);
        Self {
            principal: principal.to_owned(),
            principal_id: None,
            kind: "STANDARD".to_owned(),
            username: String::new(),
            groups: Vec::new(),
            tags: BTreeMap::new(),
            policies: BTreeMap::new(),
            created_at: made,
            modified_at: made,
            arn: String::new(),
            visible_from: made,
        }
    }

    /// Of another type.
    #[must_use]
    pub fn of_kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.kind);
        self
    }

    /// Made then.
    #[must_use]
    pub fn made_at(mut self, time: Timestamp) -> Self {
        (self.created_at, self.modified_at, self.visible_from) = (time, time, time);
        self
    }

    /// Made for an earlier principal of the same ARN: it looks healthy and lets nobody in (containers-roadmap issue 2441).
    #[must_use]
    pub fn made_for_id(mut self, id: &str) -> Self {
        self.principal_id = Some(id.to_owned());
        self
    }

    /// With that group.
    #[must_use]
    pub fn with_group(mut self, group: &str) -> Self {
        self.groups.push(group.to_owned());
        self
    }

    /// With that username.
    #[must_use]
    pub fn with_username(mut self, username: &str) -> Self {
        username.clone_into(&mut self.username);
        self
    }

    /// With that tag.
    #[must_use]
    pub fn with_tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With that policy, by ARN or, in the commercial partition, by name.
    #[must_use]
    pub fn with_policy(mut self, policy: &str, scope: Scope) -> Self {
        let arn = if policy.starts_with("arn:") {
            policy.to_owned()
        } else {
            format!("arn:aws:eks::aws:cluster-access-policy/{policy}")
        };
        let association = Association { scope, associated_at: self.created_at, modified_at: self.created_at };
        self.policies.insert(arn, association);
        self
    }

    pub(crate) fn snapshot(&self) -> EntrySnapshot {
        EntrySnapshot {
            kind: self.kind.clone(),
            username: self.username.clone(),
            groups: self.groups.clone(),
            tags: self.tags.clone(),
            policies: self.policies.iter().map(|(arn, held)| (arn.clone(), held.scope.clone())).collect(),
        }
    }

    pub(crate) fn json(&self, cluster: &str) -> Value {
        json!({
            "clusterName": cluster, "principalArn": self.principal, "kubernetesGroups": self.groups,
            "accessEntryArn": self.arn, "createdAt": epoch(self.created_at), "modifiedAt": epoch(self.modified_at),
            "tags": self.tags, "username": self.username, "type": self.kind
        })
    }
}

/// An entry's ARN leaves the principal's path out: `access-entry/CLUSTER/role/ACCOUNT/NAME/UUID` (facts §3.10; seen in the AWS
/// managed policy `AmazonEKSServiceRolePolicy`).
pub(crate) fn arn(partition: &str, region: &str, account: &str, cluster: &str, principal: &str, id: u64) -> String {
    let Resource { account: owner, kind, name, .. } = Resource::of(principal);
    format!("arn:{partition}:eks:{region}:{account}:access-entry/{cluster}/{kind}/{owner}/{name}/{}", uuid(id))
}

/// A user is its own ARN, a role its sessions', without its path; nodes are nodes (facts §3.2; "Create access entries" in the
/// UG).
pub(crate) fn default_username(kind: &str, principal: &str) -> String {
    let resource = Resource::of(principal);
    match (kind, resource.kind) {
        ("EC2_LINUX" | "EC2_WINDOWS" | "EC2", _) => "system:node:{{EC2PrivateDNSName}}".to_owned(),
        ("FARGATE_LINUX" | "HYBRID_LINUX", _) => "system:node:{{SessionName}}".to_owned(),
        (_, "role") => {
            let Resource { partition, account, name, .. } = resource;
            format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}")
        }
        _ => principal.to_owned(),
    }
}

impl Association {
    pub(crate) fn json(&self, policy: &str) -> Value {
        json!({
            "policyArn": policy, "accessScope": self.scope.json(),
            "associatedAt": epoch(self.associated_at), "modifiedAt": epoch(self.modified_at)
        })
    }
}
