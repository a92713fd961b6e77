//! Resolves principals: what IAM says about them, the role of a session, and what has taken the place of a deleted role.

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::decide::guardrails;
use crate::domain::api_error::{ApiError, ApiErrorKind as Kind};
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::identity::{Caller, IamPrincipal, Identity};
use crate::domain::operation::Operation;
use crate::domain::principal::{PrincipalArn, PrincipalKind, SessionArn, permission_set_in_name};
use crate::platform::clock::{Backoff, Deadline};
use crate::workflow::context::{Context, Subject};
use crate::workflow::recorder::{Recorder, TimedCall};

/// IAM shows a new principal within seconds, so this distinguishes a new one from a misspelt one.
const IAM_DELAY: Duration = Duration::from_secs(15);
const IAM_BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(4) };

/// The operation that reads a principal of that kind.
pub(crate) fn iam_operation(kind: PrincipalKind) -> Operation {
    match kind {
        PrincipalKind::Role => Operation::GetRole,
        PrincipalKind::User => Operation::GetUser,
    }
}

/// What IAM's answer says about the principal. It speaks of the account alone that is asked.
#[must_use]
pub fn classify_iam_answer(
    principal: &PrincipalArn,
    caller: &Caller,
    answer: Result<Identity, ApiError>,
) -> IamPrincipal {
    if principal.account != caller.account_id {
        return IamPrincipal::Unknown { reason: format!("it is a principal of account {}", principal.account) };
    }
    match answer {
        Ok(identity) if identity.arn == *principal => IamPrincipal::Exists { created_at: identity.created_at },
        Ok(identity) => IamPrincipal::Absent { instead: Some(identity.arn) },
        Err(error) if error.kind == Kind::PrincipalNotFound => IamPrincipal::Absent { instead: None },
        Err(error) => IamPrincipal::Unknown { reason: error.to_string() },
    }
}

/// Asks IAM again for as long as a new principal may need to show; `None`: there is none.
pub(crate) async fn wait_for_iam(
    aws: &Aws,
    kind: PrincipalKind,
    name: &str,
    recorder: &mut Recorder,
) -> Option<Result<Identity, ApiError>> {
    let limit = aws.deadline.min(Deadline::after(IAM_DELAY));
    limit
        .poll(IAM_BACKOFF, async || {
            let again = TimedCall::call(iam_operation(kind), aws.get_identity(kind, name)).await;
            recorder.record_best_effort(&again, |identity| format!("created at {}", identity.created_at));
            let absent = matches!(&again.answer, Err(error) if error.kind == Kind::PrincipalNotFound);
            (!absent).then_some(again.answer)
        })
        .await
}

/// A principal that IAM doesn't have.
pub(crate) async fn deleted_principal(
    context: &Context<'_>,
    subject: Subject<'_>,
    principal: &PrincipalArn,
    recorder: &mut Recorder,
) -> Failure {
    let remedy = match principal.permission_set() {
        Some(set) => successor_remedy(context, subject, &principal.account, set, recorder).await,
        None => "Check `principalArn`, its path included.".to_owned(),
    };
    Failure::new(
        ErrorName::PrincipalNotFound,
        format!("IAM has no principal `{principal}`: it was deleted, or its name or path is wrong."),
        remedy,
    )
}

