//! Access that ends: scheduled before it is given, moved when it is extended, and ended in time.

use std::collections::BTreeMap;
use std::time::Duration;

use eks_break_glass::decide::expiry::read_scheduled;
use eks_break_glass::domain::failure::ErrorName;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, EntrySnapshot, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{FUNCTION, GROUP, Harness, lacking, warnings};

pub(crate) const ADMIN: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";
pub(crate) const POLICY: &str = "AmazonEKSClusterAdminPolicy";
pub(crate) const VIEW: &str = "AmazonEKSViewPolicy";
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

pub(crate) fn world(mode: Mode) -> World {
    World::new()
        .with_cluster(Cluster::new("prod", mode))
        .with_principal(Principal::new(ADMIN))
        .with_schedule_group(GROUP)
}

pub(crate) fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world)).with_schedules()
}

pub(crate) fn grant(fields: &Value) -> Value {
    merged(json!({"clusterName": "prod", "principalArn": ADMIN, "duration": "1h"}), fields)
}

pub(crate) fn revoke(fields: &Value) -> Value {
    merged(json!({"action": "revoke", "clusterName": "prod", "principalArn": ADMIN}), fields)
}

pub(crate) fn merged(mut event: Value, fields: &Value) -> Value {
    for (field, value) in fields.as_object().unwrap() {
        event[field] = value.clone();
    }
    event
}

pub(crate) fn after(hours: i64) -> String {
    (World::START + SignedDuration::from_hours(hours)).to_string()
}

/// Everything that an entry holds, but for when it was made and changed.
pub(crate) fn entries(harness: &Harness) -> BTreeMap<String, EntrySnapshot> {
    harness.aws.world(|world| world.snapshot("prod"))
}

pub(crate) fn is_admin(harness: &Harness) -> bool {
    harness.aws.world(|world| world.kubernetes_access("prod", ADMIN).is_cluster_admin())
}

/// When each schedule fires.
pub(crate) fn schedules(harness: &Harness) -> Vec<Timestamp> {
    harness.aws.world(|world| world.schedules().iter().map(|schedule| schedule.at).collect())
}

pub(crate) fn changes(harness: &Harness) -> Vec<&'static str> {
    harness.aws.calls().iter().filter(|call| call.changes()).map(|call| call.operation).collect()
}

