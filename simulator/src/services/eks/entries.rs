//! What is done with a cluster's access entries.

use serde_json::{Value, json};

use crate::operation::{ApiError, EntryChange, NewEntry, Operation, Scope};
use crate::services::eks::access_policy;
use crate::services::eks::context::Context;
use crate::services::eks::shape::NODE_TYPES;
use crate::services::page::paged;
use crate::state::cluster::Cluster;
use crate::state::entry::{Association, Entry};
use crate::state::mode::Mode;
use crate::state::moment::after;
use crate::state::resource::Resource;

impl Cluster {
    pub(crate) fn call_entries(&mut self, operation: &Operation, context: &Context<'_>) -> Result<Value, ApiError> {
        self.require_control_plane()?;
        self.require_entries(context)?;
        let name = self.name.clone();
        match operation {
            Operation::CreateAccessEntry { entry, token, .. } => self.create_entry(entry, token.as_deref(), context),
            Operation::ListAccessEntries { policy, page, .. } => {
                let visible = self.entries.values().filter(|entry| entry.visible_from <= context.now);
                let listed = visible
                    .filter(|entry| policy.as_ref().is_none_or(|policy| entry.policies.contains_key(policy)))
                    .map(|entry| json!(entry.principal));
                paged("accessEntries", listed.collect(), page)
            }
            Operation::DescribeAccessEntry { principal, .. } => {
                Ok(json!({ "accessEntry": self.entry(principal, context)?.json(&name) }))
            }
            Operation::UpdateAccessEntry { principal, change, token, .. } => {
                self.update_entry(principal, change, token.as_deref(), context)
            }
            // The associations go with it (facts §3.12; `DeleteAccessEntry` in the API reference).
            Operation::DeleteAccessEntry { principal, .. } => {
                self.entries.remove(principal).ok_or_else(entry_not_found)?;
                self.publish(principal, context);
                Ok(json!({}))
            }
            Operation::AssociateAccessPolicy { principal, policy, scope, .. } => {
                self.associate(principal, policy, scope, context)
            }
            // The words are only on record from an emulator (facts §4.3, §11).
            Operation::DisassociateAccessPolicy { principal, policy, .. } => {
                let entry = self.entry_with_policies(principal, context)?;
                entry.policies.remove(policy).ok_or_else(|| {
                    ApiError::not_found("The specified policyArn is not associated with the access entry.")
                })?;
                entry.modified_at = context.now;
                self.publish(principal, context);
                Ok(json!({}))
            }
            Operation::ListAssociatedAccessPolicies { principal, page, .. } => {
                let held = self.entry_with_policies(principal, context)?.policies.iter();
                let held = held.map(|(policy, held)| held.json(policy)).collect();
                let mut shown = paged("associatedAccessPolicies", held, page)?;
                if let Value::Object(fields) = &mut shown {
                    fields.insert("clusterName".to_owned(), json!(name));
                    fields.insert("principalArn".to_owned(), json!(principal));
                }
                Ok(shown)
            }
            Operation::TagResource { arn, tags } => {
                self.tagged(arn)?.tags.extend(tags.clone());
                Ok(json!({}))
            }
            Operation::UntagResource { arn, keys } => {
                self.tagged(arn)?.tags.retain(|key, _| !keys.contains(key));
                Ok(json!({}))
            }
            Operation::ListTagsForResource { arn } => Ok(json!({ "tags": self.tagged(arn)?.tags })),
            _ => Err(ApiError::unknown_operation()),
        }
    }

    /// A cluster that is being made or deleted, or failed to be made, has no entries to tell of. How EKS says so is not known (facts §2.2, §11).
    fn require_control_plane(&self) -> Result<(), ApiError> {
        match self.status.as_str() {
            "ACTIVE" | "UPDATING" => Ok(()),
            status => Err(ApiError::in_use(format!("Cluster {} is {status}", self.name))),
        }
    }

    /// Entries are refused in `CONFIG_MAP` mode (facts §2.2; terraform-aws-eks-blueprints issue 1877), and for a while after it.
    fn require_entries(&self, context: &Context<'_>) -> Result<(), ApiError> {
        let fresh = self.mode_since.is_some_and(|since| context.now < after(since, context.delays.mode));
        if self.mode == Mode::ConfigMap || fresh {
            return Err(ApiError::invalid_request(
                "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
            ));
        }
        Ok(())
    }

    /// An entry, as far as it can be seen yet (facts §3.6, §4.3; terraform-provider-aws pull request 35736).
    pub(crate) fn entry(&mut self, principal: &str, context: &Context<'_>) -> Result<&mut Entry, ApiError> {
        self.entries.get_mut(principal).filter(|entry| entry.visible_from <= context.now).ok_or_else(entry_not_found)
    }

