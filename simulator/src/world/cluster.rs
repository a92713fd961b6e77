//! Clusters: their description, and the slow, hidden, failing, one-way changes of their authentication mode.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::entry::{Context, Entry, EntrySnapshot};
use super::{ACCOUNT, REGION, after, epoch, uuid};
use crate::operation::{ApiError, Operation, Scope};

/// How a cluster finds out who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By aws-auth alone.
    ConfigMap,
    /// By entries, then by aws-auth.
    ApiAndConfigMap,
    /// By entries alone.
    Api,
}

impl Mode {
    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "CONFIG_MAP",
            Self::ApiAndConfigMap => "API_AND_CONFIG_MAP",
            Self::Api => "API",
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::ConfigMap => Some(Self::ApiAndConfigMap),
            Self::ApiAndConfigMap => Some(Self::Api),
            Self::Api => None,
        }
    }
}

/// How a change of mode goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeChange {
    /// How long it takes (terraform-aws-eks issue 2913: about a minute and a half).
    pub takes: Duration,
    /// How long the status stays ACTIVE after it was asked for (ACK community issue 1192).
    pub hidden_for: Duration,
    /// Why it fails, where it does.
    pub fails: Option<String>,
}

impl Default for ModeChange {
    fn default() -> Self {
        Self { takes: Duration::from_secs(90), hidden_for: Duration::ZERO, fails: None }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Update {
    id: String,
    status: &'static str,
    mode: Option<Mode>,
    created_at: Timestamp,
    shows_at: Timestamp,
    ends_at: Timestamp,
    fails: Option<String>,
}

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
    /// How it finds out who somebody is.
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
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) tokens: BTreeMap<String, (Value, Value)>,
    pub(super) mode_since: Option<Timestamp>,
    updates: Vec<Update>,
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
            entries: BTreeMap::new(),
            tokens: BTreeMap::new(),
            mode_since: None,
            updates: Vec::new(),
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

    /// With an update of another kind in progress until then, which its status may hide (containers-roadmap issue 1500).
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
        let prefixes = [
            ("cn-", "aws-cn"),
            ("us-gov-", "aws-us-gov"),
            ("us-isob-", "aws-iso-b"),
            ("us-iso-", "aws-iso"),
            ("eu-isoe-", "aws-iso-e"),
            ("us-isof-", "aws-iso-f"),
            ("eusc-", "aws-eusc"),
        ];
        prefixes.iter().find(|(prefix, _)| self.region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:{}:eks:{}:{}:cluster/{}", self.partition(), self.region, self.account, self.name)
    }

    pub(super) fn snapshot(&self) -> BTreeMap<String, EntrySnapshot> {
        self.entries.iter().map(|(principal, entry)| (principal.clone(), entry.snapshot())).collect()
    }

    /// What has come to pass by now.
    pub(super) fn settle(&mut self, now: Timestamp) {
        let mut opened = None;
        for update in &mut self.updates {
            if update.status != "InProgress" || now < update.ends_at {
                continue;
            }
            match (&update.fails, update.mode) {
                (Some(_), _) => update.status = "Failed",
                (None, mode) => {
                    update.status = "Successful";
                    if let Some(mode) = mode {
                        self.mode = mode;
                        opened = Some(update.ends_at);
                    }
                }
            }
        }
        if let Some(at) = opened {
            self.mode_since = Some(at);
            self.make_own_entries(at);
        }
        let updating = self.updates.iter().any(|update| update.status == "InProgress" && update.shows_at <= now);
        match (updating, self.status.as_str()) {
            (true, "ACTIVE") => "UPDATING".clone_into(&mut self.status),
            (false, "UPDATING") => "ACTIVE".clone_into(&mut self.status),
            _ => {}
        }
    }

    /// EKS makes entries itself when entries are opened.
    fn make_own_entries(&mut self, at: Timestamp) {
        for (number, role) in self.node_roles.clone().iter().enumerate() {
            let entry = Entry::new(role).of_kind("EC2_LINUX").made_at(at);
            self.insert_entry(entry, 0xbeef_0000 + number as u64);
        }
        if let Some(creator) = self.creator.clone() {
            let admin = format!("arn:{}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", self.partition());
            let entry = Entry::new(&creator).made_at(at).with_policy(&admin, Scope::cluster());
            self.insert_entry(entry, 0xbeef_ffff);
        }
    }

    pub(super) fn insert_entry(&mut self, entry: Entry, id: u64) {
        if !self.entries.contains_key(&entry.principal) {
            let entry = entry.in_cluster(self, id);
            self.entries.insert(entry.principal.clone(), entry);
        }
    }

