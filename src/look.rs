//! Looking: the reads that an observation is made of. Those that do not depend on each other run at once.

use std::time::Duration;

use jiff::Timestamp;

use crate::apply::{PAUSES, PROPAGATION};
use crate::arn::{ClusterRef, FunctionArn, PolicyArn};
use crate::aws::{ApiError, ApiErrorKind, Aws, Identity, Operation, Schedule, TargetAccount};
use crate::clock::{Deadline, Pauses};
use crate::context::Context;
use crate::error::{ErrorName, Failure};
use crate::expiry::{Expiry, PendingRevoke, Slot};
use crate::journal::{Journal, Timed};
use crate::observation::{AccessPolicy, Caller, EntryState, IamPrincipal, Observation};
use crate::plan::{Plan, Step, policy_name, recoverable};
use crate::principal::{Principal, PrincipalArn, PrincipalKind, SessionArn, permission_set};
use crate::settings::Settings;

/// IAM shows a new principal within seconds, so this tells a new one from a misspelt one.
const IAM_DELAY: Duration = Duration::from_secs(15);
/// What EventBridge Scheduler has for an answer that only adds to what is known: it cannot be reached at all from some VPCs.
const SCHEDULER_TIME: Duration = Duration::from_secs(4);
const IAM_PAUSES: Pauses = Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(4) };

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The cluster.
    pub cluster: &'a ClusterRef,
    /// Whose access to it.
    pub principal: &'a Principal,
    /// By which policy.
    pub policy: &'a PolicyArn,
    /// Whether access is to be given: then it matters that IAM knows the principal, and that the cluster can be recovered.
    pub lets_in: bool,
    /// Whether it can be done without knowing what is scheduled: then EventBridge Scheduler gets little time.
    pub may_end_unseen: bool,
}

/// Looks at everything that a request about a principal depends on.
///
/// # Errors
/// If the cluster is not there, in another account, or not to be recovered, the principal cannot be resolved, or AWS does not answer.
pub async fn observe(
    context: &Context<'_>,
    subject: Subject<'_>,
    journal: &mut Journal,
) -> Result<Observation, Failure> {
    let Subject { cluster, principal, lets_in, .. } = subject;
    let aws = context.aws;
    let (kind, name) = match principal {
        Principal::Iam(arn) => (arn.kind, arn.name.as_str()),
        Principal::Session(session) => (PrincipalKind::Role, session.role_name.as_str()),
    };
    let by_iam = match kind {
        PrincipalKind::Role => Operation::GetRole,
        PrincipalKind::User => Operation::GetUser,
    };
    let asks_iam = lets_in || matches!(principal, Principal::Session(_));
    let who = Timed::call(Operation::GetCallerIdentity, aws.get_caller_identity());
    let what = Timed::call(Operation::DescribeCluster, aws.describe_cluster(&cluster.name));
    let iam = async { if asks_iam { Some(Timed::call(by_iam, aws.get_identity(kind, name)).await) } else { None } };
    let access = async {
        match principal {
            Principal::Iam(arn) => Some(Access::read(context, subject, arn).await),
            Principal::Session(_) => None,
        }
    };
    let (who, what, iam, access) = tokio::join!(who, what, iam, access);

    // Every call that was made is written down before one of them ends this.
    let caller = journal.call(who, |caller| caller.arn.clone());
    let seen_cluster =
        journal.call(what, |seen| format!("status {}, authentication mode {}", seen.status, seen.authentication_mode));
    if let Some(iam) = &iam {
        journal.optional_call(iam, |identity| format!("{}, made at {}", identity.arn, identity.created_at));
    }
    let iam = iam.map(|iam| iam.answer);
    let access = access.map(|access| access.write_down(context, journal, ""));

    let caller = caller?;
    within_reach(cluster, &caller)?;
    let seen_cluster = seen_cluster?;
    // The reason for whatever else EKS refuses to tell of such a cluster.
    if lets_in {
        recoverable(&seen_cluster)?;
    }
    let principal = match (principal, &iam) {
        (Principal::Iam(arn), _) => arn.clone(),
        (Principal::Session(session), iam) => resolve(aws, &cluster.name, session, iam.as_ref(), journal).await?,
    };
    let iam = match iam.map(|answer| told_by_iam(&principal, &caller, answer)) {
        None => IamPrincipal::Unknown { reason: "it was not asked".to_owned() },
        Some(IamPrincipal::Absent { instead: None }) if lets_in => {
            ask_iam_again(aws, &principal, &caller, journal).await
        }
        Some(known) => known,
    };
    let (entry, expiry) = match access {
        Some(access) => access?,
        None => Access::read(context, subject, &principal).await.write_down(context, journal, "")?,
    };
    Ok(Observation { caller, cluster: seen_cluster, principal, iam, entry, expiry })
}

