//! Access entries and the policies associated with them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::principal::Principal;
use super::{Delays, World, after, epoch, uuid};
use crate::operation::{Answer, ApiError, NewEntry, Operation, Page, Scope};

/// What a call on entries needs to know beside the cluster.
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) id: u64,
    pub(super) delays: Delays,
    pub(super) quota: usize,
    pub(super) principals: &'a BTreeMap<String, Principal>,
}

/// An access entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whom it is for.
    pub principal: String,
    /// The principal's unique id when the entry was made: EKS keeps it, and shows it nowhere.
    pub principal_id: Option<String>,
    /// `STANDARD`, `EC2_LINUX`, …
    pub kind: String,
    /// The Kubernetes username; empty until the entry is on a cluster where it was left to EKS.
    pub username: String,
    /// The Kubernetes groups.
    pub groups: Vec<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The policies, by their ARN.
    pub policies: BTreeMap<String, Association>,
    /// When it was made.
    pub created_at: Timestamp,
    pub(super) modified_at: Timestamp,
    /// When the cluster's API server was last told something new.
    pub(super) effective_from: Timestamp,
    arn: String,
    visible_from: Timestamp,
}

/// A policy associated with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// How far it reaches.
    pub scope: Scope,
    associated_at: Timestamp,
    modified_at: Timestamp,
}

/// What of an entry there is to compare: not its age, nor what EKS makes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySnapshot {
    /// `STANDARD`, `EC2_LINUX`, …
    pub kind: String,
    /// The Kubernetes username.
    pub username: String,
    /// The Kubernetes groups.
    pub groups: Vec<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The policies and their scopes.
    pub policies: BTreeMap<String, Scope>,
}

impl Entry {
    /// A `STANDARD` entry without policies, made an hour before it all begins.
    #[must_use]
    pub fn new(principal: &str) -> Self {
        let made = World::START.saturating_sub(jiff::SignedDuration::from_hours(1)).unwrap_or(World::START);
        Self {
            principal: principal.to_owned(),
            principal_id: None,
            kind: "STANDARD".to_owned(),
            username: String::new(),
            groups: Vec::new(),
            tags: BTreeMap::new(),
            policies: BTreeMap::new(),
            created_at: made,
            modified_at: made,
            effective_from: made,
            arn: String::new(),
            visible_from: made,
        }
    }

    /// Of another type.
    #[must_use]
    pub fn of_kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.kind);
        self
    }

    /// Made then.
    #[must_use]
    pub fn made_at(mut self, time: Timestamp) -> Self {
        (self.created_at, self.modified_at) = (time, time);
        (self.visible_from, self.effective_from) = (time, time);
        self
    }

    /// Made for an earlier principal of the same ARN: it looks healthy and lets nobody in (containers-roadmap issue 2441).
    #[must_use]
    pub fn made_for_id(mut self, id: &str) -> Self {
        self.principal_id = Some(id.to_owned());
        self
    }

    /// With that group.
    #[must_use]
    pub fn with_group(mut self, group: &str) -> Self {
        self.groups.push(group.to_owned());
        self
    }

    /// With that username.
    #[must_use]
    pub fn with_username(mut self, username: &str) -> Self {
        username.clone_into(&mut self.username);
        self
    }

    /// With that tag.
    #[must_use]
    pub fn with_tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With that policy, by ARN or, in the commercial partition, by name.
    #[must_use]
    pub fn with_policy(mut self, policy: &str, scope: Scope) -> Self {
        let arn = if policy.starts_with("arn:") {
            policy.to_owned()
        } else {
            format!("arn:aws:eks::aws:cluster-access-policy/{policy}")
        };
        let association = Association { scope, associated_at: self.created_at, modified_at: self.created_at };
        self.policies.insert(arn, association);
        self
    }

    pub(super) fn snapshot(&self) -> EntrySnapshot {
        EntrySnapshot {
            kind: self.kind.clone(),
            username: self.username.clone(),
            groups: self.groups.clone(),
            tags: self.tags.clone(),
            policies: self.policies.iter().map(|(arn, held)| (arn.clone(), held.scope.clone())).collect(),
        }
    }

    /// Its ARN leaves the principal's path out; a username that was not given is made up ("Create access entries" in the UG).
    pub(super) fn in_cluster(mut self, cluster: &Cluster, id: u64) -> Self {
        let fields: Vec<_> = self.principal.splitn(6, ':').collect();
        let (partition, account) = (cluster.partition(), fields.get(4).copied().unwrap_or_default());
        let resource = fields.get(5).copied().unwrap_or_default();
        let kind = resource.split('/').next().unwrap_or_default();
        let name = resource.rsplit('/').next().unwrap_or_default();
        self.arn = format!(
            "arn:{partition}:eks:{}:{}:access-entry/{}/{kind}/{account}/{name}/{}",
            cluster.region,
            cluster.account,
            cluster.name,
            uuid(id)
        );
        if self.username.is_empty() {
            self.username = match (self.kind.as_str(), kind) {
                ("EC2_LINUX" | "EC2_WINDOWS", _) => "system:node:{{EC2PrivateDNSName}}".to_owned(),
                ("FARGATE_LINUX" | "HYBRID_LINUX", _) => "system:node:{{SessionName}}".to_owned(),
                (_, "user") => self.principal.clone(),
                _ => format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}"),
            };
        }
        self
    }

    fn json(&self, cluster: &str) -> Value {
        json!({
            "clusterName": cluster, "principalArn": self.principal, "kubernetesGroups": self.groups,
            "accessEntryArn": self.arn, "createdAt": epoch(self.created_at), "modifiedAt": epoch(self.modified_at),
            "tags": self.tags, "username": self.username, "type": self.kind
        })
    }

    /// Only `STANDARD` entries have policies (ACK community issue 2144).
    fn require_standard(&self) -> Result<(), ApiError> {
        if self.kind == "STANDARD" {
            return Ok(());
        }
        Err(ApiError::invalid_parameter(
            "This operation can only be performed on Access Entries with a type of \"STANDARD\".",
        ))
    }

    fn touch(&mut self, now: Timestamp, propagation: Duration) {
        self.modified_at = now;
        self.effective_from = after(now, propagation);
    }
}

