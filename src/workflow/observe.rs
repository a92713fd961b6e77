//! Observes: the reads that an observation is made of. Those that don't depend on each other run at once.

use std::time::Duration;

use crate::aws::Aws;
use crate::decide::expiry;
use crate::decide::plan::{Plan, ensure_recoverable};
use crate::domain::access_entry::{AccessPolicy, EntryState, policy_name};
use crate::domain::api_error::{ApiError, ApiErrorKind as Kind};
use crate::domain::arn::ClusterRef;
use crate::domain::cluster::Cluster;
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::identity::{Caller, IamPrincipal, Identity, InstanceRole};
use crate::domain::observed_state::Observation;
use crate::domain::operation::Operation;
use crate::domain::principal::{Principal, PrincipalArn, PrincipalKind};
use crate::domain::scheduled_revoke::{ExpiryState, Schedule, ScheduleTarget};
use crate::domain::step::Step;
use crate::platform::clock::Deadline;
use crate::workflow::accounts::ensure_account_matches;
use crate::workflow::context::{Context, Subject};
use crate::workflow::execute::{BACKOFF, PROPAGATION};
use crate::workflow::instance_role;
use crate::workflow::recorder::{Recorder, TimedCall};
use crate::workflow::resolve::{
    classify_iam_answer, deleted_principal, iam_operation, resolve_session_role, wait_for_iam,
};

/// What EventBridge Scheduler has for an answer that only adds to what is known: it cannot be reached at all from some VPCs.
const SCHEDULER_TIME: Duration = Duration::from_secs(4);

/// Reads everything that a request about a principal depends on.
///
/// # Errors
/// If the cluster is not there, in another account, or not to be recovered, the principal cannot be resolved, or AWS does not answer.
pub async fn observe(
    context: &Context<'_>,
    subject: Subject<'_>,
    recorder: &mut Recorder,
) -> Result<Observation, Failure> {
    let Subject { cluster, principal, .. } = subject;
    let is_grant = subject.grant.is_some();
    let aws = context.aws;
    let Reads { who, home, what, iam, access } = Reads::make(context, subject).await;

    // Every call that was made is recorded before one of them ends this.
    let caller = recorder.call(who, |caller| caller.arn.clone());
    let home = home.map(|home| recorder.call(home, |caller| format!("at home: {}", caller.arn)));
    let seen_cluster =
        recorder.call(what, |seen| format!("status {}, authentication mode {}", seen.status, seen.authentication_mode));
    if let Some(iam) = &iam {
        recorder.record_best_effort(iam, |identity| format!("{}, created at {}", identity.arn, identity.created_at));
    }
    let iam = iam.map(|iam| iam.answer);
    let access = access.map(|access| access.record(context, subject, recorder, ""));

    let caller = caller?;
    ensure_account_matches(context, cluster, &caller)?;
    let home = home.transpose()?;
    let seen_cluster = match seen_cluster {
        Ok(seen) => seen,
        Err(error) => return Err(cluster_failure(aws, cluster, &caller, error, recorder).await),
    };
    // The reason for whatever else EKS refuses to answer about such a cluster.
    if is_grant {
        ensure_recoverable(&seen_cluster)?;
    }
    let principal_arn = match (principal, &iam) {
        (Principal::Iam(arn), _) => arn.clone(),
        (Principal::Session(session), iam) => {
            resolve_session_role(context, subject, session, &caller, iam.as_ref(), recorder).await?
        }
    };
    let (iam, identity) = known_principal(context, subject, &principal_arn, &caller, iam, recorder).await?;
    let (entry, expiry) = match access {
        Some(access) => access?,
        None => Access::read(context, subject, &principal_arn).await.record(context, subject, recorder, "")?,
    };
    let instance = if is_grant {
        let identity = identity.filter(|identity| identity.arn == principal_arn);
        instance_role::find(aws, subject.principal, &seen_cluster, &principal_arn, identity.as_ref(), recorder).await?
    } else {
        InstanceRole::default()
    };
    let own = home.into_iter().chain([caller.clone()]).collect();
    Ok(Observation { caller, own, cluster: seen_cluster, principal: principal_arn, iam, instance, entry, expiry })
}

/// The reads that all requests begin with, made at once.
struct Reads {
    who: TimedCall<Caller>,
    home: Option<TimedCall<Caller>>,
    what: TimedCall<Cluster>,
    iam: Option<TimedCall<Identity>>,
    access: Option<Access>,
}

