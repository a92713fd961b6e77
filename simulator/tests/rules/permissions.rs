//! IAM policies: what callers may do.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simulator::World;
use simulator::operation::{NewEntry, Operation, Scope};
use simulator::policy::{Decision, Policy, Question};
use simulator::world::{Entry, Mode};

use crate::{
    ADMIN_POLICY, ROLE, USER, associate, call, create, create_from, delete, describe, describe_cluster, disassociate,
    list, list_policies, new_entry, refusal, set_mode, update_config, world,
};

const CLUSTER: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/prod";

fn policy(statements: &Value) -> Policy {
    Policy::parse(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string()).unwrap()
}

/// A world whose function may do what those statements say.
fn allowed(statements: &Value) -> World {
    world(Mode::Api).with_policy(policy(statements))
}

fn allow_if(condition: &Value) -> Value {
    json!([{ "Effect": "Allow", "Action": "eks:*", "Resource": "*", "Condition": condition }])
}

fn is_denied(world: &mut World, operation: &Operation) -> bool {
    matches!(call(world, operation), Err(error) if error.code == "AccessDeniedException")
}

#[test]
fn the_article_s_policy_allows_just_what_a_grant_needs() {
    let mut world = world(Mode::Api).with_policy(Policy::article());
    call(&mut world, &describe_cluster()).unwrap();
    call(&mut world, &list()).unwrap();
    call(&mut world, &create(ROLE)).unwrap();
    call(&mut world, &describe(ROLE)).unwrap();
    call(&mut world, &associate(ROLE, ADMIN_POLICY, Scope::cluster())).unwrap();
    call(&mut world, &list_policies(ROLE)).unwrap();
    call(&mut world, &disassociate(ROLE, ADMIN_POLICY)).unwrap();
    call(&mut world, &delete(ROLE)).unwrap();
    let update = Operation::DescribeUpdate { name: "prod".to_owned(), id: "x".to_owned() };
    let tagged = NewEntry { tags: BTreeMap::from([("a".to_owned(), "1".to_owned())]), ..new_entry(ROLE) };
    for operation in [update, create_from(tagged)] {
        assert!(is_denied(&mut world, &operation), "{operation:?}");
    }
    let get_role = Operation::GetRole { name: "Ops".to_owned() };
    assert_eq!(refusal(&mut world, &get_role).1, "AccessDenied");
}

#[test]
fn a_refusal_is_in_aws_s_words() {
    let caller = "arn:aws:sts::111122223333:assumed-role/eks-break-glass/eks-break-glass";
    let mut world = allowed(&json!([]));
    let message = format!(
        "User: {caller} is not authorized to perform: eks:CreateAccessEntry on resource: {CLUSTER} because no identity-based policy allows the eks:CreateAccessEntry action"
    );
    assert_eq!(refusal(&mut world, &create(ROLE)), (403, "AccessDeniedException", message));
}

#[test]
fn an_explicit_deny_wins() {
    let mut world = allowed(&json!([
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": ["eks:Delete*", "eks:create????ssEntry"], "Resource": "*" },
    ]));
    for operation in [delete(ROLE), create(ROLE)] {
        let message = refusal(&mut world, &operation).2;
        assert!(message.ends_with("with an explicit deny in an identity-based policy"), "{message}");
    }
    call(&mut world, &list()).unwrap();
}

#[test]
fn a_denied_caller_learns_nothing_of_the_cluster() {
    assert!(is_denied(&mut World::new().with_policy(policy(&json!([]))), &describe_cluster()));
}

#[test]
fn not_action_and_not_resource_mean_all_others() {
    let mut world = allowed(&json!([
        { "Effect": "Allow", "NotAction": "eks:Delete*", "NotResource": "arn:aws:eks:*:*:access-entry/prod/user/*" },
    ]));
    call(&mut world, &create(ROLE)).unwrap();
    call(&mut world, &describe(ROLE)).unwrap();
    assert!(is_denied(&mut world, &delete(ROLE)));
    assert!(is_denied(&mut world, &describe(USER)));
}

#[test]
fn an_entry_is_a_resource_without_the_principal_s_path() {
    let resource = "arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/Ops/*";
    let statements = json!([{ "Effect": "Allow", "Action": "eks:DescribeAccessEntry", "Resource": resource }]);
    let mut world = allowed(&statements).with_entry("prod", Entry::new(ROLE)).with_entry("prod", Entry::new(USER));
    call(&mut world, &describe(ROLE)).unwrap();
    assert!(is_denied(&mut world, &describe(USER)));
}