pub(crate) fn statuses(answers: Vec<Result<Value, eks_break_glass::handler::Failed>>) -> Vec<Value> {
    answers.into_iter().map(|answer| answer.unwrap()["status"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_end_is_scheduled_before_access_is_given_and_comes_by_itself() {
    let harness = harness(world(Mode::Api));
    let result = harness.send(&grant(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert_eq!(result["expiresAt"], after(1));
    assert_eq!(changes(&harness), ["CreateSchedule", "CreateAccessEntry", "AssociateAccessPolicy"]);
    assert!(is_admin(&harness));

    assert!(statuses(harness.after(59 * MINUTE).await).is_empty());
    assert!(is_admin(&harness), "not before its time");
    assert_eq!(statuses(harness.after(MINUTE).await), ["REVOKED"]);
    assert!(!is_admin(&harness));
    assert_eq!(entries(&harness), BTreeMap::new());
    assert!(schedules(&harness).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_schedule_is_as_documented() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    harness.aws.world(|world| {
        let [schedule] = world.schedules()[..] else { panic!("one schedule") };
        // The name is for ever: a later version has to find what this one has scheduled.
        assert_eq!(schedule.name, "prod-eaa5a32575ca-69ba0699c0cbf242ba93fa20");
        assert_eq!((schedule.group.as_str(), schedule.target_arn.clone()), (GROUP, format!("{FUNCTION}:revoke")));
        assert_eq!((schedule.maximum_event_age, schedule.maximum_retry_attempts), (86_400, 185));
        assert_eq!(schedule.role_arn, "arn:aws:iam::111122223333:role/eks-break-glass-schedules");
        let dead_letters = schedule.dead_letter_arn.as_deref();
        assert_eq!(dead_letters, Some("arn:aws:sqs:eu-west-1:111122223333:eks-break-glass-undelivered"));
        assert_eq!((schedule.action_after_completion.as_str(), schedule.flexible.as_str()), ("DELETE", "OFF"));
    });
}

#[tokio::test(start_paused = true)]
async fn what_this_version_schedules_every_later_one_understands() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/scheduled-revoke-1.json")).unwrap();
    let home = eks_break_glass::domain::region::Region::parse("eu-west-1").unwrap();
    read_scheduled(&fixture.to_string(), &home).unwrap();

    let narrower = Entry::new(ADMIN).with_policy(POLICY, Scope::namespaces(&["team-a"]));
    let harness = harness(world(Mode::Api).with_entry("prod", narrower));
    harness.send(&grant(&json!({}))).await.unwrap();
    let written = harness.aws.world(|world| world.schedules()[0].input.clone());
    assert_eq!(
        serde_json::from_str::<Value>(&written).unwrap(),
        fixture,
        "a new shape needs a new version, and a fixture"
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_authentication_mode_stays_and_is_said_to() {
    let harness = harness(world(Mode::ConfigMap));
    let result = harness.send(&grant(&json!({}))).await.unwrap();
    assert!(warnings(&result).contains(&"AUTHENTICATION_MODE_CHANGED".to_owned()));
    let position = |operation| changes(&harness).iter().position(|name| *name == operation).unwrap();
    assert!(position("UpdateClusterConfig") < position("CreateSchedule"));
    assert!(position("CreateSchedule") < position("CreateAccessEntry"));
    let creators = entries(&harness).len() - 1;
    let revoked = harness.send(&result["undo"]).await.unwrap();
    assert!(warnings(&revoked).contains(&"AUTHENTICATION_MODE_STAYS".to_owned()));
    assert_eq!(revoked["cluster"]["authenticationMode"]["after"], "API_AND_CONFIG_MAP");
    assert_eq!(entries(&harness).len(), creators, "what EKS made itself stays");
}

#[tokio::test(start_paused = true)]
async fn an_hour_is_an_hour_after_the_mode_was_changed() {
    let slow = simulator::world::ModeChange { takes: Duration::from_mins(8), ..Default::default() };
    let world = World::new()
        .with_cluster(Cluster::new("prod", Mode::ConfigMap).with_mode_change(slow))
        .with_principal(Principal::new(ADMIN))
        .with_schedule_group(GROUP);
    let harness = harness(world);
    let result = harness.send(&grant(&json!({}))).await.unwrap();
    let now = harness.aws.world(|world| world.now());
    let end: Timestamp = result["expiresAt"].as_str().unwrap().parse().unwrap();
    assert!(end > now + SignedDuration::from_mins(59), "{end} is too soon after {now}");
}

#[tokio::test(start_paused = true)]
async fn an_extension_moves_the_one_schedule_and_keeps_what_is_to_be_put_back() {
    let narrower = Entry::new(ADMIN).with_policy(POLICY, Scope::namespaces(&["team-a"]));
    let harness = harness(world(Mode::Api).with_entry("prod", narrower));
    let before = entries(&harness);
    let first = harness.send(&grant(&json!({}))).await.unwrap();
    assert!(statuses(harness.after(HOUR / 2).await).is_empty());

    let second = harness.send(&grant(&json!({"duration": "2h"}))).await.unwrap();
    assert_eq!(second["status"], "GRANTED", "its end was moved");
    assert_eq!(second["undo"], first["undo"]);
    assert_eq!(schedules(&harness).len(), 1);
    assert!(statuses(harness.after(HOUR).await).is_empty(), "the first end is none any more");
    assert!(is_admin(&harness));
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert_eq!(entries(&harness), before);
}

#[tokio::test(start_paused = true)]
async fn a_grant_can_be_shortened() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({"duration": "8h"}))).await.unwrap();
    let result = harness.send(&grant(&json!({"duration": "1h"}))).await.unwrap();
    assert_eq!(result["expiresAt"], after(1));
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_duration_a_pending_end_stays_and_is_reported() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let result = harness.send(&grant(&json!({"duration": null}))).await.unwrap();
    assert_eq!(result["status"], "ALREADY_GRANTED");
    assert_eq!(result["expiresAt"], after(1));
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
}

#[tokio::test(start_paused = true)]
async fn the_default_duration_ends_what_says_nothing() {
    let harness = harness(world(Mode::Api)).with("DEFAULT_DURATION", "2h").with("MAX_DURATION", "4h");
    let result = harness.send(&grant(&json!({"duration": null}))).await.unwrap();
    assert_eq!(result["expiresAt"], after(2));
    let denied = harness.send(&grant(&json!({"duration": "5h"}))).await.unwrap_err();
    assert_eq!(denied.name, ErrorName::RequestDenied);
    assert_eq!(schedules(&harness), [World::START + SignedDuration::from_hours(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_grant_of_ours_can_be_given_an_end() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({"duration": null}))).await.unwrap();
    let result = harness.send(&grant(&json!({}))).await.unwrap();
    assert_eq!((&result["status"], &result["expiresAt"]), (&json!("GRANTED"), &json!(after(1))));
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert_eq!(entries(&harness), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_permanent_and_not_ours_gets_no_end() {
    let entry = Entry::new(ADMIN).with_policy(POLICY, Scope::cluster());
    let harness = harness(world(Mode::Api).with_entry("prod", entry));
    let result = harness.send(&grant(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "ALREADY_GRANTED");
    assert_eq!((&result["expiresAt"], &result["undo"]), (&Value::Null, &Value::Null));
    assert_eq!(warnings(&result), ["ACCESS_IS_PERMANENT"]);
    assert!(schedules(&harness).is_empty());
}

#[tokio::test(start_paused = true)]
async fn grants_of_two_policies_end_each_by_itself_and_the_entry_goes_with_the_last() {
    let harness = harness(world(Mode::Api)).with("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy");
    harness.send(&grant(&json!({}))).await.unwrap();
    harness.send(&grant(&json!({"policyArn": VIEW, "duration": "2h"}))).await.unwrap();
    assert_eq!(schedules(&harness).len(), 2);
    let first = harness.after(HOUR).await.remove(0).unwrap();
    assert_eq!(first["status"], "REVOKED");
    assert!(warnings(&first).contains(&"ENTRY_KEPT".to_owned()));
    assert!(!is_admin(&harness) && entries(&harness).contains_key(ADMIN));
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert_eq!(entries(&harness), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn where_the_end_cannot_be_scheduled_nothing_is_granted() {
    let cases: [(&str, Harness, ErrorName); 5] = [
        ("no settings", Harness::new(Simulation::new(world(Mode::ConfigMap))), ErrorName::ExpiryUnavailable),
        (
            "no group",
            harness(World::new().with_cluster(Cluster::new("prod", Mode::Api)).with_principal(Principal::new(ADMIN))),
            ErrorName::ExpiryUnavailable,
        ),
        (
            "no permission",
            harness(world(Mode::Api).with_policy(Policy::allow_all().without(&["scheduler:CreateSchedule"]))),
            ErrorName::ExpiryUnavailable,
        ),
        (
            "role not passed",
            harness(world(Mode::Api).with_policy(Policy::allow_all().without(&["iam:PassRole"]))),
            ErrorName::ExpiryUnavailable,
        ),
        ("quota", harness(world(Mode::Api).with_schedule_quota(0)), ErrorName::LimitExceeded),
    ];
    for (name, harness, wanted) in cases {
        let failed = harness.send(&grant(&json!({}))).await.unwrap_err();
        assert_eq!(failed.name, wanted, "{name}: {}", failed.message);
        assert!(failed.message.contains("Nothing was changed."), "{name}: {}", failed.message);
        assert!(entries(&harness).is_empty() && schedules(&harness).is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_missing_permission_is_named() {
    let harness = harness(world(Mode::Api).with_policy(lacking(&["iam:PassRole"])));
    let failed = harness.send(&grant(&json!({}))).await.unwrap_err();
    let resource = "Allow `iam:PassRole` on `arn:aws:iam::111122223333:role/eks-break-glass-schedules`";
    assert!(failed.message.contains(resource), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_in_trouble_is_worth_a_retry() {
    for (kind, wanted) in
        [(Kind::Throttled, ErrorName::Throttled), (Kind::ServerError(500), ErrorName::ServiceUnavailable)]
    {
        for operation in ["GetSchedule", "CreateSchedule"] {
            let harness = harness(world(Mode::Api));
            harness.aws.inject(Fault::new(At::Every(operation), kind));
            let failed = harness.send(&grant(&json!({}))).await.unwrap_err();
            assert_eq!(failed.name, wanted, "{operation}: {}", failed.message);
            assert!(entries(&harness).is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_to_nothing_takes_its_schedule_back() {
    let harness = harness(world(Mode::Api));
    harness.aws.inject(Fault::new(At::Every("CreateAccessEntry"), Kind::Denied));
    let failed = harness.send(&grant(&json!({}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PermissionDenied);
    assert!(failed.message.contains("Nothing was changed."), "{}", failed.message);
    assert!(schedules(&harness).is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_access_may_have_been_given_the_schedule_stays() {
    let harness = harness(world(Mode::Api));
    harness.aws.inject(Fault::new(At::Every("AssociateAccessPolicy"), Kind::ResetAfterEffect));
    let failed = harness.send(&grant(&json!({}))).await.unwrap_err();
    assert!(failed.message.contains("the revoke was scheduled for"), "{}", failed.message);
    harness.aws.recover();
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert_eq!(entries(&harness), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn where_it_cannot_be_seen_whether_access_was_given_the_schedule_stays() {
    let denied = |read: Option<usize>| {
        let harness = harness(world(Mode::Api));
        harness.aws.inject(Fault::new(At::Every("CreateAccessEntry"), Kind::Denied));
        if let Some(call) = read {
            harness.aws.inject(Fault::new(At::Call(call), Kind::Denied));
        }
        harness
    };
    let seen = denied(None);
    seen.send(&grant(&json!({}))).await.unwrap_err();
    assert!(schedules(&seen).is_empty());
    let last_read = seen.aws.calls().iter().rposition(|call| call.operation == "ListAssociatedAccessPolicies");
    let unseen = denied(last_read);
    let failed = unseen.send(&grant(&json!({}))).await.unwrap_err();
    assert!(failed.message.contains("the revoke was scheduled for"), "{}", failed.message);
    assert_eq!(schedules(&unseen).len(), 1);
}

/// As from a VPC that has no way to it.
#[tokio::test(start_paused = true)]
async fn a_scheduler_that_does_not_answer_keeps_nobody_out_whose_access_has_no_end() {
    let harness = harness(world(Mode::Api));
    harness.aws.inject(Fault::new(At::Every("GetSchedule"), Kind::Slow(HOUR)));
    let begun = eks_break_glass::platform::clock::instant();
    let result = harness.send(&grant(&json!({"duration": null}))).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert!(warnings(&result).contains(&"EXPIRY_UNKNOWN".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(15), "in simulated time");
}

#[tokio::test(start_paused = true)]
async fn what_eks_gives_by_itself_when_it_opens_entries_gets_no_end_and_that_is_said() {
    let creators = World::new()
        .with_cluster(Cluster::new("prod", Mode::ConfigMap).created_by(ADMIN))
        .with_principal(Principal::new(ADMIN))
        .with_schedule_group(GROUP);
    let result = harness(creators).send(&grant(&json!({}))).await.unwrap();
    assert_eq!((&result["expiresAt"], &result["undo"]), (&Value::Null, &Value::Null));
    assert!(warnings(&result).contains(&"ACCESS_IS_PERMANENT".to_owned()), "{:?}", warnings(&result));
}
