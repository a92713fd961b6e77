//! An entry that is deleted to be made anew, in trouble: what it had must not be lost on the way, nor said to be there where it is not.

use eks_break_glass::error::ErrorName;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::scene::{GROUP, Scene, warnings};

const ADMIN: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";

fn event() -> Value {
    json!({"clusterName": "prod", "principalArn": ADMIN})
}

/// A principal that was made anew, and the entry of the earlier one, with all that an entry can have.
fn world() -> World {
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
async fn calls_that_fail_for_a_while_lose_nothing_of_it() {
    // More often than the SDK tries by itself, so that the first of them would fail the grant.
    for kind in [Kind::Throttled, Kind::ServerError(500), Kind::ResetBeforeEffect, Kind::ResetAfterEffect] {
        for operation in ["CreateAccessEntry", "AssociateAccessPolicy"] {
            let scene = Scene::new(Simulation::new(world()));
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
    let scene = Scene::new(Simulation::new(world().with_policy(Policy::allow_all().without(&["eks:TagResource"]))));
    let result = scene.send(&event()).await.unwrap();
    assert_eq!(warnings(&result), ["ENTRY_RECREATED", "TAGS_NOT_SET"]);
    let said = result["warnings"][1]["message"].as_str().unwrap();
    assert!(said.contains("team=platform"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_made_anew_is_in_the_error() {
    let scene = Scene::new(Simulation::new(world()));
    scene.aws.inject(Fault::new(At::Every("CreateAccessEntry"), Kind::Throttled));
    let failed = scene.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::Throttled);
    for held in ["deployers", "platform", "AmazonEKSViewPolicy", "team-a"] {
        assert!(failed.message.contains(held), "{}", failed.message);
    }
}
