//! The trust policy of a role: which AWS services may assume it.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::domain::wildcard;

const ASSUME_ROLE: &str = "sts:assumerole";

/// The service principals (`ec2.amazonaws.com`) that a trust policy allows to assume its role. `document` is URL-encoded JSON, as IAM
/// returns it. Conditions and `Deny` statements are not judged: they depend on the request. `None` if the document can't be read.
pub(super) fn trusted_services(document: &str) -> Option<BTreeSet<String>> {
    let text = percent_decode_str(document).decode_utf8().ok()?;
    let policy: Value = serde_json::from_str(&text).ok()?;
    let statements = match policy.get("Statement")? {
        Value::Array(statements) => statements.as_slice(),
        statement @ Value::Object(_) => std::slice::from_ref(statement),
        _ => return None,
    };
    let mut services = BTreeSet::new();
    for statement in statements {
        let effect = statement.get("Effect")?.as_str()?;
        if effect != "Allow" || !allows_assume_role(statement)? {
            continue;
        }
        // `NotPrincipal` with `Allow` names those who are left out, not those who are trusted; `"*"` names no service.
        if let Some(Value::Object(principals)) = statement.get("Principal")
            && let Some(names) = principals.get("Service")
        {
            services.extend(strings(names)?.into_iter().map(str::to_owned));
        }
    }
    Some(services)
}

/// Action names are not case-sensitive ("IAM JSON policy elements: Action").
fn allows_assume_role(statement: &Value) -> Option<bool> {
    let named = |actions: &Value| {
        let actions = strings(actions)?;
        Some(actions.into_iter().any(|action| wildcard::matches(&action.to_ascii_lowercase(), ASSUME_ROLE)))
    };
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(actions), _) => named(actions),
        (None, Some(actions)) => named(actions).map(|named| !named),
        (None, None) => None,
    }
}

/// A string, or a list of strings.
fn strings(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use serde_json::json;

    use super::*;

    fn services(policy: &Value) -> Option<Vec<String>> {
        let document = utf8_percent_encode(&policy.to_string(), NON_ALPHANUMERIC).to_string();
        trusted_services(&document).map(|services| services.into_iter().collect())
    }

    fn statement(changes: &Value) -> Value {
        let mut statement = BTreeMap::from([
            ("Effect", json!("Allow")),
            ("Principal", json!({ "Service": "ec2.amazonaws.com" })),
            ("Action", json!("sts:AssumeRole")),
        ]);
        statement.extend(changes.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value.clone())));
        json!(statement)
    }

    #[test]
    fn services_are_read_as_strings_and_as_lists() {
        let one = statement(&json!({}));
        let two = statement(&json!({
            "Principal": { "Service": ["pods.eks.amazonaws.com", "ec2.amazonaws.com"], "AWS": "*" },
            "Action": ["sts:TagSession", "sts:AssumeRole"],
        }));
        assert_eq!(services(&json!({ "Statement": one })), Some(vec!["ec2.amazonaws.com".to_owned()]));
        let both = vec!["ec2.amazonaws.com".to_owned(), "pods.eks.amazonaws.com".to_owned()];
        assert_eq!(services(&json!({ "Statement": [one, two] })), Some(both));
    }

    #[test]
    fn an_action_covers_assume_role_also_by_a_wildcard_and_in_another_case() {
        for action in ["*", "sts:*", "STS:assumerole", "sts:Assume*", "sts:AssumeRol?"] {
            let policy = json!({ "Statement": [statement(&json!({ "Action": action }))] });
            assert_eq!(services(&policy), Some(vec!["ec2.amazonaws.com".to_owned()]), "{action}");
        }
        for action in ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "ec2:*"] {
            let policy = json!({ "Statement": [statement(&json!({ "Action": action }))] });
            assert_eq!(services(&policy), Some(Vec::new()), "{action}");
        }
    }

    #[test]
    fn a_principal_that_is_no_service_and_a_deny_trust_no_service() {
        for changes in [
            json!({ "Effect": "Deny" }),
            json!({ "Principal": "*" }),
            json!({ "Principal": { "AWS": "arn:aws:iam::111122223333:root" } }),
            json!({ "Principal": null, "NotPrincipal": { "Service": "ec2.amazonaws.com" } }),
        ] {
            assert_eq!(services(&json!({ "Statement": [statement(&changes)] })), Some(Vec::new()), "{changes}");
        }
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_unknown() {
        for document in ["", "no JSON", "%7B%7D", "%FF", "{\"Statement\":1}", "{\"Statement\":[{}]}"] {
            assert_eq!(trusted_services(document), None, "{document}");
        }
        let policy = json!({ "Statement": [statement(&json!({ "Action": [1] }))] });
        assert_eq!(services(&policy), None);
    }
}
