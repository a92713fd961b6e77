//! Sequences by which a principal gained access, or kept it, although each request by itself was right.

use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::expiry::{ADMIN, HOUR, MINUTE, POLICY, VIEW, entries, grant, is_admin, merged, revoke, schedules, statuses};
use crate::harness::{Harness, lacking, warnings};

const BUS: &str = "security";
const OLD_SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978";
const NEW_SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_1111111111111111";

fn world(mode: Mode) -> World {
    crate::expiry::world(mode).with_event_bus(BUS)
}

fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world)).with_schedules().with("EVENT_BUS", BUS)
}

fn team(name: &str) -> Value {
    json!({"type": "namespace", "namespaces": [name]})
}

/// The event in an error's advice.
fn advised(message: &str) -> Value {
    let (_, rest) = message.split_once("send this event: ").unwrap();
    serde_json::Deserializer::from_str(rest).into_iter().next().unwrap().unwrap()
}

fn holds_nothing(harness: &Harness) -> bool {
    harness.aws.world(|world| world.usable_access("prod", ADMIN)).is_empty()
}

/// A schedule whose revoke never came, because it was disabled and deleted, or is still on its way.
#[tokio::test(start_paused = true)]
async fn timed_access_whose_schedule_is_gone_cannot_be_made_permanent_by_widening_it() {
    for iam_is_closed in [false, true] {
        let mut world = world(Mode::Api);
        if iam_is_closed {
            world = world.with_policy(Policy::allow_all().without(&["iam:GetRole"]));
        }
        let harness = harness(world).with("MAX_DURATION", "1h");
        harness.send(&grant(&json!({"accessScope": team("a")}))).await.unwrap();
        tokio::time::advance(HOUR).await;
        assert_eq!(harness.aws.due().len(), 1, "sent, and lost on its way");
        harness.send(&grant(&json!({"accessScope": team("b")}))).await.unwrap();
        assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
        assert!(entries(&harness).is_empty(), "{:?}", entries(&harness));
    }
}

/// The same on an entry of another owner, where no tag shows what was granted: the revoke that comes late does.
#[tokio::test(start_paused = true)]
async fn late_revoke_takes_what_it_was_for_from_the_next_end() {
    for early in [false, true] {
        let theirs = Entry::new(ADMIN).with_policy(VIEW, Scope::cluster());
        let harness = harness(world(Mode::Api).with_entry("prod", theirs));
        let before = entries(&harness);
        harness.send(&grant(&json!({"accessScope": team("a")}))).await.unwrap();
        tokio::time::advance(HOUR).await;
        let late = harness.aws.due().remove(0);
        harness.send(&grant(&json!({"accessScope": team("b")}))).await.unwrap();
        if early {
            // A caller that sends it manually could write any `restore` into it.
            let event = serde_json::from_str(&late.input).unwrap();
            let schedule = harness.aws.world(|world| world.schedules()[0].input.clone());
            assert_eq!(harness.send(&event).await.unwrap()["status"], "SUPERSEDED");
            assert_eq!(harness.aws.world(|world| world.schedules()[0].input.clone()), schedule);
        }
        for _ in 0..2 {
            let event = serde_json::from_str(&late.input).unwrap();
            let answer = harness.send_through("revoke", &event).await.unwrap();
            assert_eq!(answer["status"], "SUPERSEDED", "delivered twice");
        }
        assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
        assert_eq!(entries(&harness), before);
    }
}

#[tokio::test(start_paused = true)]
async fn late_revoke_leaves_what_an_owner_has_associated_since() {
    let harness = harness(world(Mode::Api).with_entry("prod", Entry::new(ADMIN).with_policy(VIEW, Scope::cluster())));
    harness.send(&grant(&json!({"accessScope": team("a")}))).await.unwrap();
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    tokio::time::advance(MINUTE).await;
    harness.send(&grant(&json!({"accessScope": team("a"), "duration": null}))).await.unwrap();
    harness.send(&grant(&json!({}))).await.unwrap();
    let late = revoke(&json!({
        "policyArn": POLICY,
        "restore": {"version": 1, "entryExisted": true},
        "expiresAt": crate::expiry::after(1),
    }));
    assert_eq!(harness.send_through("revoke", &late).await.unwrap()["status"], "SUPERSEDED");
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    let usable = harness.aws.world(|world| world.usable_access("prod", ADMIN));
    assert!(usable.contains(&(format!("arn:aws:eks::aws:cluster-access-policy/{POLICY}"), Scope::namespaces(&["a"]))));
}

