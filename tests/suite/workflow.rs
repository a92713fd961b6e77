//! Whole grants: the event goes in, the simulated EKS is what it is, the result comes out. Time is simulated.

use std::collections::HashSet;
use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::platform::clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{Harness, lacking, steps, warnings};

pub(crate) const ADMIN: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";
pub(crate) const SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978";
const ADMIN_POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
const LATENCY: Duration = Duration::from_millis(20);

pub(crate) fn world(mode: Mode) -> World {
    World::new()
        .with_cluster(Cluster::new("prod", mode))
        .with_principal(Principal::new(ADMIN))
        .with_principal(Principal::new(SSO))
}

pub(crate) fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world).with_latency(LATENCY))
}

pub(crate) fn event() -> Value {
    json!({"clusterName": "prod", "principalArn": ADMIN})
}

pub(crate) fn with(fields: &Value) -> Value {
    let mut event = event();
    for (field, value) in fields.as_object().unwrap() {
        event[field] = value.clone();
    }
    event
}

pub(crate) fn is_admin(harness: &Harness, principal: &str) -> bool {
    harness.aws.world(|world| world.kubernetes_access("prod", principal).is_cluster_admin())
}

pub(crate) fn changes(harness: &Harness) -> Vec<&'static str> {
    harness.aws.calls().iter().filter(|call| call.changes()).map(|call| call.operation).collect()
}

pub(crate) fn later(minutes: i64) -> Timestamp {
    World::START + SignedDuration::from_mins(minutes)
}