#[test]
fn the_mode_that_may_be_set_can_be_fenced() {
    let condition = json!({ "StringEquals": { "eks:authenticationMode": "API_AND_CONFIG_MAP" } });
    let restricted = policy(&allow_if(&condition));
    call(&mut world(Mode::ConfigMap).with_policy(restricted.clone()), &set_mode("API_AND_CONFIG_MAP")).unwrap();
    assert!(is_denied(&mut world(Mode::ApiAndConfigMap).with_policy(restricted.clone()), &set_mode("API")));
    let other = update_config(&json!({ "logging": {} }), None);
    assert!(is_denied(&mut world(Mode::ConfigMap).with_policy(restricted), &other), "an absent key equals nothing");
}

#[test]
fn whom_entries_are_made_for_can_be_fenced() {
    let condition = json!({
        "ArnLike": { "eks:principalArn": "arn:aws:iam::*:role/team/*" },
        "StringEquals": { "eks:accessEntryType": "STANDARD" },
    });
    let standard =
        |principal: &str| create_from(NewEntry { kind: Some("STANDARD".to_owned()), ..new_entry(principal) });
    let mut world = allowed(&allow_if(&condition));
    assert!(is_denied(&mut world, &create(ROLE)), "a type that is not sent is absent");
    assert!(is_denied(&mut world, &standard(USER)));
    call(&mut world, &standard(ROLE)).unwrap();
    call(&mut world, &describe(ROLE)).unwrap();
    call(&mut world, &delete(ROLE)).unwrap();
}

#[test]
fn what_is_granted_can_be_fenced() {
    let condition = json!({
        "ArnEquals": { "eks:policyArn": ADMIN_POLICY },
        "StringEquals": { "eks:accessScope": "namespace", "eks:clusterName": "prod" },
        "ForAllValues:StringLike": { "eks:namespaces": ["team-*"] },
    });
    let mut world = allowed(&allow_if(&condition)).with_entry("prod", Entry::new(ROLE));
    let view = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
    call(&mut world, &associate(ROLE, ADMIN_POLICY, Scope::namespaces(&["team-a", "team-b"]))).unwrap();
    for operation in [
        associate(ROLE, ADMIN_POLICY, Scope::cluster()),
        associate(ROLE, ADMIN_POLICY, Scope::namespaces(&["team-a", "kube-system"])),
        associate(ROLE, view, Scope::namespaces(&["team-a"])),
    ] {
        assert!(is_denied(&mut world, &operation), "{operation:?}");
    }
}

#[test]
fn groups_and_usernames_can_be_fenced() {
    let condition = json!({
        "Null": { "eks:username": "true" },
        "ForAllValues:StringEquals": { "eks:kubernetesGroups": ["viewers"] },
    });
    let statements = allow_if(&condition);
    let with = |groups: &[&str], username: Option<&str>| {
        create_from(NewEntry {
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            username: username.map(str::to_owned),
            ..new_entry(ROLE)
        })
    };
    call(&mut allowed(&statements), &with(&[], None)).unwrap();
    call(&mut allowed(&statements), &with(&["viewers"], None)).unwrap();
    assert!(is_denied(&mut allowed(&statements), &with(&["viewers", "ops"], None)));
    assert!(is_denied(&mut allowed(&statements), &with(&[], Some("ops:x"))));
}

#[test]
fn tags_at_creation_need_the_permission_to_tag() {
    let tags = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
    let tagged = create_from(NewEntry { tags, ..new_entry(ROLE) });
    let mut world = world(Mode::Api).with_policy(Policy::allowing(&["eks:CreateAccessEntry"]));
    let message = refusal(&mut world, &tagged).2;
    assert!(message.contains("perform: eks:TagResource on resource: arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/Ops/"), "{message}");
    let condition = json!({
        "StringEqualsIfExists": { "aws:RequestTag/team": "a" },
        "ForAllValues:StringEquals": { "aws:TagKeys": ["team"] },
    });
    call(&mut allowed(&allow_if(&condition)), &tagged).unwrap();
    let tags = BTreeMap::from([("team".to_owned(), "a".to_owned()), ("x".to_owned(), "y".to_owned())]);
    assert!(is_denied(&mut allowed(&allow_if(&condition)), &create_from(NewEntry { tags, ..new_entry(ROLE) })));
}

