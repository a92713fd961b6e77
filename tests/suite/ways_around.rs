//! The ways around the guardrails that a caller would try, in whole requests.

use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::World;
use simulator::operation::Scope;
use simulator::world::{Cluster, Entry, Mode, Principal};

use crate::guardrails::{BUS, OUTSIDER, TEAM_ADMIN, calls, grant, guarded, world};
use crate::harness::{GROUP, Harness};

const ELSEWHERE: &str = "arn:aws:eks:eu-west-1:444455556666:cluster/prod";

const VIEW: &str = "AmazonEKSViewPolicy";

const CLUSTER_ADMIN: &str = "AmazonEKSClusterAdminPolicy";

fn revoke(fields: &Value) -> Value {
    let mut event = grant(fields);
    event["action"] = json!("revoke");
    event
}

/// Refused by the setting's name, or as no event at all; nothing was changed, and it was not done in secret.
async fn assert_refused(harness: &Harness, event: &Value, setting: &str) {
    let announced = harness.aws.world(|world| world.bus_events().len());
    let failed = harness.send(event).await.expect_err(&event.to_string());
    let changes: Vec<_> = calls(harness).into_iter().filter(simulator::simulation::Call::changes).collect();
    assert!(changes.is_empty(), "{event}: {changes:?}");
    let audit = harness.logged("audit").pop().unwrap();
    assert_eq!((&audit["status"], &audit["errorMessage"]), (&json!(failed.name.to_string()), &json!(failed.message)));
    if failed.name == ErrorName::InvalidRequest {
        return;
    }
    assert_eq!(failed.name, ErrorName::RequestDenied, "{event}: {}", failed.message);
    assert!(failed.message.contains(&format!("`{setting}`")), "{event}: {}", failed.message);
    assert!(failed.message.contains("Nothing was changed."), "{}", failed.message);
    // Neither dry runs nor inspections are announced.
    if event["dryRun"] != true && event["action"] != "inspect" {
        let events = harness.aws.world(|world| world.bus_events().to_vec());
        assert_eq!(events.len(), announced + 1, "{event} is announced");
        let last = events.last().unwrap();
        assert_eq!(last.detail_type, "EKS access refused");
        assert_eq!(last.detail["errorMessage"], failed.message);
    }
}

/// What the request alone tells is refused without a single call.
async fn assert_refused_unseen(harness: &Harness, event: &Value, setting: &str) {
    assert_refused(harness, event, setting).await;
    assert!(calls(harness).is_empty(), "{event}: {:?}", calls(harness));
}

async fn assert_allowed(harness: &Harness, event: &Value) {
    let result = harness.send(event).await.unwrap_or_else(|failed| panic!("{event}: {failed:?}"));
    assert_eq!(result["status"], "GRANTED");
}

#[tokio::test(start_paused = true)]
async fn there_is_no_way_round_allowed_clusters() {
    let setting = "ALLOWED_CLUSTERS";
    let (arn, pattern) = ("arn:aws:eks:eu-west-1:111122223333:cluster/prod", "arn:aws:eks:*:111122223333:cluster/pr?d");
    for allowed in ["prod", arn, pattern, "*cluster/pr*"] {
        assert_allowed(&guarded(world(), setting, allowed), &grant(&json!({}))).await;
    }
    let harness = guarded(world(), setting, "arn:aws:eks:eu-west-1:111122223333:cluster/prod");
    let harness = harness.with("TARGET_ROLE_NAME", "there").with("ALLOWED_ACCOUNTS", "444455556666");
    for event in [
        json!({"clusterName": "dev"}),
        json!({"clusterName": "Prod"}),
        json!({"clusterName": "pr*"}),
        json!({"clusterName": "prod/../dev"}),
        json!({"clusterName": "pr\u{43e}d"}),
        json!({"clusterName": "prod%00"}),
        json!({"region": "us-east-1"}),
        json!({"clusterName": ELSEWHERE}),
        json!({"clusterName": "arn:aws:eks:us-east-1:111122223333:cluster/prod"}),
        json!({"clusterName": "ARN:AWS:EKS:eu-west-1:111122223333:cluster/prod"}),
        json!({"clusterName": "arn:aws:eks:eu-west-1:111122223333:cluster/prod:cluster/dev"}),
    ] {
        assert_refused_unseen(&harness, &grant(&event), setting).await;
    }
    // A name stands for that cluster in every account and region that the function reaches; who means one of them writes its ARN.
    assert_allowed(
        &guarded(world(), setting, "prod")
            .with("TARGET_ROLE_NAME", "there")
            .with("ALLOWED_ACCOUNTS", "444455556666")
            .with("ALLOWED_PRINCIPALS", TEAM_ADMIN),
        &grant(&json!({"clusterName": ELSEWHERE})),
    )
    .await;
    let held = world().with_entry("dev", Entry::new(TEAM_ADMIN).with_policy(CLUSTER_ADMIN, Scope::cluster()));
    assert_refused(&guarded(held, setting, "prod"), &revoke(&json!({"clusterName": "dev"})), setting).await;
}

