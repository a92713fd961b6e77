//! Authentication modes and the updates that change them.

use std::time::Duration;

use serde_json::json;
use simulator::World;
use simulator::operation::{Operation, Page};
use simulator::world::{Cluster, Mode, ModeChange};

use crate::{
    ADMIN_POLICY, ROLE, USER, call, create, delete, describe, list, list_policies, refusal, seconds, set_mode,
    status_and_mode, update_config, world,
};

fn world_of(cluster: Cluster) -> World {
    world(Mode::Api).with_cluster(cluster)
}

fn describe_update(id: &str) -> Operation {
    Operation::DescribeUpdate { name: "prod".to_owned(), id: id.to_owned() }
}

#[test]
fn entries_are_refused_while_the_mode_is_config_map() {
    let mut world = world(Mode::ConfigMap);
    let words =
        "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.";
    for operation in [create(ROLE), describe(ROLE), list(), list_policies(ROLE), delete(ROLE)] {
        assert_eq!(refusal(&mut world, &operation), (400, "InvalidRequestException", words.to_owned()));
    }
}

#[test]
fn a_change_of_mode_is_slow_and_the_status_tells_of_it() {
    let mut world = world(Mode::ConfigMap);
    let answer = call(&mut world, &set_mode("API_AND_CONFIG_MAP")).unwrap();
    assert_eq!(answer["update"]["status"], "InProgress");
    assert_eq!(answer["update"]["type"], "AccessConfigUpdate");
    let value = json!([{ "type": "AuthenticationMode", "value": "\"API_AND_CONFIG_MAP\"" }]);
    assert_eq!(answer["update"]["params"], value);
    assert_eq!(status_and_mode(&mut world), ("UPDATING".to_owned(), "CONFIG_MAP".to_owned()));
    world.advance_to(seconds(89));
    assert_eq!(status_and_mode(&mut world), ("UPDATING".to_owned(), "CONFIG_MAP".to_owned()));
    world.advance_to(seconds(90));
    assert_eq!(status_and_mode(&mut world), ("ACTIVE".to_owned(), "API_AND_CONFIG_MAP".to_owned()));
    let id = answer["update"]["id"].as_str().unwrap();
    assert_eq!(call(&mut world, &describe_update(id)).unwrap()["update"]["status"], "Successful");
}

#[test]
fn the_status_may_hide_a_change_at_first() {
    let change = ModeChange { hidden_for: Duration::from_secs(10), ..ModeChange::default() };
    let mut world = world_of(Cluster::new("prod", Mode::ConfigMap).with_mode_change(change));
    call(&mut world, &set_mode("API_AND_CONFIG_MAP")).unwrap();
    assert_eq!(status_and_mode(&mut world).0, "ACTIVE");
    assert_eq!(refusal(&mut world, &set_mode("API_AND_CONFIG_MAP")).1, "ResourceInUseException");
    world.advance_to(seconds(10));
    assert_eq!(status_and_mode(&mut world).0, "UPDATING");
}

#[test]
fn an_update_in_progress_is_in_the_way_even_where_the_status_hides_it() {
    let cluster = Cluster::new("prod", Mode::ConfigMap).with_update_until(World::START, seconds(60), true);
    let mut world = world_of(cluster);
    assert_eq!(status_and_mode(&mut world).0, "ACTIVE");
    let (status, code, message) = refusal(&mut world, &set_mode("API_AND_CONFIG_MAP"));
    assert_eq!((status, code), (409, "ResourceInUseException"));
    let (before, after) = ("Cannot AccessConfigUpdate because cluster prod currently has update ", " in progress");
    assert!(message.starts_with(before) && message.ends_with(after), "{message}");
    world.advance_to(seconds(60));
    call(&mut world, &set_mode("API_AND_CONFIG_MAP")).unwrap();
}

#[test]
fn modes_go_one_step_at_a_time_and_never_back() {
    for (mode, wanted) in [
        (Mode::ConfigMap, "CONFIG_MAP"),
        (Mode::ConfigMap, "API"),
        (Mode::ApiAndConfigMap, "CONFIG_MAP"),
        (Mode::ApiAndConfigMap, "API_AND_CONFIG_MAP"),
        (Mode::Api, "API_AND_CONFIG_MAP"),
        (Mode::Api, "API"),
    ] {
        let message = format!("Unsupported authentication mode update from {} to {wanted}", mode.name());
        let refused = refusal(&mut world(mode), &set_mode(wanted));
        assert_eq!(refused, (400, "InvalidParameterException", message));
    }
    call(&mut world(Mode::ApiAndConfigMap), &set_mode("API")).unwrap();
}

