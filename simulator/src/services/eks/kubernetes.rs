//! What the cluster's API server would say: whether a principal is locked out, or in.

use jiff::Timestamp;

use crate::operation::Scope;
use crate::services::eks::context::Context;
use crate::state::cluster::Cluster;
use crate::state::kubernetes::{KubernetesAccess, Served, ServedEntry};
use crate::state::mode::Mode;
use crate::state::moment::after;
use crate::world::World;

impl Cluster {
    /// What was just done to a principal's entry reaches the API server after a while; until then it goes by what it knew
    /// (facts §4.4; teleport pull request 49467: up to 30 s).
    pub(crate) fn publish(&mut self, principal: &str, context: &Context<'_>) {
        self.publish_from(principal, after(context.now, context.delays.kubernetes));
    }

    pub(crate) fn publish_from(&mut self, principal: &str, from: Timestamp) {
        let entry = self.entries.get(principal).map(|entry| ServedEntry {
            principal_id: entry.principal_id.clone(),
            username: entry.username.clone(),
            groups: entry.groups.clone(),
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
    /// An access entry outranks aws-auth, which a stale one does not (facts §3.11; "Migrating existing aws-auth `ConfigMap` entries to access
    /// entries" in the UG).
    #[must_use]
    pub fn kubernetes_access(&self, cluster: &str, principal: &str) -> KubernetesAccess {
        if let Some(entry) = self.usable_entry(cluster, principal) {
            return KubernetesAccess::Mapped(entry.policies.clone());
        }
        let exists = self.principals.get(principal).is_some_and(|principal| principal.id_at(self.now).is_some());
        let Some(cluster) = self.cluster(cluster).filter(|_| exists) else {
            return KubernetesAccess::Unauthorized;
        };
        if cluster.mode != Mode::Api && cluster.aws_auth.iter().any(|mapped| mapped == principal) {
            let admin =
                format!("arn:{}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", cluster.partition());
            return KubernetesAccess::Mapped(vec![(admin, Scope::cluster())]);
        }
        KubernetesAccess::Unauthorized
    }

    /// The access policies that a principal can use on a cluster now, because of its access entry: none if the entry is stale, does not
    /// exist, or has not reached the API server. aws-auth does not count.
    #[must_use]
    pub fn usable_access(&self, cluster: &str, principal: &str) -> Vec<(String, Scope)> {
        self.usable_entry(cluster, principal).map(|entry| entry.policies.clone()).unwrap_or_default()
    }

    /// The Kubernetes username and groups that the access entry of a principal gives to it on a cluster now. The username is the one of the
    /// entry: `{{SessionName}}` stands in it as it is. None: no entry maps the principal.
    #[must_use]
    pub fn kubernetes_identity(&self, cluster: &str, principal: &str) -> Option<(String, Vec<String>)> {
        self.usable_entry(cluster, principal).map(|entry| (entry.username.clone(), entry.groups.clone()))
    }

    /// The access entry that maps a principal now. It is found by ARN, then the principal's unique id has to be the one that it was made for
    /// (facts §3.7; aws-iam-authenticator, `pkg/mapper/dynamicfile`).
    fn usable_entry(&self, cluster: &str, principal: &str) -> Option<&ServedEntry> {
        let id = self.principals.get(principal)?.id_at(self.now)?;
        let cluster = self.cluster(cluster).filter(|cluster| cluster.mode != Mode::ConfigMap)?;
        cluster.served_at(principal, self.now).filter(|entry| entry.principal_id.as_ref() == Some(&id))
    }
}