#[tokio::test(start_paused = true)]
async fn there_is_no_way_round_allowed_principals() {
    let (setting, team) = ("ALLOWED_PRINCIPALS", "arn:aws:iam::*:role/team/*");
    assert_allowed(&guarded(world(), setting, team), &grant(&json!({}))).await;
    let session = |role: &str| json!({"principalArn": format!("arn:aws:sts::111122223333:assumed-role/{role}/jane")});
    assert_allowed(&guarded(world(), setting, team), &grant(&session("admin"))).await;
    let harness = guarded(world(), setting, team);
    for principal in [
        OUTSIDER,
        "arn:aws:iam::111122223333:user/team/admin",
        "arn:aws:iam::111122223333:role/Team/admin",
        "arn:aws:iam::111122223333:role/team/*",
        "arn:aws:iam::111122223333:role//team/admin",
        "arn:aws:iam::111122223333:role/x:role/team/admin",
        "arn:aws:iam::111122223333:role/team%2Fadmin",
        "arn:aws:iam::111122223333:role/te\u{430}m/admin",
        "arn:aws:iam::111122223333:role/team/admin/",
        "ARN:AWS:IAM::111122223333:ROLE/TEAM/ADMIN",
    ] {
        assert_refused_unseen(&harness, &grant(&json!({"principalArn": principal})), setting).await;
    }
    // A path is no file's: this role would be in the team's path, if it existed.
    let literal = grant(&json!({"principalArn": "arn:aws:iam::111122223333:role/team/../outsider"}));
    assert_eq!(harness.send(&literal).await.unwrap_err().name, ErrorName::PrincipalNotFound);
    assert!(calls(&harness).iter().all(|call| !call.changes()));
    // Whose session it is, IAM tells; what it tells is judged before anything is changed.
    assert_refused(&harness, &grant(&session("outsider")), setting).await;
    assert_refused(
        &harness,
        &grant(&json!({"principalArn": session("outsider")["principalArn"], "recreateEntry": true})),
        setting,
    )
    .await;
    let held = world().with_entry("prod", Entry::new(OUTSIDER).with_policy(CLUSTER_ADMIN, Scope::cluster()));
    let harness = guarded(held, setting, team);
    assert_refused(&harness, &revoke(&json!({"principalArn": OUTSIDER})), setting).await;
    assert_refused(&harness, &revoke(&session("outsider")), setting).await;
    assert_refused(&harness, &revoke(&json!({"principalArn": OUTSIDER, "expiresAt": "2100-01-01T00:00:00Z"})), setting)
        .await;
}

