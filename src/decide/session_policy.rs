//! What a session in another account may do: this request and nothing else, whatever the role there allows. Pure.
//!
//! A session may do what the role's own policies *and* this one allow ("Session policies" in the IAM User Guide).

use serde_json::{Value, json};

use crate::domain::principal::Principal;
use crate::input::event::{Action, Request, Verify};

/// The most characters that an inline session policy has. Source: `AssumeRole` in the STS API reference.
const LONGEST: usize = 2048;

/// The policy for a request on a cluster of another account, `account`.
///
/// # Errors
/// If the ARNs are too long for a session policy; no session is better than one that isn't narrowed.
pub fn of(request: &Request, account: &str) -> Result<String, String> {
    let cluster = &request.cluster;
    let prefix = format!("arn:{}:eks:{}:{account}", cluster.partition, cluster.region);
    let on = |kind: &str| format!("{prefix}:{kind}/{}", cluster.name);
    let entries = format!("{}/*", on("access-entry"));
    let mut statements = vec![
        json!({
            "Effect": "Allow",
            "Action": ["eks:Describe*", "eks:List*", "eks:UpdateClusterConfig", "eks:TagResource"],
            "Resource": [
                on("cluster"), entries, format!("{}/*", on("nodegroup")), format!("{}/*", on("fargateprofile")),
            ],
        }),
        json!({ "Effect": "Allow", "Action": ["eks:ListClusters", "iam:Get*", "iam:List*"], "Resource": "*" }),
    ];
    let (principal, verify) = match &request.action {
        Action::Grant(grant) if !grant.dry_run => (Some(&grant.principal.principal), grant.verify),
        Action::Revoke(revoke) if !revoke.dry_run => (Some(&revoke.principal.principal), revoke.verify),
        _ => (None, Verify::ControlPlane),
    };
    if let Some(principal) = principal {
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["eks:*AccessEntry", "eks:*AccessPolicy"],
            "Resource": [on("cluster"), entries],
            "Condition": condition(principal),
        }));
        if verify == Verify::Kubernetes {
            statements.push(json!({ "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": roles(principal) }));
        }
    }
    let mut policy = text(&statements);
    if policy.len() > LONGEST && verify == Verify::Kubernetes {
        // Without it, the cluster isn't asked, and the result says so.
        statements.pop();
        policy = text(&statements);
    }
    if policy.len() > LONGEST {
        return Err(format!(
            "the ARN of the principal is too long to restrict a session in account {account} to it ({} characters, {LONGEST} at most)",
            policy.len()
        ));
    }
    Ok(policy)
}

fn text(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn condition(principal: &Principal) -> Value {
    match principal {
        Principal::Iam(arn) => json!({ "StringEquals": { "eks:principalArn": escaped(arn.as_str()) } }),
        Principal::Session(_) => json!({ "StringLike": { "eks:principalArn": roles(principal) } }),
    }
}

/// The principal's ARN. The path of a session's role isn't known yet; its name is unique in the account.
fn roles(principal: &Principal) -> Value {
    match principal {
        Principal::Iam(arn) => json!(escaped(arn.as_str())),
        Principal::Session(session) => {
            let prefix = format!("arn:{}:iam::{}:role/", session.partition, session.account);
            json!([format!("{prefix}{}", session.role_name), format!("{prefix}*/{}", session.role_name)])
        }
    }
}

/// IAM reads `*`, `?` and `${` in resources and conditions. Source: "IAM policy elements: Variables and tags", special characters.
fn escaped(arn: &str) -> String {
    let mut escaped = String::with_capacity(arn.len());
    for character in arn.chars() {
        match character {
            '*' | '?' | '$' => escaped.extend(['$', '{', character, '}']),
            other => escaped.push(other),
        }
    }
    escaped
}
