//! The authentication mode of a cluster: switched where needed, waited for, and refused if it cannot be switched.

use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::platform::clock;
use serde_json::{Value, json};
use simulator::World;
use simulator::policy::Policy;
use simulator::world::{Cluster, Mode, ModeChange, Principal};

use crate::harness::{steps, warnings};
use crate::workflow::{ADMIN, changes, event, harness, is_admin, later, with, world};

#[tokio::test(start_paused = true)]
async fn config_map_is_switched_and_followed_to_its_end() {
    let harness = harness(world(Mode::ConfigMap));
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert_eq!(result["cluster"]["authenticationMode"], json!({"before": "CONFIG_MAP", "after": "API_AND_CONFIG_MAP"}));
    assert_eq!(warnings(&result), ["AWS_AUTH_OVERRIDDEN", "AUTHENTICATION_MODE_CHANGED"]);
    assert!(is_admin(&harness, ADMIN));
    let steps = steps(&result);
    for step in [
        "UpdateClusterConfig SUCCEEDED",
        "AwaitAuthenticationMode SUCCEEDED",
        "CreateAccessEntry SUCCEEDED",
        "AssociateAccessPolicy SUCCEEDED",
    ] {
        assert!(steps.contains(&step.to_owned()), "{steps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_waiting_the_answer_is_in_progress_and_sending_it_again_goes_on() {
    let harness = harness(world(Mode::ConfigMap));
    let first = harness.send(&with(&json!({"waitSeconds": 0}))).await.unwrap();
    assert_eq!(first["status"], "IN_PROGRESS");
    assert_eq!(first["undo"], Value::Null);
    assert!(first["retryAfterSeconds"].as_u64().unwrap() > 0);
    assert!(warnings(&first).contains(&"AUTHENTICATION_MODE_CHANGED".to_owned()));
    assert!(!is_admin(&harness, ADMIN));
    let second = harness.send(&with(&json!({"waitSeconds": 0}))).await.unwrap();
    assert_eq!(second["status"], "IN_PROGRESS", "EKS is still at it");
    tokio::time::advance(Duration::from_mins(2)).await;
    let third = harness.send(&with(&json!({"waitSeconds": 0}))).await.unwrap();
    assert_eq!(third["status"], "GRANTED");
    assert_eq!(
        third["cluster"]["authenticationMode"]["before"], "API_AND_CONFIG_MAP",
        "as this invocation saw it first"
    );
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_invocation_is_in_progress_and_never_a_timeout() {
    let slow = ModeChange { takes: Duration::from_mins(20), ..ModeChange::default() };
    let world = World::new()
        .with_cluster(Cluster::new("prod", Mode::ConfigMap).with_mode_change(slow))
        .with_principal(Principal::new(ADMIN));
    let harness = harness(world);
    let begun = clock::instant();
    let result = harness.send_for(&event(), Duration::from_mins(1)).await.unwrap();
    assert_eq!(result["status"], "IN_PROGRESS");
    assert!(begun.elapsed() < Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn another_update_is_waited_out_even_behind_an_active_status() {
    let cluster = Cluster::new("prod", Mode::ConfigMap).with_update_until(World::START, later(3), true);
    let harness = harness(World::new().with_cluster(cluster).with_principal(Principal::new(ADMIN)));
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert!(is_admin(&harness, ADMIN));
    let refused = harness.aws.calls().iter().filter(|call| call.outcome == "ResourceInUseException").count();
    assert!(refused > 1);
}

#[tokio::test(start_paused = true)]
async fn another_update_that_does_not_end_is_in_progress_and_no_change_is_claimed() {
    let cluster = Cluster::new("prod", Mode::ConfigMap).with_update_until(World::START, later(60), false);
    let harness = harness(World::new().with_cluster(cluster).with_principal(Principal::new(ADMIN)));
    let result = harness.send(&with(&json!({"waitSeconds": 30}))).await.unwrap();
    assert_eq!(result["status"], "IN_PROGRESS");
    assert_eq!(warnings(&result), ["AWS_AUTH_OVERRIDDEN", "AUTHENTICATION_MODE_CHANGING"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_mode_that_fails_is_told_with_its_reason() {
    let fails = ModeChange { fails: Some("the cluster role is gone".to_owned()), ..ModeChange::default() };
    let world = || {
        World::new()
            .with_cluster(Cluster::new("prod", Mode::ConfigMap).with_mode_change(fails.clone()))
            .with_principal(Principal::new(ADMIN))
    };
    let failed = harness(world()).send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::AuthenticationModeFailed);
    assert!(failed.message.contains("the cluster role is gone"), "{}", failed.message);
    let untold = harness(world().with_policy(Policy::article())).send(&event()).await.unwrap_err();
    assert_eq!(untold.name, ErrorName::AuthenticationModeFailed);
    assert!(untold.message.contains("`eks:DescribeUpdate`"), "{}", untold.message);
    assert!(untold.message.contains("Already changed"), "{}", untold.message);
}

#[tokio::test(start_paused = true)]
async fn the_entry_that_eks_makes_for_the_creator_is_found_and_not_made_again() {
    let cluster = Cluster::new("prod", Mode::ConfigMap).created_by(ADMIN);
    let harness = harness(World::new().with_cluster(cluster).with_principal(Principal::new(ADMIN)));
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert_eq!(result["accessEntry"]["createdByThisGrant"], false);
    assert_eq!(result["undo"], Value::Null, "nothing of it is this grant's");
    assert_eq!(changes(&harness), ["UpdateClusterConfig"]);
}
