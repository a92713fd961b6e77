//! What to do after a grant: commands and advice, each safe to follow to the letter. Pure.

use serde_json::json;

use crate::decide::access_review;
use crate::domain::access_entry::AccessEntry;
use crate::domain::access_scope::AccessScope;
use crate::domain::arn::PolicyArn;
use crate::domain::cluster::Cluster;
use crate::domain::principal::{PrincipalArn, PrincipalKind};
use crate::domain::region::Region;
use crate::domain::sanitize::quoted;

/// An access that is there.
#[derive(Debug)]
pub struct Granted<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its region.
    pub region: &'a Region,
    /// Whose access.
    pub principal: &'a PrincipalArn,
    /// By which policy.
    pub policy: &'a PolicyArn,
    /// How far.
    pub scope: &'a AccessScope,
    /// Whether it was there before.
    pub already: bool,
    /// Whether recreating the entry may help, and the settings allow it.
    pub may_recreate: bool,
}

/// How to use an access, and what to check if it was there before and doesn't work.
#[must_use]
pub fn granted(access: &Granted<'_>) -> Vec<String> {
    let principal = access.principal.as_str();
    let who = match access.principal.kind {
        PrincipalKind::Role => format!(
            "Run the next two commands with the credentials of {principal} (its profile, or add `--role-arn` to the first)."
        ),
        PrincipalKind::User => format!("Run the next two commands with the credentials of {principal}."),
    };
    let mut steps = vec![
        format!(
            "aws eks update-kubeconfig --name {} --region {}",
            quoted(&access.cluster.name),
            quoted(access.region.as_str())
        ),
        access_review::command(access.policy, access.scope),
        who,
    ];
    if !access.already {
        steps.push("The cluster's API server may need up to 30 seconds until it honours the access.".to_owned());
        return steps;
    }
    steps.push(format!(
        "If kubectl still answers Unauthorized: run `aws sts get-caller-identity` with the same credentials, and compare its Arn with {principal}."
    ));
    if access.may_recreate {
        let event = json!({
            "clusterName": access.cluster.arn,
            "principalArn": principal,
            "policyArn": access.policy.as_str(),
            "accessScope": access.scope,
            "recreateEntry": true,
        });
        steps.push(format!(
            "If the identity is right and the access still doesn't work, the entry may belong to a deleted principal with the same ARN, which IAM could not disprove. Then send: {event}"
        ));
    }
    steps
}

/// What follows from a change of the authentication mode, which can't be undone.
#[must_use]
pub fn mode_changed(cluster: &Cluster) -> Vec<String> {
    let inspect = json!({ "action": "inspect", "clusterName": cluster.arn });
    vec![
        "Check that the nodes are Ready: `kubectl get nodes`. EKS may not have created access entries for all node roles.".to_owned(),
        format!("This event names roles without an access entry: {inspect}"),
        "Update infrastructure code to `API_AND_CONFIG_MAP`. Do not apply a plan that replaces the cluster.".to_owned(),
    ]
}

/// The commands that restore what a stale entry held, after the entry that has replaced it is gone.
#[must_use]
pub fn restore_entry(cluster: &Cluster, principal: &PrincipalArn, old: &AccessEntry, ends: bool) -> Vec<String> {
    let region = cluster.region().map(|region| region.as_str().to_owned()).unwrap_or_default();
    let target = format!(
        "--cluster-name {} --principal-arn {} --region {}",
        quoted(&cluster.name),
        quoted(principal.as_str()),
        quoted(&region)
    );
    let mut create = format!("aws eks create-access-entry {target} --type {}", quoted(&old.r#type));
    if let Some(username) = old.custom_username(principal) {
        create.extend([" --username ", &quoted(username)]);
    }
    if !old.kubernetes_groups.is_empty() {
        create.push_str(" --kubernetes-groups");
        old.kubernetes_groups.iter().for_each(|group| create.extend([" ", &quoted(group)]));
    }
    // Tags of AWS can't be set, and those of this function would claim a grant that is over.
    let tags = old.tags.iter().filter(|(key, _)| !key.starts_with("aws:") && !key.starts_with("eks-break-glass:"));
    let tags: serde_json::Map<_, _> = tags.map(|(key, value)| (key.clone(), json!(value))).collect();
    if !tags.is_empty() {
        create.extend([" --tags ", &quoted(&json!(tags).to_string())]);
    }
    let when = if ends {
        "after the `undo` or the expiry has removed the new entry"
    } else {
        "after the new entry is deleted"
    };
    let mut steps = vec![
        format!(
            "Only if the old entry's access is still needed, and {when}, the next commands restore it, without end:"
        ),
        create,
    ];
    steps.extend(old.access_policies.iter().map(|held| {
        let scope = match &held.access_scope {
            AccessScope::Cluster => "type=cluster".to_owned(),
            AccessScope::Namespaces(names) => format!("type=namespace,namespaces={}", names.join(",")),
        };
        format!(
            "aws eks associate-access-policy {target} --policy-arn {} --access-scope {}",
            quoted(&held.policy_arn),
            quoted(&scope)
        )
    }));
    steps
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quoted_value_is_one_word_to_the_shell() {
        assert_eq!(quoted("a b;$(x)"), "'a b;$(x)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
