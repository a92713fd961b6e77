//! Which permission a call needs, on what, with which condition keys.
//!
//! Source: the Service Authorization Reference for EKS, IAM, STS and EventBridge Scheduler (facts §8.1, §10.1); the words of a
//! refusal are AWS's (facts §8.4).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::operation::{ApiError, Operation};
use crate::policy::Question;
use crate::state::bus_event;
use crate::state::caller::Caller;
use crate::state::cluster::Cluster;
use crate::state::entry::Entry;
use crate::state::entry::arn as entry_arn;
use crate::state::resource::{Resource, partition_of};
use crate::state::schedule;
use crate::world::World;

/// The condition keys of a call, in lower case, with their values. A key without values counts as absent.
#[derive(Default)]
struct Keys(BTreeMap<String, Vec<String>>);

impl Keys {
    fn set<'a>(&mut self, key: &str, values: impl IntoIterator<Item = &'a String>) {
        self.0.insert(key.to_lowercase(), values.into_iter().cloned().collect());
    }

    /// `aws:RequestTag/…` and `aws:TagKeys`.
    fn set_request_tags(&mut self, tags: &BTreeMap<String, String>) {
        self.set("aws:TagKeys", tags.keys());
        for (key, value) in tags {
            self.set(&format!("aws:RequestTag/{key}"), [value]);
        }
    }

    /// What is said in the request. A key that the request leaves out is absent, and no `StringEquals` matches it.
    fn set_request(&mut self, operation: &Operation) {
        match operation {
            Operation::UpdateClusterConfig { config, .. } => {
                let mode = config.get("accessConfig").and_then(|access| access.get("authenticationMode"));
                self.set("eks:authenticationMode", &mode.and_then(Value::as_str).map(str::to_owned));
            }
            Operation::CreateAccessEntry { entry, .. } => {
                self.set("eks:principalArn", [&entry.principal]);
                self.set("eks:accessEntryType", &entry.kind);
                self.set("eks:username", &entry.username);
                self.set("eks:kubernetesGroups", &entry.groups);
                self.set_request_tags(&entry.tags);
            }
            Operation::AssociateAccessPolicy { policy, scope, .. } => {
                self.set("eks:policyArn", [policy]);
                self.set("eks:accessScope", [&scope.kind]);
                self.set("eks:namespaces", &scope.namespaces);
            }
            Operation::DisassociateAccessPolicy { policy, .. } => self.set("eks:policyArn", [policy]),
            Operation::TagResource { tags, .. } => self.set_request_tags(tags),
            Operation::UntagResource { keys, .. } => self.set("aws:TagKeys", keys),
            _ => {}
        }
    }

    /// The keys that every action on an entry has.
    fn set_entry(&mut self, cluster: &str, entry: &Entry) {
        self.set("eks:clusterName", [&cluster.to_owned()]);
        self.set("eks:principalArn", [&entry.principal]);
        self.set("eks:accessEntryType", [&entry.kind]);
        self.set("eks:username", [&entry.username]);
        self.set("eks:kubernetesGroups", &entry.groups);
        for (key, value) in &entry.tags {
            self.set(&format!("aws:ResourceTag/{key}"), [value]);
        }
    }
}

impl World {
    /// # Errors
    /// If the caller's policy does not allow the call.
    pub(crate) fn authorize(&self, caller: &Caller, region: &str, operation: &Operation) -> Result<(), ApiError> {
        if matches!(operation, Operation::GetCallerIdentity) {
            return Ok(());
        }
        let question = self.question(caller, region, operation);
        self.decide(caller, operation.service(), &question)?;
        // A schedule gets its role passed (facts §10.1).
        if let Operation::CreateSchedule { schedule } | Operation::UpdateSchedule { schedule } = operation {
            let resource = schedule.role_arn.clone().unwrap_or_default();
            let service = vec!["scheduler.amazonaws.com".to_owned()];
            let context = BTreeMap::from([("iam:passedtoservice".to_owned(), service)]);
            return self.decide(
                caller,
                "scheduler",
                &Question { action: "iam:PassRole".to_owned(), resource, context },
            );
        }
        let Operation::CreateAccessEntry { cluster, entry, .. } = operation else {
            return Ok(());
        };
        // Tags at creation need the permission to tag as well (facts §3.9; gravitational/teleport pull request 44736).
        if !entry.tags.is_empty() {
            let partition = partition_of(region);
            let resource =
                entry_arn(partition, region, &caller.account, cluster, &entry.principal, self.ids.wrapping_add(1));
            let action = "eks:TagResource".to_owned();
            self.decide(caller, "eks", &Question { action, resource, context: question.context })?;
        }
        // EC2's nodes get their role passed (facts §3.4; "Create access entries" in the UG).
        if matches!(entry.kind.as_deref(), Some("EC2_LINUX" | "EC2_WINDOWS")) {
            let (action, resource) = ("iam:PassRole".to_owned(), entry.principal.clone());
            self.decide(caller, "eks", &Question { action, resource, context: BTreeMap::new() })?;
        }
        Ok(())
    }

    fn decide(&self, caller: &Caller, service: &str, question: &Question) -> Result<(), ApiError> {
        match caller.policy.refusal(question) {
            Some(why) => Err(self.access_denied(caller, service, &question.action, &question.resource, &why)),
            None => Ok(()),
        }
    }

