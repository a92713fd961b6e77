//! The events that fix what was found.

use serde_json::{Value, json};

use super::snapshot::ClusterSnapshot;
use crate::domain::access_entry::{AccessEntry, policy_name};
use crate::domain::arn::PolicyArn;
use crate::domain::principal::PrincipalArn;

impl ClusterSnapshot {
    /// A grant of what the event's defaults say.
    pub(super) fn grant(&self, arn: &PrincipalArn) -> Value {
        json!({ "action": "grant", "clusterName": self.cluster.arn, "principalArn": arn.as_str() })
    }

    /// A grant of what an entry has, and of no more; of an entry that has groups alone, none. Of several policies, one: the rest of
    /// an entry that is recreated comes with it, that of a replaced role is granted in the same way.
    pub(super) fn grant_like(&self, arn: &PrincipalArn, like: Option<&AccessEntry>) -> Option<Value> {
        let Some(entry) = like else {
            return Some(self.grant(arn));
        };
        let policies = &entry.access_policies;
        let best = policies.iter().find(|held| policy_name(&held.policy_arn) == PolicyArn::CLUSTER_ADMIN);
        let held = best.or(policies.first())?;
        Some(json!({
            "action": "grant",
            "clusterName": self.cluster.arn,
            "principalArn": arn.as_str(),
            "policyArn": held.policy_arn,
            "accessScope": held.access_scope,
        }))
    }
}