/// Which role the permission set has now, and the event to send.
async fn successor_remedy(
    context: &Context<'_>,
    subject: Subject<'_>,
    account: &str,
    set: &str,
    recorder: &mut Recorder,
) -> String {
    let roles = TimedCall::call(Operation::ListRoles, context.aws.list_roles()).await;
    recorder.record_best_effort(&roles, |roles| format!("{} roles", roles.len()));
    let Ok(roles) = roles.answer else {
        return format!(
            "If IAM Identity Center has replaced the role of the permission set `{set}`, send the new role's ARN: `aws iam list-roles --path-prefix /aws-reserved/sso.amazonaws.com/` lists them."
        );
    };
    let of_set = |role: &&Identity| role.arn.account == account && role.arn.permission_set() == Some(set);
    let mut present: Vec<&Identity> = roles.values().filter(of_set).collect();
    present.sort_by_key(|role| std::cmp::Reverse(role.created_at));
    let clear = match present.as_slice() {
        [_] => true,
        [youngest, next, ..] => youngest.created_at > next.created_at,
        [] => false,
    };
    match present.first() {
        None => format!(
            "The permission set `{set}` has no role in account {account} now. Ask for an assignment of it in IAM Identity Center, then send the new role's ARN."
        ),
        Some(role) if clear => {
            let now = format!("The permission set `{set}` has the role `{}` now.", role.arn);
            match event_for(context, subject, &role.arn) {
                Ok(event) => {
                    let needs_reason =
                        context.settings.require_reason || subject.grant.is_some_and(|grant| grant.emergency);
                    let add = if needs_reason { ", with a `reason`" } else { "" };
                    format!("{now} Check that it is yours, then send this event{add}: {event}")
                }
                Err(denied) => format!("{now} This function may not grant access to it. {}", denied.remedy),
            }
        }
        Some(_) => {
            let all: Vec<_> = present.iter().map(|role| format!("`{}`", role.arn)).collect();
            format!(
                "The permission set `{set}` has several roles of the same age: {}. Send the ARN of the one that you use.",
                all.join(", ")
            )
        }
    }
}

/// The event that asks for the same access for another role, and never for more.
fn event_for(context: &Context<'_>, subject: Subject<'_>, role: &PrincipalArn) -> Result<Value, Failure> {
    let settings = context.settings;
    // The role is of the account that was asked, which is the cluster's.
    guardrails::principal(settings, role, Some(&role.account))?;
    guardrails::own_roles(settings, &[], role)?;
    let cluster = subject.cluster;
    let grant = subject.grant;
    let asked = grant.map(|grant| guardrails::duration(settings, grant)).transpose()?.flatten();
    let duration = match (asked, &context.schedules) {
        (Some(duration), _) => Some(format!("{duration:#}")),
        (None, Ok(_)) => Some("1h".to_owned()),
        (None, Err(_)) => None,
    };
    Ok(json!({
        "clusterName": cluster.arn().unwrap_or_else(|| cluster.name.clone()),
        "region": cluster.region.as_str(),
        "principalArn": role.as_str(),
        "policyArn": subject.policy.as_str(),
        "accessScope": grant.map(|grant| &grant.scope),
        "duration": duration,
        "dryRun": grant.map(|grant| grant.dry_run),
        "emergency": grant.filter(|grant| grant.emergency).map(|_| true),
    }))
}

/// What the ARN of a session's role looks like.
fn example(session: &SessionArn) -> String {
    if permission_set_in_name(&session.role_name).is_some() {
        format!(
            "arn:{}:iam::{}:role/aws-reserved/sso.amazonaws.com/REGION/{} (REGION is Identity Center's home Region; absent if that is us-east-1)",
            session.partition, session.account, session.role_name
        )
    } else {
        format!("arn:{}:iam::{}:role/PATH/{}", session.partition, session.account, session.role_name)
    }
}

/// The one role of the cluster's access entries that fits.
async fn listed_role(
    context: &Context<'_>,
    subject: Subject<'_>,
    fits: impl Fn(&PrincipalArn) -> bool,
    recorder: &mut Recorder,
) -> Result<Option<PrincipalArn>, ApiError> {
    let call = context.aws.list_access_entries(&subject.cluster.name);
    let entries = TimedCall::call(Operation::ListAccessEntries, call).await;
    let entries = recorder.optional(entries, |entries| format!("{} access entries", entries.len()))?;
    let mut roles: Vec<_> = entries.iter().filter_map(|arn| PrincipalArn::parse(arn).ok()).filter(fits).collect();
    Ok(roles.pop().filter(|_| roles.is_empty()))
}