#[tokio::test(start_paused = true)]
async fn late_revoke_of_access_that_was_made_permanent_says_so() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let scheduled: Value = harness.aws.world(|world| serde_json::from_str(&world.schedules()[0].input).unwrap());
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    tokio::time::advance(MINUTE).await;
    harness.send(&grant(&json!({"duration": null}))).await.unwrap();
    let again = harness.send_through("revoke", &scheduled).await.unwrap();
    assert_eq!(again["status"], "SUPERSEDED");
    assert!(warnings(&again).contains(&"ACCESS_IS_PERMANENT".to_owned()), "{:?}", warnings(&again));
    let detail = again["verification"]["detail"].as_str().unwrap();
    assert!(detail.contains("No revoke is scheduled"), "{detail}");
}

/// The caller states that the entry doesn't work, so what it gives from now on is new, and ends.
#[tokio::test(start_paused = true)]
async fn recreated_entry_gives_what_was_asked_for_until_its_end_only() {
    let entry = || {
        Entry::new(ADMIN)
            .made_for_id("AROAEARLIER")
            .with_policy(POLICY, Scope::cluster())
            .with_policy(VIEW, Scope::namespaces(&["team-a"]))
    };
    let world = || {
        world(Mode::Api)
            .with_policy(Policy::allow_all().without(&["iam:GetRole"]))
            .with_principal(Principal::new(ADMIN).recreated_at(World::START))
            .with_entry("prod", entry())
    };
    let policies = "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy";
    let event = grant(&json!({"recreateEntry": true}));
    let lent = harness(world()).with("ALLOWED_POLICIES", policies);
    let result = lent.send(&event).await.unwrap();
    assert_eq!((&result["status"], &result["expiresAt"]), (&json!("GRANTED"), &json!(crate::expiry::after(1))));
    let said = result["warnings"].to_string();
    assert!(said.contains("ENTRY_RECREATED") && said.contains("removed from it at the expiry"), "{said}");
    assert!(is_admin(&lent));
    assert_eq!(statuses(lent.after(HOUR).await), ["REVOKED"]);
    let usable = lent.aws.world(|world| world.usable_access("prod", ADMIN));
    assert_eq!(usable, [(format!("arn:aws:eks::aws:cluster-access-policy/{VIEW}"), Scope::namespaces(&["team-a"]))]);

    // An emergency always ends, and what the entry holds would not.
    let guarded = harness(world())
        .with("ALLOWED_POLICIES", policies)
        .with("REQUIRE_APPROVAL", "true")
        .with("EMERGENCY_MAX_DURATION", "30m");
    let emergency = merged(event, &json!({"emergency": true, "reason": "INC-1", "duration": "30m"}));
    let denied = guarded.send(&emergency).await.unwrap_err();
    assert_eq!(denied.name, ErrorName::RequestDenied);
    assert!(denied.message.contains("`EMERGENCY_MAX_DURATION`"), "{}", denied.message);
    assert!(holds_nothing(&guarded));
}

/// The schedule is written before the entry is deleted. If the entry stays, the schedule would end what worked.
#[tokio::test(start_paused = true)]
async fn recreation_that_fails_before_it_begins_leaves_no_end_of_what_works() {
    let entry = Entry::new(ADMIN).with_policy(POLICY, Scope::cluster());
    let no_iam = Policy::allow_all().without(&["iam:GetRole"]);
    let cases: [(&str, Policy, Option<Fault>); 3] = [
        ("delete denied", Policy::allow_all().without(&["iam:GetRole", "eks:DeleteAccessEntry"]), None),
        ("answers lost", no_iam.clone(), Some(Fault::new(At::Every("CreateSchedule"), Kind::ResetAfterEffect))),
        ("delete throttled", no_iam, Some(Fault::new(At::Every("DeleteAccessEntry"), Kind::Throttled))),
    ];
    for (name, policy, fault) in cases {
        let harness = harness(world(Mode::Api).with_policy(policy).with_entry("prod", entry.clone()));
        if let Some(fault) = fault {
            harness.aws.inject(fault);
        }
        let failed = harness.send(&grant(&json!({"recreateEntry": true}))).await.unwrap_err();
        assert!(failed.message.contains("Nothing was changed."), "{name}: {}", failed.message);
        harness.aws.recover();
        assert!(schedules(&harness).is_empty() && harness.after(HOUR).await.is_empty(), "{name}");
        assert!(is_admin(&harness), "{name}");
    }
}

