//! An entry that is deleted to be made anew: as it was, and what it had is not lost on the way, nor said to be there where it is not.

use eks_break_glass::error::ErrorName;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::scene::{GROUP, Scene, warnings};
use crate::workflow::{ADMIN, event, is_admin, scene, with, world};

/// A principal that was made anew, and the entry of the earlier one, with all that an entry can have.
fn stale() -> World {
    let entry = Entry::new(ADMIN)
        .made_for_id("AROAEARLIER")
        .with_group("deployers")
        .with_tag("team", "platform")
        .with_policy("AmazonEKSViewPolicy", Scope::namespaces(&["team-a"]))
        .with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    World::new()
        .with_cluster(Cluster::new("prod", Mode::Api))
        .with_principal(Principal::new(ADMIN).recreated_at(World::START))
        .with_schedule_group(GROUP)
        .with_entry("prod", entry)
}

#[tokio::test(start_paused = true)]
async fn a_stale_entry_is_found_and_made_anew_as_it_was() {
    let entry = Entry::new(ADMIN)
        .made_for_id("AROAEARLIER")
        .with_group("deployers")
        .with_username("admin:{{SessionName}}")
        .with_tag("team", "platform")
        .with_policy("AmazonEKSViewPolicy", Scope::cluster())
        .with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let world =
        world(Mode::Api).with_principal(Principal::new(ADMIN).recreated_at(World::START)).with_entry("prod", entry);
    let scene = scene(world);
    let before = scene.aws.world(|world| world.snapshot("prod"));
    assert!(!is_admin(&scene, ADMIN), "it looks healthy and lets nobody in");
    let result = scene.send(&event()).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert!(warnings(&result).contains(&"ENTRY_RECREATED".to_owned()));
    assert!(is_admin(&scene, ADMIN));
    assert_eq!(scene.aws.world(|world| world.snapshot("prod")), before);
    assert_eq!(scene.logged("snapshot").len(), 1);
    assert_eq!(result["undo"], Value::Null, "the policy was there before");
    let again = scene.send(&event()).await.unwrap();
    assert_eq!(again["status"], "ALREADY_GRANTED", "a repaired entry is not stale any more");
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_made_anew_on_demand_where_iam_cannot_be_asked() {
    let entry =
        Entry::new(ADMIN).made_for_id("AROAEARLIER").with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let world = world(Mode::Api)
        .with_policy(Policy::article())
        .with_principal(Principal::new(ADMIN).recreated_at(World::START))
        .with_entry("prod", entry);
    let scene = scene(world);
    let healthy = scene.send(&event()).await.unwrap();
    assert_eq!(healthy["status"], "ALREADY_GRANTED");
    assert!(warnings(&healthy).contains(&"STALENESS_UNKNOWN".to_owned()));
    assert!(!is_admin(&scene, ADMIN));
    let forced = scene.send(&with(&json!({"recreateEntry": true}))).await.unwrap();
    assert_eq!(forced["status"], "GRANTED");
    assert!(is_admin(&scene, ADMIN));
}

#[tokio::test(start_paused = true)]
async fn if_an_entry_cannot_be_made_again_the_error_holds_it() {
    let entry = Entry::new(ADMIN).made_for_id("AROAEARLIER").with_group("deployers");
    let world = world(Mode::Api)
        .with_principal(Principal::new(ADMIN).recreated_at(World::START))
        .with_policy(Policy::allow_all().without(&["eks:CreateAccessEntry"]))
        .with_entry("prod", entry);
    let scene = scene(world);
    let failed = scene.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PermissionDenied);
    for part in [
        "already changed: the access entry was deleted",
        "\"kubernetesGroups\":[\"deployers\"]",
        "`eks:CreateAccessEntry`",
    ] {
        assert!(failed.message.contains(part), "{part} in {}", failed.message);
    }
}

#[tokio::test(start_paused = true)]
async fn if_the_answer_to_a_delete_is_lost_the_error_holds_the_entry_too() {
    let entry = Entry::new(ADMIN).made_for_id("AROAEARLIER").with_group("deployers");
    let world =
        world(Mode::Api).with_principal(Principal::new(ADMIN).recreated_at(World::START)).with_entry("prod", entry);
    let scene = scene(world);
    scene.aws.inject(Fault::new(At::Every("DeleteAccessEntry"), Kind::ResetAfterEffect));
    let failed = scene.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::ServiceUnavailable);
    for part in ["the answer was lost: DeleteAccessEntry", "\"kubernetesGroups\":[\"deployers\"]"] {
        assert!(failed.message.contains(part), "{part} in {}", failed.message);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_for_a_while_lose_nothing_of_it() {
    // More often than the SDK tries by itself, so that the first of them would fail the grant.
    for kind in [Kind::Throttled, Kind::ServerError(500), Kind::ResetBeforeEffect, Kind::ResetAfterEffect] {
        for operation in ["CreateAccessEntry", "AssociateAccessPolicy"] {
            let scene = Scene::new(Simulation::new(stale()));
            let before = scene.aws.world(|world| world.snapshot("prod"));
            scene.aws.inject(Fault::new(At::Next(operation, 6), kind));
            let result = scene.send(&event()).await.unwrap_or_else(|failed| panic!("{operation} {kind:?}: {failed:?}"));
            assert_eq!(result["status"], "GRANTED");
            assert_eq!(scene.aws.world(|world| world.snapshot("prod")), before, "{operation} {kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tags_that_may_not_be_set_are_named() {
    let scene = Scene::new(Simulation::new(stale().with_policy(Policy::allow_all().without(&["eks:TagResource"]))));
    let result = scene.send(&event()).await.unwrap();
    assert_eq!(warnings(&result), ["ENTRY_RECREATED", "TAGS_NOT_SET"]);
    let said = result["warnings"][1]["message"].as_str().unwrap();
    assert!(said.contains("team=platform"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_made_anew_is_in_the_error() {
    let scene = Scene::new(Simulation::new(stale()));
    scene.aws.inject(Fault::new(At::Every("CreateAccessEntry"), Kind::Throttled));
    let failed = scene.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::Throttled);
    for held in ["deployers", "platform", "AmazonEKSViewPolicy", "team-a"] {
        assert!(failed.message.contains(held), "{}", failed.message);
    }
}
