//! Promises of the contract: the form of errors and results, the permissions of the article, round trips, tags.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::Simulation;
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Entry, Mode};

use crate::expiry::{HOUR, entries, grant, is_admin, revoke, statuses};
use crate::harness::{Harness, lacking, steps};
use crate::security::{ADMIN, VIEW, harness, recreated, world};

#[tokio::test(start_paused = true)]
async fn errors_have_the_form_of_the_contract() {
    let harness = harness(world(Mode::Api).with_policy(lacking(&["eks:CreateAccessEntry"])));
    let failed = harness.send(&grant(&json!({}))).await.unwrap_err();
    let (sentences, detail) = failed.message.split_once(" [").unwrap();
    assert!(detail.ends_with(']') && detail.contains("AWS request id"), "{detail}");
    assert!(sentences.starts_with("The function's role") && sentences.ends_with('.'), "{sentences}");
    assert!(sentences.contains(" Nothing was changed. "), "{sentences}");
}

#[tokio::test(start_paused = true)]
async fn result_has_its_fields_in_the_order_of_the_contract() {
    let order = [
        "status",
        "plannedStatus",
        "action",
        "requestId",
        "cluster",
        "principal",
        "expiresAt",
        "nextSteps",
        "warnings",
        "findings",
        "undo",
        "verification",
        "accessEntry",
        "accessPolicies",
        "replacedEntry",
        "retryAfterSeconds",
        "caller",
        "steps",
        "kubeconfig",
    ];
    let entry = Entry::new(ADMIN).with_policy(VIEW, Scope::cluster());
    for event in [
        grant(&json!({})),
        grant(&json!({"dryRun": true})),
        revoke(&json!({})),
        json!({"action": "inspect", "clusterName": "prod"}),
    ] {
        let harness = harness(recreated(entry.clone()));
        let text = harness.answer_text(&event.to_string(), crate::harness::LAMBDA_TIMEOUT).await.unwrap();
        // The first place of each field that is at the top level.
        let result: Value = serde_json::from_str(&text).unwrap();
        let present: Vec<&str> = order.into_iter().filter(|field| result.get(field).is_some()).collect();
        assert_eq!(present.len(), result.as_object().unwrap().len(), "{event}");
        let top = top_level(&text);
        assert_eq!(top, present, "{event}");
    }
}

/// The names of an object's own fields, in the order of its text.
fn top_level(text: &str) -> Vec<String> {
    let (mut names, mut depth, mut quoted, mut escaped, mut name) = (Vec::new(), 0, false, false, String::new());
    let mut before = ' ';
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => {
                quoted = !quoted;
                if quoted {
                    name.clear();
                }
            }
            _ if quoted => name.push(character),
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ':' if depth == 1 && before == '"' => names.push(name.clone()),
            _ => {}
        }
        before = character;
    }
    names
}

#[tokio::test(start_paused = true)]
async fn with_just_the_articles_permissions_a_grant_and_its_undo_work() {
    for mode in [Mode::Api, Mode::ApiAndConfigMap, Mode::ConfigMap] {
        let harness = Harness::new(Simulation::new(crate::workflow::world(mode).with_policy(Policy::article())));
        let before = entries(&harness);
        let granted = harness.send(&json!({"clusterName": "prod", "principalArn": ADMIN})).await.unwrap();
        assert_eq!(granted["status"], "GRANTED", "{mode:?}");
        assert!(is_admin(&harness));
        let undone = harness.send(&granted["undo"]).await.unwrap();
        assert_eq!(undone["status"], "REVOKED", "{mode:?}: {:?}", steps(&undone));
        assert!(!is_admin(&harness));
        let mut now = entries(&harness);
        // What EKS creates itself at the switch stays.
        now.retain(|principal, _| principal == ADMIN);
        assert!(now.is_empty() && !before.contains_key(ADMIN), "{mode:?}: {now:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_grant_with_a_duration_takes_five_round_trips() {
    let latency = Duration::from_millis(20);
    let harness = Harness::new(Simulation::new(world(Mode::Api)).with_latency(latency)).with_schedules();
    let begun = eks_break_glass::platform::clock::instant();
    assert_eq!(harness.send(&grant(&json!({}))).await.unwrap()["status"], "GRANTED");
    assert_eq!(begun.elapsed(), 5 * latency, "reads at once, schedule, create, associate, read back");
}

#[tokio::test(start_paused = true)]
async fn tag_says_whether_an_end_is_scheduled_for_any_policy_of_the_entry() {
    let harness = harness(world(Mode::Api)).with("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy");
    let ends = |harness: &Harness| entries(harness)[ADMIN].tags["eks-break-glass:ends"].clone();
    harness.send(&grant(&json!({"policyArn": VIEW, "duration": null}))).await.unwrap();
    assert_eq!(ends(&harness), "never");
    harness.send(&grant(&json!({}))).await.unwrap();
    assert_eq!(ends(&harness), "scheduled");
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert_eq!(ends(&harness), "never", "only the permanent policy is left");
    harness.send(&grant(&json!({}))).await.unwrap();
    harness.send(&grant(&json!({"policyArn": VIEW, "duration": "2h"}))).await.unwrap();
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert_eq!(ends(&harness), "scheduled", "the other policy ends later");
}
