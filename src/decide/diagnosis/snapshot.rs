//! Everything that an inspection has read.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::decide::ownership::Installation;
use crate::domain::access_entry::{AccessEntry, EntryState, policy_name};
use crate::domain::cluster::Cluster;
use crate::domain::identity::{IamPrincipal, Identity};
use crate::domain::principal::{PrincipalArn, PrincipalKind};

/// Everything that was seen.
#[derive(Debug, Clone)]
pub struct ClusterSnapshot {
    /// The cluster.
    pub cluster: Cluster,
    /// Whom the request is about.
    pub subject: Option<Subject>,
    /// The access entries that could be read.
    pub entries: BTreeMap<PrincipalArn, AccessEntry>,
    /// IAM's principals.
    pub iam: Iam,
    /// The revokes that are scheduled.
    pub pending: Vec<ActiveGrant>,
    /// Whether those are all.
    pub all_pending_seen: bool,
    /// Which access entries are this function's.
    pub installation: Installation,
}

/// The principal that a request is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// As it is known: by the request, by IAM, or by an entry of the cluster.
    pub arn: Option<PrincipalArn>,
    /// Its name, without a path.
    pub name: String,
    /// As it was sent.
    pub text: String,
    /// What IAM says of it.
    pub iam: IamPrincipal,
    /// Its entry.
    pub entry: EntryState,
}

/// IAM's principals, of the function's own account.
#[derive(Debug, Clone, Default)]
pub struct Iam {
    /// That account.
    pub account: String,
    /// Its roles, by name; `None`: IAM did not say.
    pub roles: Option<BTreeMap<String, Identity>>,
    /// Its users, by name; `None`: IAM did not say.
    pub users: Option<BTreeMap<String, Identity>>,
    /// What it said of single ones, if it did not list them.
    pub answers: BTreeMap<PrincipalArn, IamPrincipal>,
}

impl Iam {
    /// What IAM says of a principal.
    #[must_use]
    pub fn lookup(&self, arn: &PrincipalArn) -> IamPrincipal {
        let known = match arn.kind {
            PrincipalKind::Role => &self.roles,
            PrincipalKind::User => &self.users,
        };
        match known {
            Some(_) if arn.account != self.account => {
                IamPrincipal::Unknown { reason: format!("it lives in account {}", arn.account) }
            }
            Some(known) => match known.get(&arn.name) {
                Some(identity) if identity.arn == *arn => IamPrincipal::Exists { created_at: identity.created_at },
                other => IamPrincipal::Absent { instead: other.map(|identity| identity.arn.clone()) },
            },
            None => {
                let answers = self.answers.get(arn).cloned();
                answers.unwrap_or_else(|| IamPrincipal::Unknown { reason: "IAM did not answer".to_owned() })
            }
        }
    }

    /// The role that the permission set of a dead role has now: of several, the youngest; `None` if there is none, or if two are of the
    /// same age.
    pub(super) fn successor(&self, dead: &PrincipalArn) -> Option<&PrincipalArn> {
        let set = dead.permission_set()?;
        let roles = self.roles.as_ref().filter(|_| dead.account == self.account)?;
        let of_set = |role: &&Identity| role.arn.permission_set() == Some(set) && role.arn != *dead;
        let mut present: Vec<&Identity> = roles.values().filter(of_set).collect();
        present.sort_by_key(|role| std::cmp::Reverse(role.created_at));
        match present.as_slice() {
            [only] => Some(&only.arn),
            [youngest, next, ..] if youngest.created_at > next.created_at => Some(&youngest.arn),
            _ => None,
        }
    }
}

/// A grant that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveGrant {
    /// Whose.
    pub principal_arn: String,
    /// By which policy.
    pub policy_arn: String,
    /// Until when; `None`: until it is revoked, or not known.
    pub expires_at: Option<Timestamp>,
    /// Whether that is known.
    #[serde(skip)]
    pub end_is_known: bool,
}

impl fmt::Display for ActiveGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endless = if self.end_is_known { "it is revoked" } else { "nobody could see when" };
        let end = self.expires_at.map_or(endless.to_owned(), |end| end.to_string());
        write!(f, "{} to `{}` until {end}", policy_name(&self.policy_arn), self.principal_arn)
    }
}
