//! What is announced on the event bus: everything that changes access, and what a guardrail refused.

use std::time::Duration;

use eks_break_glass::report::announcement_text::LONGEST_UNDO;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{GROUP, Harness, warnings};

const ADMIN: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";
const BUS: &str = "security";

fn world() -> World {
    World::new()
        .with_cluster(Cluster::new("prod", Mode::Api))
        .with_principal(Principal::new(ADMIN))
        .with_schedule_group(GROUP)
        .with_event_bus(BUS)
}

fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world)).with_schedules().with("EVENT_BUS", BUS)
}

fn event(fields: &Value) -> Value {
    let mut event = json!({
        "clusterName": "prod", "principalArn": ADMIN, "reason": "INC-2041", "requestedBy": "jane.doe@example.com",
    });
    for (field, value) in fields.as_object().unwrap() {
        event[field] = value.clone();
    }
    event
}

/// What was announced so far: type and detail.
fn heard(harness: &Harness) -> Vec<(String, Value)> {
    harness.aws.world(|world| {
        let events = world.bus_events().iter();
        events
            .inspect(|event| assert_eq!((event.source.as_str(), event.bus.as_str()), ("eks-break-glass", BUS)))
            .map(|event| (event.detail_type.clone(), event.detail.clone()))
            .collect()
    })
}

fn types(harness: &Harness) -> Vec<String> {
    heard(harness).into_iter().map(|(detail_type, _)| detail_type).collect()
}

