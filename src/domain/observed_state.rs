//! What was seen of the cluster, the principal and its access: one value, which the planner decides on.

use crate::domain::access_entry::{AccessEntry, EntryState};
use crate::domain::cluster::Cluster;
use crate::domain::identity::{Caller, IamPrincipal, InstanceRole};
use crate::domain::principal::PrincipalArn;
use crate::domain::scheduled_revoke::ExpiryState;

/// Everything that a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Who the function is.
    pub caller: Caller,
    /// The function's own identities: at home, and in the cluster's account.
    pub own: Vec<Caller>,
    /// The cluster.
    pub cluster: Cluster,
    /// The principal's ARN.
    pub principal: PrincipalArn,
    /// What IAM says about the principal.
    pub iam: IamPrincipal,
    /// Whether the principal is the role of instances or pods.
    pub instance: InstanceRole,
    /// The principal's access entry.
    pub entry: EntryState,
    /// Whether its access through the policy in question expires.
    pub expiry: ExpiryState,
}

impl Observation {
    /// Whether the principal's entry was made for an earlier principal of the same ARN.
    #[must_use]
    pub fn entry_is_stale(&self) -> bool {
        self.entry.present().is_some_and(|entry| is_stale(&self.iam, entry))
    }
}

/// Whether an entry was made for an earlier principal of the same ARN. EKS keeps the principal's unique id, so such an entry
/// looks healthy and lets nobody in (containers-roadmap issue 2441). A principal younger than its entry proves it.
#[must_use]
pub fn is_stale(iam: &IamPrincipal, entry: &AccessEntry) -> bool {
    match (iam, entry.created_at) {
        (IamPrincipal::Exists { created_at }, Some(made)) => *created_at > made,
        _ => false,
    }
}