#[test]
fn a_change_that_fails_leaves_the_mode_and_says_why_in_the_update_alone() {
    let change = ModeChange { fails: Some("the cluster role is gone".to_owned()), ..ModeChange::default() };
    let mut world = world_of(Cluster::new("prod", Mode::ConfigMap).with_mode_change(change));
    let answer = call(&mut world, &set_mode("API_AND_CONFIG_MAP")).unwrap();
    assert_eq!(status_and_mode(&mut world).0, "UPDATING");
    world.advance_to(seconds(90));
    assert_eq!(status_and_mode(&mut world), ("ACTIVE".to_owned(), "CONFIG_MAP".to_owned()));
    let shown = call(&mut world, &describe_update(answer["update"]["id"].as_str().unwrap())).unwrap();
    assert_eq!(shown["update"]["status"], "Failed");
    assert_eq!(shown["update"]["errors"][0]["errorMessage"], "the cluster role is gone");
}

#[test]
fn opening_entries_makes_those_of_the_creator_and_of_the_nodes() {
    let nodes = "arn:aws:iam::111122223333:role/nodes";
    let cluster = Cluster::new("prod", Mode::ConfigMap).created_by(ROLE).with_node_role(nodes);
    let mut world = world_of(cluster);
    call(&mut world, &set_mode("API_AND_CONFIG_MAP")).unwrap();
    assert!(!world.kubernetes_access("prod", ROLE).is_cluster_admin());
    world.advance_to(seconds(90));
    let entries = world.snapshot("prod");
    assert_eq!(entries[nodes].kind, "EC2_LINUX");
    assert!(entries[ROLE].policies.contains_key(ADMIN_POLICY));
    assert!(world.kubernetes_access("prod", ROLE).is_cluster_admin());
}

#[test]
fn only_the_opening_of_entries_makes_them() {
    let mut world = world_of(Cluster::new("prod", Mode::ApiAndConfigMap).created_by(ROLE));
    call(&mut world, &set_mode("API")).unwrap();
    world.advance_to(seconds(90));
    assert!(world.snapshot("prod").is_empty());
}

#[test]
fn one_call_changes_one_thing() {
    let both = update_config(&json!({ "accessConfig": { "authenticationMode": "API" }, "logging": {} }), None);
    let refused = refusal(&mut world(Mode::ApiAndConfigMap), &both);
    assert_eq!(refused, (400, "InvalidParameterException", "Only one type of update can be allowed.".to_owned()));
}

#[test]
fn a_token_that_was_used_is_answered_as_before() {
    let mut world = world(Mode::ConfigMap);
    let mode = json!({ "accessConfig": { "authenticationMode": "API_AND_CONFIG_MAP" } });
    let update = update_config(&mode, Some("once"));
    let first = call(&mut world, &update).unwrap();
    assert_eq!(call(&mut world, &update).unwrap(), first);
}

#[test]
fn updates_are_listed_a_page_at_a_time() {
    let cluster = Cluster::new("prod", Mode::ConfigMap)
        .with_update_until(World::START, seconds(1), false)
        .with_update_until(World::START, seconds(1), false);
    let mut world = world_of(cluster);
    let page = Page { max_results: Some(1), next_token: None };
    let first = call(&mut world, &Operation::ListUpdates { name: "prod".to_owned(), page }).unwrap();
    let token = first["nextToken"].as_str().unwrap().to_owned();
    let page = Page { max_results: Some(1), next_token: Some(token) };
    let second = call(&mut world, &Operation::ListUpdates { name: "prod".to_owned(), page }).unwrap();
    assert_ne!(first["updateIds"], second["updateIds"]);
    assert_eq!(second["nextToken"], json!(null));
}

#[test]
fn a_cluster_that_is_not_there_is_not_found() {
    let elsewhere = Operation::DescribeCluster { name: "dev".to_owned() };
    let refused = refusal(&mut world(Mode::Api), &elsewhere);
    assert_eq!(refused, (404, "ResourceNotFoundException", "No cluster found for name: dev.".to_owned()));
}

#[test]
fn a_cluster_in_creation_shows_no_endpoint() {
    let mut world = world_of(Cluster::new("prod", Mode::Api).with_status("CREATING"));
    let shown = call(&mut world, &crate::describe_cluster()).unwrap();
    assert_eq!(shown.pointer("/cluster/endpoint"), None);
    assert_eq!(shown.pointer("/cluster/certificateAuthority"), None);
}

#[test]
fn aws_auth_lets_in_whom_it_maps_until_the_mode_is_api() {
    let mut cluster = Cluster::new("prod", Mode::ConfigMap);
    cluster.aws_auth.push(USER.to_owned());
    let mut world = world_of(cluster);
    for (mode, is_in) in [("API_AND_CONFIG_MAP", true), ("API", false)] {
        call(&mut world, &set_mode(mode)).unwrap();
        world.advance_to(world.now() + jiff::SignedDuration::from_secs(90));
        assert_eq!(world.kubernetes_access("prod", USER).is_cluster_admin(), is_in, "{mode}");
    }
}