    /// A refusal in IAM's words (facts §8.4, §12.6; "Troubleshoot access denied error messages with authorization ID" in the IAM User
    /// Guide).
    pub(crate) fn access_denied(
        &self,
        caller: &Caller,
        service: &str,
        action: &str,
        resource: &str,
        why: &str,
    ) -> ApiError {
        let message =
            format!("User: {} is not authorized to perform: {action} on resource: {resource} {why}", caller.arn);
        let message = message.trim_end();
        if !self.authorization_ids {
            return ApiError::access_denied(service, message);
        }
        let id = format!("simulated{:011}", self.ids);
        let message = format!(
            "{message}. Go to https://us-east-1.console.aws.amazon.com/iam/home?region=us-east-1#/authorization-details/{id} for complete details, or call the GetRequestAuthorizationDetails API with the following authorization id: {id}"
        );
        ApiError::access_denied(service, message)
    }

    fn question(&self, caller: &Caller, region: &str, operation: &Operation) -> Question {
        let mut keys = Keys::default();
        let resource = match operation {
            Operation::AssumeRole { role_arn, .. } => role_arn.clone(),
            Operation::GetRole { name } => self.principal_arn(caller, "role", name),
            Operation::GetUser { name } => self.principal_arn(caller, "user", name),
            Operation::ListRoles { path_prefix, .. } => list_resource(caller, "role", path_prefix.as_deref()),
            Operation::ListUsers { path_prefix, .. } => list_resource(caller, "user", path_prefix.as_deref()),
            Operation::CreateSchedule { schedule } | Operation::UpdateSchedule { schedule } => {
                schedule::arn(caller, region, &schedule.group, &schedule.name)
            }
            Operation::PutEvents { entries } => bus_event::arn(caller, region, entries),
            Operation::GetSchedule { group, name } | Operation::DeleteSchedule { group, name } => {
                schedule::arn(caller, region, group, name)
            }
            Operation::DescribeNodegroup { cluster, nodegroup } => {
                self.nodes_resource(caller, region, cluster, "nodegroup", nodegroup)
            }
            Operation::DescribeFargateProfile { cluster, profile } => {
                self.nodes_resource(caller, region, cluster, "fargateprofile", profile)
            }
            Operation::TagResource { arn, .. }
            | Operation::UntagResource { arn, .. }
            | Operation::ListTagsForResource { arn } => {
                if let Some((cluster, entry)) = self.entry_called(caller, region, operation, arn) {
                    keys.set_entry(&cluster.name, entry);
                }
                arn.clone()
            }
            _ => match (operation.cluster(), operation.principal()) {
                (None, _) => "*".to_owned(),
                // An entry that is yet to be made is no resource: the cluster is.
                (Some(cluster), Some(principal)) if !matches!(operation, Operation::CreateAccessEntry { .. }) => {
                    self.entry_resource(caller, region, cluster, principal, &mut keys)
                }
                (Some(cluster), _) => self.cluster_resource(caller, region, cluster, &mut keys),
            },
        };
        keys.set_request(operation);
        let action = format!("{}:{}", operation.service(), operation.name());
        Question { action, resource, context: keys.0 }
    }

    /// IAM's resources have their path in them, which the request does not.
    fn principal_arn(&self, caller: &Caller, kind: &str, name: &str) -> String {
        let partition = Resource::of(&caller.arn).partition;
        let found = self.principal_named(&caller.account, kind, name).map(|principal| principal.arn.clone());
        found.unwrap_or_else(|| format!("arn:{partition}:iam::{}:{kind}/{name}", caller.account))
    }

    fn cluster_resource(&self, caller: &Caller, region: &str, name: &str, keys: &mut Keys) -> String {
        let found = self.cluster_called(caller, region, name);
        let tags = found.and_then(|cluster| cluster.description.get("tags")?.as_object());
        for (key, value) in tags.into_iter().flatten() {
            keys.set(&format!("aws:ResourceTag/{key}"), &value.as_str().map(str::to_owned));
        }
        format!("arn:{}:eks:{region}:{}:cluster/{name}", partition_of(region), caller.account)
    }

    /// Of what doesn't exist, the id is not known.
    fn nodes_resource(&self, caller: &Caller, region: &str, cluster: &str, kind: &str, name: &str) -> String {
        let found = self.cluster_called(caller, region, cluster);
        found.and_then(|cluster| cluster.described_nodes_arn(kind, name)).unwrap_or_else(|| {
            let (partition, account) = (partition_of(region), &caller.account);
            format!("arn:{partition}:eks:{region}:{account}:{kind}/{cluster}/{name}/*")
        })
    }

    /// Of an entry that is not there, what the request says of it is known.
    fn entry_resource(&self, caller: &Caller, region: &str, cluster: &str, principal: &str, keys: &mut Keys) -> String {
        let found = self.cluster_called(caller, region, cluster).and_then(|cluster| cluster.entries.get(principal));
        if let Some(entry) = found {
            keys.set_entry(cluster, entry);
            return entry.arn.clone();
        }
        keys.set("eks:clusterName", [&cluster.to_owned()]);
        keys.set("eks:principalArn", [&principal.to_owned()]);
        entry_arn(partition_of(region), region, &caller.account, cluster, principal, 0)
    }

    fn cluster_called(&self, caller: &Caller, region: &str, name: &str) -> Option<&Cluster> {
        self.clusters.get(&(caller.account.clone(), region.to_owned(), name.to_owned()))
    }

    fn entry_called(
        &self,
        caller: &Caller,
        region: &str,
        operation: &Operation,
        arn: &str,
    ) -> Option<(&Cluster, &Entry)> {
        let cluster = self.cluster_called(caller, region, operation.cluster()?)?;
        cluster.entries.values().find(|entry| entry.arn == arn).map(|entry| (cluster, entry))
    }
}

/// What a list is about: all that are under its path.
fn list_resource(caller: &Caller, kind: &str, path_prefix: Option<&str>) -> String {
    let partition = Resource::of(&caller.arn).partition;
    format!("arn:{partition}:iam::{}:{kind}{}", caller.account, path_prefix.unwrap_or("/"))
}
