//! The end of a grant: the one schedule that its revoke waits in. There is one for each cluster, principal and policy, under a name that
//! follows from these, so that a later grant finds and moves it, whichever version created it.

use sha2::{Digest as _, Sha256};

use crate::domain::arn::{ClusterRef, FunctionArn, PolicyArn};
use crate::domain::principal::{Principal, PrincipalArn};
use crate::domain::region::Region;
use crate::domain::scheduled_revoke::{Alteration, ExpiryState, PendingRevoke, Schedule, ScheduleTarget, expression};
use crate::input::event::{Action, Request};
use crate::input::settings::{self, Settings};

/// How much of the cluster's name a schedule's name begins with, for people who read lists. A name has at most 64 characters.
const LONGEST_CLUSTER: usize = 20;
/// How many hexadecimal digits tell clusters apart.
const CLUSTER_DIGITS: usize = 12;
/// How many tell the grants of one cluster apart.
const GRANT_DIGITS: usize = 24;

/// Where this function schedules revokes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleConfig {
    place: settings::Schedule,
    function: FunctionArn,
}

impl ScheduleConfig {
    /// Where they are, by the settings and by what Lambda says of the function.
    ///
    /// # Errors
    /// Why none can be created.
    pub fn new(settings: &Settings, function: Option<&FunctionArn>) -> Result<Self, String> {
        let place =
            settings.schedule.clone().ok_or("the settings `SCHEDULE_GROUP` and `SCHEDULE_ROLE_ARN` are not set")?;
        let function = function.cloned().ok_or("Lambda did not give the function its own ARN")?;
        Ok(Self { place, function })
    }

    /// The schedule of one grant.
    #[must_use]
    pub fn target(&self, cluster: &ClusterRef, principal: &PrincipalArn, policy: &PolicyArn) -> ScheduleTarget {
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
    pub fn named(&self, name: String) -> ScheduleTarget {
        let settings::Schedule { group, role_arn, dead_letter_arn } = self.place.clone();
        ScheduleTarget { name, group, role_arn, dead_letter_arn, target_arn: self.function.revoke_alias() }
    }

    /// The group that they are in.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.place.group
    }
}

/// Whose revoke a schedule must hold.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The cluster that the request names.
    pub cluster: &'a ClusterRef,
    /// The principal.
    pub principal: &'a PrincipalArn,
    /// The policy.
    pub policy: &'a PolicyArn,
}

/// What a schedule says about the expiry of an access. A user with access to Scheduler can disable, move or redirect a schedule: only one
/// that is just as this function writes it makes the end certain.
#[must_use]
pub fn state(target: ScheduleTarget, schedule: Option<&Schedule>, subject: Subject<'_>, home: &Region) -> ExpiryState {
    let Some(schedule) = schedule else {
        return ExpiryState::Absent(target);
    };
    let mut differences = Vec::new();
    let revoke = match read_scheduled(&schedule.input, home) {
        Ok((request, revoke)) if is_of(&request, subject, &target) => Some(revoke),
        Ok(_) => {
            differences.push("its input revokes something else".to_owned());
            None
        }
        Err(why) => {
            differences.push(format!("its input can't be understood by this version ({why})"));
            None
        }
    };
    let zone = schedule.timezone.as_deref().unwrap_or("UTC");
    if schedule.state != "ENABLED" {
        differences.push(format!("its state is {}", schedule.state));
    }
    let time = revoke.as_ref().is_none_or(|revoke| schedule.expression == expression(revoke.expires_at));
    if !time || zone != "UTC" {
        differences.push(format!("its time is {} ({zone})", schedule.expression));
    }
    if schedule.target_arn != target.target_arn {
        differences.push(format!("it invokes {}", schedule.target_arn));
    }
    if schedule.role_arn != target.role_arn {
        differences.push(format!("it invokes with the role {}", schedule.role_arn));
    }
    match (differences.is_empty(), revoke) {
        (true, Some(revoke)) => ExpiryState::Pending(target, revoke),
        (_, revoke) => ExpiryState::Altered(target, Alteration { differences, revoke }),
    }
}

/// Whether a scheduled event is the revoke of this grant.
fn is_of(request: &Request, subject: Subject<'_>, target: &ScheduleTarget) -> bool {
    let Action::Revoke(revoke) = &request.action else {
        return false;
    };
    // The input names the cluster by its ARN; the request may name it without its account, which is the function's then.
    let home = target.target_arn.split(':').nth(4).unwrap_or_default();
    request.cluster.arn_in(home) == subject.cluster.arn_in(home)
        && matches!(&revoke.principal.principal, Principal::Iam(arn) if arn == subject.principal)
        && revoke.policy == *subject.policy
        && !revoke.dry_run
}

/// The first hexadecimal digits of a hash over several texts, none of which holds a line break.
#[must_use]
pub fn digest(texts: &[&str], digits: usize) -> String {
    let mut hash = hex::encode(Sha256::digest(texts.join("\n")));
    hash.truncate(digits);
    hash
}

/// Reads the event that a schedule sends.
///
/// # Errors
/// If this function has not written it.
pub fn read_scheduled(input: &str, home: &Region) -> Result<(Request, PendingRevoke), String> {
    let request = Request::parse(input, home).map_err(|invalid| invalid.to_string())?;
    let Action::Revoke(revoke) = &request.action else {
        return Err("it is not a revoke".to_owned());
    };
    match (&revoke.restore, revoke.expires_at) {
        (Some(restore), Some(expires_at)) => {
            let pending = PendingRevoke { restore: restore.clone(), expires_at };
            Ok((request, pending))
        }
        _ => Err("it has no `restore` or no `expiresAt`".to_owned()),
    }
}
