//! What limits an identity-based policy: service control policies and permissions boundaries; and the words of a refusal.

use serde_json::{Value, json};
use simulator::World;
use simulator::operation::Operation;
use simulator::policy::{Limit, Policy};
use simulator::world::{Caller, Mode};

use crate::{ROLE, USER, call, call_as, create, delete, describe_cluster, list, refusal, world};

fn policy(statements: &Value) -> Policy {
    Policy::parse(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string()).unwrap()
}

fn deny(action: &str) -> Policy {
    policy(&json!([{ "Effect": "Deny", "Action": action, "Resource": "*" }]))
}

/// What follows the resource in a refusal of `CreateAccessEntry`.
fn why(world: &mut World) -> String {
    let (status, code, message) = refusal(world, &create(ROLE));
    assert_eq!((status, code), (403, "AccessDeniedException"));
    let (_, why) = message.split_once("cluster/prod ").unwrap();
    why.to_owned()
}

#[test]
fn a_refusal_names_the_kind_of_policy() {
    let world = || world(Mode::Api);
    let all_but_create = Policy::allowing(&["eks:Describe*", "eks:List*"]);
    let create = "eks:CreateAccessEntry";
    for (mut world, expected) in [
        (world().with_policy(all_but_create.clone()), "because no identity-based policy allows the ACTION action"),
        (
            world().with_policy(Policy::allow_all().without(&[create])),
            "with an explicit deny in an identity-based policy",
        ),
        (world().with_service_control_policy(deny(create)), "with an explicit deny in a service control policy"),
        (
            world().with_service_control_policy(all_but_create.clone()),
            "because no service control policy allows the ACTION action",
        ),
        (
            world().with_permissions_boundary(Policy::allow_all().without(&[create])),
            "with an explicit deny in a permissions boundary",
        ),
        (world().with_permissions_boundary(all_but_create), "because no permissions boundary allows the ACTION action"),
    ] {
        assert_eq!(why(&mut world), expected.replace("ACTION", create));
        call(&mut world, &list()).unwrap();
    }
}

#[test]
fn a_service_control_policy_of_denies_stands_beside_full_access() {
    let mut world = world(Mode::Api).with_service_control_policy(deny("eks:Delete*"));
    call(&mut world, &create(ROLE)).unwrap();
    assert_eq!(refusal(&mut world, &delete(ROLE)).1, "AccessDeniedException");
}

#[test]
fn a_limit_grants_nothing_by_itself() {
    let mut world = world(Mode::Api)
        .with_service_control_policy(Policy::allow_all())
        .with_permissions_boundary(Policy::allow_all())
        .with_policy(Policy::allowing(&["eks:Describe*"]));
    call(&mut world, &describe_cluster()).unwrap();
    assert_eq!(why(&mut world), "because no identity-based policy allows the eks:CreateAccessEntry action");
}

#[test]
fn an_explicit_deny_is_reported_before_a_missing_allow() {
    let mut world = world(Mode::Api)
        .with_policy(Policy::allowing(&[]))
        .with_permissions_boundary(Policy::allow_all().without(&["eks:*"]));
    assert_eq!(why(&mut world), "with an explicit deny in a permissions boundary");
}

#[test]
fn limits_of_the_function_do_not_limit_other_callers() {
    let caller = |policy| Caller {
        arn: USER.to_owned(),
        account: "111122223333".to_owned(),
        user_id: "AIDAALICE".to_owned(),
        policy,
    };
    let limited = Policy::allow_all().limited_by(Limit::ServiceControlPolicy, deny("eks:*"));
    let mut world = world(Mode::Api)
        .with_service_control_policy(deny("*"))
        .with_caller("AKIAALICE", caller(Policy::allow_all()))
        .with_caller("AKIABOB", caller(limited));
    call_as(&mut world, "AKIAALICE", &describe_cluster()).unwrap();
    let message = call_as(&mut world, "AKIABOB", &describe_cluster()).unwrap_err().message;
    assert!(message.ends_with("with an explicit deny in a service control policy"), "{message}");
    call(&mut world, &Operation::GetCallerIdentity).unwrap();
}

#[test]
fn newer_messages_end_with_an_authorization_id() {
    let mut world = world(Mode::Api).with_service_control_policy(deny("eks:Create*")).with_authorization_ids();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let why = why(&mut world);
        let (start, id) = why.rsplit_once(' ').unwrap();
        assert_eq!(
            start,
            format!(
                "with an explicit deny in a service control policy. Go to https://us-east-1.console.aws.amazon.com/iam/home?region=us-east-1#/authorization-details/{id} for complete details, or call the GetRequestAuthorizationDetails API with the following authorization id:"
            )
        );
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{id}");
        ids.push(id.to_owned());
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_role_that_trusts_others_is_refused_with_an_authorization_id_too() {
    let role = "arn:aws:iam::444455556666:role/target";
    let mut world = World::new().with_authorization_ids();
    let operation = Operation::AssumeRole {
        role_arn: role.to_owned(),
        session_name: "grant".to_owned(),
        external_id: None,
        policy: None,
    };
    let message = refusal(&mut world, &operation).2;
    assert!(message.contains(&format!("sts:AssumeRole on resource: {role}. Go to https://")), "{message}");
}
