//! The state machine: accounts, clusters, access entries, principals, and what time does to them. Pure: no clock, no I/O.
//!
//! Rules cite their source: pages of the EKS User Guide ("UG") and the IAM User Guide, or the issue in which they were reported;
//! "facts §N" is the section of this project's collection, "EKS access entries: fact sheet", that they were taken from.
//!
//! What its services do is in `services`, called from [`World::call`].

pub use crate::state::bus_event::BusEvent;
pub use crate::state::caller::{Caller, Delays};
pub use crate::state::cluster::Cluster;
pub use crate::state::entry::{Association, Entry, EntrySnapshot};
pub use crate::state::kubernetes::{Attributes, KubernetesAccess};
pub use crate::state::mode::{Mode, ModeChange};
pub use crate::state::principal::Principal;
pub use crate::state::resource::{ACCOUNT, REGION};
pub use crate::state::role::AssumedRole;
pub use crate::state::schedule::{Delivery, Schedule};

use crate::state::moment::START;
use crate::state::resource::{Resource, key_of};
use crate::state::role::AssumableRole;
use crate::state::schedule::Key;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::policy::{Limit, Policy};

/// A simulated AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    pub(crate) now: Timestamp,
    /// How long AWS takes to know of a change.
    pub delays: Delays,
    /// How many entries a cluster may have (facts §3.11; quota L-C56B9FC3).
    pub entry_quota: usize,
    pub(crate) callers: BTreeMap<String, Caller>,
    pub(crate) default_caller: Caller,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) assumable: BTreeMap<String, AssumableRole>,
    pub(crate) assumed: Vec<AssumedRole>,
    pub(crate) principals: BTreeMap<String, Principal>,
    pub(crate) clusters: BTreeMap<(String, String, String), Cluster>,
    pub(crate) event_buses: BTreeSet<String>,
    pub(crate) bus_events: Vec<BusEvent>,
    pub(crate) schedule_groups: BTreeSet<(String, String, String)>,
    pub(crate) schedules: BTreeMap<Key, Schedule>,
    pub(crate) schedule_quota: usize,
    pub(crate) authorization_ids: bool,
    pub(crate) ids: u64,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// When it all begins.
    pub const START: Timestamp = START;

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
        let Resource { kind, .. } = Resource::of(&caller.arn);
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
}
