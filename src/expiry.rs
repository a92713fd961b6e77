//! The end of a grant: the one schedule that its revoke waits in. There is one for each cluster, principal and policy,
//! under a name that follows from these, so that a later grant finds it and moves it, whatever version made it.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::arn::{ClusterRef, FunctionArn, PolicyArn};
use crate::aws::ApiError;
use crate::principal::PrincipalArn;
use crate::region::Region;
use crate::request::{Action, Request, Restore};
use crate::settings::{self, Settings};

/// How much of the cluster's name a schedule's name begins with, for people who read lists. A name has at most 64 characters.
const LONGEST_CLUSTER: usize = 20;
/// How many hexadecimal digits tell clusters apart.
const CLUSTER_DIGITS: usize = 12;
/// How many tell the grants of one cluster apart.
const GRANT_DIGITS: usize = 24;

/// Where this function schedules revokes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    place: settings::Schedule,
    function: FunctionArn,
}

impl Schedules {
    /// Where they are, by the settings and by what Lambda says of the function.
    ///
    /// # Errors
    /// Why none can be made.
    pub fn new(settings: &Settings, function: Option<&FunctionArn>) -> Result<Self, String> {
        let place = settings
            .schedule
            .clone()
            .ok_or("the settings `SCHEDULE_GROUP` and `SCHEDULE_ROLE_ARN`, which say where, are absent")?;
        let function = function.cloned().ok_or("Lambda did not tell the function its own ARN")?;
        Ok(Self { place, function })
    }

    /// The schedule of one grant.
    #[must_use]
    pub fn slot(&self, cluster: &ClusterRef, principal: &PrincipalArn, policy: &PolicyArn) -> Slot {
        let grant = digest(&[principal.as_str(), policy.as_str()], GRANT_DIGITS);
        self.named(format!("{}{grant}", self.prefix(cluster)))
    }

    /// What the names of all schedules of a cluster begin with.
    #[must_use]
    pub fn prefix(&self, cluster: &ClusterRef) -> String {
        let name: String = cluster.name.chars().take(LONGEST_CLUSTER).collect();
        format!("{name}-{}-", digest(&[&cluster.arn_in(&self.function.account)], CLUSTER_DIGITS))
    }

    /// The schedule of that name.
    #[must_use]
    pub fn named(&self, name: String) -> Slot {
        let settings::Schedule { group, role_arn, dead_letter_arn } = self.place.clone();
        Slot { name, group, role_arn, dead_letter_arn, function_arn: self.function.as_str().to_owned() }
    }

    /// The group that they are in.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.place.group
    }
}

/// The schedule of one grant: its name, and whom it is to call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the EventBridge Scheduler API")]
pub struct Slot {
    pub name: String,
    pub group: String,
    pub role_arn: String,
    pub dead_letter_arn: Option<String>,
    pub function_arn: String,
}

/// A revoke that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRevoke {
    /// What it will put back.
    pub restore: Restore,
    /// When it will.
    pub expires_at: Timestamp,
}

impl PendingRevoke {
    /// The event that the schedule sends: the grant's `undo`, and the expiry that it was made for.
    #[must_use]
    pub fn input(&self, mut undo: Value) -> String {
        if let Some(event) = undo.as_object_mut() {
            event.insert("expiresAt".to_owned(), Value::String(self.expires_at.to_string()));
        }
        undo.to_string()
    }

    /// Reads the event that a schedule sends.
    ///
    /// # Errors
    /// If this function has not written it.
    pub fn read(input: &str, home: &Region) -> Result<(Request, Self), String> {
        let request = Request::parse(input, home).map_err(|invalid| invalid.to_string())?;
        let Action::Revoke(revoke) = &request.action else {
            return Err("it is not a revoke".to_owned());
        };
        match (&revoke.restore, revoke.expires_at) {
            (Some(restore), Some(expires_at)) => {
                let pending = Self { restore: restore.clone(), expires_at };
                Ok((request, pending))
            }
            _ => Err("it has no `restore` or no `expiresAt`".to_owned()),
        }
    }
}

/// What is known of the end of an access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiry {
    /// No end can be scheduled; why.
    Unavailable(String),
    /// Scheduler did not say.
    Unknown(ApiError),
    /// None is scheduled; where it would be.
    Absent(Slot),
    /// The revoke waits, there.
    Pending(Slot, PendingRevoke),
}

impl Expiry {
    /// The revoke that waits, where there is one.
    #[must_use]
    pub fn pending(&self) -> Option<&PendingRevoke> {
        match self {
            Self::Pending(_, revoke) => Some(revoke),
            _ => None,
        }
    }
}

/// The first hexadecimal digits of a hash over several texts, none of which holds a line break.
pub(crate) fn digest(texts: &[&str], digits: usize) -> String {
    let mut hash = hex::encode(Sha256::digest(texts.join("\n")));
    hash.truncate(digits);
    hash
}