impl Reads {
    async fn make(context: &Context<'_>, subject: Subject<'_>) -> Self {
        let Subject { cluster, principal, .. } = subject;
        let is_grant = subject.grant.is_some();
        let aws = context.aws;
        let (kind, name) = match principal {
            Principal::Iam(arn) => (arn.kind, arn.name.as_str()),
            Principal::Session(session) => (PrincipalKind::Role, session.role_name.as_str()),
        };
        let by_iam = iam_operation(kind);
        let asks_iam = is_grant || matches!(principal, Principal::Session(_));
        let who = TimedCall::call(Operation::GetCallerIdentity, aws.get_caller_identity());
        // In another account, STS names the role there; the function's own role is asked for at home.
        let home = async {
            let home = aws.at_home().filter(|_| is_grant)?;
            Some(TimedCall::call(Operation::GetCallerIdentity, home.get_caller_identity()).await)
        };
        let what = TimedCall::call(Operation::DescribeCluster, aws.describe_cluster(&cluster.name));
        let iam =
            async { if asks_iam { Some(TimedCall::call(by_iam, aws.get_identity(kind, name)).await) } else { None } };
        let access = async {
            match principal {
                Principal::Iam(arn) => Some(Access::read(context, subject, arn).await),
                Principal::Session(_) => None,
            }
        };
        let (who, home, what, iam, access) = tokio::join!(who, home, what, iam, access);
        Self { who, home, what, iam, access }
    }
}

/// What IAM says of the principal, and what it knows of the role or user of that name.
async fn known_principal(
    context: &Context<'_>,
    subject: Subject<'_>,
    principal: &PrincipalArn,
    caller: &Caller,
    answer: Option<Result<Identity, ApiError>>,
    recorder: &mut Recorder,
) -> Result<(IamPrincipal, Option<Identity>), Failure> {
    let is_grant = subject.grant.is_some();
    let Some(mut answer) = answer else {
        return Ok((IamPrincipal::Unknown { reason: "it was not asked".to_owned() }, None));
    };
    let mut known = classify_iam_answer(principal, caller, answer.clone());
    if is_grant && known == (IamPrincipal::Absent { instead: None }) {
        match wait_for_iam(context.aws, principal.kind, &principal.name, recorder).await {
            Some(later) => (known, answer) = (classify_iam_answer(principal, caller, later.clone()), later),
            None => return Err(deleted_principal(context, subject, principal, recorder).await),
        }
    } else if is_grant && matches!(known, IamPrincipal::Absent { .. }) && principal.permission_set().is_some() {
        // The role that has its name now isn't Identity Center's.
        return Err(deleted_principal(context, subject, principal, recorder).await);
    }
    Ok((known, answer.ok()))
}

/// Why the cluster can't be described: if it isn't there, the account and region that were asked, and the nearest name.
async fn cluster_failure(
    aws: &Aws,
    cluster: &ClusterRef,
    caller: &Caller,
    error: ApiError,
    recorder: &mut Recorder,
) -> Failure {
    if error.kind != Kind::ClusterNotFound {
        return Failure::from(error);
    }
    let listed = TimedCall::call(Operation::ListClusters, aws.list_clusters()).await;
    recorder.record_best_effort(&listed, |names| format!("{} clusters", names.len()));
    let remedy = match listed.answer {
        Ok(names) if names.is_empty() => {
            "There is no cluster at all: check `region`, or send the cluster's ARN.".to_owned()
        }
        Ok(names) => {
            let distance =
                |name: &String| strsim::damerau_levenshtein(&name.to_lowercase(), &cluster.name.to_lowercase());
            match names.into_iter().min_by_key(distance) {
                Some(nearest) => format!("Check `clusterName` and `region`. The nearest name there is `{nearest}`."),
                None => "Check `clusterName` and `region`.".to_owned(),
            }
        }
        Err(_) => "Check `clusterName` and `region`, or send the cluster's ARN.".to_owned(),
    };
    Failure::new(
        ErrorName::ClusterNotFound,
        format!("EKS has no cluster `{}` in account {}, region {}.", cluster.name, caller.account_id, cluster.region),
        remedy,
    )
    .with_detail(error.to_string())
}

/// Reads back until what was done shows, and plans what is left. `expects` says whether AWS has taken a step already.
///
/// # Errors
/// `VerificationFailed` if it does not show in time; whatever the plan is refused for.
pub async fn read_back(
    context: &Context<'_>,
    subject: Subject<'_>,
    seen: &mut Observation,
    expects: impl Fn(&Step) -> bool,
    recorder: &mut Recorder,
    plan: impl Fn(&Observation) -> Result<Plan, Failure>,
) -> Result<Plan, Failure> {
    let limit = context.aws.deadline.min(Deadline::after(PROPAGATION));
    let planned = limit
        .poll(BACKOFF, async || {
            let read = Access::read(context, subject, &seen.principal).await;
            match read.record(context, subject, recorder, "read back: ") {
                Ok((entry, expiry)) => (seen.entry, seen.expiry) = (entry, expiry),
                Err(failure) => return Some(Err(failure)),
            }
            match plan(seen) {
                // A step that was done and is planned again: AWS doesn't show it yet.
                Ok(plan) if plan.steps.iter().any(&expects) => None,
                planned => Some(planned),
            }
        })
        .await;
    planned.unwrap_or_else(|| {
        Err(Failure::new(
            ErrorName::VerificationFailed,
            format!(
                "AWS accepted the changes, but doesn't show the access of `{}` to cluster `{}` yet.",
                seen.principal, seen.cluster.name
            ),
            "Send the same event again; it continues from what AWS shows.",
        ))
    })
}

