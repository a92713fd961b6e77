//! Access entries: whom they are for, what they hold, what is refused.

use std::collections::BTreeMap;

use serde_json::json;
use simulator::World;
use simulator::operation::{EntryChange, NewEntry, Operation, Page, Scope};
use simulator::world::{Cluster, Entry, KubernetesAccess, Mode, Principal};

use crate::{
    ADMIN_POLICY, ROLE, USER, associate, call, create, create_from, delete, describe, list, new_entry, refusal,
    seconds, world,
};

const INVALID: &str = "InvalidParameterException";

fn update(principal: &str, change: EntryChange) -> Operation {
    Operation::UpdateAccessEntry {
        cluster: "prod".to_owned(),
        principal: principal.to_owned(),
        change,
        token: Some("once".to_owned()),
    }
}

#[test]
fn an_entry_has_the_defaults_of_eks() {
    let mut world = world(Mode::Api);
    let entry = call(&mut world, &create(ROLE)).unwrap()["accessEntry"].clone();
    assert_eq!(entry["type"], "STANDARD");
    assert_eq!(entry["kubernetesGroups"], json!([]));
    assert_eq!(entry["tags"], json!({}));
    assert_eq!(entry["username"], "arn:aws:sts::111122223333:assumed-role/Ops/{{SessionName}}");
    let arn = entry["accessEntryArn"].as_str().unwrap();
    let (stem, uuid) = arn.rsplit_once('/').unwrap();
    assert_eq!(stem, "arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/Ops");
    assert_eq!(uuid.len(), 36);
    assert_eq!(call(&mut world, &describe(ROLE)).unwrap()["accessEntry"], entry);
}

#[test]
fn a_user_is_called_by_its_arn_and_a_node_by_its_name() {
    let mut world = world(Mode::Api);
    assert_eq!(call(&mut world, &create(USER)).unwrap()["accessEntry"]["username"], USER);
    let nodes = NewEntry { kind: Some("EC2_LINUX".to_owned()), ..new_entry(ROLE) };
    let username = call(&mut world, &create_from(nodes)).unwrap()["accessEntry"]["username"].clone();
    assert_eq!(username, "system:node:{{EC2PrivateDNSName}}");
}

#[test]
fn principals_are_refused_by_their_arns_shape_before_the_cluster_is_looked_up() {
    let service_linked =
        "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role";
    for (principal, message) in [
        ("arn:aws:sts::111122223333:assumed-role/Ops/alice", "The principalArn parameter format is not valid"),
        ("arn:aws:iam::111122223333:group/ops", "The principalArn parameter format is not valid"),
        ("alice", "The principalArn parameter format is not valid"),
        ("arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/x", service_linked),
    ] {
        let refused = refusal(&mut World::new(), &create(principal));
        assert_eq!(refused, (400, INVALID, message.to_owned()), "{principal}");
    }
    for operation in [
        delete("arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/x"),
        associate("arn:aws:iam::1:role/aws-service-role/x", ADMIN_POLICY, Scope::cluster()),
    ] {
        assert_eq!(refusal(&mut world(Mode::Api), &operation).2, service_linked);
    }
}

#[test]
fn a_principal_has_to_exist_with_just_its_path() {
    for principal in [
        "arn:aws:iam::111122223333:role/Ops",
        "arn:aws:iam::111122223333:role/nobody",
        "arn:aws-cn:iam::111122223333:root",
    ] {
        let message = "The specified principalArn is invalid: invalid principal.".to_owned();
        assert_eq!(refusal(&mut world(Mode::Api), &create(principal)), (400, INVALID, message));
    }
}

#[test]
fn root_is_taken_and_lets_nobody_in() {
    let root = "arn:aws:iam::111122223333:root";
    let mut world = world(Mode::Api);
    call(&mut world, &create(root)).unwrap();
    call(&mut world, &associate(root, ADMIN_POLICY, Scope::cluster())).unwrap();
    for principal in [root, ROLE] {
        assert_eq!(world.kubernetes_access("prod", principal), KubernetesAccess::Unauthorized);
    }
}

#[test]
fn a_principal_of_another_account_may_be_let_in_but_not_as_a_node() {
    let foreign = "arn:aws:iam::999999999999:role/Ops";
    let mut world = world(Mode::Api).with_principal(Principal::new(foreign));
    let nodes = NewEntry { kind: Some("EC2_LINUX".to_owned()), ..new_entry(foreign) };
    let message = refusal(&mut world, &create_from(nodes)).2;
    assert!(message.starts_with("AccessEntry principalArn must be from the same account as the cluster"), "{message}");
    let arn = call(&mut world, &create(foreign)).unwrap()["accessEntry"]["accessEntryArn"].clone();
    assert!(arn.as_str().unwrap().contains("access-entry/prod/role/999999999999/Ops/"), "{arn}");
}

