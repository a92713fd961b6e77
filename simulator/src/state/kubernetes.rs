//! What a cluster's API server knows, and what access policies allow.

use jiff::Timestamp;

use crate::operation::Scope;

/// What the API server knows of a principal's entry, from a moment on. None: that there is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Served {
    pub(crate) from: Timestamp,
    pub(crate) entry: Option<ServedEntry>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServedEntry {
    pub(crate) principal_id: Option<String>,
    pub(crate) username: String,
    pub(crate) groups: Vec<String>,
    pub(crate) policies: Vec<(String, Scope)>,
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
