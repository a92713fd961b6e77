//! Answers that are lost, requests that are sent again, and the log and tags that tell what was done.

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::World;
use simulator::fault::{At, Fault, Kind};
use simulator::world::{Entry, Mode, Principal};

use crate::workflow::{ADMIN, event, harness, is_admin, with, world};

#[tokio::test(start_paused = true)]
async fn sent_again_the_same_event_finds_its_own_work() {
    let harness = harness(world(Mode::Api));
    let first = harness.send(&event()).await.unwrap();
    let before = harness.aws.world(|world| world.snapshot("prod"));
    let second = harness.send(&event()).await.unwrap();
    assert_eq!(second["status"], "ALREADY_GRANTED");
    assert_eq!(second["undo"], first["undo"], "its tags prove whose it is");
    assert_eq!(harness.aws.world(|world| world.snapshot("prod")), before);
}

/// The SDK tries again by itself, and is throttled then: the first try has taken effect all the same.
#[tokio::test(start_paused = true)]
async fn what_an_answer_was_lost_to_before_another_refusal_may_have_been_done() {
    for (operation, mode) in [
        ("CreateAccessEntry", Mode::Api),
        ("AssociateAccessPolicy", Mode::Api),
        ("UpdateClusterConfig", Mode::ConfigMap),
    ] {
        let harness = harness(world(mode));
        harness.aws.inject(Fault::new(At::Next(operation, 1), Kind::ResetAfterEffect));
        harness.aws.inject(Fault::new(At::Every(operation), Kind::Throttled));
        let failed = harness.send(&event()).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::Throttled);
        let doubt = format!("may have been carried out, because their answers were lost: {operation}");
        assert!(failed.message.contains(&doubt), "{}", failed.message);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_and_is_there_is_named_as_changed() {
    let harness = harness(world(Mode::Api));
    harness.aws.inject(Fault::new(At::Next("CreateAccessEntry", 1), Kind::ResetAfterEffect));
    harness.aws.inject(Fault::new(At::Every("AssociateAccessPolicy"), Kind::Denied));
    let failed = harness.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PermissionDenied);
    assert!(failed.message.contains("Already changed: the access entry was created"), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_named_in_the_error() {
    let harness = harness(world(Mode::Api));
    harness.aws.inject(Fault::new(At::Every("AssociateAccessPolicy"), Kind::ResetBeforeEffect));
    let failed = harness.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::ServiceUnavailable);
    for part in [
        "Already changed: the access entry was created",
        "may have been carried out, because their answers were lost: AssociateAccessPolicy",
        "Send the same event again",
    ] {
        assert!(failed.message.contains(part), "{part} in {}", failed.message);
    }
    harness.aws.recover();
    assert_eq!(harness.send(&event()).await.unwrap()["status"], "GRANTED");
}

#[tokio::test(start_paused = true)]
async fn the_log_has_a_line_for_each_step_an_audit_line_and_metrics_and_no_secret() {
    let harness = harness(world(Mode::Api));
    let result = harness.send(&with(&json!({"reason": "INC-7", "requestedBy": "jane"}))).await.unwrap();
    assert_eq!(harness.logged("step").len(), result["steps"].as_array().unwrap().len());
    let audit = &harness.logged("audit")[0];
    assert_eq!(
        (&audit["status"], &audit["reason"], &audit["requestedBy"]),
        (&json!("GRANTED"), &json!("INC-7"), &json!("jane"))
    );
    let log = harness.log();
    let metrics = log.iter().find(|line| line.get("_aws").is_some()).unwrap();
    assert_eq!(
        (&metrics["Action"], &metrics["Status"], &metrics["Requests"]),
        (&json!("grant"), &json!("GRANTED"), &json!(1))
    );
    // An alarm cannot add up over the values of a dimension, so each set that the template's alarms name is there.
    assert_eq!(
        metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
        json!([["FunctionName"], ["FunctionName", "Action"], ["FunctionName", "Action", "Status"]])
    );
    assert_eq!((&metrics["FunctionName"], &metrics["Failures"]), (&json!("eks-break-glass"), &json!(0)));
    let text = log.iter().map(Value::to_string).collect::<String>();
    for secret in ["ASIAEXAMPLE", "very-secret", "token-of-the-session"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test(start_paused = true)]
async fn the_audit_cannot_be_turned_off_nor_what_an_entry_was_before_it_was_deleted() {
    let entry = Entry::new(ADMIN).made_for_id("AROAEARLIER");
    let world =
        world(Mode::Api).with_principal(Principal::new(ADMIN).recreated_at(World::START)).with_entry("prod", entry);
    let harness = harness(world).with("LOG_LEVEL", "FATAL");
    harness.send(&event()).await.unwrap();
    for message in ["audit", "before", "snapshot"] {
        assert_eq!(harness.logged(message).len(), 1, "{message}");
    }
    assert_eq!(harness.logged("step").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_entry_carries_what_made_it_and_why_in_what_tags_may_hold() {
    let harness = harness(world(Mode::Api));
    harness.send(&with(&json!({"reason": "INC-7: \"who\" broke <aws-auth>?", "requestedBy": "jane"}))).await.unwrap();
    let tags = harness.aws.world(|world| world.snapshot("prod"))[ADMIN].tags.clone();
    assert_eq!(tags["eks-break-glass:grant-id"], "8f507cfc-xmpl-4697-b07a-ac58fc914c95");
    assert_eq!(tags["eks-break-glass:reason"], "INC-7: _who_ broke _aws-auth__");
    assert_eq!(tags["eks-break-glass:policy"], "AmazonEKSClusterAdminPolicy");
}

#[tokio::test(start_paused = true)]
async fn two_grants_at_the_same_instant_end_in_what_both_asked_for() {
    let harness = harness(world(Mode::Api));
    let event = event();
    let (one, other) = tokio::join!(harness.send(&event), harness.send(&event));
    let statuses = [one.unwrap()["status"].clone(), other.unwrap()["status"].clone()];
    assert!(statuses.contains(&json!("GRANTED")), "{statuses:?}");
    assert!(is_admin(&harness, ADMIN));
}
