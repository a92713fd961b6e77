//! A cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::operation::Scope;
use crate::state::entry::{self, Entry, EntrySnapshot};
use crate::state::kubernetes::Served;
use crate::state::mode::{Mode, ModeChange, Update};
use crate::state::moment::uuid;
use crate::state::nodes::Nodes;
use crate::state::principal::Principal;
use crate::state::resource::{ACCOUNT, REGION, partition_of};

/// A cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The account that it is in.
    pub account: String,
    /// The region that it is in.
    pub region: String,
    /// `ACTIVE`, unless it is being changed or was set to something else.
    pub status: String,
    /// How it authenticates principals.
    pub mode: Mode,
    /// How a change of its mode goes.
    pub mode_change: ModeChange,
    /// Principals whom the aws-auth `ConfigMap` makes administrators.
    pub aws_auth: Vec<String>,
    /// Principals for whom EKS makes entries when entries are opened: the creator, and the roles of nodes
    /// ("Change authentication mode to use access entries" in the UG).
    pub creator: Option<String>,
    /// The roles of its nodes.
    pub node_roles: Vec<String>,
    /// What `DescribeCluster` shows beside or instead of the usual (`outpostConfig`, `health`, …).
    pub description: Map<String, Value>,
    pub(crate) nodegroups: Vec<Nodes>,
    pub(crate) fargate_profiles: Vec<Nodes>,
    pub(crate) makes_node_entries: bool,
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) tokens: BTreeMap<String, (Value, Value)>,
    pub(crate) mode_since: Option<Timestamp>,
    pub(crate) updates: Vec<Update>,
    pub(crate) served: BTreeMap<String, Vec<Served>>,
}

impl Cluster {
    /// An active cluster in the home account and region.
    #[must_use]
    pub fn new(name: &str, mode: Mode) -> Self {
        Self {
            name: name.to_owned(),
            account: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
            status: "ACTIVE".to_owned(),
            mode,
            mode_change: ModeChange::default(),
            aws_auth: Vec::new(),
            creator: None,
            node_roles: Vec::new(),
            description: Map::new(),
            nodegroups: Vec::new(),
            fargate_profiles: Vec::new(),
            makes_node_entries: true,
            entries: BTreeMap::new(),
            tokens: BTreeMap::new(),
            mode_since: None,
            updates: Vec::new(),
            served: BTreeMap::new(),
        }
    }

    /// The same elsewhere.
    #[must_use]
    pub fn at(mut self, account: &str, region: &str) -> Self {
        account.clone_into(&mut self.account);
        region.clone_into(&mut self.region);
        self
    }

