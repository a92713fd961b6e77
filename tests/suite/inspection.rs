//! Inspections: what is found in every kind of trouble, with which evidence and which remedy.

use std::time::Duration;

use eks_break_glass::domain::region::Region;
use eks_break_glass::input::event::Request;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{GROUP, Harness, warnings};

const ADMIN: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";
const OTHER: &str = "arn:aws:iam::111122223333:role/platform/oncall";
const OLD_SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_00000000deadbeef";
const NEW_SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978";
const POLICY: &str = "AmazonEKSClusterAdminPolicy";
const VIEW: &str = "AmazonEKSViewPolicy";
const CLUSTER: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/prod";

fn world(mode: Mode) -> World {
    World::new()
        .with_cluster(Cluster::new("prod", mode))
        .with_principal(Principal::new(ADMIN))
        .with_schedule_group(GROUP)
}

fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world)).with_schedules()
}

fn about(principal: &str) -> Value {
    json!({"action": "inspect", "clusterName": "prod", "principalArn": principal})
}

fn cluster() -> Value {
    json!({"action": "inspect", "clusterName": "prod"})
}

/// Inspects, and checks what always holds: nothing was changed, and every remedy is an event that the function would take.
async fn inspect(harness: &Harness, event: &Value) -> Value {
    let before = harness.aws.calls().len();
    let result = harness.send(event).await.unwrap();
    assert_eq!((&result["status"], &result["action"]), (&json!("INSPECTED"), &json!("inspect")));
    assert!(harness.aws.calls()[before..].iter().all(|call| !call.changes()));
    for finding in result["findings"].as_array().unwrap() {
        if finding["remedy"] != Value::Null {
            Request::parse(&finding["remedy"].to_string(), &Region::parse("eu-west-1").unwrap()).unwrap();
        }
    }
    result
}

fn codes(result: &Value) -> Vec<&str> {
    result["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

fn finding<'a>(result: &'a Value, code: &str) -> &'a Value {
    let findings = result["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code} in {findings:?}"))
}

