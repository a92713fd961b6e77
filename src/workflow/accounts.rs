//! Other accounts: the role that the function assumes there, for one request alone.

use jiff::Timestamp;

use crate::aws::{Aws, TargetAccount};
use crate::decide::{guardrails, session_policy};
use crate::domain::api_error::ApiErrorKind as Kind;
use crate::domain::arn::{ClusterRef, FunctionArn};
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::identity::Caller;
use crate::domain::operation::Operation;
use crate::input::event::Request;
use crate::input::settings::Settings;
use crate::workflow::context::Context;
use crate::workflow::recorder::{Recorder, TimedCall};

/// AWS in the account that the cluster's ARN names: the function's own, or one in which it assumes a role, for this request alone.
///
/// # Errors
/// `RequestDenied` if the account isn't allowed, `PermissionDenied` if the role can't be assumed.
pub async fn assume_target_role(
    aws: Aws,
    settings: &Settings,
    function: Option<&FunctionArn>,
    request: &Request,
    now: Timestamp,
    recorder: &mut Recorder,
) -> Result<Aws, Failure> {
    let cluster = &request.cluster;
    let Some(account) = cluster.account.as_ref().filter(|account| function.is_some_and(|own| own.account != **account))
    else {
        return Ok(aws);
    };
    guardrails::foreign_account(settings, &cluster.name, account)?;
    let Some(role) = &settings.target_role else {
        return Ok(aws);
    };
    let policy = session_policy::of(request, account).map_err(|why| {
        Failure::new(
            ErrorName::InvalidRequest,
            format!("`principalArn`: {why}."),
            "Name a principal with a shorter path.",
        )
    })?;
    let target = TargetAccount {
        id: account.clone(),
        role_arn: format!("arn:{}:iam::{account}:role/{}", cluster.partition, role.name),
        external_id: role.external_id.clone(),
        policy,
    };
    let there = TimedCall::call(Operation::AssumeRole, aws.in_account(&target, &cluster.region, now)).await;
    recorder.call(there, |_| format!("{}, restricted to this request", target.role_arn)).map_err(|error| {
        let denied = error.kind == Kind::Denied;
        let failure = Failure::from(error);
        if denied {
            let remedy = format!(
                "Ask the platform team to deploy `target-account.yaml` to account {account}: its role has to trust this function's role (`TARGET_ROLE_NAME`, `TARGET_EXTERNAL_ID`). {}",
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
pub fn ensure_account_matches(context: &Context<'_>, cluster: &ClusterRef, caller: &Caller) -> Result<(), Failure> {
    match &cluster.account {
        Some(account) if *account != caller.account_id => {
            guardrails::foreign_account(context.settings, &cluster.name, account)?;
            Err(Failure::new(
                ErrorName::RequestDenied,
                format!(
                    "Cluster `{}` is in account {account}, but the function works in account {}.",
                    cluster.name, caller.account_id
                ),
                format!("Send the event to a function in account {account}."),
            ))
        }
        _ => Ok(()),
    }
}
