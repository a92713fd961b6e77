//! Clusters of other accounts and regions: reached by a role there, or refused.

use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::policy::Policy;
use simulator::world::{Cluster, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{GROUP, Harness, steps};

const HOME: &str = "111122223333";
const THERE: &str = "444455556666";
const ROLE: &str = "arn:aws:iam::444455556666:role/eks-break-glass-target";
const ADMIN: &str = "arn:aws:iam::444455556666:role/ops/admin";
const CLUSTER: &str = "arn:aws:eks:us-east-1:444455556666:cluster/payments";

fn world(external_id: Option<&str>) -> World {
    World::new()
        .with_cluster(Cluster::new("payments", Mode::Api).at(THERE, "us-east-1"))
        .with_cluster(Cluster::new("payments", Mode::Api).at(HOME, "us-east-1"))
        .with_principal(Principal::new(ADMIN))
        .with_assumable_role(ROLE, HOME, external_id, Policy::allow_all())
        .with_schedule_group(GROUP)
}

fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world))
        .with("TARGET_ROLE_NAME", "eks-break-glass-target")
        .with("ALLOWED_ACCOUNTS", THERE)
        .with_schedules()
}

fn event() -> Value {
    json!({"clusterName": CLUSTER, "principalArn": ADMIN})
}

fn is_admin(harness: &Harness, cluster: &str) -> bool {
    harness.aws.world(|world| world.kubernetes_access(cluster, ADMIN).is_cluster_admin())
}