    /// With another status.
    #[must_use]
    pub fn with_status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.status);
        self
    }

    /// With that in its description.
    #[must_use]
    pub fn describing(mut self, field: &str, value: Value) -> Self {
        self.description.insert(field.to_owned(), value);
        self
    }

    /// Whose mode changes so.
    #[must_use]
    pub fn with_mode_change(mut self, mode_change: ModeChange) -> Self {
        self.mode_change = mode_change;
        self
    }

    /// Made by that principal.
    #[must_use]
    pub fn created_by(mut self, principal: &str) -> Self {
        self.creator = Some(principal.to_owned());
        self
    }

    /// With nodes in that role.
    #[must_use]
    pub fn with_node_role(mut self, role: &str) -> Self {
        self.node_roles.push(role.to_owned());
        self
    }

    /// With an update of another kind in progress until then, which its status may hide (facts §2.3;
    /// containers-roadmap issue 1500).
    #[must_use]
    pub fn with_update_until(mut self, from: Timestamp, until: Timestamp, hidden: bool) -> Self {
        let id = uuid(0xdead_0000 + self.updates.len() as u64);
        self.updates.push(Update {
            id,
            status: "InProgress",
            mode: None,
            created_at: from,
            shows_at: if hidden { Timestamp::MAX } else { from },
            ends_at: until,
            fails: None,
        });
        self
    }

    /// The partition of its region.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        partition_of(&self.region)
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:{}:eks:{}:{}:cluster/{}", self.partition(), self.region, self.account, self.name)
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<String, EntrySnapshot> {
        self.entries.iter().map(|(principal, entry)| (principal.clone(), entry.snapshot())).collect()
    }

    /// When entries are opened EKS makes the creator's itself, and those of the nodes' roles (facts §2.6; "Change authentication
    /// mode to use access entries" in the UG).
    pub(crate) fn make_own_entries(&mut self, at: Timestamp, principals: &BTreeMap<String, Principal>) {
        let admin = format!("arn:{}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", self.partition());
        let nodes = self.node_roles.iter().map(|role| (role.as_str(), "EC2_LINUX")).chain(self.migrated_roles());
        let nodes = nodes.map(|(role, kind)| Entry::new(role).made_at(at).of_kind(kind));
        let creator = self.creator.iter().map(|arn| Entry::new(arn).made_at(at).with_policy(&admin, Scope::cluster()));
        let entries: Vec<_> = nodes.chain(creator).zip(0xbeef_0000..).collect();
        for (entry, id) in entries {
            let principal_id = principals.get(&entry.principal).and_then(|principal| principal.id_at(at));
            self.insert_entry(Entry { principal_id, ..entry }, id);
        }
    }

    /// An entry as it is in this cluster: with an ARN and a username.
    pub(crate) fn own_entry(&self, mut entry: Entry, id: u64) -> Entry {
        entry.arn = entry::arn(self.partition(), &self.region, &self.account, &self.name, &entry.principal, id);
        if entry.username.is_empty() {
            entry.username = entry::default_username(&entry.kind, &entry.principal);
        }
        entry
    }

    /// Puts an entry there, unless the principal has one, as one that the API server knows already.
    pub(crate) fn insert_entry(&mut self, entry: Entry, id: u64) {
        if !self.entries.contains_key(&entry.principal) {
            let entry = self.own_entry(entry, id);
            let (principal, from) = (entry.principal.clone(), entry.created_at);
            self.entries.insert(principal.clone(), entry);
            self.publish_from(&principal, from);
        }
    }

    pub(crate) fn json(&self) -> Value {
        let mut shown = json!({
            "name": self.name,
            "arn": self.arn(),
            "createdAt": 1_700_000_000.5,
            "version": "1.33",
            "platformVersion": "eks.9",
            "endpoint": format!("https://0A1B2C3D4E5F60718293A4B5C6D7E8F9.gr7.{}.eks.amazonaws.com", self.region),
            "roleArn": format!("arn:{}:iam::{}:role/eks-cluster", self.partition(), self.account),
            "resourcesVpcConfig": {
                "subnetIds": [], "securityGroupIds": [], "vpcId": "vpc-0123456789abcdef0",
                "endpointPublicAccess": true, "endpointPrivateAccess": false, "publicAccessCidrs": ["0.0.0.0/0"]
            },
            "status": self.status,
            "certificateAuthority": { "data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCnNpbXVsYXRlZAotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==" },
            "accessConfig": { "authenticationMode": self.mode.name() },
            "health": { "issues": [] },
            "tags": {}
        });
        if let Value::Object(fields) = &mut shown {
            if matches!(self.status.as_str(), "CREATING" | "PENDING") {
                fields.remove("endpoint");
                fields.remove("certificateAuthority");
            }
            for (field, value) in &self.description {
                fields.insert(field.clone(), value.clone());
            }
            fields.retain(|_, value| !value.is_null());
        }
        shown
    }

    /// A token that was used with the same body is answered as it was then (facts §1.2; with another body, the call counts as a
    /// new one: what EKS does is not on record).
    pub(crate) fn answered_before(&self, token: Option<&str>, body: &Value) -> Option<Value> {
        let (before, answer) = self.tokens.get(token?)?;
        (before == body).then(|| answer.clone())
    }

    pub(crate) fn remember(&mut self, token: Option<&str>, body: Value, answer: &Value) {
        if let Some(token) = token {
            self.tokens.insert(token.to_owned(), (body, answer.clone()));
        }
    }
}