#[test]
fn a_node_is_a_role_and_has_no_username_of_its_own() {
    let user = NewEntry { kind: Some("FARGATE_LINUX".to_owned()), ..new_entry(USER) };
    let message = refusal(&mut World::new(), &create_from(user)).2;
    assert!(message.starts_with("AccessEntry principalArn must be IAM role when using types ["), "{message}");
    let named = NewEntry { kind: Some("EC2_LINUX".to_owned()), username: Some("n:x".to_owned()), ..new_entry(ROLE) };
    let words =
        "The specified username is invalid: setting username is not allowed when the type is \"EC2_LINUX\"".to_owned();
    assert_eq!(refusal(&mut World::new(), &create_from(named)), (400, INVALID, words.clone()));
    let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE).of_kind("EC2_LINUX"));
    let change = EntryChange { username: Some("n:x".to_owned()), groups: None };
    assert_eq!(refusal(&mut world, &update(ROLE, change)).2, words);
}

#[test]
fn a_type_that_eks_does_not_know_is_refused() {
    let entry = NewEntry { kind: Some("standard".to_owned()), ..new_entry(ROLE) };
    assert_eq!(refusal(&mut world(Mode::Api), &create_from(entry)).1, INVALID);
}

#[test]
fn reserved_prefixes_are_named_back() {
    for prefix in ["system:", "eks:", "aws:", "amazon:", "iam:"] {
        let entry = NewEntry { username: Some(format!("{prefix}x")), ..new_entry(ROLE) };
        let message = format!("The username must not begin with {prefix}");
        assert_eq!(refusal(&mut World::new(), &create_from(entry)), (400, INVALID, message));
        let entry = NewEntry { groups: vec![format!("{prefix}masters")], ..new_entry(ROLE) };
        let message = format!("The kubernetes group name {prefix}masters is invalid, it cannot start with {prefix}");
        assert_eq!(refusal(&mut World::new(), &create_from(entry)), (400, INVALID, message));
    }
}

#[test]
fn the_session_s_name_comes_after_a_colon() {
    let entry = |username: &str| NewEntry { username: Some(username.to_owned()), ..new_entry(ROLE) };
    assert_eq!(refusal(&mut world(Mode::Api), &create_from(entry("{{SessionName}}"))).1, INVALID);
    call(&mut world(Mode::Api), &create_from(entry("ops:{{SessionName}}"))).unwrap();
}

#[test]
fn a_principal_has_one_entry() {
    let mut world = world(Mode::Api);
    call(&mut world, &create(ROLE)).unwrap();
    let message = "The specified access entry resource is already in use on this cluster.".to_owned();
    assert_eq!(refusal(&mut world, &create(ROLE)), (409, "ResourceInUseException", message));
}

#[test]
fn the_quota_of_entries_is_kept() {
    let mut world = world(Mode::Api);
    assert_eq!(world.entry_quota, 3000);
    world.entry_quota = 1;
    call(&mut world, &create(ROLE)).unwrap();
    let (status, code, _) = refusal(&mut world, &create(USER));
    assert_eq!((status, code), (400, "ResourceLimitExceededException"));
}

#[test]
fn a_token_that_was_used_with_the_same_parameters_is_answered_as_before() {
    let mut world = world(Mode::Api);
    let with = |entry: NewEntry| Operation::CreateAccessEntry {
        cluster: "prod".to_owned(),
        entry,
        token: Some("once".to_owned()),
    };
    let first = call(&mut world, &with(new_entry(ROLE))).unwrap();
    assert_eq!(call(&mut world, &with(new_entry(ROLE))).unwrap(), first);
    assert_eq!(world.snapshot("prod").len(), 1);
    let other = NewEntry { groups: vec!["other".to_owned()], ..new_entry(ROLE) };
    assert_eq!(refusal(&mut world, &with(other)).1, "ResourceInUseException");
    let change = EntryChange { groups: Some(vec!["ops".to_owned()]), username: None };
    let updated = call(&mut world, &update(ROLE, change.clone())).unwrap();
    world.advance_to(seconds(10));
    assert_eq!(call(&mut world, &update(ROLE, change)).unwrap(), updated);
}

#[test]
fn an_update_replaces_the_groups_and_moves_the_date() {
    let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE).with_group("old"));
    let change = EntryChange { groups: Some(vec!["new".to_owned()]), username: None };
    let entry = call(&mut world, &update(ROLE, change)).unwrap()["accessEntry"].clone();
    assert_eq!(entry["kubernetesGroups"], json!(["new"]));
    assert!(entry["modifiedAt"].as_f64() > entry["createdAt"].as_f64());
}