fn assumed(harness: &Harness) -> usize {
    harness.aws.calls().iter().filter(|call| call.operation == "AssumeRole").count()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_another_account_is_reached_by_the_role_there() {
    let harness = harness(world(None));
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert_eq!(
        result["caller"]["arn"],
        format!("arn:aws:sts::{THERE}:assumed-role/eks-break-glass-target/eks-break-glass")
    );
    assert_eq!((&result["cluster"]["accountId"], &result["cluster"]["region"]), (&json!(THERE), &json!("us-east-1")));
    assert_eq!(steps(&result)[0], "AssumeRole SUCCEEDED");
    assert!(is_admin(&harness, CLUSTER));
    let same_name_at_home = harness.aws.world(|world| world.snapshot(&CLUSTER.replace(THERE, HOME)));
    assert!(same_name_at_home.is_empty());
    assert!(harness.log().iter().all(|line| !line.to_string().contains("ASIASIMULATED")), "no access key in the log");
}

#[tokio::test(start_paused = true)]
async fn its_end_is_scheduled_at_home_and_comes_by_itself() {
    let harness = harness(world(None));
    let mut lent = event();
    lent["duration"] = json!("1h");
    harness.send(&lent).await.unwrap();
    let schedulers: Vec<_> = harness.aws.calls().into_iter().filter(|call| call.service == "scheduler").collect();
    assert!(!schedulers.is_empty() && schedulers.iter().all(|call| call.caller.contains(HOME)));
    let ended = harness.after(Duration::from_hours(1)).await;
    assert_eq!(ended[0].as_ref().unwrap()["status"], "REVOKED");
    assert!(!is_admin(&harness, CLUSTER));
}

#[tokio::test(start_paused = true)]
async fn the_session_is_kept_and_renewed_in_time() {
    let harness = harness(world(None));
    for (minutes, sessions) in [(0, 1), (5, 1), (35, 1), (5, 2), (10, 2)] {
        tokio::time::advance(Duration::from_mins(minutes)).await;
        harness.send(&event()).await.unwrap();
        assert_eq!(assumed(&harness), sessions, "after another {minutes} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn role_is_assumed_in_the_functions_own_region_and_used_in_the_clusters() {
    let harness = harness(world(None));
    harness.send(&event()).await.unwrap();
    for call in harness.aws.calls() {
        let expected = if call.caller.contains(HOME) { "eu-west-1" } else { "us-east-1" };
        assert!(call.service == "iam" || call.region == expected, "{call:?}");
    }
}

/// A fleet may go through thousands of accounts in one environment, which has little memory.
#[tokio::test(start_paused = true)]
async fn no_more_than_so_many_accounts_are_kept() {
    const KEPT: u64 = 64;
    let account = |number: u64| (200_000_000_000 + number).to_string();
    let mut world = World::new();
    for number in 0..=KEPT {
        let account = account(number);
        world = world
            .with_cluster(Cluster::new("payments", Mode::Api).at(&account, "us-east-1"))
            .with_principal(Principal::new(&format!("arn:aws:iam::{account}:role/oncall")))
            .with_assumable_role(
                &format!("arn:aws:iam::{account}:role/eks-break-glass-target"),
                HOME,
                None,
                Policy::allow_all(),
            );
    }
    let accounts: Vec<String> = (0..=KEPT).map(account).collect();
    let harness = Harness::new(Simulation::new(world))
        .with("TARGET_ROLE_NAME", "eks-break-glass-target")
        .with("ALLOWED_ACCOUNTS", &accounts.join(","));
    let visit = async |number| {
        let account = account(number);
        let event = json!({
            "clusterName": format!("arn:aws:eks:us-east-1:{account}:cluster/payments"),
            "principalArn": format!("arn:aws:iam::{account}:role/oncall"),
        });
        harness.send(&event).await.unwrap();
        assumed(&harness) as u64
    };
    for number in 0..KEPT {
        assert_eq!(visit(number).await, number + 1);
    }
    assert_eq!(visit(0).await, KEPT, "it is kept");
    assert_eq!(visit(KEPT).await, KEPT + 1);
    assert_eq!(visit(KEPT).await, KEPT + 1, "the last one is kept");
    assert_eq!(visit(0).await, KEPT + 2, "the earlier ones made room for it");
}

#[tokio::test(start_paused = true)]
async fn the_external_id_has_to_be_right() {
    let guarded = harness(world(Some("right")));
    let denied = guarded.send(&event()).await.unwrap_err();
    assert_eq!(denied.name, ErrorName::PermissionDenied);
    for words in ["sts:AssumeRole", ROLE, "TARGET_EXTERNAL_ID", "target-account.yaml", "Nothing was changed."] {
        assert!(denied.message.contains(words), "{words}: {}", denied.message);
    }
    let guarded = guarded.with("TARGET_EXTERNAL_ID", "right");
    assert_eq!(guarded.send(&event()).await.unwrap()["status"], "GRANTED");
}

#[tokio::test(start_paused = true)]
async fn without_a_role_to_take_on_it_is_refused_before_any_call() {
    let harness = Harness::new(Simulation::new(world(None)));
    let denied = harness.send(&event()).await.unwrap_err();
    assert_eq!(denied.name, ErrorName::RequestDenied);
    assert!(denied.message.contains("`TARGET_ROLE_NAME`"), "{}", denied.message);
    assert_eq!(harness.aws.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn the_guardrails_are_asked_before_any_role_is_taken_on() {
    let harness = harness(world(None)).with("ALLOWED_CLUSTERS", "arn:aws:eks:*:111122223333:cluster/*");
    assert_eq!(harness.send(&event()).await.unwrap_err().name, ErrorName::RequestDenied);
    assert_eq!(harness.aws.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_our_own_account_needs_no_role_there() {
    let harness = harness(world(None).with_principal(Principal::new("arn:aws:iam::111122223333:role/ops")));
    let own = json!({
        "clusterName": "arn:aws:eks:us-east-1:111122223333:cluster/payments",
        "principalArn": "arn:aws:iam::111122223333:role/ops",
    });
    assert_eq!(harness.send(&own).await.unwrap()["status"], "GRANTED");
    assert_eq!(assumed(&harness), 0);
}

#[tokio::test(start_paused = true)]
async fn an_inspection_looks_there_too() {
    let harness = harness(world(None));
    let result =
        harness.send(&json!({"action": "inspect", "clusterName": CLUSTER, "principalArn": ADMIN})).await.unwrap();
    assert_eq!(result["findings"][0]["code"], "NO_ACCESS_ENTRY");
}
