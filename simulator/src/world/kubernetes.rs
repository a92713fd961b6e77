//! What the cluster's API server would say: whether a principal is locked out, or in.

use jiff::Timestamp;

use super::World;
use super::cluster::Mode;
use crate::operation::Scope;

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

impl World {
    /// What the API server of a cluster of the home account says to a principal, now.
    #[must_use]
    pub fn kubernetes_access(&self, cluster: &str, principal: &str) -> KubernetesAccess {
        self.kubernetes_access_at(cluster, principal, self.now)
    }

    /// An entry is found by ARN, then the principal's unique id has to be the one that it was made for. It outranks
    /// aws-auth ("Migrating existing aws-auth `ConfigMap` entries to access entries" in the UG).
    fn kubernetes_access_at(&self, cluster: &str, principal: &str, now: Timestamp) -> KubernetesAccess {
        let id = self.principals.get(principal).and_then(|principal| principal.id_at(now));
        let (Some(cluster), Some(id)) = (self.cluster(cluster), id) else {
            return KubernetesAccess::Unauthorized;
        };
        let entry = cluster
            .entries
            .get(principal)
            .filter(|entry| cluster.mode != Mode::ConfigMap && entry.effective_from <= now)
            .filter(|entry| entry.principal_id.as_ref() == Some(&id));
        if let Some(entry) = entry {
            let policies = entry.policies.iter().map(|(policy, held)| (policy.clone(), held.scope.clone()));
            return KubernetesAccess::Mapped(policies.collect());
        }
        if cluster.mode != Mode::Api && cluster.aws_auth.iter().any(|mapped| mapped == principal) {
            let admin = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy".to_owned();
            return KubernetesAccess::Mapped(vec![(admin, Scope::cluster())]);
        }
        KubernetesAccess::Unauthorized
    }
}
