//! Session policies, and the variables that they need.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simulator::World;
use simulator::operation::{ApiError, Operation};
use simulator::policy::{Decision, Policy, Question};
use simulator::world::{AssumedRole, Cluster, Entry, Mode};

use crate::{ROLE, USER, call, call_as, delete, describe, describe_cluster, list};

const TARGET: &str = "arn:aws:iam::444455556666:role/eks-break-glass-target";

fn document(statements: &Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn assume(policy: Option<&str>) -> Operation {
    Operation::AssumeRole {
        role_arn: TARGET.to_owned(),
        session_name: "grant".to_owned(),
        external_id: Some("secret".to_owned()),
        policy: policy.map(str::to_owned),
    }
}

fn target_world() -> World {
    let cluster = Cluster::new("prod", Mode::Api).at("444455556666", "eu-west-1");
    let arn = cluster.arn();
    World::new()
        .with_cluster(cluster)
        .with_entry(&arn, Entry::new(ROLE))
        .with_entry(&arn, Entry::new(USER))
        .with_assumable_role(TARGET, "111122223333", Some("secret"), Policy::allowing(&["eks:Describe*", "eks:List*"]))
}

/// The access key of a session with that session policy.
fn session(world: &mut World, policy: Option<&str>) -> Result<String, ApiError> {
    let answer = call(world, &assume(policy))?;
    let (_, rest) = answer.as_str().unwrap().split_once("<AccessKeyId>").unwrap();
    Ok(rest.split_once('<').unwrap().0.to_owned())
}

/// The last part of a refusal: which policy it is about.
fn why(error: &ApiError) -> String {
    let part = |start: &str| error.message.split_once(start).map(|(_, rest)| format!("{start}{rest}"));
    part("because no ").or_else(|| part("with an explicit ")).unwrap()
}

#[test]
fn a_session_may_do_what_both_policies_allow() {
    let mut world = target_world();
    let document =
        document(&json!([{ "Effect": "Allow", "Action": ["eks:Describe*", "eks:Delete*"], "Resource": "*" }]));
    let key = session(&mut world, Some(&document)).unwrap();
    call_as(&mut world, &key, &describe_cluster()).unwrap();
    let error = call_as(&mut world, &key, &list()).unwrap_err();
    assert_eq!(why(&error), "because no session policy allows the eks:ListAccessEntries action");
    let error = call_as(&mut world, &key, &delete(ROLE)).unwrap_err();
    assert_eq!(why(&error), "because no identity-based policy allows the eks:DeleteAccessEntry action");
    let key = session(&mut world, None).unwrap();
    call_as(&mut world, &key, &list()).unwrap();
}

#[test]
fn a_session_policy_that_denies_everything_leaves_the_identity() {
    let mut world = target_world();
    let document = document(&json!([{ "Effect": "Deny", "Action": "*", "Resource": "*" }]));
    let key = session(&mut world, Some(&document)).unwrap();
    call_as(&mut world, &key, &Operation::GetCallerIdentity).unwrap();
    let error = call_as(&mut world, &key, &describe_cluster()).unwrap_err();
    assert_eq!(why(&error), "with an explicit deny in a session policy");
}

#[test]
fn a_session_policy_can_be_about_one_entry() {
    let mut world = target_world();
    let statement = json!({ "Effect": "Allow", "Action": "eks:DescribeAccessEntry", "Resource": "*",
        "Condition": { "StringEquals": { "eks:principalArn": ROLE } } });
    let key = session(&mut world, Some(&document(&statement))).unwrap();
    call_as(&mut world, &key, &describe(ROLE)).unwrap();
    call_as(&mut world, &key, &describe(USER)).unwrap_err();
}

#[test]
fn a_session_policy_has_its_limit() {
    let mut world = target_world();
    let document = document(&json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]));
    let padded = format!("{document:<2048}");
    session(&mut world, Some(&padded)).unwrap();
    let error = session(&mut world, Some(&format!("{padded} "))).unwrap_err();
    assert_eq!((error.status, error.code), (400, "ValidationError"));
    assert!(
        error
            .message
            .ends_with("at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048")
    );
    let error = session(&mut world, Some("{")).unwrap_err();
    assert_eq!((error.status, error.code), (400, "MalformedPolicyDocument"));
}