#[tokio::test(start_paused = true)]
async fn a_replaced_sso_role_is_explained_and_its_remedy_lets_the_new_one_in() {
    let old = Entry::new(OLD_SSO).with_policy(POLICY, Scope::cluster());
    let world = world(Mode::Api)
        .with_principal(Principal::new(OLD_SSO).deleted_at(World::START))
        .with_principal(Principal::new(NEW_SSO))
        .with_entry("prod", old);
    let session =
        "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978/jane.doe@example.com";
    // By the new role, by its session, by the old role that a runbook still has, and by the cluster alone.
    for event in [about(NEW_SSO), about(session), about(OLD_SSO), cluster()] {
        let harness = harness(world.clone());
        let result = inspect(&harness, &event).await;
        assert_eq!(codes(&result), ["SSO_ROLE_REPLACED"], "{event}");
        let found = finding(&result, "SSO_ROLE_REPLACED");
        assert_eq!(found["severity"], "ERROR");
        assert_eq!(found["evidence"]["permissionSet"], "ClusterAdmin");
        assert_eq!(found["evidence"]["oldPrincipalArn"], OLD_SSO);
        assert_eq!(found["evidence"]["newPrincipalArn"], NEW_SSO);
        assert_eq!(harness.send(&found["remedy"]).await.unwrap()["status"], "GRANTED");
        assert!(harness.aws.world(|world| world.kubernetes_access("prod", NEW_SSO).is_cluster_admin()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_new_role_is_offered_no_more_than_the_old_one_had() {
    let old = Entry::new(OLD_SSO).with_policy(VIEW, Scope::namespaces(&["team-a"]));
    let world = world(Mode::Api)
        .with_principal(Principal::new(OLD_SSO).deleted_at(World::START))
        .with_principal(Principal::new(NEW_SSO))
        .with_entry("prod", old);
    let result = inspect(&harness(world.clone()).with("ALLOWED_POLICIES", VIEW), &about(NEW_SSO)).await;
    let remedy = &finding(&result, "SSO_ROLE_REPLACED")["remedy"];
    assert_eq!(remedy["accessScope"]["namespaces"], json!(["team-a"]));
    assert!(remedy["policyArn"].as_str().unwrap().ends_with(VIEW));
    // What this function would refuse is no remedy.
    let result = inspect(&harness(world), &about(NEW_SSO)).await;
    let found = finding(&result, "SSO_ROLE_REPLACED");
    assert_eq!(found["remedy"], Value::Null);
    assert!(found["message"].as_str().unwrap().contains("ALLOWED_POLICIES"), "{found}");
}

#[tokio::test(start_paused = true)]
async fn a_remedy_is_an_event_that_the_settings_allow() {
    let guarded = |setting: &str, value: &str| harness(world(Mode::Api)).with_schedules().with(setting, value);
    let harness = guarded("MAX_DURATION", "2h");
    let result = inspect(&harness, &about(ADMIN)).await;
    let remedy = finding(&result, "NO_ACCESS_ENTRY")["remedy"].clone();
    assert_eq!(remedy["duration"], "PT2H");
    assert_eq!(harness.send(&remedy).await.unwrap()["status"], "GRANTED");

    let mut asked = about(ADMIN);
    asked["reason"] = json!("INC-1");
    let harness = guarded("REQUIRE_REASON", "true");
    let result = inspect(&harness, &asked).await;
    assert_eq!(harness.send(&finding(&result, "NO_ACCESS_ENTRY")["remedy"]).await.unwrap()["status"], "GRANTED");

    let result = inspect(&guarded("ALLOWED_PRINCIPALS", "arn:aws:iam::*:role/none"), &about(ADMIN)).await;
    let found = finding(&result, "NO_ACCESS_ENTRY");
    assert_eq!(found["remedy"], Value::Null);
    assert!(found["message"].as_str().unwrap().contains("ALLOWED_PRINCIPALS"), "{found}");
}

#[tokio::test(start_paused = true)]
async fn where_iam_lists_nobody_it_is_asked_for_each() {
    let world = world(Mode::Api)
        .with_principal(Principal::new(OTHER).deleted_at(World::START))
        .with_entry("prod", Entry::new(OTHER).with_policy(POLICY, Scope::cluster()));
    let harness = harness(world);
    harness.aws.inject(Fault::new(At::Every("ListRoles"), Kind::Denied));
    let result = inspect(&harness, &cluster()).await;
    assert_eq!(finding(&result, "ORPHANED_ENTRY")["evidence"]["principalArn"], OTHER);
}

#[tokio::test(start_paused = true)]
async fn a_principal_without_an_entry_is_offered_a_grant() {
    let result = inspect(&harness(world(Mode::Api)), &about(ADMIN)).await;
    assert_eq!(codes(&result), ["NO_ACCESS_ENTRY"]);
    let remedy = json!({"action": "grant", "clusterName": CLUSTER, "principalArn": ADMIN});
    assert_eq!(finding(&result, "NO_ACCESS_ENTRY")["remedy"], remedy);
    assert_eq!((&result["principal"]["arn"], &result["accessEntry"]), (&json!(ADMIN), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn config_map_is_named_as_what_cannot_be_seen_from_outside() {
    let result = inspect(&harness(world(Mode::ConfigMap)), &about(ADMIN)).await;
    assert_eq!(codes(&result), ["AUTHENTICATION_MODE_CONFIG_MAP"]);
    assert_ne!(finding(&result, "AUTHENTICATION_MODE_CONFIG_MAP")["remedy"], Value::Null);
    let alone = inspect(&harness(world(Mode::ConfigMap)), &cluster()).await;
    assert_eq!(finding(&alone, "AUTHENTICATION_MODE_CONFIG_MAP")["remedy"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_stale_entry_is_found_and_its_remedy_mends_it_and_adds_nothing() {
    let entry = Entry::new(ADMIN).made_for_id("AROAEARLIER").with_policy(VIEW, Scope::cluster());
    let world =
        world(Mode::Api).with_principal(Principal::new(ADMIN).recreated_at(World::START)).with_entry("prod", entry);
    let harness = harness(world).with("ALLOWED_POLICIES", VIEW);
    let result = inspect(&harness, &about(ADMIN)).await;
    assert_eq!(codes(&result), ["ENTRY_STALE"]);
    let found = finding(&result, "ENTRY_STALE");
    assert!(found["evidence"]["principalCreatedAt"].as_str() > found["evidence"]["entryCreatedAt"].as_str());
    assert_eq!(harness.send(&found["remedy"]).await.unwrap()["status"], "GRANTED");
    let after = inspect(&harness, &about(ADMIN)).await;
    assert_eq!(codes(&after), ["ACCESS_OK", "ACTIVE_GRANTS"], "the entry is this function's now");
    assert_eq!(after["accessPolicies"].as_array().unwrap().len(), 1, "just what was asked for");
}

#[tokio::test(start_paused = true)]
async fn what_an_entry_lacks_is_said() {
    for (entry, code, severity) in [
        (Entry::new(ADMIN), "ENTRY_WITHOUT_POLICY", "ERROR"),
        (Entry::new(ADMIN).with_group("deployers"), "ENTRY_WITHOUT_POLICY", "WARNING"),
        (Entry::new(ADMIN).of_kind("EC2_LINUX"), "ENTRY_TYPE_UNSUPPORTED", "ERROR"),
        (Entry::new(ADMIN).with_policy(VIEW, Scope::cluster()), "ACCESS_OK", "INFO"),
    ] {
        let result = inspect(&harness(world(Mode::Api).with_entry("prod", entry)), &about(ADMIN)).await;
        assert_eq!(codes(&result), [code]);
        assert_eq!(finding(&result, code)["severity"], severity);
    }
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_iam_does_not_know_is_said_to_be_so() {
    let world = world(Mode::Api).with_principal(Principal::new(OTHER));
    let gone = inspect(&harness(world.clone()), &about("arn:aws:iam::111122223333:role/typo")).await;
    assert_eq!(codes(&gone), ["PRINCIPAL_NOT_FOUND"]);
    assert_eq!(finding(&gone, "PRINCIPAL_NOT_FOUND")["remedy"], Value::Null);
    let wrong_path = inspect(&harness(world.clone()), &about("arn:aws:iam::111122223333:role/oncall")).await;
    assert_eq!(finding(&wrong_path, "PRINCIPAL_NOT_FOUND")["remedy"]["principalArn"], OTHER);
    let session = inspect(&harness(world), &about("arn:aws:sts::111122223333:assumed-role/nobody/x")).await;
    assert_eq!(codes(&session), ["PRINCIPAL_NOT_FOUND"]);
    assert_eq!(session["principal"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn others_are_looked_at_too_who_can_get_in_and_whose_entries_are_of_no_use() {
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let (gone, stale, bare, nodes) = (role("gone"), role("stale"), role("bare"), role("nodes"));
    let stranger = "arn:aws:iam::999999999999:role/partner";
    let admin = |arn: &str| Entry::new(arn).with_policy(POLICY, Scope::cluster());
    let world = world(Mode::Api)
        .with_principal(Principal::new(&gone).deleted_at(World::START))
        .with_principal(Principal::new(&stale).recreated_at(World::START))
        .with_principal(Principal::new(&bare))
        .with_principal(Principal::new(&nodes))
        .with_principal(Principal::new(OTHER))
        .with_entry("prod", admin(&gone))
        .with_entry("prod", admin(&stale).made_for_id("AROAEARLIER"))
        .with_entry("prod", Entry::new(&bare))
        .with_entry("prod", Entry::new(&nodes).of_kind("EC2_LINUX"))
        .with_entry("prod", admin(OTHER))
        .with_entry("prod", admin(stranger))
        .with_entry("prod", Entry::new(&role("narrow")).with_policy(POLICY, Scope::namespaces(&["x"])))
        .with_principal(Principal::new(&role("narrow")));
    let result = inspect(&harness(world), &cluster()).await;
    assert_eq!(codes(&result), ["ENTRY_WITHOUT_POLICY", "ORPHANED_ENTRY", "ENTRY_STALE", "OTHER_ADMINS"]);
    assert_eq!(finding(&result, "ORPHANED_ENTRY")["evidence"]["principalArn"], json!(gone));
    assert_eq!(finding(&result, "ENTRY_STALE")["evidence"]["principalArn"], json!(stale));
    assert_eq!(finding(&result, "ENTRY_WITHOUT_POLICY")["evidence"]["principalArn"], json!(bare));
    assert_eq!(finding(&result, "OTHER_ADMINS")["evidence"], json!({"principals": [OTHER, stranger], "total": 2}));
    assert_eq!(warnings(&result), ["INSPECTION_INCOMPLETE"], "whether the stranger exists");
    assert_eq!(result["principal"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn grants_in_force_are_listed_with_their_ends() {
    let world = world(Mode::Api).with_principal(Principal::new(OTHER));
    let harness = harness(world);
    harness.send(&json!({"clusterName": "prod", "principalArn": ADMIN, "duration": "1h"})).await.unwrap();
    harness.send(&json!({"clusterName": "prod", "principalArn": OTHER})).await.unwrap();
    let result = inspect(&harness, &about(ADMIN)).await;
    assert_eq!(codes(&result), ["ACCESS_OK", "OTHER_ADMINS", "ACTIVE_GRANTS"]);
    let policy = format!("arn:aws:eks::aws:cluster-access-policy/{POLICY}");
    let end = (World::START + jiff::SignedDuration::from_hours(1)).to_string();
    assert_eq!(
        finding(&result, "ACTIVE_GRANTS")["evidence"],
        json!({
            "grants": [
                {"principalArn": ADMIN, "policyArn": policy, "expiresAt": end},
                {"principalArn": OTHER, "policyArn": policy, "expiresAt": null},
            ],
            "total": 2
        })
    );
    assert_eq!(result["expiresAt"], end);
}

#[tokio::test(start_paused = true)]
async fn the_cluster_itself_is_judged() {
    let with = |cluster: Cluster| harness(World::new().with_cluster(cluster).with_schedule_group(GROUP));
    let private = json!({"endpointPublicAccess": false, "endpointPrivateAccess": true});
    let soon = World::START + jiff::SignedDuration::from_mins(5);
    let issues = json!({"issues": [{"code": "IamRoleNotFound", "message": "gone", "resourceIds": []}]});
    for (cluster_seen, found) in [
        (Cluster::new("prod", Mode::Api).describing("resourcesVpcConfig", private), vec!["PRIVATE_ENDPOINT"]),
        (Cluster::new("prod", Mode::Api).describing("health", issues), vec!["CLUSTER_HEALTH"]),
        (Cluster::new("prod", Mode::Api).with_update_until(World::START, soon, false), vec!["CLUSTER_NOT_ACTIVE"]),
        (Cluster::new("prod", Mode::Api).with_status("FAILED"), vec!["CLUSTER_NOT_RECOVERABLE", "CLUSTER_NOT_ACTIVE"]),
    ] {
        let result = inspect(&with(cluster_seen), &cluster()).await;
        assert_eq!(codes(&result), found);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_help_is_not_offered() {
    let outpost = json!({"outpostArns": ["o"], "controlPlaneInstanceType": "m5.large"});
    let outpost = Cluster::new("prod", Mode::Api).describing("outpostConfig", outpost);
    let harness =
        harness(World::new().with_cluster(outpost).with_principal(Principal::new(ADMIN)).with_schedule_group(GROUP));
    let result = inspect(&harness, &about(ADMIN)).await;
    let missing = finding(&result, "NO_ACCESS_ENTRY");
    assert_eq!(missing["remedy"], Value::Null);
    assert!(missing["message"].as_str().unwrap().contains("can't be recovered"), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_looked_at_is_named_and_fails_nothing_else() {
    let world = world(Mode::Api)
        .with_principal(Principal::new(OTHER))
        .with_entry("prod", Entry::new(OTHER).with_policy(POLICY, Scope::cluster()));
    for (operation, named) in [
        ("ListAccessEntries", "the list of access entries"),
        ("ListRoles", "IAM's roles"),
        ("DescribeAccessEntry", "1 of 1 access entries: arn:aws:iam::111122223333:role/platform/oncall"),
        ("ListAssociatedAccessPolicies", "1 of 1 access entries"),
        ("ListSchedules", "the scheduled revokes"),
    ] {
        for kind in [Kind::Denied, Kind::Throttled] {
            let harness = harness(world.clone());
            harness.aws.inject(Fault::new(At::Every(operation), kind));
            let result = inspect(&harness, &cluster()).await;
            let said = result["warnings"]
                .as_array()
                .unwrap()
                .iter()
                .find(|warning| warning["code"] == "INSPECTION_INCOMPLETE");
            let message = said.unwrap()["message"].as_str().unwrap();
            assert!(message.contains(named) && message.contains(operation), "{operation}: {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_just_the_articles_permissions_it_still_explains() {
    let world = world(Mode::Api).with_policy(Policy::article());
    let result = inspect(&Harness::new(Simulation::new(world)), &about(ADMIN)).await;
    assert_eq!(codes(&result), ["NO_ACCESS_ENTRY"]);
    assert_eq!(warnings(&result), ["INSPECTION_INCOMPLETE"]);
}

#[tokio::test(start_paused = true)]
async fn three_thousand_entries_are_looked_at_a_few_at_a_time() {
    let mut world = world(Mode::Api);
    for number in 0..3000 {
        let arn = format!("arn:aws:iam::111122223333:role/team-{number:04}");
        world = world
            .with_principal(Principal::new(&arn))
            .with_entry("prod", Entry::new(&arn).with_policy(VIEW, Scope::cluster()));
    }
    let latency = Duration::from_millis(20);
    let harness = Harness::new(Simulation::new(world).with_latency(latency)).with_schedules();
    let begun = eks_break_glass::platform::clock::instant();
    let result = inspect(&harness, &about(ADMIN)).await;
    assert_eq!(codes(&result), ["NO_ACCESS_ENTRY"]);
    let calls = harness.aws.calls().len();
    assert_eq!(
        calls,
        1 + 1 + 30 + 4 + 1 + 2 * 3000,
        "identity, cluster, pages of entries and roles, schedules, each entry"
    );
    let round_trips = begun.elapsed().as_millis() / latency.as_millis();
    assert!((30 + 3000 / 16..260).contains(&round_trips), "{round_trips}");
}

#[tokio::test(start_paused = true)]
async fn out_of_time_it_says_what_it_has_not_seen() {
    let mut world = world(Mode::Api);
    for number in 0..500 {
        let arn = format!("arn:aws:iam::111122223333:role/team-{number:04}");
        world = world
            .with_principal(Principal::new(&arn))
            .with_entry("prod", Entry::new(&arn).with_policy(VIEW, Scope::cluster()));
    }
    // It does not divide the time, so that calls are under way at the end of it.
    let latency = Duration::from_millis(1300);
    let harness = Harness::new(Simulation::new(world).with_latency(latency)).with_schedules();
    let result = harness.send_for(&cluster(), Duration::from_secs(20)).await.unwrap();
    let message = result["warnings"][0]["message"].as_str().unwrap();
    assert!(message.contains("of 500 access entries") && message.contains("no answer in the time"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_with_groups_alone_is_not_offered_a_policy() {
    let old = Entry::new(OLD_SSO).with_group("deployers");
    let world = world(Mode::Api)
        .with_principal(Principal::new(OLD_SSO).deleted_at(World::START))
        .with_principal(Principal::new(NEW_SSO))
        .with_entry("prod", old);
    let result = inspect(&harness(world), &about(NEW_SSO)).await;
    assert_eq!(finding(&result, "SSO_ROLE_REPLACED")["remedy"], Value::Null);
}