/// Anybody who may create roles can create one that has the name of an Identity Center role, under another path.
#[tokio::test(start_paused = true)]
async fn role_with_the_name_of_a_deleted_identity_center_role_is_never_offered() {
    let name = OLD_SSO.rsplit('/').next().unwrap();
    let lookalike = format!("arn:aws:iam::111122223333:role/{name}");
    let world = world(Mode::Api)
        .with_principal(Principal::new(&lookalike))
        .with_entry("prod", Entry::new(OLD_SSO).with_policy(POLICY, Scope::cluster()));
    for event in [
        grant(&json!({"principalArn": OLD_SSO})),
        grant(&json!({"principalArn": OLD_SSO, "dryRun": true})),
        grant(&json!({"principalArn": OLD_SSO, "recreateEntry": true})),
    ] {
        let failed = harness(world.clone()).send(&event).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::PrincipalNotFound, "{event}");
        assert!(!failed.message.contains(&format!("`{lookalike}`")), "{}", failed.message);
    }
    let inspected = harness(world)
        .send(&json!({"action": "inspect", "clusterName": "prod", "principalArn": OLD_SSO}))
        .await
        .unwrap();
    let remedies: Vec<_> = inspected["findings"].as_array().unwrap().iter().map(|finding| &finding["remedy"]).collect();
    assert!(!json!(remedies).to_string().contains(&lookalike), "{remedies:?}");
}

#[tokio::test(start_paused = true)]
async fn event_for_the_successor_asks_for_no_more_than_was_asked_for() {
    let world = || world(Mode::Api).with_principal(Principal::new(NEW_SSO));
    let narrow = json!({
        "principalArn": OLD_SSO, "policyArn": VIEW, "accessScope": team("a"), "duration": "30m", "dryRun": true,
    });
    let failed = harness(world()).with("ALLOWED_POLICIES", VIEW).send(&grant(&narrow)).await.unwrap_err();
    let event = advised(&failed.message);
    assert!(event["policyArn"].as_str().unwrap().ends_with(VIEW), "{event}");
    for field in ["accessScope", "duration", "dryRun"] {
        assert_eq!(event[field], narrow[field], "{field}");
    }
    // Without a duration, it gets one where an end can be scheduled.
    let forever = grant(&json!({"principalArn": OLD_SSO, "duration": null}));
    let failed = harness(world()).send(&forever).await.unwrap_err();
    assert_eq!(advised(&failed.message)["duration"], "1h");
    let unable = Harness::new(Simulation::new(world()));
    let failed = unable.send(&forever).await.unwrap_err();
    assert_eq!(unable.send(&advised(&failed.message)).await.unwrap()["status"], "GRANTED");
    // A role that the settings forbid isn't offered.
    let bound = harness(world()).with("ALLOWED_PRINCIPALS", OLD_SSO);
    let failed = bound.send(&grant(&json!({"principalArn": OLD_SSO}))).await.unwrap_err();
    assert!(!failed.message.contains("send this event") && failed.message.contains(NEW_SSO), "{}", failed.message);
}

