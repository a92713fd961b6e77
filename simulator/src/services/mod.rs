//! The behaviour: one file per AWS service.

pub(crate) mod eks;
pub(crate) mod event_bridge;
pub(crate) mod iam;
pub(crate) mod page;
pub(crate) mod scheduler;
pub(crate) mod sts;

use crate::operation::{Answer, ApiError, Operation};
use crate::state::caller::Caller;
use crate::state::resource::partition_of;
use crate::world::World;

impl World {
    /// Carries out a call: the shape of the request is looked at first, then the caller's permissions, the cluster, its mode, and
    /// what is asked for last (facts §3.1; where permissions come in is not on record).
    ///
    /// # Errors
    /// What AWS would answer.
    pub fn call(&mut self, caller: &Caller, region: &str, operation: &Operation) -> Result<Answer, ApiError> {
        eks::shape::check(operation)?;
        if self.authorization_ids {
            // Each refusal has an id of its own.
            self.ids += 1;
        }
        self.authorize(caller, region, operation)?;
        match operation {
            Operation::GetCallerIdentity => Ok(sts::identity(caller)),
            Operation::AssumeRole { role_arn, session_name, external_id, policy } => {
                self.assume_role(caller, role_arn, session_name, external_id.as_deref(), policy.as_deref())
            }
            Operation::GetRole { name } => self.get_principal(&caller.account, "role", name),
            Operation::GetUser { name } => self.get_principal(&caller.account, "user", name),
            Operation::ListRoles { path_prefix, page } => {
                self.list_principals(&caller.account, "role", path_prefix.as_deref(), page)
            }
            Operation::ListUsers { path_prefix, page } => {
                self.list_principals(&caller.account, "user", path_prefix.as_deref(), page)
            }
            Operation::PutEvents { entries } => self.put_events(entries).map(Answer::Json),
            operation if operation.service() == "scheduler" => {
                self.call_scheduler(caller, region, operation).map(Answer::Json)
            }
            Operation::ListClusters { page } => self.list_clusters(caller, region, page).map(Answer::Json),
            Operation::ListAccessPolicies { page } => eks::access_policy::list(partition_of(region), page),
            operation => {
                let name = operation.cluster().unwrap_or_default();
                let answer = self.call_cluster(caller, region, name, operation);
                answer.map(Answer::Json).map_err(|error| error.about(name))
            }
        }
    }
}