/// An access entry, its policies, and their expiry, read at once.
struct Access {
    principal: PrincipalArn,
    entry: TimedCall<EntryState>,
    policies: TimedCall<Option<Vec<AccessPolicy>>>,
    schedule: Result<(ScheduleTarget, TimedCall<Option<Schedule>>), String>,
}

impl Access {
    async fn read(context: &Context<'_>, subject: Subject<'_>, principal: &PrincipalArn) -> Self {
        let (aws, Subject { cluster, policy, .. }) = (context.aws, subject);
        let entry = entry_and_policies(aws, &cluster.name, principal);
        let schedule = async {
            let target = context.schedules.as_ref().map(|schedules| schedules.target(cluster, principal, policy));
            match target {
                Ok(target) => {
                    let optional = subject.expiry_is_optional;
                    let limit = if optional { Deadline::after(SCHEDULER_TIME) } else { aws.deadline };
                    let call = async {
                        let answer = limit.timeout(aws.get_schedule(&target)).await;
                        answer.unwrap_or_else(|| Err(ApiError::silent(Operation::GetSchedule, SCHEDULER_TIME)))
                    };
                    let timed = TimedCall::call(Operation::GetSchedule, call).await;
                    Ok((target, timed))
                }
                Err(why) => Err(why.clone()),
            }
        };
        let ((entry, policies), schedule) = tokio::join!(entry, schedule);
        Self { principal: principal.clone(), entry, policies, schedule }
    }

    fn record(
        self,
        context: &Context<'_>,
        subject: Subject<'_>,
        recorder: &mut Recorder,
        why: &str,
    ) -> Result<(EntryState, ExpiryState), Failure> {
        let state = recorder.call(self.entry, |state| match state {
            EntryState::Unreadable => format!("{why}no access entries in this authentication mode"),
            EntryState::Absent => format!("{why}the principal has no access entry"),
            EntryState::Present(entry) => format!("{why}the principal has an access entry of type {}", entry.r#type),
        });
        let policies = recorder.call(self.policies, |policies| match policies.as_deref().unwrap_or_default() {
            [] => format!("{why}no access policies"),
            policies => {
                let names = policies
                    .iter()
                    .map(|policy| format!("{} with {}", policy_name(&policy.policy_arn), policy.access_scope));
                format!("{why}{}", names.collect::<Vec<_>>().join("; "))
            }
        });
        let expiry = match self.schedule {
            Err(why) => ExpiryState::Unavailable(why),
            Ok((target, timed)) => {
                let whose =
                    expiry::Subject { cluster: subject.cluster, principal: &self.principal, policy: subject.policy };
                let expiry = match &timed.answer {
                    Ok(schedule) => expiry::state(target, schedule.as_ref(), whose, &context.settings.region),
                    Err(error) => ExpiryState::Unknown(error.clone()),
                };
                recorder.record_best_effort(&timed, |_| match &expiry {
                    ExpiryState::Pending(_, revoke) => {
                        format!("{why}the revoke is scheduled for {}", revoke.expires_at)
                    }
                    ExpiryState::Altered(_, altered) => {
                        format!("{why}the scheduled revoke was altered: {}", altered.differences.join("; "))
                    }
                    _ => format!("{why}no revoke is scheduled"),
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
) -> (TimedCall<EntryState>, TimedCall<Option<Vec<AccessPolicy>>>) {
    let (mut entry, mut policies) = read_once(aws, cluster, principal).await;
    let inconsistent = |entry: &TimedCall<EntryState>, policies: &TimedCall<Option<_>>| {
        matches!((&entry.answer, &policies.answer), (Ok(EntryState::Present(_)), Ok(None)))
    };
    if inconsistent(&entry, &policies) {
        let limit = aws.deadline.min(Deadline::after(PROPAGATION));
        let whole = limit.poll(BACKOFF, async || {
            (entry, policies) = read_once(aws, cluster, principal).await;
            (!inconsistent(&entry, &policies)).then_some(())
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
) -> (TimedCall<EntryState>, TimedCall<Option<Vec<AccessPolicy>>>) {
    tokio::join!(
        TimedCall::call(Operation::DescribeAccessEntry, aws.describe_access_entry(cluster, principal)),
        TimedCall::call(
            Operation::ListAssociatedAccessPolicies,
            aws.list_associated_access_policies(cluster, principal)
        ),
    )
}