/// Reads back until what was done shows, and plans what is left.
///
/// # Errors
/// `VerificationFailed` if it does not show in time; whatever the plan is refused for.
pub async fn look_again(
    context: &Context<'_>,
    subject: Subject<'_>,
    seen: &mut Observation,
    done: &[Step],
    journal: &mut Journal,
    mut plan: impl FnMut(&Observation) -> Result<Plan, Failure>,
) -> Result<Plan, Failure> {
    let limit = context.aws.deadline.min(Deadline::after(PROPAGATION));
    let planned = limit
        .poll(PAUSES, async || {
            match Access::read(context, subject, &seen.principal).await.write_down(context, journal, "read back: ") {
                Ok((entry, expiry)) => (seen.entry, seen.expiry) = (entry, expiry),
                Err(failure) => return Some(Err(failure)),
            }
            match plan(seen) {
                // A step that was done and is to be done again: AWS does not show it yet.
                Ok(plan) if plan.steps.iter().any(|step| done.contains(step)) => None,
                planned => Some(planned),
            }
        })
        .await;
    planned.unwrap_or_else(|| {
        Err(Failure::new(
            ErrorName::VerificationFailed,
            format!(
                "AWS took the changes, but does not show the access of `{}` to cluster `{}` as it is to be",
                seen.principal, seen.cluster.name
            ),
            "send the same event again; it goes on from what AWS shows",
        ))
    })
}

/// An access entry, its policies, and what is to end them, read at once.
struct Access {
    entry: Timed<EntryState>,
    policies: Timed<Option<Vec<AccessPolicy>>>,
    schedule: Result<(Slot, Timed<Option<Schedule>>), String>,
}

impl Access {
    async fn read(context: &Context<'_>, subject: Subject<'_>, principal: &PrincipalArn) -> Self {
        let (aws, Subject { cluster, policy, .. }) = (context.aws, subject);
        let entry = entry_and_policies(aws, &cluster.name, principal);
        let schedule = async {
            let slot = context.schedules.as_ref().map(|schedules| schedules.slot(cluster, principal, policy));
            match slot {
                Ok(slot) => {
                    let limit = if subject.may_end_unseen { Deadline::after(SCHEDULER_TIME) } else { aws.deadline };
                    let call = async {
                        let answer = limit.bound(aws.get_schedule(&slot)).await;
                        answer.unwrap_or_else(|| Err(ApiError::silent(Operation::GetSchedule, SCHEDULER_TIME)))
                    };
                    let timed = Timed::call(Operation::GetSchedule, call).await;
                    Ok((slot, timed))
                }
                Err(why) => Err(why.clone()),
            }
        };
        let ((entry, policies), schedule) = tokio::join!(entry, schedule);
        Self { entry, policies, schedule }
    }

