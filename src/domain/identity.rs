//! Who the function is to AWS, and what IAM says of a principal.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::principal::PrincipalArn;

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

/// A role or user, as IAM knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its ARN, with its path.
    pub arn: PrincipalArn,
    /// When it was created.
    pub created_at: Timestamp,
    /// The AWS services that the role's trust policy allows to assume it; `None` if there is no policy, or it can't be read.
    pub trusted_services: Option<BTreeSet<String>>,
}
