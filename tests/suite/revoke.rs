//! What is taken back, by whom, on which evidence, and exactly.

use std::collections::BTreeMap;
use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::{EntryChange, Operation, Scope};
use simulator::policy::Policy;
use simulator::world::{Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::expiry::{
    ADMIN, HOUR, MINUTE, POLICY, VIEW, after, changes, entries, grant, harness, is_admin, revoke, schedules, statuses,
    world,
};
use crate::harness::{FUNCTION, Harness, warnings};

/// Every kind of starting world: name, entry, and the scope that is granted.
fn starting_worlds() -> Vec<(&'static str, Option<Entry>, Value)> {
    let entry = || Entry::new(ADMIN);
    let everything = json!({"type": "cluster"});
    let namespace = json!({"type": "namespace", "namespaces": ["team-b"]});
    vec![
        ("no entry", None, everything.clone()),
        ("no entry, for a namespace", None, namespace.clone()),
        ("another policy", Some(entry().with_policy(VIEW, Scope::cluster())), everything.clone()),
        ("groups", Some(entry().with_group("deployers")), everything.clone()),
        ("a bare entry", Some(entry()), everything.clone()),
        (
            "a narrower scope",
            Some(entry().with_policy(POLICY, Scope::namespaces(&["team-a", "dev-*"]))),
            everything.clone(),
        ),
        ("another namespace", Some(entry().with_policy(POLICY, Scope::namespaces(&["team-a"]))), namespace.clone()),
        ("a wider scope", Some(entry().with_policy(POLICY, Scope::cluster())), namespace),
        (
            "tags by others",
            Some(entry().with_tag("terraform", "yes").with_policy(VIEW, Scope::namespaces(&["x"]))),
            everything.clone(),
        ),
        (
            "a stale entry",
            Some(entry().made_for_id("AROAEARLIER").with_group("g").with_policy(VIEW, Scope::cluster())),
            everything,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_grant_undone_gives_back_exactly_what_was_there() {
    for article in [false, true] {
        for (name, entry, scope) in starting_worlds() {
            for by_schedule in [false, true] {
                let mut start = world(Mode::Api);
                if name == "a stale entry" {
                    start = start.with_principal(Principal::new(ADMIN).recreated_at(World::START));
                }
                if let Some(entry) = &entry {
                    start = start.with_entry("prod", entry.clone());
                }
                if article {
                    start = start.with_policy(Policy::allow_all().without(&["eks:TagResource", "iam:GetRole"]));
                }
                let harness = harness(start);
                let before = entries(&harness);
                let mut event = grant(&json!({"accessScope": scope}));
                if !by_schedule {
                    event["duration"] = Value::Null;
                }
                let result = harness.send(&event).await.unwrap();
                let given = result["undo"] != Value::Null;
                assert_eq!(given, name != "a wider scope", "{name}");
                let fired = harness.after(HOUR).await;
                assert_eq!(fired.len(), usize::from(by_schedule && given), "{name}");
                if given && !by_schedule {
                    let revoked = harness.send(&result["undo"]).await.unwrap();
                    assert_eq!(revoked["status"], "REVOKED", "{name}");
                }
                // The stale entry gave its principal nothing, so there is nothing to restore.
                // The article's role can't ask IAM: then the entry isn't known to be stale.
                let replaced = name == "a stale entry" && !article;
                let expected = if replaced { BTreeMap::new() } else { before };
                assert_eq!(entries(&harness), expected, "{name}, by schedule: {by_schedule}, untagged: {article}");
                assert!(schedules(&harness).is_empty());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_revoke_never_ends_a_later_grant() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    // It was sent, and is late, when the grant is extended.
    let early: Value = harness.aws.world(|world| serde_json::from_str(&world.schedules()[0].input).unwrap());
    harness.send(&grant(&json!({"duration": "3h"}))).await.unwrap();
    let result = harness.send(&early).await.unwrap();
    assert_eq!(result["status"], "SUPERSEDED");
    assert_eq!(result["expiresAt"], after(3));
    assert!(is_admin(&harness));
    assert_eq!(schedules(&harness).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_by_hand_finds_what_to_put_back_and_removes_the_schedule() {
    let narrower = Entry::new(ADMIN).with_policy(POLICY, Scope::namespaces(&["team-a"]));
    let harness = harness(world(Mode::Api).with_entry("prod", narrower));
    let before = entries(&harness);
    harness.send(&grant(&json!({}))).await.unwrap();
    let result = harness.send(&revoke(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "REVOKED");
    assert_eq!(result["expiresAt"], Value::Null);
    assert_eq!(result["accessPolicies"][0]["accessScope"], json!({"type": "namespace", "namespaces": ["team-a"]}));
    assert_eq!(entries(&harness), before);
    assert!(schedules(&harness).is_empty());
    let commands = result["nextSteps"].as_array().unwrap();
    assert!(commands.iter().any(|command| command.as_str().unwrap().contains("clusterrolebindings,rolebindings")));
    assert_eq!(warnings(&result), ["ACCESS_MAY_PERSIST"]);
}

/// The schedule that cannot be seen may hold it.
#[tokio::test(start_paused = true)]
async fn a_revoke_by_hand_that_cannot_see_what_to_put_back_waits_for_a_retry() {
    let held = Entry::new(ADMIN).with_policy("AmazonEKSClusterAdminPolicy", Scope::namespaces(&["team-a"]));
    let harness = harness(world(Mode::Api).with_entry("prod", held));
    let before = entries(&harness);
    harness.send(&grant(&json!({}))).await.unwrap();
    harness.aws.inject(Fault::new(At::Next("GetSchedule", 4), Kind::ServerError(500)));
    let failed = harness.send(&revoke(&json!({}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::ServiceUnavailable);
    assert!(failed.message.contains("Nothing was changed."), "{}", failed.message);
    assert_eq!(harness.send(&revoke(&json!({}))).await.unwrap()["status"], "REVOKED");
    assert_eq!(entries(&harness), before);
}

/// The entry of a grant that is under way has no policy yet: a revoke of another one is none of its business.
#[tokio::test(start_paused = true)]
async fn a_revoke_of_a_policy_that_is_not_there_leaves_the_entry() {
    let ours = Entry::new(ADMIN).with_tag("eks-break-glass:function", FUNCTION);
    let harness = harness(world(Mode::Api).with_entry("prod", ours)).with("ALLOWED_POLICIES", VIEW);
    let before = entries(&harness);
    let result = harness.send(&revoke(&json!({"policyArn": VIEW}))).await.unwrap();
    assert_eq!(result["status"], "NOTHING_TO_REVOKE");
    assert_eq!(entries(&harness), before);
}

#[tokio::test(start_paused = true)]
async fn revoking_twice_finds_nothing_the_second_time() {
    let harness = harness(world(Mode::Api));
    let result = harness.send(&grant(&json!({}))).await.unwrap();
    for (event, status) in [
        (&result["undo"], "REVOKED"),
        (&result["undo"], "NOTHING_TO_REVOKE"),
        (&revoke(&json!({})), "NOTHING_TO_REVOKE"),
    ] {
        assert_eq!(harness.send(event).await.unwrap()["status"], status);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_grants_of_one_policy_the_second_is_undone_by_itself_and_the_first_with_it() {
    let first = Entry::new(ADMIN)
        .with_tag("eks-break-glass:function", FUNCTION)
        .with_tag("eks-break-glass:grant-id", "an-earlier-request")
        .with_tag("eks-break-glass:policy", VIEW)
        .with_policy(VIEW, Scope::namespaces(&["team-a"]));
    let harness = harness(world(Mode::Api).with_entry("prod", first)).with("ALLOWED_POLICIES", VIEW);
    let before = entries(&harness);
    let scope = json!({"type": "namespace", "namespaces": ["team-b"]});
    let second = grant(&json!({"policyArn": VIEW, "accessScope": scope, "duration": null}));
    let result = harness.send(&second).await.unwrap();
    harness.send(&result["undo"]).await.unwrap();
    assert_eq!(entries(&harness), before);
    harness.send(&second).await.unwrap();
    let undo_of_the_first = json!({"policyArn": VIEW, "restore": {"version": 1, "entryExisted": false}});
    harness.send(&revoke(&undo_of_the_first)).await.unwrap();
    assert_eq!(entries(&harness), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn without_evidence_just_the_policy_is_taken_off() {
    let entry = Entry::new(ADMIN).with_policy(POLICY, Scope::cluster());
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let result = harness.send(&revoke(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "REVOKED");
    assert!(warnings(&result).contains(&"OWNERSHIP_UNKNOWN".to_owned()));
    assert!(entries(&harness).contains_key(ADMIN), "the entry is another owner's");
    assert!(!is_admin(&harness));
}

#[tokio::test(start_paused = true)]
async fn without_evidence_not_even_an_entry_of_this_function_is_deleted() {
    let entry = Entry::new(ADMIN).with_tag("eks-break-glass:function", FUNCTION);
    let entry = entry.with_tag("eks-break-glass:policy", VIEW).with_policy(POLICY, Scope::cluster());
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let result = harness.send(&revoke(&json!({}))).await.unwrap();
    assert!(warnings(&result).contains(&"OWNERSHIP_UNKNOWN".to_owned()));
    assert_eq!(changes(&harness), ["DisassociateAccessPolicy"]);
}

#[tokio::test(start_paused = true)]
async fn without_evidence_the_guardrails_bind_a_revoke_too() {
    let entry = Entry::new(ADMIN).with_policy(POLICY, Scope::cluster());
    for (setting, value) in [
        ("ALLOWED_PRINCIPALS", "arn:aws:iam::111122223333:role/other"),
        ("ALLOWED_CLUSTERS", "dev-*"),
        ("ALLOWED_POLICIES", VIEW),
    ] {
        let theirs = harness(world(Mode::Api).with_entry("prod", entry.clone())).with(setting, value);
        let denied = theirs.send(&revoke(&json!({}))).await.unwrap_err();
        assert_eq!(denied.name, ErrorName::RequestDenied);
        assert!(denied.message.contains(setting), "{}", denied.message);
        assert!(is_admin(&theirs));

        // What is this function's, it takes back whatever the settings have become since.
        let ours = harness(world(Mode::Api));
        ours.send(&grant(&json!({}))).await.unwrap();
        let ours = ours.with(setting, value);
        assert_eq!(ours.send(&revoke(&json!({}))).await.unwrap()["status"], "REVOKED");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_restore_gives_nobody_anything() {
    let entry = Entry::new(ADMIN).with_policy(POLICY, Scope::namespaces(&["team-a"]));
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let before = entries(&harness);
    let forged = json!({"version": 1, "entryExisted": true, "accessScope": {"type": "cluster"}});
    let result = harness.send(&revoke(&json!({"restore": forged}))).await.unwrap();
    assert_eq!(result["status"], "NOTHING_TO_REVOKE");
    assert_eq!(entries(&harness), before);
}

#[tokio::test(start_paused = true)]
async fn entries_of_nodes_are_not_touched() {
    let nodes = harness(world(Mode::Api).with_entry("prod", Entry::new(ADMIN).of_kind("EC2_LINUX")));
    let restore = json!({"version": 1, "entryExisted": false, "accessScope": null});
    let failed = nodes.send(&revoke(&json!({"restore": restore}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::AccessEntryConflict);
    assert!(entries(&nodes).contains_key(ADMIN));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_added_since_keeps_the_entry() {
    let harness = harness(world(Mode::Api));
    let result = harness.send(&grant(&json!({}))).await.unwrap();
    harness.aws.world(|world| {
        let change = EntryChange { groups: Some(vec!["deployers".to_owned()]), username: None };
        let (cluster, principal) = ("prod".to_owned(), ADMIN.to_owned());
        let update = Operation::UpdateAccessEntry { cluster, principal, change, token: None };
        let caller = world.caller("").clone();
        world.call(&caller, "eu-west-1", &update).unwrap();
    });
    let revoked = harness.send(&result["undo"]).await.unwrap();
    assert_eq!(revoked["status"], "REVOKED");
    assert!(warnings(&revoked).contains(&"ENTRY_KEPT".to_owned()));
    let kept = &entries(&harness)[ADMIN];
    assert!(kept.policies.is_empty() && kept.groups == ["deployers"], "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_a_revoke_changes_nothing() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let calls = changes(&harness).len();
    let result = harness.send(&revoke(&json!({"dryRun": true}))).await.unwrap();
    assert_eq!(result["status"], "PLANNED");
    let planned: Vec<_> = crate::harness::steps(&result).into_iter().filter(|step| step.ends_with("PLANNED")).collect();
    assert_eq!(planned, ["DeleteAccessEntry PLANNED", "DeleteSchedule PLANNED"]);
    assert_eq!(changes(&harness).len(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_may_not_be_removed_is_a_warning() {
    let harness = harness(world(Mode::Api).with_policy(Policy::allow_all().without(&["scheduler:DeleteSchedule"])));
    harness.send(&grant(&json!({}))).await.unwrap();
    let result = harness.send(&revoke(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "REVOKED");
    assert!(warnings(&result).contains(&"SCHEDULE_NOT_REMOVED".to_owned()));
    assert_eq!(result["expiresAt"], after(1), "it is still there");
    assert_eq!(statuses(harness.after(HOUR).await), ["NOTHING_TO_REVOKE"]);
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_revoke_that_cannot_see_its_schedule_waits_for_a_retry() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let scheduled: Value = harness.aws.world(|world| serde_json::from_str(&world.schedules()[0].input).unwrap());
    for (kind, wanted) in [(Kind::Throttled, ErrorName::Throttled), (Kind::Denied, ErrorName::PermissionDenied)] {
        harness.aws.inject(Fault::new(At::Every("GetSchedule"), kind));
        let failed = harness.send(&scheduled).await.unwrap_err();
        assert_eq!(failed.name, wanted, "{}", failed.message);
        assert!(is_admin(&harness), "it may have been extended");
        harness.aws.recover();
    }
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_is_gone_from_iam_can_be_revoked_at_once() {
    let harness = harness(world(Mode::Api));
    let result = harness.send(&grant(&json!({}))).await.unwrap();
    harness.aws.world(|world| {
        let now = world.now();
        let principal = world.principal_mut(ADMIN).unwrap();
        *principal = principal.clone().deleted_at(now);
    });
    assert_eq!(harness.send(&result["undo"]).await.unwrap()["status"], "REVOKED");
    assert_eq!(entries(&harness), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_no_event_could_ask_for_is_put_back_all_the_same() {
    let many: Vec<String> = (0..120).map(|number| format!("team-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let entry = Entry::new(ADMIN).with_policy(POLICY, Scope::namespaces(&many));
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let before = entries(&harness);
    assert_eq!(harness.send(&grant(&json!({}))).await.unwrap()["status"], "GRANTED");
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert_eq!(entries(&harness), before);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_that_comes_late_does_not_end_what_was_given_after_its_time() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let scheduled: Value = harness.aws.world(|world| serde_json::from_str(&world.schedules()[0].input).unwrap());
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    tokio::time::advance(MINUTE).await;
    harness.send(&grant(&json!({"duration": null}))).await.unwrap();
    let again = harness.send(&scheduled).await.unwrap();
    assert_eq!(again["status"], "SUPERSEDED", "delivered twice, or from the dead-letter queue");
    assert!(is_admin(&harness));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_planned_even_where_a_later_grant_waits() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let early = revoke(&json!({"expiresAt": after(0), "dryRun": true}));
    assert_eq!(harness.send(&early).await.unwrap()["status"], "PLANNED");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_cannot_be_read_is_said_to_be_so() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let scheduled: Value = harness.aws.world(|world| serde_json::from_str(&world.schedules()[0].input).unwrap());
    harness.aws.inject(Fault::new(At::Every("GetSchedule"), Kind::Garbage));
    assert_eq!(harness.send(&scheduled).await.unwrap_err().name, ErrorName::ServiceUnavailable);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_leaves_the_schedule_of_a_grant_that_came_in_the_meantime() {
    let latency = Duration::from_secs(1);
    let harness = Harness::new(Simulation::new(world(Mode::Api)).with_latency(latency)).with_schedules();
    harness.send(&grant(&json!({}))).await.unwrap();
    let (by_hand, longer) = (revoke(&json!({})), grant(&json!({"duration": "5h"})));
    // The grant is extended while the revoke is on its way, at every moment of it.
    for tenths in 0..40 {
        let (revoked, granted) = tokio::join!(harness.send(&by_hand), async {
            tokio::time::sleep(Duration::from_millis(100 * tenths)).await;
            harness.send(&longer).await
        });
        drop(revoked);
        if granted.is_ok() && is_admin(&harness) {
            assert_eq!(schedules(&harness).len(), 1, "access without its end, after {tenths} tenths of a second");
        }
        harness.send(&longer).await.unwrap();
    }
}
