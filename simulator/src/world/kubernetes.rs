//! What the cluster's API server would say: whether a principal is locked out, or in.

use jiff::Timestamp;

use super::cluster::{Cluster, Mode};
use super::entries::Context;
use super::{World, after};
use crate::operation::Scope;

/// What the API server knows of a principal's entry, from a moment on. None: that there is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Served {
    from: Timestamp,
    entry: Option<ServedEntry>,
}

#[derive(Debug, Clone, PartialEq)]
struct ServedEntry {
    principal_id: Option<String>,
    username: String,
    groups: Vec<String>,
    policies: Vec<(String, Scope)>,
}

/// What a principal gets when it asks the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesAccess {
    /// 401: nothing maps the principal. In kubectl's words: "You must be logged in to the server (Unauthorized)".
    Unauthorized,
    /// It has an identity, and these policies in these scopes; without any, it may do nothing.
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

/// What an access review asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum Attributes<'a> {
    Resource { verb: &'a str, group: &'a str, resource: &'a str, namespace: &'a str },
    NonResource { verb: &'a str, path: &'a str },
}

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
/// A policy, and some of what it allows: groups, resources, verbs.
type Rule = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// What policies allow: groups, resources, verbs; as much of them as anybody here asks for (facts §4.2; "Review access policy
/// permissions" in the UG).
const RULES: [Rule; 13] = [
    ("AmazonEKSClusterAdminPolicy", &["*"], &["*"], &["*"]),
    ("AmazonEKSAdminViewPolicy", &["*"], &["*"], READ),
    ("AmazonEKSAdminPolicy", &["apps"], &["deployments", "statefulsets"], WRITE),
    ("AmazonEKSAdminPolicy", &[""], &["pods", "services", "configmaps", "secrets"], WRITE),
    ("AmazonEKSAdminPolicy", &["rbac.authorization.k8s.io"], &["roles", "rolebindings"], WRITE),
    ("AmazonEKSEditPolicy", &["apps"], &["deployments", "statefulsets"], WRITE),
    ("AmazonEKSEditPolicy", &[""], &["pods", "services", "configmaps", "secrets"], WRITE),
    ("AmazonEKSViewPolicy", &["apps"], &["deployments", "statefulsets"], READ),
    ("AmazonEKSViewPolicy", &[""], &["pods", "services", "configmaps"], READ),
    ("AmazonEKSSecretReaderPolicy", &[""], &["secrets"], READ),
    ("AmazonEKSSecretAdminPolicy", &[""], &["secrets"], WRITE),
    ("AmazonEKSAdminPolicy", &["batch"], &["jobs", "cronjobs"], WRITE),
    ("AmazonEKSEditPolicy", &["batch"], &["jobs", "cronjobs"], WRITE),
];

impl Attributes<'_> {
    /// Whether a policy in a scope allows it. What is asked for with a star, only a star allows.
    #[must_use]
    pub fn are_allowed_by(&self, policy: &str, scope: &Scope) -> bool {
        let has = |allowed: &[&str], asked: &str| allowed.iter().any(|&allowed| allowed == "*" || allowed == asked);
        let name = policy.rsplit('/').next().unwrap_or(policy);
        match *self {
            Self::NonResource { .. } => name == "AmazonEKSClusterAdminPolicy" && scope.kind == "cluster",
            Self::Resource { verb, group, resource, namespace } => {
                let in_scope = scope.kind == "cluster"
                    || (!namespace.is_empty() && scope.namespaces.iter().any(|pattern| fits(pattern, namespace)));
                in_scope
                    && RULES.iter().any(|(of, groups, resources, verbs)| {
                        *of == name && has(groups, group) && has(resources, resource) && has(verbs, verb)
                    })
            }
        }
    }
}

/// Whether a namespace is one of those that a pattern with stars stands for.
fn fits(pattern: &str, namespace: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == namespace,
        Some((before, after)) => namespace.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|skipped| rest.get(skipped..).is_some_and(|rest| fits(after, rest)))
        }),
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
