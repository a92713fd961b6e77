//! The state machine: accounts, clusters, access entries, principals, and what time does to them. Pure: no clock, no I/O.
//!
//! Rules cite their source: pages of the EKS User Guide ("UG") and the IAM User Guide, or the issue in which they were reported;
//! "facts §N" is the section of this project's collection, "EKS access entries: fact sheet", that they were taken from.
//!
//! Other services are modules beside `sts` and `scheduler`, called from [`World::call`].

mod access_policy;
mod authorization;
mod cluster;
mod entries;
mod entry;
mod event_bridge;
mod kubernetes;
mod nodes;
mod page;
mod principal;
mod scheduler;
mod shape;
mod sts;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::operation::{Answer, ApiError, Operation, Page};
use crate::policy::{Limit, Policy};

pub use cluster::{Cluster, Mode, ModeChange};
pub use entry::{Association, Entry, EntrySnapshot};
pub use event_bridge::BusEvent;
pub use kubernetes::{Attributes, KubernetesAccess};
pub use principal::Principal;
pub use scheduler::{Delivery, Schedule};
pub use sts::AssumedRole;

/// The account that everything is in unless it says otherwise.
pub const ACCOUNT: &str = "111122223333";
/// The region that everything is in unless it says otherwise.
pub const REGION: &str = "eu-west-1";

/// Who calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Its ARN.
    pub arn: String,
    /// Its account.
    pub account: String,
    /// Its unique id.
    pub user_id: String,
    /// What it may do.
    pub policy: Policy,
}

/// How long AWS takes to know of a change. All zero at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// Until Associate, Describe and List know an entry that was made (facts §4.3; terraform-provider-aws pull
    /// request 35736: up to two minutes).
    pub entry: Duration,
    /// Until the cluster's API server honours a change (facts §4.4; teleport pull request 49467: up to 30 s).
    pub kubernetes: Duration,
    /// Until entries are taken after the mode was changed (facts §2.5).
    pub mode: Duration,
}

impl Delays {
    /// What is met on an ordinary day.
    #[must_use]
    pub fn realistic() -> Self {
        let seconds = Duration::from_secs;
        Self { entry: seconds(5), kubernetes: seconds(20), mode: seconds(5) }
    }
}

