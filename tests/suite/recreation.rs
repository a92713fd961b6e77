//! Entries that are deleted and created again: a stale one is replaced, an unproven one recreated as it was, and neither is lost on the way.

use eks_break_glass::domain::failure::ErrorName;
use serde_json::json;
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{GROUP, Harness, lacking, warnings};
use crate::workflow::{ADMIN, event, harness, is_admin, with, world};

/// A principal that was recreated, and the entry of the earlier one, with all that an entry can have.
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
async fn stale_entry_is_replaced_by_what_was_asked_and_its_content_is_kept_on_record() {
    let entry = Entry::new(ADMIN)
        .made_for_id("AROAEARLIER")
        .with_group("deployers")
        .with_username("admin:{{SessionName}}")
        .with_tag("team", "platform")
        .with_policy("AmazonEKSViewPolicy", Scope::namespaces(&["team-a"]))
        .with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let world =
        world(Mode::Api).with_principal(Principal::new(ADMIN).recreated_at(World::START)).with_entry("prod", entry);
    let harness = harness(world.with_event_bus("security")).with("EVENT_BUS", "security");
    assert!(!is_admin(&harness, ADMIN), "it looks healthy and gives no access");
    let result =
        harness.send(&with(&json!({"accessScope": {"type": "namespace", "namespaces": ["b"]}}))).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert_eq!(warnings(&result), ["ENTRY_REPLACED"]);
    assert_eq!(result["accessEntry"]["createdByThisGrant"], true);
    let now = harness.aws.world(|world| world.snapshot("prod"))[ADMIN].clone();
    assert!(now.groups.is_empty() && !now.tags.contains_key("team"), "{now:?}");
    let held: Vec<_> = now.policies.values().collect();
    assert_eq!(held, [&Scope::namespaces(&["b"])], "exactly what was asked for");

    let replaced = &result["replacedEntry"];
    assert_eq!(replaced["kubernetesGroups"], json!(["deployers"]));
    assert_eq!((&replaced["type"], &replaced["username"]), (&json!("STANDARD"), &json!("admin:{{SessionName}}")));
    assert_eq!(replaced["tags"], json!({"team": "platform"}));
    assert_eq!(replaced["accessPolicies"].as_array().unwrap().len(), 2);
    assert!(replaced["createdAt"].is_string());
    let announced = harness.aws.world(|world| world.bus_events()[0].detail["replacedEntry"].clone());
    assert_eq!(announced, *replaced);
    assert_eq!(harness.logged("snapshot")[0]["accessEntry"]["kubernetesGroups"], json!(["deployers"]));
    let steps: Vec<_> = result["nextSteps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
    let create = steps.iter().find(|step| step.starts_with("aws eks create-access-entry")).unwrap();
    for part in
        ["--kubernetes-groups 'deployers'", "--username 'admin:{{SessionName}}'", r#"--tags '{"team":"platform"}'"#]
    {
        assert!(create.contains(part), "{part} in {create}");
    }
    let associates: Vec<_> = steps.iter().filter(|step| step.starts_with("aws eks associate-access-policy")).collect();
    assert_eq!(associates.len(), 2);
    assert!(associates.iter().any(|step| step.contains("--access-scope 'type=namespace,namespaces=team-a'")));

    let again = harness.send(&with(&json!({"accessScope": {"type": "namespace", "namespaces": ["b"]}}))).await.unwrap();
    assert_eq!(again["status"], "ALREADY_GRANTED", "the new entry is not stale");
    assert_eq!(harness.send(&result["undo"]).await.unwrap()["status"], "REVOKED");
    assert!(harness.aws.world(|world| world.snapshot("prod")).is_empty(), "the undo removes the entry");
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_made_anew_on_demand_where_iam_cannot_be_asked() {
    let entry =
        Entry::new(ADMIN).made_for_id("AROAEARLIER").with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let world = world(Mode::Api)
        .with_policy(Policy::article())
        .with_principal(Principal::new(ADMIN).recreated_at(World::START))
        .with_entry("prod", entry);
    let harness = harness(world);
    let healthy = harness.send(&event()).await.unwrap();
    assert_eq!(healthy["status"], "ALREADY_GRANTED");
    assert!(warnings(&healthy).contains(&"STALENESS_UNKNOWN".to_owned()));
    assert!(!is_admin(&harness, ADMIN));
    let forced = harness.send(&with(&json!({"recreateEntry": true}))).await.unwrap();
    assert_eq!(forced["status"], "GRANTED");
    assert!(is_admin(&harness, ADMIN));
}

#[tokio::test(start_paused = true)]
async fn if_an_entry_cannot_be_made_again_the_error_holds_it() {
    let entry = Entry::new(ADMIN).made_for_id("AROAEARLIER").with_group("deployers");
    let world = world(Mode::Api)
        .with_principal(Principal::new(ADMIN).recreated_at(World::START))
        .with_policy(lacking(&["eks:CreateAccessEntry"]))
        .with_entry("prod", entry);
    let harness = harness(world);
    let failed = harness.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PermissionDenied);
    for part in [
        "Already changed: the stale access entry was deleted",
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
    let harness = harness(world);
    harness.aws.inject(Fault::new(At::Every("DeleteAccessEntry"), Kind::ResetAfterEffect));
    let failed = harness.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::ServiceUnavailable);
    for part in ["because their answers were lost: DeleteAccessEntry", "\"kubernetesGroups\":[\"deployers\"]"] {
        assert!(failed.message.contains(part), "{part} in {}", failed.message);
    }
}

/// An entry that IAM can't prove to be stale, because the function isn't allowed to ask.
fn unproven() -> Harness {
    let harness = Harness::new(Simulation::new(stale().with_policy(lacking(&["iam:GetRole"]))));
    harness
        .with("ALLOWED_GROUPS", "deploy*")
        .with("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy")
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_for_a_while_lose_nothing_of_a_recreated_entry() {
    // More often than the SDK tries by itself, so that the first of them would fail the grant.
    for kind in [Kind::Throttled, Kind::ServerError(500), Kind::ResetBeforeEffect, Kind::ResetAfterEffect] {
        for operation in ["CreateAccessEntry", "AssociateAccessPolicy"] {
            let harness = unproven();
            let before = harness.aws.world(|world| world.snapshot("prod"));
            harness.aws.inject(Fault::new(At::Next(operation, 6), kind));
            let result = harness
                .send(&with(&json!({"recreateEntry": true})))
                .await
                .unwrap_or_else(|failed| panic!("{operation} {kind:?}: {failed:?}"));
            assert_eq!(result["status"], "GRANTED");
            assert!(warnings(&result).contains(&"ENTRY_RECREATED".to_owned()));
            assert!(is_admin(&harness, ADMIN));
            assert_eq!(harness.aws.world(|world| world.snapshot("prod")), before, "{operation} {kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tags_that_may_not_be_set_are_named() {
    let harness = Harness::new(Simulation::new(stale().with_policy(Policy::allow_all().without(&["eks:TagResource"]))));
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(warnings(&result), ["ENTRY_REPLACED", "TAGS_NOT_SET"]);
    let said = result["warnings"][1]["message"].as_str().unwrap();
    assert!(said.contains("eks-break-glass:ends=never"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_made_anew_is_in_the_error() {
    let harness = Harness::new(Simulation::new(stale()));
    harness.aws.inject(Fault::new(At::Every("CreateAccessEntry"), Kind::Throttled));
    let failed = harness.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::Throttled);
    for held in ["deployers", "platform", "AmazonEKSViewPolicy", "team-a"] {
        assert!(failed.message.contains(held), "{}", failed.message);
    }
}
