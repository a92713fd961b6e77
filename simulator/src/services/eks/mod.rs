//! EKS.

pub(crate) mod access_policy;
pub(crate) mod context;
pub(crate) mod entries;
pub(crate) mod kubernetes;
pub(crate) mod nodes;
pub(crate) mod shape;
pub(crate) mod updates;

use crate::operation::{ApiError, Operation, Page};
use crate::services::page::paged;
use crate::state::caller::Caller;
use crate::world::World;
use context::Context;
use serde_json::{Value, json};

impl World {
    /// The clusters of the caller's account in a region (`ListClusters` in the API reference).
    pub(crate) fn list_clusters(&self, caller: &Caller, region: &str, page: &Page) -> Result<Value, ApiError> {
        let there = |(account, of, _): &&(String, String, String)| (account, of.as_str()) == (&caller.account, region);
        let names = self.clusters.keys().filter(there).map(|(.., name)| json!(name));
        paged("clusters", names.collect(), page)
    }

    pub(crate) fn call_cluster(
        &mut self,
        caller: &Caller,
        region: &str,
        name: &str,
        operation: &Operation,
    ) -> Result<Value, ApiError> {
        self.ids += 1;
        let context = Context {
            now: self.now,
            id: self.ids,
            delays: self.delays,
            quota: self.entry_quota,
            principals: &self.principals,
        };
        let key = (caller.account.clone(), region.to_owned(), name.to_owned());
        let cluster = self
            .clusters
            .get_mut(&key)
            .ok_or_else(|| ApiError::not_found(format!("No cluster found for name: {name}.")))?;
        match operation {
            Operation::DescribeCluster { .. } => Ok(json!({ "cluster": cluster.json() })),
            Operation::ListNodegroups { .. }
            | Operation::DescribeNodegroup { .. }
            | Operation::ListFargateProfiles { .. }
            | Operation::DescribeFargateProfile { .. } => cluster.call_nodes(operation),
            Operation::UpdateClusterConfig { config, token, .. } => {
                cluster.update_config(config, token.as_deref(), &context)
            }
            Operation::DescribeUpdate { id, .. } => cluster.describe_update(id),
            Operation::ListUpdates { page, .. } => cluster.list_updates(page),
            operation => cluster.call_entries(operation, &context),
        }
    }
}