#[tokio::test(start_paused = true)]
async fn a_fresh_grant_takes_four_round_trips_and_lets_the_principal_in() {
    let harness = harness(world(Mode::Api));
    assert!(!is_admin(&harness, ADMIN));
    let begun = clock::instant();
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(begun.elapsed(), 4 * LATENCY, "reads at once, create, associate, read back");
    assert!(is_admin(&harness, ADMIN));
    assert_eq!(result["status"], "GRANTED");
    assert_eq!(result["caller"]["accountId"], "111122223333");
    assert_eq!(result["cluster"]["authenticationMode"], json!({"before": "API", "after": "API"}));
    assert_eq!(result["principal"], json!({"requested": ADMIN, "arn": ADMIN, "kind": "role"}));
    assert_eq!(result["accessEntry"]["type"], "STANDARD");
    assert_eq!(result["accessEntry"]["createdByThisGrant"], true);
    assert_eq!(result["accessPolicies"][0]["policyArn"], ADMIN_POLICY);
    assert_eq!(result["accessPolicies"][0]["accessScope"], json!({"type": "cluster", "namespaces": []}));
    assert_eq!(result["verification"]["controlPlane"], "CONFIRMED");
    assert_eq!(result["expiresAt"], Value::Null);
    assert_eq!(result["warnings"], json!([]));
    assert_eq!(result["nextSteps"][0], "aws eks update-kubeconfig --name 'prod' --region 'eu-west-1'");
    assert_eq!(result["nextSteps"][1], "kubectl auth can-i '*' '*' --all-namespaces");
    let whose = result["nextSteps"][2].as_str().unwrap();
    assert!(whose.contains(ADMIN) && whose.contains("credentials"), "{whose}");
    assert!(result["nextSteps"][3].as_str().unwrap().contains("up to 30 seconds"));
    assert_eq!(
        result["undo"],
        json!({
            "action": "revoke",
            "clusterName": "arn:aws:eks:eu-west-1:111122223333:cluster/prod",
            "principalArn": ADMIN,
            "policyArn": ADMIN_POLICY,
            "restore": {"version": 1, "entryExisted": false, "accessScope": null},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_there_already_takes_one_round_trip_and_changes_nothing() {
    let entry = Entry::new(ADMIN).with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let harness = harness(world(Mode::ApiAndConfigMap).with_entry("prod", entry));
    let begun = clock::instant();
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(begun.elapsed(), LATENCY);
    assert_eq!(result["status"], "ALREADY_GRANTED");
    assert_eq!(result["undo"], Value::Null, "it is another owner's");
    assert_eq!(changes(&harness), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn with_just_the_articles_permissions_a_plain_grant_works() {
    for mode in [Mode::Api, Mode::ConfigMap] {
        let harness = harness(world(mode).with_policy(Policy::article()));
        let result = harness.send(&event()).await.unwrap();
        assert_eq!(result["status"], "GRANTED");
        assert!(is_admin(&harness, ADMIN));
        assert!(warnings(&result).contains(&"TAGS_NOT_SET".to_owned()));
        let again = harness.send(&event()).await.unwrap();
        assert_eq!(again["status"], "ALREADY_GRANTED");
        assert!(warnings(&again).contains(&"STALENESS_UNKNOWN".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_before_anything_began_is_none() {
    let result = harness(world(Mode::ConfigMap)).send_for(&event(), Duration::ZERO).await.unwrap();
    assert_eq!(result["status"], "GRANTED", "`cargo lambda watch` sends such a deadline");
}

#[tokio::test(start_paused = true)]
async fn what_an_entry_has_is_kept_and_a_narrower_scope_is_widened() {
    let entry = Entry::new(ADMIN)
        .with_group("deployers")
        .with_policy("AmazonEKSViewPolicy", Scope::namespaces(&["team-b"]))
        .with_policy("AmazonEKSClusterAdminPolicy", Scope::namespaces(&["team-a"]));
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert_eq!(result["accessEntry"]["createdByThisGrant"], false);
    assert_eq!(
        result["undo"]["restore"],
        json!({"version": 1, "entryExisted": true, "accessScope": {"type": "namespace", "namespaces": ["team-a"]}})
    );
    let after = harness.aws.world(|world| world.snapshot("prod"));
    assert_eq!(after[ADMIN].groups, ["deployers"]);
    assert_eq!(
        after[ADMIN].policies["arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"],
        Scope::namespaces(&["team-b"])
    );
    assert_eq!(changes(&harness), ["AssociateAccessPolicy"]);
}

#[tokio::test(start_paused = true)]
async fn namespaces_are_added_to_those_that_are_there() {
    let entry = Entry::new(ADMIN).with_policy("AmazonEKSClusterAdminPolicy", Scope::namespaces(&["team-a"]));
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let wanted = with(&json!({"accessScope": {"type": "namespace", "namespaces": ["team-b"]}}));
    harness.send(&wanted).await.unwrap();
    let after = harness.aws.world(|world| world.snapshot("prod"));
    assert_eq!(after[ADMIN].policies[ADMIN_POLICY], Scope::namespaces(&["team-a", "team-b"]));
}

#[tokio::test(start_paused = true)]
async fn a_node_role_is_never_touched() {
    let world = world(Mode::Api).with_entry("prod", Entry::new(ADMIN).of_kind("EC2_LINUX"));
    let harness = harness(world);
    let failed = harness.send(&with(&json!({"recreateEntry": true}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::AccessEntryConflict);
    assert!(failed.message.contains("Nothing was changed."), "{}", failed.message);
    assert_eq!(changes(&harness), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_and_changes_nothing() {
    let harness = harness(world(Mode::ConfigMap));
    let result = harness.send(&with(&json!({"dryRun": true}))).await.unwrap();
    assert_eq!(result["status"], "PLANNED");
    let planned: Vec<_> = steps(&result).into_iter().filter(|step| step.ends_with("PLANNED")).collect();
    assert_eq!(
        planned,
        [
            "UpdateClusterConfig PLANNED",
            "AwaitAuthenticationMode PLANNED",
            "CreateAccessEntry PLANNED",
            "AssociateAccessPolicy PLANNED"
        ]
    );
    assert_eq!(changes(&harness), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_what_is_there_plans_nothing() {
    let entry = Entry::new(ADMIN).with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let result = harness.send(&with(&json!({"dryRun": true}))).await.unwrap();
    assert_eq!(result["status"], "PLANNED");
    assert!(steps(&result).iter().all(|step| !step.ends_with("PLANNED")));
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_nobody_knows_is_refused_before_anything_is_changed() {
    let harness = harness(world(Mode::ConfigMap));
    let typo = json!({"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/new-clutser-admin"});
    let failed = harness.send(&typo).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PrincipalNotFound);
    assert!(failed.message.contains("Nothing was changed."), "{}", failed.message);
    assert_eq!(changes(&harness), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn clusters_that_are_not_there_or_cannot_be_recovered_are_told_apart() {
    let failed =
        harness(world(Mode::Api)).send(&json!({"clusterName": "pord", "principalArn": ADMIN})).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::ClusterNotFound);
    for (status, word) in [("CREATING", "Wait"), ("PENDING", "Wait"), ("DELETING", "deleted"), ("FAILED", "failed")] {
        let world = World::new()
            .with_cluster(Cluster::new("prod", Mode::Api).with_status(status))
            .with_principal(Principal::new(ADMIN));
        let harness = harness(world.with_policy(Policy::allow_all().without(&["iam:GetRole"])));
        let session = json!({"clusterName": "prod", "principalArn": "arn:aws:sts::111122223333:assumed-role/new-cluster-admin/jane"});
        for event in [event(), session] {
            let failed = harness.send(&event).await.unwrap_err();
            assert_eq!(failed.name, ErrorName::ClusterNotRecoverable, "{status}");
            assert!(failed.message.contains(word), "{}", failed.message);
        }
        let called: HashSet<_> = harness.aws.calls().iter().map(|call| call.operation).collect();
        let logged = harness.logged("step").iter().map(|step| step["operation"].clone()).collect::<HashSet<_>>();
        assert_eq!(logged, called.iter().map(|operation| json!(operation)).collect(), "every call is in the log");
    }
    let outpost = Cluster::new("prod", Mode::ConfigMap)
        .describing("outpostConfig", json!({"outpostArns": ["o"], "controlPlaneInstanceType": "m5.large"}));
    let failed = harness(World::new().with_cluster(outpost).with_principal(Principal::new(ADMIN)))
        .send(&event())
        .await
        .unwrap_err();
    assert_eq!(failed.name, ErrorName::ClusterNotRecoverable);
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_with_its_resource() {
    for action in [
        "eks:DescribeCluster",
        "eks:DescribeAccessEntry",
        "eks:ListAssociatedAccessPolicies",
        "eks:CreateAccessEntry",
        "eks:AssociateAccessPolicy",
    ] {
        let harness = harness(world(Mode::Api).with_policy(lacking(&[action])));
        let failed = harness.send(&event()).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::PermissionDenied, "{action}");
        assert!(
            failed.message.contains(&format!("Allow `{action}` on `arn:aws:eks:eu-west-1:111122223333:")),
            "{}",
            failed.message
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_duration_is_refused_before_anything_is_changed() {
    let harness = harness(world(Mode::ConfigMap));
    let failed = harness.send(&with(&json!({"duration": "1h"}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::ExpiryUnavailable);
    assert!(failed.message.contains("Nothing was changed."), "{}", failed.message);
    assert_eq!(changes(&harness), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn permanent_access_stays_permanent() {
    let entry = Entry::new(ADMIN).with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let result = harness.send(&with(&json!({"duration": "1h"}))).await.unwrap();
    assert_eq!(result["status"], "ALREADY_GRANTED");
    assert_eq!(result["expiresAt"], Value::Null);
    assert_eq!(warnings(&result), ["ACCESS_IS_PERMANENT"]);
}

#[tokio::test(start_paused = true)]
async fn guardrails_that_need_a_look_are_asked_after_it_and_before_any_change() {
    let elsewhere = harness(world(Mode::Api)).with("ALLOWED_CLUSTERS", "arn:aws:eks:*:999999999999:cluster/*");
    let failed = elsewhere.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::RequestDenied);
    assert!(failed.message.contains("`ALLOWED_CLUSTERS`"), "{}", failed.message);
    assert_eq!(changes(&elsewhere), [""; 0]);

    let session = json!({"clusterName": "prod", "principalArn": "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978/jane"});
    let others = harness(world(Mode::Api)).with("ALLOWED_PRINCIPALS", "arn:aws:iam::111122223333:role/new-*");
    assert_eq!(others.send(&session).await.unwrap_err().name, ErrorName::RequestDenied);
    assert_eq!(changes(&others), [""; 0]);
    others.send(&event()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_denied_request_makes_no_call() {
    let harness = harness(world(Mode::Api)).with("ALLOWED_CLUSTERS", "dev-*");
    assert_eq!(harness.send(&event()).await.unwrap_err().name, ErrorName::RequestDenied);
    assert_eq!(harness.aws.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_another_account_is_not_mistaken_for_our_own() {
    let harness = harness(world(Mode::Api));
    let other = json!({"clusterName": "arn:aws:eks:eu-west-1:999999999999:cluster/prod", "principalArn": ADMIN});
    let failed = harness.send(&other).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::RequestDenied);
    assert!(failed.message.contains("`TARGET_ROLE_NAME`"), "{}", failed.message);
    assert_eq!(changes(&harness), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn wrong_settings_are_answered_on_every_call() {
    let harness = harness(world(Mode::Api)).with("MAX_DURATION", "soon").with("REQUIRE_REASON", "perhaps");
    let failed = harness.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::Misconfigured);
    assert!(failed.message.contains("MAX_DURATION") && failed.message.contains("REQUIRE_REASON"), "{}", failed.message);
}
