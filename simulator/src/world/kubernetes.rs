//! What the cluster's API server would say: whether a principal is locked out, or in.

use jiff::Timestamp;

use super::cluster::{Cluster, Mode};
use super::entries::Context;
use super::{World, after};
use crate::operation::Scope;

/// What the API server is told of a principal's entry, from a moment on. None: that there is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Served {
    from: Timestamp,
    entry: Option<ServedEntry>,
}

#[derive(Debug, Clone, PartialEq)]
struct ServedEntry {
    principal_id: Option<String>,
    policies: Vec<(String, Scope)>,
}

/// What a principal gets when it asks the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesAccess {
    /// 401: nothing maps the principal. In kubectl's words: "You must be logged in to the server (Unauthorized)".
    Unauthorized,
    /// It is somebody, and has these policies in these scopes; without any, it may do nothing.
    Mapped(Vec<(String, Scope)>),
}

impl KubernetesAccess {
    /// Whether `kubectl auth can-i '*' '*' --all-namespaces` says yes.
    #[must_use]
    pub fn is_cluster_admin(&self) -> bool {
        match self {
            Self::Unauthorized => false,
            Self::Mapped(policies) => policies
                .iter()
                .any(|(policy, scope)| policy.ends_with("/AmazonEKSClusterAdminPolicy") && scope.kind == "cluster"),
        }
    }
}

impl Cluster {
    /// What was just done to a principal's entry reaches the API server after a while; until then it goes by what it knew
    /// (facts §4.4; teleport pull request 49467: up to 30 s).
    pub(super) fn publish(&mut self, principal: &str, context: &Context<'_>) {
        self.publish_from(principal, after(context.now, context.delays.kubernetes));
    }

    pub(super) fn publish_from(&mut self, principal: &str, from: Timestamp) {
        let entry = self.entries.get(principal).map(|entry| ServedEntry {
            principal_id: entry.principal_id.clone(),
            policies: entry.policies.iter().map(|(policy, held)| (policy.clone(), held.scope.clone())).collect(),
        });
        let known = self.served.entry(principal.to_owned()).or_default();
        known.retain(|served| served.from < from);
        known.push(Served { from, entry });
    }

    fn served_at(&self, principal: &str, now: Timestamp) -> Option<&ServedEntry> {
        let known = self.served.get(principal)?.iter().rev();
        known.into_iter().find(|served| served.from <= now)?.entry.as_ref()
    }
}

impl World {
    /// What the API server of a cluster, given by its name or ARN, says to a principal, now.
    ///
    /// An entry is found by ARN, then the principal's unique id has to be the one that it was made for (facts §3.7;
    /// aws-iam-authenticator, `pkg/mapper/dynamicfile`). It outranks aws-auth, which a stale one does not (facts §3.11;
    /// "Migrating existing aws-auth `ConfigMap` entries to access entries" in the UG).
    #[must_use]
    pub fn kubernetes_access(&self, cluster: &str, principal: &str) -> KubernetesAccess {
        let id = self.principals.get(principal).and_then(|principal| principal.id_at(self.now));
        let (Some(cluster), Some(id)) = (self.cluster(cluster), id) else {
            return KubernetesAccess::Unauthorized;
        };
        let entry = cluster
            .served_at(principal, self.now)
            .filter(|entry| cluster.mode != Mode::ConfigMap && entry.principal_id.as_ref() == Some(&id));
        if let Some(entry) = entry {
            return KubernetesAccess::Mapped(entry.policies.clone());
        }
        if cluster.mode != Mode::Api && cluster.aws_auth.iter().any(|mapped| mapped == principal) {
            let admin =
                format!("arn:{}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", cluster.partition());
            return KubernetesAccess::Mapped(vec![(admin, Scope::cluster())]);
        }
        KubernetesAccess::Unauthorized
    }
}