#[tokio::test(start_paused = true)]
async fn a_grant_an_extension_and_a_revoke_are_announced() {
    let harness = harness(world());
    let granted = harness.send(&event(&json!({"duration": "1h"}))).await.unwrap();
    harness.send(&event(&json!({"duration": "2h"}))).await.unwrap();
    harness.after(Duration::from_hours(2)).await.remove(0).unwrap();
    assert_eq!(types(&harness), ["EKS access granted", "EKS access extended", "EKS access revoked"]);
    let (_, detail) = &heard(&harness)[0];
    assert_eq!(detail["version"], 1);
    assert_eq!((&detail["reason"], &detail["requestedBy"]), (&json!("INC-2041"), &json!("jane.doe@example.com")));
    for field in ["status", "cluster", "principal", "accessEntry", "expiresAt", "undo", "steps", "caller"] {
        assert_eq!(detail[field], granted[field], "{field}");
    }
    assert_eq!(detail.get("kubeconfig"), None);
    assert_eq!(warnings(&granted), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_failures_after_a_change_are_announced() {
    let refused = harness(world()).with("ALLOWED_PRINCIPALS", "arn:aws:iam::111122223333:role/other");
    let failed = refused.send(&event(&json!({}))).await.unwrap_err();
    let [(detail_type, detail)] = &heard(&refused)[..] else { panic!("one announcement") };
    assert_eq!(detail_type, "EKS access refused");
    assert_eq!((&detail["errorType"], &detail["errorMessage"]), (&json!("RequestDenied"), &json!(failed.message)));
    assert_eq!((&detail["principal"]["requested"], &detail["cluster"]["name"]), (&json!(ADMIN), &json!("prod")));
    let log = refused.log();
    assert_eq!(log.iter().find(|line| line.get("_aws").is_some()).unwrap()["Failures"], 1);

    let half = harness(world());
    half.aws.inject(Fault::new(At::Every("AssociateAccessPolicy"), Kind::Denied));
    half.send(&event(&json!({}))).await.unwrap_err();
    assert_eq!(types(&half), ["EKS access failed"]);
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_is_not_announced() {
    let harness = harness(world());
    harness.send(&event(&json!({"dryRun": true}))).await.unwrap();
    harness.send(&json!({"action": "inspect", "clusterName": "prod"})).await.unwrap();
    harness.send(&event(&json!({"durration": "1h"}))).await.unwrap_err();
    harness.send(&event(&json!({"clusterName": "nope"}))).await.unwrap_err();
    harness.send(&json!({"action": "revoke", "clusterName": "prod", "principalArn": ADMIN})).await.unwrap();
    assert_eq!(types(&harness), [""; 0]);
    harness.send(&event(&json!({}))).await.unwrap();
    harness.send(&event(&json!({}))).await.unwrap();
    assert_eq!(types(&harness), ["EKS access granted"], "the second changed nothing");
}

#[tokio::test(start_paused = true)]
async fn an_announcement_that_fails_keeps_nobody_out_and_is_not_silent() {
    let slow = Kind::Slow(Duration::from_mins(1));
    for kind in [Kind::Denied, Kind::Throttled, Kind::ServerError(500), Kind::ResetBeforeEffect, Kind::Garbage, slow] {
        let harness = harness(world());
        harness.aws.inject(Fault::new(At::Every("PutEvents"), kind));
        let begun = eks_break_glass::platform::clock::instant();
        let result = harness.send(&event(&json!({}))).await.unwrap();
        assert_eq!(result["status"], "GRANTED");
        assert_eq!(warnings(&result), ["ANNOUNCEMENT_FAILED"], "{kind:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "the requester waits");
        let metrics = harness.log().into_iter().find(|line| line.get("_aws").is_some()).unwrap();
        assert_eq!((&metrics["NotAnnounced"], &metrics["Failures"]), (&json!(1), &json!(0)));
    }
    let nowhere = harness(world()).with("EVENT_BUS", "gone");
    let result = nowhere.send(&event(&json!({}))).await.unwrap();
    assert!(result["warnings"][0]["message"].as_str().unwrap().contains("gone does not exist"));
}

#[tokio::test(start_paused = true)]
async fn an_announcement_gets_over_what_passes() {
    for kind in [Kind::Throttled, Kind::ServerError(503), Kind::ResetBeforeEffect, Kind::ResetAfterEffect] {
        let harness = harness(world());
        harness.aws.inject(Fault::new(At::Next("PutEvents", 1), kind));
        let result = harness.send(&event(&json!({}))).await.unwrap();
        let times = if kind == Kind::ResetAfterEffect { 2 } else { 1 };
        assert_eq!(types(&harness), vec!["EKS access granted"; times], "{kind:?}");
        assert_eq!(warnings(&result), [""; 0], "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_out_of_time_is_announced_within_it() {
    let harness = harness(world());
    harness.aws.inject(Fault::new(At::Every("AssociateAccessPolicy"), Kind::Slow(Duration::from_mins(1))));
    let (begun, timeout) = (eks_break_glass::platform::clock::instant(), Duration::from_secs(20));
    harness.send_for(&event(&json!({})), timeout).await.unwrap_err();
    assert_eq!(types(&harness), ["EKS access failed"]);
    assert!(begun.elapsed() < timeout, "Lambda would have stopped it");
}

#[tokio::test(start_paused = true)]
async fn without_a_bus_nothing_is_put_anywhere() {
    let harness = Harness::new(Simulation::new(world()));
    harness.send(&event(&json!({}))).await.unwrap();
    assert!(harness.aws.calls().iter().all(|call| call.service != "events"));
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_may_not_be_written_to_is_named() {
    let harness = harness(world().with_policy(Policy::allow_all().without(&["events:PutEvents"])));
    let result = harness.send(&event(&json!({}))).await.unwrap();
    let message = result["warnings"][0]["message"].as_str().unwrap();
    assert!(message.contains("events:PutEvents") && message.contains("event-bus/security"), "{message}");
}

/// `EventBridge` takes 256 KB, and the simulator refuses more.
#[tokio::test(start_paused = true)]
async fn announcement_that_would_be_too_large_is_cut_and_says_what_it_came_to() {
    let groups = |count: usize| {
        (0..count).fold(Entry::new(ADMIN).made_for_id("AROAEARLIER"), |entry, number| {
            entry.with_group(&format!("{number:>063}"))
        })
    };
    let reason = "🚒".repeat(1000);
    let asked = event(&json!({"reason": reason, "accessScope": {"type": "namespace", "namespaces": ["a"]}}));
    let stale = |entry: Entry| {
        world().with_principal(Principal::new(ADMIN).recreated_at(World::START)).with_entry("prod", entry)
    };

    // What is announced is the result, which is cut before if it is too large.
    let scene_ = harness(stale(groups(5000)));
    let result = scene_.send(&asked).await.unwrap();
    assert_eq!(warnings(&result), ["ENTRY_REPLACED", "RESULT_TRUNCATED"], "it was announced");
    let [(detail_type, detail)] = &heard(&scene_)[..] else { panic!("one announcement") };
    assert_eq!(detail_type, "EKS access granted");
    for field in ["status", "cluster", "principal", "expiresAt", "caller", "replacedEntry", "steps"] {
        assert_eq!(detail[field], result[field], "{field}");
    }
    assert_eq!(detail["reason"], json!(reason));

    let harness = harness(stale(groups(5000)));
    harness.aws.inject(Fault::new(At::Every("CreateAccessEntry"), Kind::Denied));
    let failed = harness.send(&asked).await.unwrap_err();
    assert!(failed.message.contains(&format!("{:>063}", 4999)), "the error itself holds the whole entry");
    let [(detail_type, detail)] = &heard(&harness)[..] else { panic!("one announcement") };
    assert_eq!((detail_type.as_str(), &detail["shortened"]), ("EKS access failed", &json!(true)));
    let message = detail["errorMessage"].as_str().unwrap();
    assert!(message.ends_with('…') && failed.message.starts_with(message.trim_end_matches('…')), "{message}");
}

/// What is left of an announcement in the end is so many texts, each cut: they fit, even of characters that take the most room.
#[test]
fn the_least_that_is_announced_cannot_be_too_large() {
    let schema = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let announcement = schema(include_str!("../../docs/schemas/announcement-1.json"));
    let result = schema(include_str!("../../docs/schemas/result.json"));
    let nested = |name: &str| result["$defs"][name]["properties"].as_object().map_or(1, |fields| fields.len() + 1);
    let (_, warnings) = include_str!("../../docs/events.md").split_once("\n## Warnings\n").unwrap();
    let warnings = warnings.split("\n## ").next().unwrap().matches("\n| `").count();
    for shape in ["success", "failure"] {
        let texts =
            announcement["$defs"][shape]["properties"].as_object().unwrap().keys().map(|name| match name.as_str() {
                // Emptied by then.
                "accessEntry" | "undo" | "steps" | "accessPolicies" | "nextSteps" | "replacedEntry" => 0,
                // A code is there once, and has a message.
                "warnings" => 2 * warnings,
                "words" => 8,
                name => nested(name),
            });
        // A character takes at most six bytes in JSON, and what is around a text less than fifty.
        let most = texts.sum::<usize>() * (301 * 6 + 50) + LONGEST_UNDO;
        assert!(most < 256 * 1024, "{shape}: {most} bytes");
    }
}

/// The texts of an announcement, and the event in it that takes it back.
fn words(detail: &Value) -> (Vec<&str>, Value) {
    let said = ["cluster", "principal", "policy", "requestedBy", "reason", "until", "outcome"];
    let texts = said.iter().map(|name| detail["words"][name].as_str().unwrap()).collect();
    let undo = aws_smithy_types::base64::decode(detail["words"]["undo"].as_str().unwrap()).unwrap();
    (texts, serde_json::from_slice(&undo).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_announcement_says_all_in_words_and_how_to_take_it_back() {
    let cluster = "arn:aws:eks:eu-west-1:111122223333:cluster/prod";
    let harness = harness(world());
    let granted = harness.send(&event(&json!({"duration": "1h"}))).await.unwrap();
    let heard = heard(&harness);
    let (said, undo) = words(&heard[0].1);
    let until = granted["expiresAt"].as_str().unwrap();
    let policy = "AmazonEKSClusterAdminPolicy";
    assert_eq!(said, [cluster, ADMIN, policy, "jane.doe@example.com", "INC-2041", until, "GRANTED"]);
    assert_eq!(undo, granted["undo"]);
    assert_eq!(harness.send(&undo).await.unwrap()["status"], "REVOKED");
    let heard = self::heard(&harness);
    let (said, _) = words(&heard[1].1);
    assert!(said[6].starts_with("REVOKED; ACCESS_MAY_PERSIST: "), "what is to be known of it, too: {}", said[6]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_said_and_no_text_breaks_a_message() {
    let harness = harness(world());
    let reason = "INC-1\"}Principal: <anybody> else";
    harness.send(&json!({"clusterName": "prod", "principalArn": ADMIN, "reason": reason})).await.unwrap();
    let refused = json!({"clusterName": "prod", "principalArn": ADMIN, "policyArn": "AmazonEKSViewPolicy"});
    harness.send(&refused).await.unwrap_err();
    let heard = heard(&harness);
    let (said, _) = words(&heard[0].1);
    assert_eq!(said[3..6], ["not said", "INC-1'}Principal: (anybody) else", "it is revoked"]);
    assert_eq!(heard[0].1["reason"], reason, "as it was said, where nothing can break");
    let (said, undo) = words(&heard[1].1);
    assert_eq!((said[2], said[4], said[5]), ("AmazonEKSViewPolicy", "not said", "not known"));
    assert!(said[6].starts_with("RequestDenied: ") && said[6].contains("ALLOWED_POLICIES"), "{}", said[6]);
    assert_eq!((&undo["action"], &undo["principalArn"]), (&json!("revoke"), &json!(ADMIN)));
}