/// The role of a session: as IAM says, else as an access entry of the cluster names it. The path is never guessed, because a session's ARN
/// doesn't have it (terraform-aws-eks issue 2969).
pub(crate) async fn resolve_session_role(
    context: &Context<'_>,
    subject: Subject<'_>,
    session: &SessionArn,
    caller: &Caller,
    answer: Option<&Result<Identity, ApiError>>,
    recorder: &mut Recorder,
) -> Result<PrincipalArn, Failure> {
    let aws = context.aws;
    let fits = |arn: &PrincipalArn| {
        arn.kind == PrincipalKind::Role && arn.account == session.account && arn.name == session.role_name
    };
    // IAM speaks of the account alone that is asked.
    let is_asked = session.account == caller.account_id;
    let absent = |error: &ApiError| error.kind == Kind::PrincipalNotFound && subject.grant.is_some() && is_asked;
    let later = match answer {
        Some(Err(error)) if absent(error) => {
            match wait_for_iam(aws, PrincipalKind::Role, &session.role_name, recorder).await {
                Some(answer) => Some(answer),
                None => return Err(deleted_role(context, subject, session, error, recorder).await),
            }
        }
        _ => None,
    };
    let (name, iam) = match later.as_ref().or(answer) {
        Some(Ok(identity)) if fits(&identity.arn) => return Ok(identity.arn.clone()),
        Some(_) if !is_asked => {
            (ErrorName::PrincipalNotFound, format!("IAM was asked in account {} only", caller.account_id))
        }
        Some(Ok(identity)) => (ErrorName::PrincipalNotFound, format!("IAM has `{}`", identity.arn)),
        Some(Err(error)) => (failure_name(error), format!("IAM does not answer ({error})")),
        None => (ErrorName::PrincipalNotFound, "IAM was not asked".to_owned()),
    };
    let (name, listed) = match listed_role(context, subject, fits, recorder).await {
        Ok(Some(role)) => return Ok(role),
        Ok(None) => (name, "no access entry of the cluster names it".to_owned()),
        // What names it may be there, and show the next time.
        Err(error) if error.kind.is_transient() => {
            (failure_name(&error), format!("the access entries can't be listed ({error})"))
        }
        Err(error) => (name, format!("the access entries of the cluster can't be listed ({error})")),
    };
    let example = example(session);
    Err(Failure::new(
        name,
        format!(
            "The session of role `{}` in account {} could not be resolved to the role's ARN.",
            session.role_name, session.account
        ),
        format!(
            "Send the role's own ARN, {example}: `aws iam get-role --role-name '{}' --query Role.Arn` prints it. Or allow `iam:GetRole` to the function's role.",
            session.role_name
        ),
    )
    .with_detail(format!("{iam}, and {listed}")))
}

/// A session of a role that was deleted: nothing can be granted to it, and its owner needs another role's session.
async fn deleted_role(
    context: &Context<'_>,
    subject: Subject<'_>,
    session: &SessionArn,
    error: &ApiError,
    recorder: &mut Recorder,
) -> Failure {
    let remedy = match permission_set_in_name(&session.role_name) {
        Some(set) => successor_remedy(context, subject, &session.account, set, recorder).await,
        None => "Send the ARN of the role that has taken its place.".to_owned(),
    };
    Failure::new(
        ErrorName::PrincipalNotFound,
        format!("The role `{}` of this session was deleted from account {}.", session.role_name, session.account),
        remedy,
    )
    .with_detail(error.to_string())
}

/// Whether asking IAM again may help.
fn failure_name(error: &ApiError) -> ErrorName {
    match error.kind {
        Kind::Throttled => ErrorName::Throttled,
        Kind::Unavailable | Kind::NotSent => ErrorName::ServiceUnavailable,
        Kind::Rejected => ErrorName::InvalidRequest,
        _ => ErrorName::PrincipalNotFound,
    }
}