/// A simulated AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    now: Timestamp,
    /// How long AWS takes to know of a change.
    pub delays: Delays,
    /// How many entries a cluster may have (facts §3.11; quota L-C56B9FC3).
    pub entry_quota: usize,
    callers: BTreeMap<String, Caller>,
    default_caller: Caller,
    secrets: BTreeMap<String, String>,
    assumable: BTreeMap<String, sts::AssumableRole>,
    assumed: Vec<AssumedRole>,
    principals: BTreeMap<String, Principal>,
    clusters: BTreeMap<(String, String, String), Cluster>,
    event_buses: BTreeSet<String>,
    bus_events: Vec<BusEvent>,
    schedule_groups: BTreeSet<(String, String, String)>,
    schedules: BTreeMap<scheduler::Key, Schedule>,
    schedule_quota: usize,
    authorization_ids: bool,
    ids: u64,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// When it all begins.
    pub const START: Timestamp = Timestamp::constant(1_795_500_000, 0);

    /// An AWS with nothing in it but the function's role, which may do everything.
    #[must_use]
    pub fn new() -> Self {
        Self {
            now: Self::START,
            delays: Delays::default(),
            entry_quota: 3000,
            callers: BTreeMap::new(),
            default_caller: Caller {
                arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/eks-break-glass/eks-break-glass"),
                account: ACCOUNT.to_owned(),
                user_id: "AROAEXAMPLEFUNCTION00:eks-break-glass".to_owned(),
                policy: Policy::allow_all(),
            },
            secrets: BTreeMap::new(),
            assumable: BTreeMap::new(),
            assumed: Vec::new(),
            principals: BTreeMap::new(),
            clusters: BTreeMap::new(),
            event_buses: BTreeSet::new(),
            bus_events: Vec::new(),
            schedule_groups: BTreeSet::new(),
            schedules: BTreeMap::new(),
            schedule_quota: 1_000_000,
            authorization_ids: false,
            ids: 0,
        }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The function's role may do what this policy says, within the limits that it has.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.default_caller.policy = policy.with_limits_of(&self.default_caller.policy);
        self
    }

    /// A service control policy for the function's role. Other callers: [`Policy::limited_by`].
    #[must_use]
    pub fn with_service_control_policy(self, policy: Policy) -> Self {
        self.limited_by(Limit::ServiceControlPolicy, policy)
    }

    /// A permissions boundary for the function's role. Other callers: [`Policy::limited_by`].
    #[must_use]
    pub fn with_permissions_boundary(self, policy: Policy) -> Self {
        self.limited_by(Limit::PermissionsBoundary, policy)
    }

    fn limited_by(mut self, limit: Limit, policy: Policy) -> Self {
        self.default_caller.policy = self.default_caller.policy.limited_by(limit, policy);
        self
    }

    /// Refusals end with a link and an authorization id, as AWS's newer ones do (facts §12.6).
    #[must_use]
    pub fn with_authorization_ids(mut self) -> Self {
        self.authorization_ids = true;
        self
    }

    /// AWS takes that long to know of a change.
    #[must_use]
    pub fn with_delays(mut self, delays: Delays) -> Self {
        self.delays = delays;
        self
    }

    /// Another caller, known by its access key id.
    #[must_use]
    pub fn with_caller(mut self, access_key_id: &str, caller: Caller) -> Self {
        self.callers.insert(access_key_id.to_owned(), caller);
        self
    }

    /// The secret of an access key: where it is known, signatures of tokens are checked by it.
    #[must_use]
    pub fn with_secret(mut self, access_key_id: &str, secret: &str) -> Self {
        self.secrets.insert(access_key_id.to_owned(), secret.to_owned());
        self
    }

    pub(crate) fn secret(&self, access_key_id: &str) -> Option<&str> {
        self.secrets.get(access_key_id).map(String::as_str)
    }

    /// The role or user that a caller is: of a session, the role, with its path.
    #[must_use]
    pub fn principal_of(&self, caller: &Caller) -> Option<String> {
        let entry::Resource { kind, .. } = entry::Resource::of(&caller.arn);
        if kind != "assumed-role" {
            return Some(caller.arn.clone());
        }
        let role = caller.arn.split('/').nth(1)?;
        self.principal_named(&caller.account, "role", role).map(|principal| principal.arn.clone())
    }

    /// A cluster.
    #[must_use]
    pub fn with_cluster(mut self, mut cluster: Cluster) -> Self {
        cluster.settle(self.now, &self.principals);
        let key = (cluster.account.clone(), cluster.region.clone(), cluster.name.clone());
        self.clusters.insert(key, cluster);
        self
    }

    /// A role or a user. Principals that nobody has set up do not exist.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Self {
        self.principals.insert(principal.arn.clone(), principal);
        self
    }

    /// An entry on a cluster, which is given by its name or ARN, made for the principal as it is now: set that up before.
    #[must_use]
    pub fn with_entry(mut self, cluster: &str, mut entry: Entry) -> Self {
        let principal_id = self.principals.get(&entry.principal).and_then(|principal| principal.id_at(self.now));
        self.ids += 1;
        let id = self.ids;
        if let Some(cluster) = self.cluster_mut(cluster) {
            entry.principal_id = entry.principal_id.take().or(principal_id);
            cluster.insert_entry(entry, id);
        }
        self
    }

    /// A cluster, by its ARN or, in the home account and region, by its name.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.get(&key_of("cluster/", name))
    }

    /// A cluster, by its ARN or, in the home account and region, by its name; to be changed.
    pub fn cluster_mut(&mut self, name: &str) -> Option<&mut Cluster> {
        self.clusters.get_mut(&key_of("cluster/", name))
    }

    /// A role or user, to be changed.
    pub fn principal_mut(&mut self, arn: &str) -> Option<&mut Principal> {
        self.principals.get_mut(arn)
    }

    /// What there is to compare before and after: a cluster's entries, with all that they hold.
    #[must_use]
    pub fn snapshot(&self, cluster: &str) -> BTreeMap<String, EntrySnapshot> {
        self.cluster(cluster).map(Cluster::snapshot).unwrap_or_default()
    }

    /// Lets time pass; it never goes back.
    pub fn advance_to(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let now = self.now;
        for cluster in self.clusters.values_mut() {
            cluster.settle(now, &self.principals);
        }
    }

    /// Who an access key belongs to.
    #[must_use]
    pub fn caller(&self, access_key_id: &str) -> &Caller {
        self.callers.get(access_key_id).unwrap_or(&self.default_caller)
    }

    /// Carries out a call: the shape of the request is looked at first, then the caller's permissions, the cluster, its mode, and
    /// what is asked for last (facts §3.1; where permissions come in is not on record).
    ///
    /// # Errors
    /// What AWS would answer.
    pub fn call(&mut self, caller: &Caller, region: &str, operation: &Operation) -> Result<Answer, ApiError> {
        shape::check(operation)?;
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
            Operation::ListAccessPolicies { page } => access_policy::list(cluster::partition_of(region), page),
            operation => {
                let name = operation.cluster().unwrap_or_default();
                let answer = self.call_cluster(caller, region, name, operation);
                answer.map(Answer::Json).map_err(|error| error.about(name))
            }
        }
    }

    /// The clusters of the caller's account in a region (`ListClusters` in the API reference).
    fn list_clusters(&self, caller: &Caller, region: &str, page: &Page) -> Result<Value, ApiError> {
        let there = |(account, of, _): &&(String, String, String)| (account, of.as_str()) == (&caller.account, region);
        let names = self.clusters.keys().filter(there).map(|(.., name)| json!(name));
        page::paged("clusters", names.collect(), page)
    }

    fn call_cluster(
        &mut self,
        caller: &Caller,
        region: &str,
        name: &str,
        operation: &Operation,
    ) -> Result<Value, ApiError> {
        self.ids += 1;
        let context = entries::Context {
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

/// Account, region and name of what is given by its ARN, in which `kind` precedes the name, or by its name.
fn key_of(kind: &str, name: &str) -> (String, String, String) {
    let mut fields = name.splitn(6, ':').skip(3);
    let (region, account) = (fields.next().unwrap_or(REGION), fields.next().unwrap_or(ACCOUNT));
    let name = fields.next().and_then(|resource| resource.strip_prefix(kind)).unwrap_or(name);
    (account.to_owned(), region.to_owned(), name.to_owned())
}

/// A moment on the wire: seconds since the epoch, with a fraction.
pub(crate) fn epoch(time: Timestamp) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
    let seconds = time.as_millisecond() as f64 / 1000.0;
    json!(seconds)
}

/// A unique id in UUID's shape.
pub(crate) fn uuid(id: u64) -> String {
    format!("5ca1ab1e-0000-4000-8000-{id:012x}")
}

/// The moment after a time.
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}
