//! Looking: the reads that an observation is made of. Those that do not depend on each other run at once.

use std::time::Duration;

use crate::arn::{ClusterRef, Principal, PrincipalArn, PrincipalKind, SessionArn};
use crate::aws::{ApiError, Aws, Identity, Kind, Operation};
use crate::clock::{Deadline, Pauses};
use crate::error::{ErrorName, Failure};
use crate::journal::{Journal, Timed};
use crate::observation::{AccessPolicy, Caller, EntryState, IamPrincipal, Observation};

/// IAM shows a new principal within seconds, so this tells a new one from a misspelt one.
const IAM_DELAY: Duration = Duration::from_secs(15);
const IAM_PAUSES: Pauses = Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(4) };

/// Looks at everything that a request about a principal depends on.
///
/// # Errors
/// If the cluster is not there or in another account, the principal cannot be resolved, or AWS does not answer.
pub async fn observe(
    aws: &Aws,
    cluster: &ClusterRef,
    principal: &Principal,
    journal: &mut Journal,
) -> Result<Observation, Failure> {
    let (kind, name) = match principal {
        Principal::Iam(arn) => (arn.kind, arn.name.as_str()),
        Principal::Session(session) => (PrincipalKind::Role, session.role_name.as_str()),
    };
    let by_iam = match kind {
        PrincipalKind::Role => Operation::GetRole,
        PrincipalKind::User => Operation::GetUser,
    };
    let who = Timed::call(Operation::GetCallerIdentity, aws.caller());
    let what = Timed::call(Operation::DescribeCluster, aws.cluster(&cluster.name));
    let iam = Timed::call(by_iam, aws.identity(kind, name));
    let access = async {
        match principal {
            Principal::Iam(arn) => Some(Access::read(aws, &cluster.name, arn).await),
            Principal::Session(_) => None,
        }
    };
    let (who, what, iam, access) = tokio::join!(who, what, iam, access);

    let caller = journal.call(who, |caller| caller.arn.clone())?;
    within_reach(cluster, &caller)?;
    let seen_cluster = journal
        .call(what, |seen| format!("status {}, authentication mode {}", seen.status, seen.authentication_mode))?;
    journal.optional_call(&iam, |identity| format!("{}, made at {}", identity.arn, identity.created_at));
    let principal = match principal {
        Principal::Iam(arn) => arn.clone(),
        Principal::Session(session) => resolve(aws, &cluster.name, session, &iam.answer, journal).await?,
    };
    let iam = match told_by_iam(&principal, &caller, iam.answer) {
        IamPrincipal::Absent { instead: None } => ask_iam_again(aws, &principal, &caller, journal).await,
        known => known,
    };
    let access = match access {
        Some(access) => access,
        None => Access::read(aws, &cluster.name, &principal).await,
    };
    Ok(Observation { entry: access.write_down(journal, "")?, caller, cluster: seen_cluster, principal, iam })
}

/// Looks at the principal's access entry alone, after it was changed.
///
/// # Errors
/// If AWS does not answer.
pub async fn read_back(
    aws: &Aws,
    cluster: &str,
    principal: &PrincipalArn,
    journal: &mut Journal,
) -> Result<EntryState, Failure> {
    Access::read(aws, cluster, principal).await.write_down(journal, "read back: ")
}

/// An access entry and its policies, read at once.
struct Access {
    entry: Timed<EntryState>,
    policies: Timed<Vec<AccessPolicy>>,
}

impl Access {
    async fn read(aws: &Aws, cluster: &str, principal: &PrincipalArn) -> Self {
        let entry = Timed::call(Operation::DescribeAccessEntry, aws.entry(cluster, principal));
        let policies = Timed::call(Operation::ListAssociatedAccessPolicies, aws.policies(cluster, principal));
        let (entry, policies) = tokio::join!(entry, policies);
        Self { entry, policies }
    }