#[test]
fn an_entry_that_is_not_there_is_not_found() {
    let words = "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.";
    for operation in [describe(ROLE), delete(ROLE), associate(ROLE, ADMIN_POLICY, Scope::cluster())] {
        let refused = refusal(&mut world(Mode::Api), &operation);
        assert_eq!(refused, (404, "ResourceNotFoundException", words.to_owned()));
    }
}

#[test]
fn entries_are_listed_a_page_at_a_time_and_by_policy() {
    let admin = Entry::new(ROLE).with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let mut world = world(Mode::Api).with_entry("prod", admin).with_entry("prod", Entry::new(USER));
    let list = |policy: Option<&str>, page: Page| Operation::ListAccessEntries {
        cluster: "prod".to_owned(),
        policy: policy.map(str::to_owned),
        page,
    };
    let first = call(&mut world, &list(None, Page { max_results: Some(1), next_token: None })).unwrap();
    assert_eq!(first["accessEntries"], json!([ROLE]));
    let token = first["nextToken"].as_str().map(str::to_owned);
    let second = call(&mut world, &list(None, Page { max_results: Some(1), next_token: token })).unwrap();
    assert_eq!(second, json!({ "accessEntries": [USER], "nextToken": null }));
    let admins = call(&mut world, &list(Some(ADMIN_POLICY), Page::default())).unwrap();
    assert_eq!(admins["accessEntries"], json!([ROLE]));
    for page in [
        Page { max_results: Some(0), next_token: None },
        Page { max_results: Some(101), next_token: None },
        Page { max_results: None, next_token: Some("nonsense".to_owned()) },
    ] {
        assert_eq!(refusal(&mut world, &list(None, page)).1, INVALID);
    }
}

#[test]
fn a_delete_takes_the_policies_along() {
    let entry = Entry::new(ROLE).with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let mut world = world(Mode::Api).with_entry("prod", entry);
    assert_eq!(call(&mut world, &delete(ROLE)).unwrap(), json!({}));
    call(&mut world, &create(ROLE)).unwrap();
    assert!(world.snapshot("prod")[ROLE].policies.is_empty());
}

#[test]
fn an_entry_of_a_principal_that_was_made_anew_looks_healthy_and_lets_nobody_in() {
    let entry = Entry::new(ROLE).with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let mut world =
        world(Mode::Api).with_principal(Principal::new(ROLE).recreated_at(seconds(10))).with_entry("prod", entry);
    assert!(world.kubernetes_access("prod", ROLE).is_cluster_admin());
    let before = call(&mut world, &describe(ROLE)).unwrap();
    world.advance_to(seconds(10));
    assert_eq!(world.kubernetes_access("prod", ROLE), KubernetesAccess::Unauthorized);
    assert_eq!(call(&mut world, &describe(ROLE)).unwrap(), before);
    call(&mut world, &delete(ROLE)).unwrap();
    call(&mut world, &create(ROLE)).unwrap();
    call(&mut world, &associate(ROLE, ADMIN_POLICY, Scope::cluster())).unwrap();
    assert!(world.kubernetes_access("prod", ROLE).is_cluster_admin());
}

#[test]
fn tags_are_put_on_and_taken_off_by_the_entry_s_arn() {
    let mut world = world(Mode::Api);
    let arn = call(&mut world, &create(ROLE)).unwrap()["accessEntry"]["accessEntryArn"].as_str().unwrap().to_owned();
    let tags = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    call(&mut world, &Operation::TagResource { arn: arn.clone(), tags }).unwrap();
    call(&mut world, &Operation::UntagResource { arn: arn.clone(), keys: vec!["a".to_owned()] }).unwrap();
    let left = call(&mut world, &Operation::ListTagsForResource { arn: arn.clone() }).unwrap();
    assert_eq!(left, json!({ "tags": { "b": "2" } }));
    assert_eq!(refusal(&mut world, &Operation::ListTagsForResource { arn: format!("{arn}0") }).0, 404);
}

#[test]
fn a_cluster_elsewhere_is_known_by_its_arn() {
    let cluster = Cluster::new("prod", Mode::Api).at("444455556666", "cn-north-1");
    let arn = cluster.arn();
    assert_eq!(arn, "arn:aws-cn:eks:cn-north-1:444455556666:cluster/prod");
    let world = world(Mode::Api).with_cluster(cluster).with_entry(&arn, Entry::new(ROLE));
    assert_eq!(world.snapshot(&arn).len(), 1);
    assert!(world.snapshot("prod").is_empty());
}

#[test]
fn the_list_shows_principals() {
    let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE));
    assert_eq!(call(&mut world, &list()).unwrap()["accessEntries"], json!([ROLE]));
}
