//! A cluster, as EKS describes it.

use serde::Serialize;

use super::region::Region;

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
    /// How it authenticates principals.
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

/// What kind of cluster it is, as far as that decides whether it has access entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterKind {
    /// In a region.
    Regional,
    /// Local on an Outpost, of the older kind that knows only aws-auth (eksctl issue 7552).
    OutpostsLocal,
    /// Registered by the EKS Connector.
    Connected,
}
