//! Access policies and their scopes.

use serde_json::json;
use simulator::operation::{Operation, Page, Scope};
use simulator::world::{Entry, KubernetesAccess, Mode};

use crate::{ADMIN_POLICY, ROLE, associate, call, disassociate, list_policies, refusal, seconds, world};

const INVALID: &str = "InvalidParameterException";
const NOT_FOUND: &str = "ResourceNotFoundException";

#[test]
fn the_same_policy_again_replaces_its_scope_and_keeps_its_date() {
    let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE));
    let first = call(&mut world, &associate(ROLE, ADMIN_POLICY, Scope::cluster())).unwrap();
    assert_eq!(first["principalArn"], ROLE);
    assert!(world.kubernetes_access("prod", ROLE).is_cluster_admin());
    world.advance_to(seconds(60));
    let narrower = Scope::namespaces(&["team-a", "dev-*"]);
    let second = call(&mut world, &associate(ROLE, ADMIN_POLICY, narrower)).unwrap();
    let (first, second) = (&first["associatedAccessPolicy"], &second["associatedAccessPolicy"]);
    assert_eq!(second["accessScope"], json!({ "type": "namespace", "namespaces": ["team-a", "dev-*"] }));
    assert_eq!(first["associatedAt"], second["associatedAt"]);
    assert!(second["modifiedAt"].as_f64() > first["modifiedAt"].as_f64());
    assert!(!world.kubernetes_access("prod", ROLE).is_cluster_admin());
    let listed = call(&mut world, &list_policies(ROLE)).unwrap();
    assert_eq!(listed["associatedAccessPolicies"], json!([second]));
}

#[test]
fn scopes_are_checked_before_the_cluster_is_looked_up() {
    let scope = |kind: &str, namespaces: &[&str]| Scope { kind: kind.to_owned(), ..Scope::namespaces(namespaces) };
    for (scope, message) in [
        (scope("Cluster", &[]), "accessScope type must be one of [namespace, cluster]"),
        (scope("cluster", &["a"]), "accessScope should not include namespaces if the type is not set as namespace"),
        (scope("namespace", &[]), "At least 1 namespace must be provided if the type is set as namespace"),
    ] {
        let mut empty = simulator::World::new();
        let refused = refusal(&mut empty, &associate(ROLE, ADMIN_POLICY, scope));
        assert_eq!(refused, (400, INVALID, message.to_owned()));
    }
}

#[test]
fn policies_are_malformed_or_not_found_or_not_for_everybody() {
    let (form, missing) =
        ("The policyArn parameter format is not valid", "The specified policyArn could not be found.");
    let kept = "The specified policyArn can only be associated with service-linked roles";
    for (policy, status, code, message) in [
        ("arn:aws:iam::aws:policy/AdministratorAccess", 400, INVALID, form),
        ("AmazonEKSClusterAdminPolicy", 400, INVALID, form),
        ("arn:aws:eks::aws:cluster-access-policy/Nothing", 404, NOT_FOUND, missing),
        ("arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", 404, NOT_FOUND, missing),
        ("arn:aws:eks:::cluster-access-policy/AmazonEKSClusterAdminPolicy", 404, NOT_FOUND, missing),
        ("arn:aws:eks::aws:cluster-access-policy/AmazonEKSComputePolicy", 400, INVALID, kept),
    ] {
        let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE));
        let refused = refusal(&mut world, &associate(ROLE, policy, Scope::cluster()));
        assert_eq!(refused, (status, code, message.to_owned()), "{policy}");
    }
}

#[test]
fn an_associate_knows_three_things_that_are_not_found() {
    let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE));
    let unknown = "arn:aws:eks::aws:cluster-access-policy/Nothing";
    let elsewhere = Operation::AssociateAccessPolicy {
        cluster: "dev".to_owned(),
        principal: ROLE.to_owned(),
        policy: ADMIN_POLICY.to_owned(),
        scope: Scope::cluster(),
    };
    let stranger = associate(crate::USER, ADMIN_POLICY, Scope::cluster());
    for (operation, start) in [
        (elsewhere, "No cluster found for name: dev."),
        (stranger, "The specified principalArn could not be found."),
        (associate(ROLE, unknown, Scope::cluster()), "The specified policyArn could not be found."),
    ] {
        let (status, code, message) = refusal(&mut world, &operation);
        assert_eq!((status, code), (404, NOT_FOUND));
        assert!(message.starts_with(start), "{message}");
    }
}

#[test]
fn nodes_have_no_policies_but_those_of_auto_mode() {
    let words = "This operation can only be performed on Access Entries with a type of \"STANDARD\".".to_owned();
    for operation in
        [associate(ROLE, ADMIN_POLICY, Scope::cluster()), list_policies(ROLE), disassociate(ROLE, ADMIN_POLICY)]
    {
        let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE).of_kind("EC2_LINUX"));
        assert_eq!(refusal(&mut world, &operation), (400, INVALID, words.clone()));
    }
    let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE).of_kind("EC2"));
    let nodes = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy";
    call(&mut world, &associate(ROLE, nodes, Scope::cluster())).unwrap();
    assert_eq!(refusal(&mut world, &associate(ROLE, ADMIN_POLICY, Scope::cluster())).2, words);
}

#[test]
fn a_policy_that_is_not_associated_is_not_found() {
    let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE));
    let before = world.snapshot("prod");
    assert_eq!(refusal(&mut world, &disassociate(ROLE, ADMIN_POLICY)).0, 404);
    assert_eq!(world.snapshot("prod"), before);
}

#[test]
fn a_disassociate_leaves_the_entry_and_its_other_policies() {
    let entry = Entry::new(ROLE)
        .with_policy("AmazonEKSViewPolicy", Scope::cluster())
        .with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let mut world = world(Mode::Api).with_entry("prod", entry);
    assert_eq!(call(&mut world, &disassociate(ROLE, ADMIN_POLICY)).unwrap(), json!({}));
    let left = ("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy".to_owned(), Scope::cluster());
    assert_eq!(world.kubernetes_access("prod", ROLE), KubernetesAccess::Mapped(vec![left]));
}

#[test]
fn an_entry_without_policies_is_somebody_who_may_do_nothing() {
    let world = world(Mode::Api).with_entry("prod", Entry::new(ROLE));
    assert_eq!(world.kubernetes_access("prod", ROLE), KubernetesAccess::Mapped(Vec::new()));
}

#[test]
fn the_policies_that_there_are_can_be_listed_page_by_page() {
    let mut world = world(Mode::Api);
    let mut names = Vec::new();
    let mut page = Page { max_results: Some(7), next_token: None };
    loop {
        let shown = call(&mut world, &Operation::ListAccessPolicies { page: page.clone() }).unwrap();
        names.extend(shown["accessPolicies"].as_array().unwrap().iter().map(|policy| policy["name"].clone()));
        page.next_token = shown["nextToken"].as_str().map(str::to_owned);
        if page.next_token.is_none() {
            break;
        }
    }
    assert!(names.contains(&json!("AmazonEKSClusterAdminPolicy")));
    assert!(names.contains(&json!("AmazonEKSAutoNodePolicy")));
    let unique: std::collections::BTreeSet<_> = names.iter().map(ToString::to_string).collect();
    assert_eq!((names.len(), unique.len()), (33, 33));
}