    fn write_down(self, journal: &mut Journal, why: &str) -> Result<EntryState, Failure> {
        let state = journal.call(self.entry, |state| match state {
            EntryState::Unreadable => format!("{why}no access entries in this authentication mode"),
            EntryState::Absent => format!("{why}the principal has no access entry"),
            EntryState::Present(entry) => format!("{why}the principal has an access entry of type {}", entry.r#type),
        })?;
        let policies = journal.call(self.policies, |policies| match policies.as_slice() {
            [] => format!("{why}no access policies"),
            policies => {
                let names = policies.iter().map(|policy| {
                    let name = policy.policy_arn.rsplit('/').next().unwrap_or_default();
                    format!("{name} with {}", policy.access_scope)
                });
                format!("{why}{}", names.collect::<Vec<_>>().join("; "))
            }
        })?;
        Ok(match state {
            EntryState::Present(mut entry) => {
                entry.access_policies = policies;
                EntryState::Present(entry)
            }
            other => other,
        })
    }
}

/// A cluster in another account can only be reached in a role there, and this version takes on none; a cluster of the
/// same name in our own account is another one.
fn within_reach(cluster: &ClusterRef, caller: &Caller) -> Result<(), Failure> {
    match &cluster.account {
        Some(account) if *account != caller.account_id => Err(Failure::new(
            ErrorName::RequestDenied,
            format!(
                "cluster `{}` is in account {account}, and this function works in account {}: it would need a role there (`TARGET_ROLE_NAME`), which this version cannot take on yet",
                cluster.name, caller.account_id
            ),
            format!("send the event to a function in account {account}"),
        )),
        _ => Ok(()),
    }
}

/// What IAM's answer says of the principal. It speaks of the function's own account only.
fn told_by_iam(principal: &PrincipalArn, caller: &Caller, answer: Result<Identity, ApiError>) -> IamPrincipal {
    if principal.account != caller.account_id {
        return IamPrincipal::Unknown { reason: format!("it lives in account {}", principal.account) };
    }
    match answer {
        Ok(identity) if identity.arn == *principal => IamPrincipal::Exists { created_at: identity.created_at },
        Ok(identity) => IamPrincipal::Absent { instead: Some(identity.arn) },
        Err(error) if error.kind == Kind::PrincipalNotFound => IamPrincipal::Absent { instead: None },
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
            let again = Timed::call(operation, aws.identity(principal.kind, &principal.name)).await;
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
    answer: &Result<Identity, ApiError>,
    journal: &mut Journal,
) -> Result<PrincipalArn, Failure> {
    let fits = |arn: &PrincipalArn| {
        arn.kind == PrincipalKind::Role && arn.account == session.account && arn.name == session.role_name
    };
    let (name, iam) = match answer {
        Ok(identity) if fits(&identity.arn) => return Ok(identity.arn.clone()),
        Ok(identity) => (ErrorName::PrincipalNotFound, format!("IAM knows `{}`", identity.arn)),
        Err(error) => (told_error(error), format!("IAM does not tell ({error})")),
    };
    let entries = Timed::call(Operation::ListAccessEntries, aws.entry_principals(cluster)).await;
    journal.optional_call(&entries, |entries| format!("{} access entries", entries.len()));
    let mut roles = entries
        .answer
        .unwrap_or_default()
        .iter()
        .filter_map(|arn| PrincipalArn::parse(arn).ok())
        .filter(fits)
        .collect::<Vec<_>>();
    if let (Some(role), true) = (roles.pop(), roles.is_empty()) {
        return Ok(role);
    }
    let example = if session.is_sso() {
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
            "the session of role `{}` in account {} could not be resolved to the role's ARN: {iam}, and no access entry of the cluster names it",
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
        Kind::Throttled => ErrorName::Throttled,
        Kind::Unavailable => ErrorName::ServiceUnavailable,
        _ => ErrorName::PrincipalNotFound,
    }
}