impl Association {
    fn json(&self, policy: &str) -> Value {
        json!({
            "policyArn": policy, "accessScope": self.scope.json(),
            "associatedAt": epoch(self.associated_at), "modifiedAt": epoch(self.modified_at)
        })
    }
}

/// The access policies that can be associated by anybody ("Access policy permissions" in the UG).
const POLICIES: [&str; 7] = [
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSSecretAdminPolicy",
    "AmazonEKSSecretReaderPolicy",
    "AmazonEKSViewPolicy",
];
/// Some of those that only service-linked roles can have.
const OWN_POLICIES: [&str; 3] = ["AmazonEKSAutoNodePolicy", "AmazonEKSComputePolicy", "AmazonEKSNetworkingPolicy"];
const RESERVED: [&str; 5] = ["system:", "eks:", "aws:", "amazon:", "iam:"];
const NODE_TYPES: [&str; 5] = ["EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "EC2"];

/// What is wrong with a call whatever the cluster: answered before the cluster is looked up.
pub(super) fn check_shape(operation: &Operation) -> Result<(), ApiError> {
    match operation {
        Operation::CreateAccessEntry { entry, .. } => check_new_entry(entry),
        Operation::UpdateAccessEntry { username, groups, .. } => {
            check_username(username.as_deref())?;
            check_groups(groups.as_deref().unwrap_or_default())
        }
        Operation::AssociateAccessPolicy { policy, scope, .. } => {
            check_policy_form(policy)?;
            check_scope(scope)
        }
        _ => Ok(()),
    }
}

fn check_new_entry(entry: &NewEntry) -> Result<(), ApiError> {
    let principal = entry.principal.as_str();
    let fields: Vec<_> = principal.splitn(6, ':').collect();
    let (service, resource) = (fields.get(2).copied(), fields.get(5).copied().unwrap_or_default());
    let named = resource == "root" || resource.starts_with("role/") || resource.starts_with("user/");
    if service != Some("iam") || !named {
        return Err(ApiError::invalid_parameter("The principalArn parameter format is not valid"));
    }
    if resource.starts_with("role/aws-service-role/") {
        return Err(ApiError::invalid_parameter(
            "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role",
        ));
    }
    let kind = entry.kind.as_deref().unwrap_or("STANDARD");
    if NODE_TYPES.contains(&kind) {
        if resource.starts_with("user/") {
            return Err(ApiError::invalid_parameter(
                "AccessEntry principalArn must be IAM role when using types [EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, EC2]",
            ));
        }
        if entry.username.is_some() {
            return Err(ApiError::invalid_parameter(format!(
                "The specified username is invalid: setting username is not allowed when the type is \"{kind}\""
            )));
        }
    }
    check_username(entry.username.as_deref())?;
    check_groups(&entry.groups)
}

fn check_username(username: Option<&str>) -> Result<(), ApiError> {
    let Some(username) = username else {
        return Ok(());
    };
    if let Some(prefix) = RESERVED.iter().find(|prefix| username.starts_with(*prefix)) {
        return Err(ApiError::invalid_parameter(format!("The username must not begin with {prefix}")));
    }
    match username.split_once("{{SessionName}}") {
        Some((before, _)) if !before.contains(':') => {
            Err(ApiError::invalid_parameter("The username must contain a colon before {{SessionName}}"))
        }
        _ => Ok(()),
    }
}

fn check_groups(groups: &[String]) -> Result<(), ApiError> {
    for group in groups {
        if let Some(prefix) = RESERVED.iter().find(|prefix| group.starts_with(*prefix)) {
            return Err(ApiError::invalid_parameter(format!(
                "The kubernetes group name {group} is invalid, it cannot start with {prefix}"
            )));
        }
    }
    Ok(())
}

fn check_policy_form(policy: &str) -> Result<(), ApiError> {
    if policy.split(':').nth(2) == Some("eks") {
        return Ok(());
    }
    Err(ApiError::invalid_parameter("The policyArn parameter format is not valid"))
}

fn check_scope(scope: &Scope) -> Result<(), ApiError> {
    Err(ApiError::invalid_parameter(match (scope.kind.as_str(), scope.namespaces.is_empty()) {
        ("cluster", true) | ("namespace", false) => return Ok(()),
        ("cluster", false) => "accessScope should not include namespaces if the type is not set as namespace",
        ("namespace", true) => "At least 1 namespace must be provided if the type is set as namespace",
        _ => "accessScope type must be one of [namespace, cluster]",
    }))
}

fn entry_not_found() -> ApiError {
    ApiError::not_found(
        "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.",
    )
}

pub(super) fn list_policies(page: &Page) -> Result<Answer, ApiError> {
    let all = POLICIES
        .iter()
        .chain(&OWN_POLICIES)
        .map(|name| json!({ "name": name, "arn": format!("arn:aws:eks::aws:cluster-access-policy/{name}") }));
    paged("accessPolicies", all.collect(), page).map(Answer::Json)
}

/// One page of a list. Tokens are places in it.
fn paged(field: &str, all: Vec<Value>, page: &Page) -> Result<Value, ApiError> {
    let most = page.max_results.unwrap_or(100);
    if !(1..=100).contains(&most) {
        return Err(ApiError::invalid_parameter("maxResults must be between 1 and 100"));
    }
    let from = match &page.next_token {
        None => 0,
        Some(token) => token
            .strip_prefix("from-")
            .and_then(|place| place.parse().ok())
            .ok_or_else(|| ApiError::invalid_parameter("The nextToken parameter is not valid"))?,
    };
    let next = (from + most < all.len()).then(|| format!("from-{}", from + most));
    let items: Vec<_> = all.into_iter().skip(from).take(most).collect();
    let mut shown = serde_json::Map::new();
    shown.insert(field.to_owned(), json!(items));
    shown.insert("nextToken".to_owned(), json!(next));
    Ok(Value::Object(shown))
}

impl Cluster {
    pub(super) fn call_entries(&mut self, operation: &Operation, context: &Context<'_>) -> Result<Value, ApiError> {
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
            Operation::UpdateAccessEntry { principal, username, groups, .. } => {
                let entry = self.entry(principal, context)?;
                if let Some(username) = username {
                    entry.username.clone_from(username);
                }
                if let Some(groups) = groups {
                    entry.groups.clone_from(groups);
                }
                entry.touch(context.now, context.delays.kubernetes);
                Ok(json!({ "accessEntry": entry.json(&name) }))
            }
            Operation::DeleteAccessEntry { principal, .. } => {
                self.entries.remove(principal).map(|_| json!({})).ok_or_else(entry_not_found)
            }
            Operation::AssociateAccessPolicy { principal, policy, scope, .. } => {
                self.associate(principal, policy, scope, context)
            }
            Operation::DisassociateAccessPolicy { principal, policy, .. } => {
                let entry = self.entry(principal, context)?;
                entry.require_standard()?;
                let gone = entry.policies.remove(policy);
                entry.touch(context.now, context.delays.kubernetes);
                gone.map(|_| json!({})).ok_or_else(|| {
                    ApiError::not_found("The specified policyArn is not associated with the access entry.")
                })
            }
            Operation::ListAssociatedAccessPolicies { principal, page, .. } => {
                let entry = self.entry(principal, context)?;
                entry.require_standard()?;
                let held = entry.policies.iter().map(|(policy, held)| held.json(policy));
                let mut shown = paged("associatedAccessPolicies", held.collect(), page)?;
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

    /// An entry as far as it can be seen yet.
    fn entry(&mut self, principal: &str, context: &Context<'_>) -> Result<&mut Entry, ApiError> {
        self.entries.get_mut(principal).filter(|entry| entry.visible_from <= context.now).ok_or_else(entry_not_found)
    }

    fn tagged(&mut self, arn: &str) -> Result<&mut Entry, ApiError> {
        self.entries
            .values_mut()
            .find(|entry| entry.arn == arn)
            .ok_or_else(|| ApiError::not_found("The specified resource could not be found."))
    }

    fn create_entry(&mut self, new: &NewEntry, token: Option<&str>, context: &Context<'_>) -> Result<Value, ApiError> {
        let body = json!([new.principal, new.kind, new.username, new.groups, new.tags]);
        if let Some(answer) = self.answered_before(token, &body) {
            return Ok(answer);
        }
        let kind = new.kind.clone().unwrap_or_else(|| "STANDARD".to_owned());
        let account = new.principal.split(':').nth(4).unwrap_or_default();
        if NODE_TYPES.contains(&kind.as_str()) && account != self.account {
            return Err(ApiError::invalid_parameter(
                "AccessEntry principalArn must be from the same account as the cluster when using types [EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, EC2]",
            ));
        }
        // The account's root is taken, and of no use (aws-iam-authenticator issue 797).
        let id = context.principals.get(&new.principal).and_then(|principal| principal.id_to_eks(context.now));
        if id.is_none() && !new.principal.ends_with(":root") {
            return Err(ApiError::invalid_parameter("The specified principalArn is invalid: invalid principal."));
        }
        if self.entries.contains_key(&new.principal) {
            return Err(ApiError::in_use("The specified access entry resource is already in use on this cluster."));
        }
        if self.entries.len() >= context.quota {
            return Err(ApiError::limit_exceeded("The maximum number of access entries for this cluster is reached."));
        }
        let entry = Entry {
            principal_id: id,
            username: new.username.clone().unwrap_or_default(),
            groups: new.groups.clone(),
            tags: new.tags.clone(),
            ..Entry::new(&new.principal).of_kind(&kind).made_at(context.now)
        };
        let mut entry = entry.in_cluster(self, context.id);
        entry.visible_from = after(context.now, context.delays.entry);
        entry.effective_from = after(context.now, context.delays.kubernetes);
        let shown = json!({ "accessEntry": entry.json(&self.name) });
        self.entries.insert(new.principal.clone(), entry);
        self.remember(token, body, &shown);
        Ok(shown)
    }

    /// The same policy again replaces its scope: `associatedAt` stays, `modifiedAt` moves ("Associate access policies" in the UG).
    fn associate(
        &mut self,
        principal: &str,
        policy: &str,
        scope: &Scope,
        context: &Context<'_>,
    ) -> Result<Value, ApiError> {
        let prefix = format!("arn:{}:eks::aws:cluster-access-policy/", self.partition());
        let name = self.name.clone();
        let entry = self.entry(principal, context)?;
        entry.require_standard()?;
        match policy.strip_prefix(&prefix) {
            Some(name) if POLICIES.contains(&name) => {}
            Some(name) if OWN_POLICIES.contains(&name) => {
                return Err(ApiError::invalid_parameter(
                    "The specified policyArn can only be associated with service-linked roles",
                ));
            }
            _ => {
                return Err(ApiError::not_found("The specified policyArn could not be found."));
            }
        }
        let association = Association {
            scope: scope.clone(),
            associated_at: entry.policies.get(policy).map_or(context.now, |held| held.associated_at),
            modified_at: context.now,
        };
        let shown = association.json(policy);
        entry.policies.insert(policy.to_owned(), association);
        entry.touch(context.now, context.delays.kubernetes);
        Ok(json!({ "clusterName": name, "principalArn": principal, "associatedAccessPolicy": shown }))
    }
}