#[tokio::test(start_paused = true)]
async fn there_is_no_way_round_allowed_policies() {
    let setting = "ALLOWED_POLICIES";
    let view = |fields: Value| {
        grant(&json!({"policyArn": VIEW}))
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .chain(fields.as_object().unwrap().clone())
            .collect::<Value>()
    };
    for allowed in [VIEW, "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"] {
        assert_allowed(&guarded(world(), setting, allowed), &view(json!({}))).await;
    }
    let harness = guarded(world(), setting, VIEW);
    for policy in [
        json!(CLUSTER_ADMIN),
        Value::Null,
        json!("arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"),
        json!("arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"),
        json!("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy/../AmazonEKSClusterAdminPolicy"),
        json!("amazoneksviewpolicy"),
        json!("AmazonEKS*"),
        json!("AmazonEKSViewPolicy,AmazonEKSClusterAdminPolicy"),
        json!("AmazonEKSViewPolicy\n"),
    ] {
        assert_refused_unseen(&harness, &grant(&json!({"policyArn": policy})), setting).await;
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_no_way_round_a_forbidden_change_of_mode() {
    let setting = "ALLOW_AUTHENTICATION_MODE_CHANGE";
    assert_allowed(&guarded(world(), setting, "false"), &grant(&json!({}))).await;
    let locked = || {
        World::new()
            .with_cluster(Cluster::new("prod", Mode::ConfigMap))
            .with_principal(Principal::new(TEAM_ADMIN))
            .with_schedule_group(GROUP)
            .with_event_bus(BUS)
    };
    assert_allowed(&guarded(locked(), setting, "true"), &grant(&json!({}))).await;
    let harness = guarded(locked(), setting, "false");
    for fields in [
        json!({}),
        json!({"waitSeconds": 0}),
        json!({"recreateEntry": true}),
        json!({"dryRun": true}),
        json!({"duration": "1h"}),
        json!({"verify": "kubernetes"}),
        json!({"clusterName": "arn:aws:eks:eu-west-1:111122223333:cluster/prod"}),
        json!({"principalArn": "arn:aws:sts::111122223333:assumed-role/admin/jane"}),
        json!({"accessScope": {"type": "namespace", "namespaces": ["a"]}}),
    ] {
        assert_refused(&harness, &grant(&fields), setting).await;
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_no_way_round_a_required_reason() {
    let setting = "REQUIRE_REASON";
    let harness = guarded(world(), setting, "true");
    for fields in [
        json!({}),
        json!({"reason": null}),
        json!({"reason": ""}),
        json!({"reason": " \u{a0}\u{3000}"}),
        json!({"reason": "\u{200b}"}),
        json!({"reason": "\u{3164}"}),
        json!({"reason": "-"}),
        json!({"reason": ["INC-1"]}),
        json!({"Reason": "INC-1"}),
        json!({"requestedBy": "INC-1"}),
        json!({"dryRun": true}),
    ] {
        assert_refused_unseen(&harness, &grant(&fields), setting).await;
    }
    assert_allowed(&harness, &grant(&json!({"reason": "INC-1"}))).await;
}

#[tokio::test(start_paused = true)]
async fn there_is_no_way_round_a_maximum_of_time() {
    let setting = "MAX_DURATION";
    let harness = guarded(world(), setting, "2h");
    for duration in
        ["121m", "7201s", "PT2H0.000000001S", "2562047788015215h", "-1h", "1d", "0", "1h,,999h", "2h\u{0}", "forever"]
    {
        assert_refused_unseen(&harness, &grant(&json!({"duration": duration})), setting).await;
    }
    for fields in [json!({}), json!({"duration": null}), json!({"durations": "1h"})] {
        assert_refused_unseen(&harness, &grant(&fields), setting).await;
    }
    assert_allowed(&harness, &grant(&json!({"duration": "2h"}))).await;
    let by_default = guarded(world(), setting, "2h").with("DEFAULT_DURATION", "1h");
    assert_allowed(&by_default, &grant(&json!({"duration": null}))).await;
    assert_eq!(harness.after(Duration::from_hours(2)).await.len(), 1, "it ends");
}

#[tokio::test(start_paused = true)]
async fn there_is_no_way_into_another_account_without_a_role_to_take_on() {
    let setting = "TARGET_ROLE_NAME";
    let there = |fields: Value| {
        let mut event = grant(&json!({"clusterName": ELSEWHERE}));
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    };
    let allowed = |name: &str| {
        guarded(world(), setting, name).with("ALLOWED_ACCOUNTS", "444455556666").with("ALLOWED_PRINCIPALS", TEAM_ADMIN)
    };
    assert_allowed(&allowed("there"), &there(json!({}))).await;
    let harness = allowed("");
    for fields in [
        json!({}),
        json!({"principalArn": "arn:aws:iam::444455556666:role/x"}),
        json!({"clusterName": ELSEWHERE.replace("eu-west-1", "us-east-1")}),
        json!({"clusterName": ELSEWHERE.replace("444455556666", "\u{664}44455556666")}),
        json!({"clusterName": ELSEWHERE.replace("444455556666", "")}),
        json!({"clusterName": ELSEWHERE.replace("444455556666", "*")}),
        json!({"dryRun": true}),
        json!({"recreateEntry": true}),
        json!({"action": "inspect"}),
        json!({"action": "revoke"}),
        json!({"action": "revoke", "restore": {"version": 1, "entryExisted": false}}),
    ] {
        assert_refused_unseen(&harness, &there(fields), setting).await;
    }
    // Nor by a name, which means the function's own account, with a principal of the other one.
    assert_allowed(&harness, &grant(&json!({}))).await;
    assert!(harness.aws.world(|world| world.snapshot(ELSEWHERE)).is_empty());
}