/// IAM is asked in the cluster's account alone: it says nothing of the roles of others.
#[tokio::test(start_paused = true)]
async fn session_of_another_account_is_neither_deleted_nor_allowed() {
    let session = "arn:aws:sts::444455556666:assumed-role/platform/jane";
    let denied = harness(world(Mode::Api)).send(&grant(&json!({"principalArn": session}))).await.unwrap_err();
    assert_eq!(denied.name, ErrorName::RequestDenied);
    assert!(denied.message.contains("`ALLOWED_PRINCIPALS`"), "{}", denied.message);
    let everybody = harness(world(Mode::Api)).with("ALLOWED_PRINCIPALS", "*");
    let failed = everybody.send(&grant(&json!({"principalArn": session}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PrincipalNotFound);
    assert!(!failed.message.contains("deleted") && failed.message.contains("111122223333"), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn session_of_a_role_that_was_just_created_is_waited_for() {
    let role = "arn:aws:iam::111122223333:role/new-platform";
    let soon = World::START + jiff::SignedDuration::from_secs(2);
    let harness = harness(world(Mode::Api).with_principal(Principal::made_at(role, soon)));
    let session = "arn:aws:sts::111122223333:assumed-role/new-platform/jane";
    let result = harness.send(&grant(&json!({"principalArn": session}))).await.unwrap();
    assert_eq!((&result["status"], &result["principal"]["arn"]), (&json!("GRANTED"), &json!(role)));
}

/// Commands that restore what a timed grant gave would give it without an end.
#[tokio::test(start_paused = true)]
async fn replaced_entry_of_a_timed_grant_comes_with_no_command_that_brings_it_back() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    tokio::time::advance(MINUTE).await;
    harness.aws.world(|world| {
        let now = world.now();
        let principal = world.principal_mut(ADMIN).unwrap();
        *principal = principal.clone().recreated_at(now);
    });
    let result = harness.send_as("the-next-request", &grant(&json!({}))).await.unwrap();
    assert!(warnings(&result).contains(&"ENTRY_REPLACED".to_owned()), "{:?}", warnings(&result));
    let steps = result["nextSteps"].to_string();
    assert!(!steps.contains("aws eks create-access-entry") && steps.contains("grant it again"), "{steps}");
}

/// RBAC may bind the username of an entry without policies.
#[tokio::test(start_paused = true)]
async fn revoke_that_nothing_proves_leaves_a_bare_entry_and_warns() {
    let harness = harness(world(Mode::Api).with_entry("prod", Entry::new(ADMIN)));
    let before = entries(&harness);
    let forged = revoke(&json!({"restore": {"version": 1, "entryExisted": false}}));
    let result = harness.send(&forged).await.unwrap();
    assert_eq!(result["status"], "NOTHING_TO_REVOKE");
    assert!(warnings(&result).contains(&"OWNERSHIP_UNKNOWN".to_owned()));
    assert_eq!(entries(&harness), before);
}

#[tokio::test(start_paused = true)]
async fn emergency_that_fails_after_it_gave_access_is_announced_as_one() {
    let harness = harness(world(Mode::Api)).with("REQUIRE_APPROVAL", "true").with("EMERGENCY_MAX_DURATION", "30m");
    // What was granted can't be read back.
    harness.aws.inject(Fault::new(At::Every("AssociateAccessPolicy"), Kind::ResetAfterEffect));
    let event = grant(&json!({"emergency": true, "reason": "INC-1", "duration": "30m"}));
    harness.send(&event).await.unwrap_err();
    assert!(is_admin(&harness));
    let announced: Vec<_> =
        harness.aws.world(|world| world.bus_events().iter().map(|event| event.detail_type.clone()).collect());
    assert_eq!(announced, ["EKS access granted without approval"]);
    assert_eq!(schedules(&harness).len(), 1);
    harness.aws.recover();
    assert_eq!(statuses(harness.after(Duration::from_mins(30)).await), ["REVOKED"]);
}

#[tokio::test(start_paused = true)]
async fn auto_modes_node_role_is_a_conflict_even_if_iam_does_not_answer() {
    let nodes = "arn:aws:iam::111122223333:role/eks-nodes";
    let world = world(Mode::Api)
        .with_cluster(Cluster::new("prod", Mode::Api).with_auto_mode(nodes))
        .with_principal(Principal::new(nodes))
        .with_policy(lacking(&["iam:GetRole"]));
    for instance_role in [false, true] {
        let event = grant(&json!({"principalArn": nodes, "instanceRole": instance_role}));
        let failed = harness(world.clone()).send(&event).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::AccessEntryConflict, "{}", failed.message);
    }
}

/// The cleanup after a failed grant must not take the end of access that another one gave, or an earlier one.
#[tokio::test(start_paused = true)]
async fn failed_extension_keeps_the_end_of_access_that_an_earlier_grant_gave() {
    let extended = async |fault: Option<usize>| {
        let harness = harness(world(Mode::Api));
        harness.send(&grant(&json!({}))).await.unwrap();
        tokio::time::advance(HOUR).await;
        let late = harness.aws.due().remove(0);
        let calls = harness.aws.calls().len();
        if let Some(call) = fault {
            harness.aws.inject(Fault::new(At::Call(call), Kind::Garbage));
        }
        let extension = harness.send_as("the-extension", &grant(&json!({}))).await;
        (harness, late, calls, extension)
    };
    let (sound, _, calls, extension) = extended(None).await;
    extension.unwrap();
    let read_back = sound.aws.calls()[calls..].iter().rposition(|call| call.operation == "GetSchedule").unwrap();
    let (harness, late, _, extension) = extended(Some(calls + read_back)).await;
    assert_eq!(extension.unwrap_err().name, ErrorName::ServiceUnavailable);
    assert_eq!(schedules(&harness).len(), 1, "its access is still there");
    // The revoke of the first grant comes late, and finds that another one is scheduled.
    let answer = harness.send_through("revoke", &serde_json::from_str(&late.input).unwrap()).await.unwrap();
    assert_eq!(answer["status"], "SUPERSEDED");
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert!(holds_nothing(&harness));
}

#[tokio::test(start_paused = true)]
async fn two_revokes_of_two_policies_at_once_leave_nothing() {
    let policies = "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy";
    let aws = Simulation::new(world(Mode::Api)).with_latency(Duration::from_millis(20));
    let harness = Harness::new(aws).with_schedules().with("ALLOWED_POLICIES", policies);
    for policy in [POLICY, VIEW] {
        harness.send(&grant(&json!({"policyArn": policy}))).await.unwrap();
    }
    let begun = eks_break_glass::platform::clock::instant();
    let (admin, view) = (revoke(&json!({})), revoke(&json!({"policyArn": VIEW})));
    let (one, other) = tokio::join!(harness.send(&admin), harness.send(&view));
    assert!(begun.elapsed() < MINUTE, "neither waits for what the other did");
    for answer in [one, other] {
        assert_eq!(answer.unwrap()["status"], "REVOKED");
    }
    assert!(holds_nothing(&harness) && schedules(&harness).is_empty());
}

/// EKS may take longer to know a new principal than the access lasts.
#[tokio::test(start_paused = true)]
async fn end_that_has_passed_before_the_access_was_given_is_moved() {
    let principal = Principal::made_at(ADMIN, World::START).with_eks_lag(Duration::from_secs(66));
    let harness = harness(world(Mode::Api).with_principal(principal));
    let result = harness.send(&grant(&json!({"duration": "1m"}))).await.unwrap();
    let expires_at: jiff::Timestamp = result["expiresAt"].as_str().unwrap().parse().unwrap();
    assert!(expires_at > harness.aws.world(|world| world.now()), "{expires_at}");
    assert_eq!(statuses(harness.after(MINUTE).await), ["REVOKED"]);
    assert!(holds_nothing(&harness));
}

#[tokio::test(start_paused = true)]
async fn made_up_restore_does_not_take_a_schedule_that_cannot_be_read_from_its_access() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let schedule = harness.aws.world(|world| world.schedules()[0].name.clone());
    harness.aws.world(|world| world.alter_schedule(&schedule, |schedule| "{}".clone_into(&mut schedule.input)));
    let keep = revoke(&json!({"restore": {"version": 1, "entryExisted": true, "accessScope": {"type": "cluster"}}}));
    assert_eq!(harness.send(&keep).await.unwrap()["status"], "REVOKED");
    assert!(holds_nothing(&harness) && schedules(&harness).is_empty());
}

#[tokio::test(start_paused = true)]
async fn event_for_the_successor_in_an_emergency_lasts_no_longer_than_an_emergency() {
    let harness = harness(world(Mode::Api).with_principal(Principal::new(NEW_SSO)))
        .with("REQUIRE_APPROVAL", "true")
        .with("EMERGENCY_MAX_DURATION", "15m");
    let event = grant(&json!({"principalArn": OLD_SSO, "duration": null, "emergency": true, "reason": "INC-1"}));
    let failed = harness.send(&event).await.unwrap_err();
    assert!(failed.message.contains("send this event, with a `reason`: "), "{}", failed.message);
    let event = advised(&failed.message.replace("send this event, with a `reason`: ", "send this event: "));
    assert_eq!((&event["duration"], &event["emergency"]), (&json!("15m"), &json!(true)));
    assert_eq!(harness.send(&merged(event, &json!({"reason": "INC-1"}))).await.unwrap()["status"], "GRANTED");
}
