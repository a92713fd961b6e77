//! What to ask a cluster's API server so that its answer proves that an access policy is in force. Pure.
//!
//! An access review about oneself is the only question that shows access policies: a list of one's rules never does (facts in
//! `docs/verification.md`). Each question is one that the policy itself answers with yes, in the scope that was granted.

use serde_json::{Value, json};

use crate::domain::access_scope::AccessScope;
use crate::domain::arn::PolicyArn;

/// One question: may I?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// May I do that to these resources?
    Resource {
        /// `get`, `create`, …, or `*`.
        verb: &'static str,
        /// The API group; the core group has no name.
        group: &'static str,
        /// `pods`, …, or `*`.
        resource: &'static str,
        /// In which namespace; `None`: in all of them.
        namespace: Option<String>,
    },
    /// May I call that path, which is no resource?
    NonResource {
        /// `get`, …, or `*`.
        verb: &'static str,
        /// The path, or `*`.
        path: &'static str,
    },
}

/// Verb, group, resource.
type Question = (&'static str, &'static str, &'static str);

/// The questions of each policy: verb, group, resource. Source: "Review access policy permissions" in the EKS User Guide. Policies
/// that AWS's own services use are not among them.
const QUESTIONS: [(&str, &[Question]); 7] = [
    // The first is what `kubectl auth can-i '*' '*' --all-namespaces` asks; it speaks of the core group alone.
    (PolicyArn::CLUSTER_ADMIN, &[("*", "", "*"), ("*", "*", "*")]),
    ("AmazonEKSAdminPolicy", &[("create", "apps", "deployments")]),
    ("AmazonEKSEditPolicy", &[("create", "apps", "deployments")]),
    ("AmazonEKSViewPolicy", &[("get", "", "pods")]),
    ("AmazonEKSAdminViewPolicy", &[("get", "", "secrets")]),
    ("AmazonEKSSecretReaderPolicy", &[("get", "", "secrets")]),
    ("AmazonEKSSecretAdminPolicy", &[("get", "", "secrets")]),
];

impl Review {
    /// The questions that prove a policy in a scope, the broadest first; none if no question is known to fit.
    #[must_use]
    pub fn of(policy: &PolicyArn, scope: &AccessScope) -> Vec<Self> {
        let Some((name, questions)) = QUESTIONS.iter().find(|(name, _)| *name == policy.name()) else {
            return Vec::new();
        };
        let namespaces: Vec<Option<String>> = match scope {
            AccessScope::Cluster => vec![None],
            // A pattern stands for any name that fits it; whether there is such a namespace does not matter.
            AccessScope::Namespaces(patterns) => {
                patterns.iter().map(|pattern| Some(pattern.replace('*', "x"))).collect()
            }
        };
        let mut reviews: Vec<Self> = namespaces
            .into_iter()
            .flat_map(|namespace| {
                questions.iter().map(move |&(verb, group, resource)| Self::Resource {
                    verb,
                    group,
                    resource,
                    namespace: namespace.clone(),
                })
            })
            .collect();
        if (*name, scope) == (PolicyArn::CLUSTER_ADMIN, &AccessScope::Cluster) {
            reviews.push(Self::NonResource { verb: "*", path: "*" });
        }
        reviews
    }

    /// The body of the request. Source: `SelfSubjectAccessReview` v1 in the Kubernetes API reference.
    #[must_use]
    pub fn body(&self) -> Value {
        let spec = match self {
            Self::Resource { verb, group, resource, namespace } => {
                let mut attributes = json!({ "verb": verb, "resource": resource });
                if let Some(fields) = attributes.as_object_mut() {
                    // What kubectl leaves out, we do.
                    if !group.is_empty() {
                        fields.insert("group".to_owned(), json!(group));
                    }
                    if let Some(namespace) = namespace {
                        fields.insert("namespace".to_owned(), json!(namespace));
                    }
                }
                json!({ "resourceAttributes": attributes })
            }
            Self::NonResource { verb, path } => json!({ "nonResourceAttributes": { "verb": verb, "path": path } }),
        };
        json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec })
    }

    /// The command that asks the same.
    #[must_use]
    pub fn command(&self) -> String {
        match self {
            Self::Resource { verb, group, resource, namespace } => {
                let resource = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
                let place = namespace
                    .as_ref()
                    .map_or("--all-namespaces".to_owned(), |namespace| format!("--namespace {namespace}"));
                format!("kubectl auth can-i {} {} {place}", quoted(verb), quoted(&resource))
            }
            Self::NonResource { verb, path } => format!("kubectl auth can-i {} {}", quoted(verb), quoted(path)),
        }
    }
}

/// The command that fits a policy in a scope.
#[must_use]
pub fn command(policy: &PolicyArn, scope: &AccessScope) -> String {
    Review::of(policy, scope).first().map_or("kubectl auth can-i --list".to_owned(), Review::command)
}

fn quoted(text: &str) -> String {
    if text.contains('*') { format!("'{text}'") } else { text.to_owned() }
}