    /// Only `STANDARD` entries have policies, and those of Auto Mode's nodes (facts §3.4; ACK community issue 2144).
    fn entry_with_policies(&mut self, principal: &str, context: &Context<'_>) -> Result<&mut Entry, ApiError> {
        let entry = self.entry(principal, context)?;
        if matches!(entry.kind.as_str(), "STANDARD" | "EC2") { Ok(entry) } else { Err(ApiError::not_standard()) }
    }

    fn tagged(&mut self, arn: &str) -> Result<&mut Entry, ApiError> {
        self.entries
            .values_mut()
            .find(|entry| entry.arn == arn)
            .ok_or_else(|| ApiError::not_found("The specified resource could not be found."))
    }

    fn create_entry(&mut self, new: &NewEntry, token: Option<&str>, context: &Context<'_>) -> Result<Value, ApiError> {
        let body = json!(["create", new.principal, new.kind, new.username, new.groups, new.tags]);
        if let Some(answer) = self.answered_before(token, &body) {
            return Ok(answer);
        }
        let kind = new.kind.as_deref().unwrap_or("STANDARD");
        let principal_id = self.check_principal(&new.principal, kind, context)?;
        // Facts §3.5; terraform-aws-eks issue 3293.
        if self.entries.contains_key(&new.principal) {
            return Err(ApiError::in_use("The specified access entry resource is already in use on this cluster."));
        }
        if self.entries.len() >= context.quota {
            return Err(ApiError::limit_exceeded("The maximum number of access entries for this cluster is reached."));
        }
        let entry = Entry {
            principal_id,
            username: new.username.clone().unwrap_or_default(),
            groups: new.groups.clone(),
            tags: new.tags.clone(),
            visible_from: after(context.now, context.delays.entry),
            ..Entry::new(&new.principal).of_kind(kind).made_at(context.now)
        };
        let entry = self.own_entry(entry, context.id);
        let shown = json!({ "accessEntry": entry.json(&self.name) });
        self.entries.insert(new.principal.clone(), entry);
        self.publish(&new.principal, context);
        self.remember(token, body, &shown);
        Ok(shown)
    }

    /// The principal has to exist, under just this path, and EKS has to have heard of it; its unique id is kept (facts §3.1;
    /// terraform-aws-eks issue 2969). The account's root is taken, and of no use (aws-iam-authenticator issue 797).
    fn check_principal(&self, arn: &str, kind: &str, context: &Context<'_>) -> Result<Option<String>, ApiError> {
        let principal = Resource::of(arn);
        if NODE_TYPES.contains(&kind) && principal.account != self.account {
            return Err(ApiError::invalid_parameter(
                "AccessEntry principalArn must be from the same account as the cluster when using types [EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, EC2]",
            ));
        }
        if principal.kind == "root" && principal.partition == self.partition() {
            return Ok(None);
        }
        let id = context.principals.get(arn).and_then(|principal| principal.id_to_eks(context.now));
        id.map(Some)
            .ok_or_else(|| ApiError::invalid_parameter("The specified principalArn is invalid: invalid principal."))
    }

    fn update_entry(
        &mut self,
        principal: &str,
        change: &EntryChange,
        token: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Value, ApiError> {
        let body = json!(["update", principal, change.username, change.groups]);
        if let Some(answer) = self.answered_before(token, &body) {
            return Ok(answer);
        }
        let name = self.name.clone();
        let entry = self.entry(principal, context)?;
        if let Some(username) = &change.username {
            if NODE_TYPES.contains(&entry.kind.as_str()) {
                return Err(ApiError::invalid_parameter(format!(
                    "The specified username is invalid: setting username is not allowed when the type is \"{}\"",
                    entry.kind
                )));
            }
            entry.username.clone_from(username);
        }
        if let Some(groups) = &change.groups {
            entry.groups.clone_from(groups);
        }
        entry.modified_at = context.now;
        let shown = json!({ "accessEntry": entry.json(&name) });
        self.publish(principal, context);
        self.remember(token, body, &shown);
        Ok(shown)
    }

    /// The same policy again replaces its scope, and may narrow it: `associatedAt` stays, `modifiedAt` moves (facts §4.3;
    /// "Associate access policies" in the UG).
    fn associate(
        &mut self,
        principal: &str,
        policy: &str,
        scope: &Scope,
        context: &Context<'_>,
    ) -> Result<Value, ApiError> {
        let (name, partition) = (self.name.clone(), self.partition());
        let entry = self.entry(principal, context)?;
        access_policy::check(policy, &entry.kind, partition)?;
        let association = Association {
            scope: scope.clone(),
            associated_at: entry.policies.get(policy).map_or(context.now, |held| held.associated_at),
            modified_at: context.now,
        };
        let shown = association.json(policy);
        entry.policies.insert(policy.to_owned(), association);
        entry.modified_at = context.now;
        self.publish(principal, context);
        Ok(json!({ "clusterName": name, "principalArn": principal, "associatedAccessPolicy": shown }))
    }
}

fn entry_not_found() -> ApiError {
    ApiError::not_found(
        "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.",
    )
}
