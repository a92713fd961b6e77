//! What is wrong with a call whatever the cluster: answered before the cluster is looked up (facts §3.1; measured by
//! cdk-preflight: a service-linked role, a reserved prefix and a user with a node's type are refused on no cluster at all).

use crate::operation::{ApiError, NewEntry, Operation, Scope};
use crate::services::scheduler;

/// Usernames and groups must not begin with these (facts §3.2, §3.3; "Create access entries" in the UG).
const RESERVED: [&str; 5] = ["system:", "eks:", "aws:", "amazon:", "iam:"];

/// The types of nodes, in the order of EKS's message (facts §3.4).
pub(crate) const NODE_TYPES: [&str; 5] = ["EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "EC2"];

/// Types that are neither: `STANDARD`, and nodes of `SageMaker` `HyperPod`.
const OTHER_TYPES: [&str; 2] = ["STANDARD", "HYPERPOD_LINUX"];

/// Checks a call by itself.
pub(crate) fn check(operation: &Operation) -> Result<(), ApiError> {
    match operation {
        Operation::CreateAccessEntry { entry, .. } => check_new_entry(entry),
        Operation::UpdateAccessEntry { principal, change, .. } => {
            check_owner(principal)?;
            check_username(change.username.as_deref())?;
            check_groups(change.groups.as_deref().unwrap_or_default())
        }
        Operation::AssociateAccessPolicy { principal, policy, scope, .. } => {
            check_owner(principal)?;
            check_policy_form(policy)?;
            check_scope(scope)
        }
        Operation::DisassociateAccessPolicy { principal, .. } | Operation::DeleteAccessEntry { principal, .. } => {
            check_owner(principal)
        }
        Operation::CreateSchedule { schedule } | Operation::UpdateSchedule { schedule } => scheduler::check(schedule),
        _ => Ok(()),
    }
}

/// The account's root passes (aws-iam-authenticator issue 797), sessions and groups do not.
fn check_new_entry(entry: &NewEntry) -> Result<(), ApiError> {
    let principal = entry.principal.as_str();
    let fields: Vec<_> = principal.splitn(6, ':').collect();
    let (service, resource) = (fields.get(2).copied(), fields.get(5).copied().unwrap_or_default());
    let named = resource == "root" || resource.starts_with("role/") || resource.starts_with("user/");
    if service != Some("iam") || !named {
        return Err(ApiError::invalid_parameter("The principalArn parameter format is not valid"));
    }
    check_owner(principal)?;
    let kind = entry.kind.as_deref().unwrap_or("STANDARD");
    if NODE_TYPES.contains(&kind) {
        if resource.starts_with("user/") {
            return Err(ApiError::invalid_parameter(
                "AccessEntry principalArn must be IAM role when using types [EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, EC2]",
            ));
        }
        if entry.username.is_some() {
            return Err(ApiError::invalid_parameter(format!(
                "The specified username is invalid: setting username is not allowed when the type is \"{kind}\""
            )));
        }
    } else if !OTHER_TYPES.contains(&kind) {
        // EKS's own words are not on record.
        return Err(ApiError::invalid_parameter(format!("The type {kind} is not valid")));
    }
    check_username(entry.username.as_deref())?;
    check_groups(&entry.groups)
}

/// The entries of service-linked roles are EKS's own, whatever the account: the ARN decides
/// (terraform-provider-aws issue 36447; cdk-preflight, rule principal-arn-service-linked-role).
fn check_owner(principal: &str) -> Result<(), ApiError> {
    if principal.splitn(6, ':').nth(5).is_some_and(|resource| resource.starts_with("role/aws-service-role/")) {
        return Err(ApiError::invalid_parameter(
            "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role",
        ));
    }
    Ok(())
}

/// A reserved prefix is named back (terraform-aws-eks-blueprints pull request 1920; cdk-preflight, rule
/// username-reserved-prefix); the session's name has to come after a colon.
fn check_username(username: Option<&str>) -> Result<(), ApiError> {
    let Some(username) = username else {
        return Ok(());
    };
    if let Some(prefix) = RESERVED.iter().find(|prefix| username.starts_with(*prefix)) {
        return Err(ApiError::invalid_parameter(format!("The username must not begin with {prefix}")));
    }
    match username.split_once("{{SessionName}}") {
        Some((before, _)) if !before.contains(':') => {
            Err(ApiError::invalid_parameter("The username must contain a colon before {{SessionName}}"))
        }
        _ => Ok(()),
    }
}

/// `system:masters` cannot be had by an entry (terraform-aws-eks issue 2915).
fn check_groups(groups: &[String]) -> Result<(), ApiError> {
    for group in groups {
        if let Some(prefix) = RESERVED.iter().find(|prefix| group.starts_with(*prefix)) {
            return Err(ApiError::invalid_parameter(format!(
                "The kubernetes group name {group} is invalid, it cannot start with {prefix}"
            )));
        }
    }
    Ok(())
}

/// An IAM policy is not an access policy (facts §4.3; cdk-preflight, rule policy-arn-form).
fn check_policy_form(policy: &str) -> Result<(), ApiError> {
    if policy.split(':').nth(2) == Some("eks") {
        return Ok(());
    }
    Err(ApiError::invalid_parameter("The policyArn parameter format is not valid"))
}

/// Facts §4.3; cdk-preflight, rules scope-cluster-forbids-namespaces and scope-namespace-requires-namespaces.
fn check_scope(scope: &Scope) -> Result<(), ApiError> {
    Err(ApiError::invalid_parameter(match (scope.kind.as_str(), scope.namespaces.is_empty()) {
        ("cluster", true) | ("namespace", false) => return Ok(()),
        ("cluster", false) => "accessScope should not include namespaces if the type is not set as namespace",
        ("namespace", true) => "At least 1 namespace must be provided if the type is set as namespace",
        _ => "accessScope type must be one of [namespace, cluster]",
    }))
}