#[test]
fn an_entry_s_tags_can_fence_what_is_done_with_it() {
    let condition = json!({ "StringEquals": { "aws:ResourceTag/made-by": "us" } });
    let mut world = allowed(&allow_if(&condition))
        .with_entry("prod", Entry::new(ROLE).with_tag("made-by", "us"))
        .with_entry("prod", Entry::new(USER));
    let arn = call(&mut world, &describe(ROLE)).unwrap()["accessEntry"]["accessEntryArn"].as_str().unwrap().to_owned();
    call(&mut world, &Operation::ListTagsForResource { arn }).unwrap();
    call(&mut world, &delete(ROLE)).unwrap();
    assert!(is_denied(&mut world, &delete(USER)));
}

#[test]
fn an_ec2_node_s_role_has_to_be_passed() {
    let nodes = create_from(NewEntry { kind: Some("EC2_LINUX".to_owned()), ..new_entry(ROLE) });
    let mut world = world(Mode::Api).with_policy(Policy::article());
    let message = refusal(&mut world, &nodes).2;
    assert!(message.contains(&format!("iam:PassRole on resource: {ROLE} ")), "{message}");
}

#[test]
fn a_role_s_path_is_part_of_it_for_iam() {
    let get_role = Operation::GetRole { name: "Ops".to_owned() };
    let on = |resource: &str| json!([{ "Effect": "Allow", "Action": "iam:GetRole", "Resource": resource }]);
    call(&mut allowed(&on(ROLE)), &get_role).unwrap();
    call(&mut allowed(&on("arn:aws:iam::111122223333:role/Ops")), &get_role).unwrap_err();
}

/// Whether a condition on `k` is met, if the call has those values of it.
fn is_met(operator: &str, wanted: &Value, values: &[&str]) -> bool {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    let question = Question {
        action: "eks:X".to_owned(),
        resource: "*".to_owned(),
        context: BTreeMap::from([("k".to_owned(), values)]),
    };
    policy(&allow_if(&json!({ operator: { "K": wanted } }))).decide(&question) == Decision::Allowed
}

#[test]
fn condition_operators_compare_as_iam_does() {
    for (operator, wanted, value, met) in [
        ("StringEquals", json!("a"), "a", true),
        ("StringEquals", json!(["b", "a"]), "a", true),
        ("StringEquals", json!("a*"), "ab", false),
        ("StringEquals", json!("A"), "a", false),
        ("StringNotEquals", json!(["b", "a"]), "a", false),
        ("StringEqualsIgnoreCase", json!("A"), "a", true),
        ("StringLike", json!("a?c*"), "abcd", true),
        ("StringNotLike", json!("a*"), "abc", false),
        ("ArnLike", json!("arn:aws:iam::*:role/x*"), "arn:aws:iam::1:role/x/y", true),
        ("ArnLike", json!("arn:aws:*"), "arn:aws:iam::1:role/x", false),
        ("ArnNotEquals", json!("arn:aws:iam::1:role/y"), "arn:aws:iam::1:role/x", true),
        ("Bool", json!(true), "true", true),
        ("Null", json!(false), "a", true),
        ("Null", json!("true"), "a", false),
    ] {
        assert_eq!(is_met(operator, &wanted, &[value]), met, "{operator} {wanted} {value}");
    }
}

#[test]
fn an_absent_key_meets_few_conditions() {
    for (operator, met) in [
        ("StringEquals", false),
        ("StringNotEquals", true),
        ("StringEqualsIfExists", true),
        ("ArnLikeIfExists", true),
        ("ForAllValues:StringEquals", true),
        ("ForAnyValue:StringEquals", false),
        ("ForAnyValue:StringNotEquals", false),
    ] {
        assert_eq!(is_met(operator, &json!("a"), &[]), met, "{operator}");
    }
    assert!(is_met("Null", &json!(true), &[]));
}

#[test]
fn sets_are_compared_as_a_whole_or_by_any_member() {
    for (operator, values, met) in [
        ("ForAllValues:StringEquals", ["a", "b"], true),
        ("ForAllValues:StringEquals", ["a", "c"], false),
        ("ForAnyValue:StringEquals", ["a", "c"], true),
        ("ForAnyValue:StringEquals", ["c", "d"], false),
        ("ForAllValues:StringNotEquals", ["c", "d"], true),
        ("ForAnyValue:StringNotEquals", ["a", "b"], false),
    ] {
        assert_eq!(is_met(operator, &json!(["a", "b"]), &values), met, "{operator} {values:?}");
    }
}

#[test]
fn a_policy_that_cannot_be_judged_is_not_taken() {
    for statement in [
        json!([{ "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": { "StringEquls": { "k": "a" } } }]),
        json!([{ "Effect": "Perhaps", "Action": "*", "Resource": "*" }]),
    ] {
        let document = json!({ "Statement": statement }).to_string();
        assert!(Policy::parse(&document).is_err(), "{document}");
    }
}