    fn write_down(
        self,
        context: &Context<'_>,
        journal: &mut Journal,
        why: &str,
    ) -> Result<(EntryState, Expiry), Failure> {
        let state = journal.call(self.entry, |state| match state {
            EntryState::Unreadable => format!("{why}no access entries in this authentication mode"),
            EntryState::Absent => format!("{why}the principal has no access entry"),
            EntryState::Present(entry) => format!("{why}the principal has an access entry of type {}", entry.r#type),
        });
        let policies = journal.call(self.policies, |policies| match policies.as_deref().unwrap_or_default() {
            [] => format!("{why}no access policies"),
            policies => {
                let names = policies
                    .iter()
                    .map(|policy| format!("{} with {}", policy_name(&policy.policy_arn), policy.access_scope));
                format!("{why}{}", names.collect::<Vec<_>>().join("; "))
            }
        });
        let expiry = match self.schedule {
            Err(why) => Expiry::Unavailable(why),
            Ok((slot, timed)) => {
                let expiry = read_schedule(context, slot, timed.answer.clone());
                journal.optional_call(&timed, |_| match &expiry {
                    Expiry::Pending(_, revoke) => format!("{why}the revoke is scheduled for {}", revoke.expires_at),
                    Expiry::Unknown(error) => error.to_string(),
                    Expiry::Absent(_) | Expiry::Unavailable(_) => format!("{why}no revoke is scheduled"),
                });
                expiry
            }
        };
        let (state, policies) = (state?, policies?);
        let state = match state {
            EntryState::Present(mut entry) => {
                entry.access_policies = policies.unwrap_or_default();
                EntryState::Present(entry)
            }
            other => other,
        };
        Ok((state, expiry))
    }
}

/// An access entry and its policies, read at once, and again while EKS shows the one and not yet, or no more, the other: policies that
/// were taken for none would be lost.
async fn entry_and_policies(
    aws: &Aws,
    cluster: &str,
    principal: &PrincipalArn,
) -> (Timed<EntryState>, Timed<Option<Vec<AccessPolicy>>>) {
    let (mut entry, mut policies) = read_once(aws, cluster, principal).await;
    let torn = |entry: &Timed<EntryState>, policies: &Timed<Option<_>>| {
        matches!((&entry.answer, &policies.answer), (Ok(EntryState::Present(_)), Ok(None)))
    };
    if torn(&entry, &policies) {
        let limit = aws.deadline.min(Deadline::after(PROPAGATION));
        let whole = limit.poll(PAUSES, async || {
            (entry, policies) = read_once(aws, cluster, principal).await;
            (!torn(&entry, &policies)).then_some(())
        });
        if whole.await.is_none() {
            policies.answer = Err(ApiError::out_of_time(Operation::ListAssociatedAccessPolicies));
        }
    }
    (entry, policies)
}

async fn read_once(
    aws: &Aws,
    cluster: &str,
    principal: &PrincipalArn,
) -> (Timed<EntryState>, Timed<Option<Vec<AccessPolicy>>>) {
    tokio::join!(
        Timed::call(Operation::DescribeAccessEntry, aws.describe_access_entry(cluster, principal)),
        Timed::call(Operation::ListAssociatedAccessPolicies, aws.list_associated_access_policies(cluster, principal)),
    )
}

/// What a schedule's input says. One that this function cannot read is not taken for none: moving it would lose what it puts back.
fn read_schedule(context: &Context<'_>, slot: Slot, schedule: Result<Option<Schedule>, ApiError>) -> Expiry {
    match schedule {
        Ok(None) => Expiry::Absent(slot),
        Ok(Some(schedule)) => match PendingRevoke::read(&schedule.input, &context.settings.region) {
            Ok((_, revoke)) => Expiry::Pending(slot, revoke),
            Err(why) => Expiry::Unknown(ApiError::unknown_input(&why)),
        },
        Err(error) => Expiry::Unknown(error),
    }
}

/// AWS in the account that the cluster's ARN names: the function's own, or one in which it takes on a role.
///
/// # Errors
/// `RequestDenied` if there is no role to take on, `PermissionDenied` if it cannot be taken on.
pub async fn reach(
    aws: Aws,
    settings: &Settings,
    function: Option<&FunctionArn>,
    cluster: &ClusterRef,
    now: Timestamp,
    journal: &mut Journal,
) -> Result<Aws, Failure> {
    let Some(account) = cluster.account.as_ref().filter(|account| function.is_some_and(|own| own.account != **account))
    else {
        return Ok(aws);
    };
    let Some(role) = &settings.target_role else {
        return Err(out_of_reach(cluster, account));
    };
    let target = TargetAccount {
        id: account.clone(),
        role_arn: format!("arn:{}:iam::{account}:role/{}", cluster.partition, role.name),
        external_id: role.external_id.clone(),
    };
    let there = Timed::call(Operation::AssumeRole, aws.in_account(&target, &cluster.region, now)).await;
    journal.call(there, |_| format!("{}, for as long as it lasts", target.role_arn)).map_err(|error| {
        let denied = error.kind == ApiErrorKind::Denied;
        let failure = Failure::from(error);
        if denied {
            let remedy = format!(
                "roll `target-account.yaml` out to account {account}: its role has to trust this function's role (`TARGET_ROLE_NAME`, `TARGET_EXTERNAL_ID`); and {}",
                failure.remedy
            );
            Failure { remedy, ..failure }
        } else {
            failure
        }
    })
}

/// A cluster of the same name in the account that is asked is another one.
///
/// # Errors
/// `RequestDenied`, naming the setting that would be needed.
pub fn within_reach(cluster: &ClusterRef, caller: &Caller) -> Result<(), Failure> {
    match &cluster.account {
        Some(account) if *account != caller.account_id => Err(out_of_reach(cluster, account)),
        _ => Ok(()),
    }
}

fn out_of_reach(cluster: &ClusterRef, account: &str) -> Failure {
    Failure::new(
        ErrorName::RequestDenied,
        format!(
            "cluster `{}` is in account {account}, and the setting `TARGET_ROLE_NAME`, which names the role to take on there, is absent",
            cluster.name
        ),
        format!(
            "have the operator of this function set it and roll `target-account.yaml` out to account {account}, or send the event to a function there"
        ),
    )
}

/// What IAM's answer says of the principal. It speaks of the function's own account only.
#[must_use]
pub fn told_by_iam(principal: &PrincipalArn, caller: &Caller, answer: Result<Identity, ApiError>) -> IamPrincipal {
    if principal.account != caller.account_id {
        return IamPrincipal::Unknown { reason: format!("it lives in account {}", principal.account) };
    }
    match answer {
        Ok(identity) if identity.arn == *principal => IamPrincipal::Exists { created_at: identity.created_at },
        Ok(identity) => IamPrincipal::Absent { instead: Some(identity.arn) },
        Err(error) if error.kind == ApiErrorKind::PrincipalNotFound => IamPrincipal::Absent { instead: None },
        Err(error) => IamPrincipal::Unknown { reason: error.to_string() },
    }
}

async fn ask_iam_again(aws: &Aws, principal: &PrincipalArn, caller: &Caller, journal: &mut Journal) -> IamPrincipal {
    let absent = IamPrincipal::Absent { instead: None };
    let limit = aws.deadline.min(Deadline::after(IAM_DELAY));
    limit
        .poll(IAM_PAUSES, async || {
            let operation = match principal.kind {
                PrincipalKind::Role => Operation::GetRole,
                PrincipalKind::User => Operation::GetUser,
            };
            let again = Timed::call(operation, aws.get_identity(principal.kind, &principal.name)).await;
            journal.optional_call(&again, |identity| format!("made at {}", identity.created_at));
            Some(told_by_iam(principal, caller, again.answer)).filter(|told| *told != absent)
        })
        .await
        .unwrap_or(absent.clone())
}

/// The role of a session: as IAM says, else as an access entry of the cluster names it. Never by guessing at the
/// path, which a session's ARN does not have (terraform-aws-eks issue 2969).
async fn resolve(
    aws: &Aws,
    cluster: &str,
    session: &SessionArn,
    answer: Option<&Result<Identity, ApiError>>,
    journal: &mut Journal,
) -> Result<PrincipalArn, Failure> {
    let fits = |arn: &PrincipalArn| {
        arn.kind == PrincipalKind::Role && arn.account == session.account && arn.name == session.role_name
    };
    let (name, iam) = match answer {
        Some(Ok(identity)) if fits(&identity.arn) => return Ok(identity.arn.clone()),
        Some(Ok(identity)) => (ErrorName::PrincipalNotFound, format!("IAM knows `{}`", identity.arn)),
        Some(Err(error)) => (told_error(error), format!("IAM does not tell ({error})")),
        None => (ErrorName::PrincipalNotFound, "IAM was not asked".to_owned()),
    };
    let entries = Timed::call(Operation::ListAccessEntries, aws.list_access_entries(cluster)).await;
    journal.optional_call(&entries, |entries| format!("{} access entries", entries.len()));
    let (name, listed) = match entries.answer {
        Ok(entries) => {
            let mut roles: Vec<_> =
                entries.iter().filter_map(|arn| PrincipalArn::parse(arn).ok()).filter(fits).collect();
            if let (Some(role), true) = (roles.pop(), roles.is_empty()) {
                return Ok(role);
            }
            (name, "no access entry of the cluster names it".to_owned())
        }
        // What names it may be there, and be seen the next time.
        Err(error) if error.kind.is_transient() => (told_error(&error), format!("nor do its access entries ({error})")),
        Err(error) => (name, format!("the access entries of the cluster cannot be seen ({error})")),
    };
    let example = if permission_set(&session.role_name).is_some() {
        format!(
            "arn:{}:iam::{}:role/aws-reserved/sso.amazonaws.com/REGION/{} (REGION is Identity Center's home; absent where that is us-east-1)",
            session.partition, session.account, session.role_name
        )
    } else {
        format!("arn:{}:iam::{}:role/PATH/{}", session.partition, session.account, session.role_name)
    };
    Err(Failure::new(
        name,
        format!(
            "the session of role `{}` in account {} could not be resolved to the role's ARN: {iam}, and {listed}",
            session.role_name, session.account
        ),
        format!(
            "send the role's own ARN, {example}; `aws iam get-role --role-name {} --query Role.Arn` prints it; or allow `iam:GetRole` to the function's role",
            session.role_name
        ),
    ))
}

/// Whether asking IAM again may help.
fn told_error(error: &ApiError) -> ErrorName {
    match error.kind {
        ApiErrorKind::Throttled => ErrorName::Throttled,
        ApiErrorKind::Unavailable | ApiErrorKind::NotSent => ErrorName::ServiceUnavailable,
        ApiErrorKind::Rejected => ErrorName::InvalidRequest,
        _ => ErrorName::PrincipalNotFound,
    }
}
