//! How far an access policy reaches: the whole cluster, or some of its namespaces.

use serde::{Deserialize, Serialize};

use crate::domain::wildcard;

/// The access scope of an association, in the shape that the EKS API gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub enum AccessScope {
    /// The whole cluster.
    Cluster,
    /// These namespaces; a name may hold `*`.
    Namespaces(Vec<String>),
}

impl AccessScope {
    /// Whether everything that `other` reaches is within this scope, too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cluster, _) => true,
            (Self::Namespaces(_), Self::Cluster) => false,
            (Self::Namespaces(held), Self::Namespaces(wanted)) => {
                wanted.iter().all(|namespace| held.iter().any(|pattern| wildcard::matches(pattern, namespace)))
            }
        }
    }

    /// The least scope that covers both: associating a policy again replaces its scope ("Associate
    /// access policies" in the EKS User Guide), so what was there has to be said again.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Namespaces(held), Self::Namespaces(wanted)) => {
                let mut all = held.clone();
                for namespace in wanted {
                    if !all.iter().any(|pattern| wildcard::matches(pattern, namespace)) {
                        all.push(namespace.clone());
                    }
                }
                Self::Namespaces(all)
            }
            _ => Self::Cluster,
        }
    }

    /// What both reach; `None`: nothing.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Cluster, Self::Cluster) => Some(Self::Cluster),
            (Self::Cluster, scope) | (scope, Self::Cluster) => {
                Some(scope.clone()).filter(|scope| !scope.namespaces().is_empty())
            }
            (Self::Namespaces(mine), Self::Namespaces(theirs)) => {
                let within = |names: &[String], patterns: &[String]| -> Vec<String> {
                    let reached = |name: &&String| patterns.iter().any(|pattern| wildcard::matches(pattern, name));
                    names.iter().filter(reached).cloned().collect()
                };
                let mut both = within(theirs, mine);
                both.extend(within(mine, theirs).into_iter().filter(|name| !theirs.contains(name)));
                Some(Self::Namespaces(both)).filter(|scope| !scope.namespaces().is_empty())
            }
        }
    }

    /// Cuts the list of namespaces, for display.
    pub fn truncate(&mut self, keep: usize) {
        if let Self::Namespaces(namespaces) = self {
            namespaces.truncate(keep);
        }
    }

    /// The namespaces; none for the whole cluster.
    #[must_use]
    pub fn namespaces(&self) -> &[String] {
        match self {
            Self::Cluster => &[],
            Self::Namespaces(namespaces) => namespaces,
        }
    }
}

impl std::fmt::Display for AccessScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster => f.write_str("the whole cluster"),
            Self::Namespaces(namespaces) => write!(f, "namespaces {}", namespaces.join(", ")),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    r#type: WireType,
    #[serde(default)]
    namespaces: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireType {
    Cluster,
    Namespace,
}

impl From<Wire> for AccessScope {
    fn from(wire: Wire) -> Self {
        match wire.r#type {
            WireType::Cluster => Self::Cluster,
            WireType::Namespace => Self::Namespaces(wire.namespaces),
        }
    }
}

impl From<AccessScope> for Wire {
    fn from(scope: AccessScope) -> Self {
        Self {
            r#type: match scope {
                AccessScope::Cluster => WireType::Cluster,
                AccessScope::Namespaces(_) => WireType::Namespace,
            },
            namespaces: scope.namespaces().to_vec(),
        }
    }
}
