//! The state machine: accounts, clusters, access entries, principals, and what time does to them. Pure: no clock, no I/O.
//!
//! Rules cite their source: pages of the EKS User Guide ("UG") and the IAM User Guide, or the issue where somebody met them.

mod authorization;
mod cluster;
mod entry;
mod kubernetes;
mod principal;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::operation::{Answer, ApiError, Operation};
use crate::policy::Policy;

pub use cluster::{Cluster, Mode, ModeChange};
pub use entry::{Entry, EntrySnapshot};
pub use kubernetes::KubernetesAccess;
pub use principal::Principal;

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

/// How long AWS takes to know what it was told. All zero at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// Until Associate, Describe and List know an entry that was made (terraform-provider-aws pull request 35736: up to two minutes).
    pub entry: Duration,
    /// Until the cluster's API server honours a change (teleport pull request 49467: up to 30 s).
    pub kubernetes: Duration,
    /// Until entries are taken after the mode was changed.
    pub mode: Duration,
}

/// A role that can be assumed, for work in another account.
#[derive(Debug, Clone, PartialEq)]
struct AssumableRole {
    trusted_account: String,
    external_id: Option<String>,
    policy: Policy,
}

/// A simulated AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    now: Timestamp,
    /// How long AWS takes to know what it was told.
    pub delays: Delays,
    /// How many entries a cluster may have (quota L-C56B9FC3).
    pub entry_quota: usize,
    callers: BTreeMap<String, Caller>,
    default_caller: Caller,
    assumable: BTreeMap<String, AssumableRole>,
    principals: BTreeMap<String, Principal>,
    clusters: BTreeMap<(String, String, String), Cluster>,
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
            assumable: BTreeMap::new(),
            principals: BTreeMap::new(),
            clusters: BTreeMap::new(),
            ids: 0,
        }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The function's role may do what this policy says.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.default_caller.policy = policy;
        self
    }

    /// AWS takes that long to know what it was told.
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

    /// A role that callers of `trusted_account` may take on, with that external id where there is one.
    #[must_use]
    pub fn with_assumable_role(
        mut self,
        role_arn: &str,
        trusted_account: &str,
        external_id: Option<&str>,
        policy: Policy,
    ) -> Self {
        let role = AssumableRole {
            trusted_account: trusted_account.to_owned(),
            external_id: external_id.map(str::to_owned),
            policy,
        };
        self.assumable.insert(role_arn.to_owned(), role);
        self
    }

    /// A cluster.
    #[must_use]
    pub fn with_cluster(mut self, mut cluster: Cluster) -> Self {
        cluster.settle(self.now);
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

    /// An entry on a cluster of the home account and region, made for the principal as it is now.
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

    /// A cluster of the home account and region.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.get(&(ACCOUNT.to_owned(), REGION.to_owned(), name.to_owned()))
    }

    /// A cluster of the home account and region, to be changed.
    pub fn cluster_mut(&mut self, name: &str) -> Option<&mut Cluster> {
        self.clusters.get_mut(&(ACCOUNT.to_owned(), REGION.to_owned(), name.to_owned()))
    }

    /// A role or user, to be changed.
    pub fn principal_mut(&mut self, arn: &str) -> Option<&mut Principal> {
        self.principals.get_mut(arn)
    }

    /// What there is to compare before and after: the mode, and the entries with all that they hold.
    #[must_use]
    pub fn snapshot(&self, cluster: &str) -> BTreeMap<String, EntrySnapshot> {
        self.cluster(cluster).map(Cluster::snapshot).unwrap_or_default()
    }

    /// Lets time pass; it never goes back.
    pub fn advance_to(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let now = self.now;
        for cluster in self.clusters.values_mut() {
            cluster.settle(now);
        }
    }

    /// Who an access key belongs to.
    #[must_use]
    pub fn caller(&self, access_key_id: &str) -> &Caller {
        self.callers.get(access_key_id).unwrap_or(&self.default_caller)
    }

    /// Carries out a call.
    ///
    /// # Errors
    /// What AWS would answer.
    pub fn call(&mut self, caller: &Caller, region: &str, operation: &Operation) -> Result<Answer, ApiError> {
        entry::check_shape(operation)?;
        self.authorize(caller, region, operation)?;
        match operation {
            Operation::GetCallerIdentity => Ok(Answer::Xml(format!(
                "<UserId>{}</UserId><Account>{}</Account><Arn>{}</Arn>",
                caller.user_id, caller.account, caller.arn
            ))),
            Operation::AssumeRole { role_arn, session_name, external_id } => {
                self.assume_role(caller, role_arn, session_name, external_id.as_deref())
            }
            Operation::GetRole { name } => self.get_principal(&caller.account, "role", name),
            Operation::GetUser { name } => self.get_principal(&caller.account, "user", name),
            Operation::ListAccessPolicies { page } => entry::list_policies(page),
            operation => self.call_cluster(caller, region, operation),
        }
    }

    fn call_cluster(&mut self, caller: &Caller, region: &str, operation: &Operation) -> Result<Answer, ApiError> {
        self.ids += 1;
        let context = entry::Context {
            now: self.now,
            id: self.ids,
            delays: self.delays,
            quota: self.entry_quota,
            principals: &self.principals,
        };
        let name = cluster::name_of(operation);
        let key = (caller.account.clone(), region.to_owned(), name.clone());
        let cluster = self
            .clusters
            .get_mut(&key)
            .ok_or_else(|| ApiError::not_found(format!("No cluster found for name: {name}.")))?;
        match operation {
            Operation::DescribeCluster { .. } => Ok(Answer::Json(json!({ "cluster": cluster.json() }))),
            Operation::UpdateClusterConfig { config, token, .. } => {
                cluster.update_config(config, token.as_deref(), &context).map(Answer::Json)
            }
            Operation::DescribeUpdate { id, .. } => cluster.describe_update(id).map(Answer::Json),
            Operation::ListUpdates { .. } => Ok(Answer::Json(cluster.list_updates())),
            operation => {
                cluster.require_entries(&context)?;
                cluster.call_entries(operation, &context).map(Answer::Json)
            }
        }
    }

    fn assume_role(
        &mut self,
        caller: &Caller,
        role_arn: &str,
        session: &str,
        external_id: Option<&str>,
    ) -> Result<Answer, ApiError> {
        let trusted = self.assumable.get(role_arn).filter(|role| {
            role.trusted_account == caller.account
                && role.external_id.as_deref().is_none_or(|wanted| Some(wanted) == external_id)
        });
        let Some(role) = trusted else {
            return Err(ApiError::access_denied(
                "sts",
                format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}", caller.arn),
            ));
        };
        let account = role_arn.split(':').nth(4).unwrap_or_default().to_owned();
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
        let assumed = Caller {
            user_id: format!("AROAEXAMPLEASSUMED000:{session}"),
            policy: role.policy.clone(),
            account,
            arn: arn.clone(),
        };
        self.ids += 1;
        let key = format!("ASIASIMULATED{:07}", self.ids);
        self.callers.insert(key.clone(), assumed);
        let expires = self.now.saturating_add(jiff::SignedDuration::from_hours(1)).unwrap_or(self.now);
        Ok(Answer::Xml(format!(
            "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>simulated</SecretAccessKey><SessionToken>simulated</SessionToken><Expiration>{expires}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROAEXAMPLEASSUMED000:{session}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>"
        )))
    }
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