#[test]
fn what_was_sent_is_recorded() {
    let mut world = target_world();
    let document = document(&json!([]));
    session(&mut world, Some(&document)).unwrap();
    let wrong = Operation::AssumeRole {
        role_arn: TARGET.to_owned(),
        session_name: "probe".to_owned(),
        external_id: None,
        policy: None,
    };
    call(&mut world, &wrong).unwrap_err();
    let caller_arn = "arn:aws:sts::111122223333:assumed-role/eks-break-glass/eks-break-glass";
    let sent = |session_name: &str, external_id: Option<&str>, policy: Option<String>| AssumedRole {
        role_arn: TARGET.to_owned(),
        external_id: external_id.map(str::to_owned),
        policy,
        session_name: session_name.to_owned(),
        caller_arn: caller_arn.to_owned(),
        granted: external_id.is_some(),
    };
    assert_eq!(world.assumed_roles(), [sent("grant", Some("secret"), Some(document)), sent("probe", None, None)]);
}

/// Whether a statement allows a call on the resource, whose condition key `k` has the value.
fn allows(statement: &Value, version: Option<&str>, resource: &str, value: &str) -> bool {
    let mut document = json!({ "Statement": statement });
    if let Some(version) = version {
        document["Version"] = json!(version);
    }
    let question = Question {
        action: "eks:X".to_owned(),
        resource: resource.to_owned(),
        context: BTreeMap::from([("k".to_owned(), vec![value.to_owned()])]),
    };
    Policy::parse(&document.to_string()).unwrap().decide(&question) == Decision::Allowed
}

#[test]
fn variables_stand_for_characters_in_resources() {
    let on = |pattern: &str, version: Option<&str>, resource: &str| {
        allows(&json!({ "Effect": "Allow", "Action": "*", "Resource": pattern }), version, resource, "")
    };
    let current = Some("2012-10-17");
    for (pattern, resource, matches) in [
        ("a${*}b*", "a*bc", true),
        ("a${*}b*", "axbc", false),
        ("a${?}b", "a?b", true),
        ("a${?}b", "axb", false),
        ("${$}{x}", "${x}", true),
        ("${k", "${k", true),
        ("a-${k}", "a-", true),
        ("a-${unknown}", "a-${unknown}", false),
        ("*a*b", "xaxbab", true),
        ("*a*b", "xaxba", false),
        ("a?", "a", false),
    ] {
        assert_eq!(on(pattern, current, resource), matches, "{pattern} {resource}");
    }
    for version in [None, Some("2008-10-17")] {
        assert!(!on("a${*}b", version, "a*b"), "an older version has no variables");
        assert!(on("a${*}b", version, "a${xyz}b"), "but wildcards");
    }
}

#[test]
fn variables_stand_for_characters_in_conditions() {
    for (operator, wanted, value, met) in [
        ("StringEquals", "a${*}${?}${$}", "a*?$", true),
        ("StringEquals", "a*", "a*", true),
        ("StringEqualsIgnoreCase", "A${*}", "a*", true),
        ("StringLike", "a${*}*", "a*bc", true),
        ("StringLike", "a${*}*", "abc", false),
        ("StringNotLike", "a${*}", "a*", false),
        ("ArnLike", "arn:aws:iam::1:role/${*}/x*", "arn:aws:iam::1:role/*/xy", true),
        ("ArnLike", "arn:aws:iam::1:role/${*}/x*", "arn:aws:iam::1:role/z/xy", false),
        ("ArnEquals", "arn:aws:iam::1:role/${$}{x}", "arn:aws:iam::1:role/${x}", true),
    ] {
        let statement =
            json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": { operator: { "k": wanted } } });
        assert_eq!(allows(&statement, Some("2012-10-17"), "r", value), met, "{operator} {wanted} {value}");
    }
}
