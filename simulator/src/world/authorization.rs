//! Which permission a call needs, on what, with which condition keys.
//!
//! Source: the Service Authorization Reference for EKS, IAM and STS; the words of a refusal are AWS's.

use std::collections::BTreeMap;

use super::{Caller, World, cluster};
use crate::operation::{ApiError, Operation};
use crate::policy::{Decision, Question};

impl World {
    /// # Errors
    /// If the caller's policy does not allow the call.
    pub(super) fn authorize(&self, caller: &Caller, region: &str, operation: &Operation) -> Result<(), ApiError> {
        if matches!(operation, Operation::GetCallerIdentity) {
            return Ok(());
        }
        let question = self.question(caller, region, operation, operation.name());
        decide(caller, operation.service(), &question)?;
        // Tags at creation need the permission to tag as well (gravitational/teleport pull request 44736).
        if let Operation::CreateAccessEntry { entry, .. } = operation
            && !entry.tags.is_empty()
        {
            let mut tagging = self.question(caller, region, operation, "TagResource");
            tagging.resource = self.entry_arn(caller, region, operation, &entry.principal);
            decide(caller, "eks", &tagging)?;
        }
        Ok(())
    }

    fn question(&self, caller: &Caller, region: &str, operation: &Operation, action: &str) -> Question {
        let mut context = BTreeMap::new();
        let mut set = |key: &str, values: Vec<String>| context.insert(key.to_lowercase(), values);
        let name = cluster::name_of(operation);
        let cluster_arn = format!("{}cluster/{name}", prefix(caller, region));
        let resource = match operation {
            Operation::AssumeRole { role_arn, .. } => role_arn.clone(),
            Operation::GetRole { name } => format!("arn:aws:iam::{}:role/{name}", caller.account),
            Operation::GetUser { name } => format!("arn:aws:iam::{}:user/{name}", caller.account),
            Operation::ListAccessPolicies { .. } => "*".to_owned(),
            Operation::UpdateClusterConfig { config, .. } => {
                let mode = config.get("accessConfig").and_then(|access| access.get("authenticationMode"));
                if let Some(mode) = mode.and_then(serde_json::Value::as_str) {
                    set("eks:authenticationMode", vec![mode.to_owned()]);
                }
                cluster_arn
            }
            Operation::CreateAccessEntry { entry, .. } => {
                set("eks:principalArn", vec![entry.principal.clone()]);
                set("eks:accessEntryType", entry.kind.iter().cloned().collect());
                set("eks:username", entry.username.iter().cloned().collect());
                set("eks:kubernetesGroups", entry.groups.clone());
                set("aws:TagKeys", entry.tags.keys().cloned().collect());
                for (key, value) in &entry.tags {
                    set(&format!("aws:RequestTag/{key}"), vec![value.clone()]);
                }
                cluster_arn
            }
            Operation::DescribeAccessEntry { principal, .. }
            | Operation::UpdateAccessEntry { principal, .. }
            | Operation::DeleteAccessEntry { principal, .. }
            | Operation::ListAssociatedAccessPolicies { principal, .. }
            | Operation::AssociateAccessPolicy { principal, .. }
            | Operation::DisassociateAccessPolicy { principal, .. } => {
                let entry = self.entry_of(caller, region, &name, principal);
                set("eks:principalArn", vec![principal.clone()]);
                set("eks:clusterName", vec![name.clone()]);
                if let Some(entry) = entry {
                    set("eks:accessEntryType", vec![entry.kind.clone()]);
                    set("eks:username", vec![entry.username.clone()]);
                    set("eks:kubernetesGroups", entry.groups.clone());
                    for (key, value) in &entry.tags {
                        set(&format!("aws:ResourceTag/{key}"), vec![value.clone()]);
                    }
                }
                match operation {
                    Operation::AssociateAccessPolicy { policy, scope, .. } => {
                        set("eks:policyArn", vec![policy.clone()]);
                        set("eks:accessScope", vec![scope.kind.clone()]);
                        set("eks:namespaces", scope.namespaces.clone());
                    }
                    Operation::DisassociateAccessPolicy { policy, .. } => {
                        set("eks:policyArn", vec![policy.clone()]);
                    }
                    _ => {}
                }
                self.entry_arn(caller, region, operation, principal)
            }
            Operation::TagResource { arn, .. }
            | Operation::UntagResource { arn, .. }
            | Operation::ListTagsForResource { arn } => arn.clone(),
            _ => cluster_arn,
        };
        Question { action: format!("{}:{action}", operation.service()), resource, context }
    }

    fn entry_of(&self, caller: &Caller, region: &str, cluster: &str, principal: &str) -> Option<&super::Entry> {
        let key = (caller.account.clone(), region.to_owned(), cluster.to_owned());
        self.clusters.get(&key)?.entries.get(principal)
    }

    /// The ARN of an entry, which has no path in it: `access-entry/CLUSTER/role/ACCOUNT/NAME/UUID`.
    fn entry_arn(&self, caller: &Caller, region: &str, operation: &Operation, principal: &str) -> String {
        let resource = principal.splitn(6, ':').nth(5).unwrap_or_default();
        let kind = resource.split('/').next().unwrap_or_default();
        let name = resource.rsplit('/').next().unwrap_or_default();
        let account = principal.split(':').nth(4).unwrap_or_default();
        format!(
            "{}access-entry/{}/{kind}/{account}/{name}/{}",
            prefix(caller, region),
            cluster::name_of(operation),
            super::uuid(self.ids)
        )
    }
}

fn prefix(caller: &Caller, region: &str) -> String {
    let partition = super::Cluster::new("", super::Mode::Api).at(&caller.account, region).partition();
    format!("arn:{partition}:eks:{region}:{}:", caller.account)
}

fn decide(caller: &Caller, service: &str, question: &Question) -> Result<(), ApiError> {
    let why = match caller.policy.decide(question) {
        Decision::Allowed => return Ok(()),
        Decision::NotAllowed => format!("because no identity-based policy allows the {} action", question.action),
        Decision::Denied => "with an explicit deny in an identity-based policy".to_owned(),
    };
    Err(ApiError::access_denied(
        service,
        format!(
            "User: {} is not authorized to perform: {} on resource: {} {why}",
            caller.arn, question.action, question.resource
        ),
    ))
}