    pub(super) fn json(&self) -> Value {
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

    /// `UpdateClusterConfig`, of the authentication mode alone. One step at a time and never back (pulumi-eks issue 1493);
    /// the same again is refused as well (aws-cdk issue 31032).
    pub(super) fn update_config(
        &mut self,
        config: &Map<String, Value>,
        token: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Value, ApiError> {
        let body = Value::Object(config.clone());
        if let Some(answer) = self.answered_before(token, &body) {
            return Ok(answer);
        }
        if config.len() != 1 {
            return Err(ApiError::invalid_parameter("Only one type of update can be allowed."));
        }
        let wanted = body.pointer("/accessConfig/authenticationMode").and_then(Value::as_str);
        let Some(wanted) = wanted else {
            return Err(ApiError::invalid_parameter("This update is not one that the simulator knows."));
        };
        if self.description.contains_key("outpostConfig") || self.description.contains_key("connectorConfig") {
            return Err(ApiError::invalid_request("This operation is not supported for this kind of cluster."));
        }
        if let Some(update) = self.updates.iter().find(|update| update.status == "InProgress") {
            return Err(ApiError::in_use(format!(
                "Cannot AccessConfigUpdate because cluster {} currently has update {} in progress",
                self.name, update.id
            )));
        }
        let Some(mode) = self.mode.next().filter(|next| next.name() == wanted) else {
            return Err(ApiError::invalid_parameter(format!(
                "Unsupported authentication mode update from {} to {wanted}",
                self.mode.name()
            )));
        };
        if self.status != "ACTIVE" {
            return Err(ApiError::in_use(format!("Cluster {} is {}", self.name, self.status)));
        }
        self.updates.push(Update {
            id: uuid(context.id),
            status: "InProgress",
            mode: Some(mode),
            created_at: context.now,
            shows_at: after(context.now, self.mode_change.hidden_for),
            ends_at: after(context.now, self.mode_change.takes),
            fails: self.mode_change.fails.clone(),
        });
        let shown = json!({ "update": self.updates.last().map(Update::json) });
        self.settle(context.now);
        self.remember(token, body, &shown);
        Ok(shown)
    }

    pub(super) fn describe_update(&self, id: &str) -> Result<Value, ApiError> {
        self.updates
            .iter()
            .find(|update| update.id == id)
            .map(|update| json!({ "update": update.json() }))
            .ok_or_else(|| ApiError::not_found(format!("No update found for ID: {id}")))
    }

    pub(super) fn list_updates(&self) -> Value {
        json!({ "updateIds": self.updates.iter().map(|update| &update.id).collect::<Vec<_>>() })
    }

    /// A token that was used with the same body is answered as it was then.
    pub(super) fn answered_before(&self, token: Option<&str>, body: &Value) -> Option<Value> {
        let (before, answer) = self.tokens.get(token?)?;
        (before == body).then(|| answer.clone())
    }

    pub(super) fn remember(&mut self, token: Option<&str>, body: Value, answer: &Value) {
        if let Some(token) = token {
            self.tokens.insert(token.to_owned(), (body, answer.clone()));
        }
    }

    /// Entries are refused in `CONFIG_MAP` mode (terraform-aws-eks-blueprints issue 1877), and for a while after it.
    pub(super) fn require_entries(&self, context: &Context<'_>) -> Result<(), ApiError> {
        let fresh = self.mode_since.is_some_and(|since| context.now < after(since, context.delays.mode));
        if self.mode == Mode::ConfigMap || fresh {
            return Err(ApiError::invalid_request(
                "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
            ));
        }
        Ok(())
    }
}

impl Update {
    fn json(&self) -> Value {
        let errors: Vec<_> = match (&self.fails, self.status) {
            (Some(why), "Failed") => {
                vec![json!({ "errorCode": "Unknown", "errorMessage": why, "resourceIds": [] })]
            }
            _ => Vec::new(),
        };
        // A value inside the parameters is JSON in a string.
        let (kind, params) = match self.mode {
            Some(mode) => (
                "AccessConfigUpdate",
                vec![json!({ "type": "AuthenticationMode", "value": format!("\"{}\"", mode.name()) })],
            ),
            None => ("VersionUpdate", Vec::new()),
        };
        json!({
            "id": self.id, "status": self.status, "type": kind, "params": params,
            "createdAt": epoch(self.created_at), "errors": errors
        })
    }
}

/// The cluster that an operation is about.
pub(super) fn name_of(operation: &Operation) -> String {
    match operation {
        Operation::DescribeCluster { name }
        | Operation::UpdateClusterConfig { name, .. }
        | Operation::DescribeUpdate { name, .. }
        | Operation::ListUpdates { name } => name.clone(),
        Operation::ListAccessEntries { cluster, .. }
        | Operation::CreateAccessEntry { cluster, .. }
        | Operation::DescribeAccessEntry { cluster, .. }
        | Operation::UpdateAccessEntry { cluster, .. }
        | Operation::DeleteAccessEntry { cluster, .. }
        | Operation::AssociateAccessPolicy { cluster, .. }
        | Operation::DisassociateAccessPolicy { cluster, .. }
        | Operation::ListAssociatedAccessPolicies { cluster, .. } => cluster.clone(),
        Operation::TagResource { arn, .. }
        | Operation::UntagResource { arn, .. }
        | Operation::ListTagsForResource { arn } => arn.split('/').nth(1).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
