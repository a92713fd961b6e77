//! One test for each of the security findings of November 2026 that concern the function, by its number; and for the cases from the field
//! that a grant answers. Each failed on the first version.

use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Caller, Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::expiry::{HOUR, after, changes, entries, grant, is_admin, merged, revoke, schedules, statuses};
use crate::harness::{FUNCTION, GROUP, Harness, REQUEST_ID, lacking, steps, warnings};

const ADMIN: &str = crate::expiry::ADMIN;
const POLICY: &str = crate::expiry::POLICY;
const VIEW: &str = crate::expiry::VIEW;
const OLD_SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978";
const NEW_SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_1111111111111111";
const BUS: &str = "security";
const SECOND: &str = "arn:aws:lambda:eu-central-1:111122223333:function:eks-break-glass";

fn world(mode: Mode) -> World {
    crate::expiry::world(mode).with_event_bus(BUS)
}

fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world)).with_schedules().with("EVENT_BUS", BUS)
}

fn announced(harness: &Harness) -> Vec<String> {
    harness.aws.world(|world| world.bus_events().iter().map(|event| event.detail_type.clone()).collect())
}

fn messages(result: &Value, code: &str) -> String {
    let warnings = result["warnings"].as_array().unwrap().iter();
    warnings.filter(|warning| warning["code"] == code).map(|warning| warning["message"].as_str().unwrap()).collect()
}

fn recreated(entry: Entry) -> World {
    let principal = Principal::new(ADMIN).recreated_at(World::START);
    world(Mode::Api).with_principal(principal).with_entry("prod", entry.made_for_id("AROAEARLIER"))
}

#[tokio::test(start_paused = true)]
async fn s1_role_with_a_similar_name_is_no_successor_and_a_grant_to_it_warns() {
    let lookalike = "arn:aws:iam::111122223333:role/AWSReservedSSO_ClusterAdmin_0000000000000000";
    let world = world(Mode::Api)
        .with_principal(Principal::new(OLD_SSO).deleted_at(World::START))
        .with_principal(Principal::new(lookalike))
        .with_entry("prod", Entry::new(OLD_SSO).with_policy(POLICY, Scope::cluster()));
    let harness = harness(world);
    for event in [
        json!({"action": "inspect", "clusterName": "prod"}),
        json!({"action": "inspect", "clusterName": "prod", "principalArn": OLD_SSO}),
    ] {
        let result = harness.send(&event).await.unwrap();
        assert!(!result["findings"].to_string().contains(lookalike), "{}", result["findings"]);
    }
    let failed = harness.send(&grant(&json!({"principalArn": OLD_SSO}))).await.unwrap_err();
    assert!(!failed.message.contains(lookalike), "{}", failed.message);
    let result = harness.send(&grant(&json!({"principalArn": lookalike}))).await.unwrap();
    assert!(warnings(&result).contains(&"SSO_LOOKALIKE".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn s3_replaced_entry_holds_what_was_asked_for_and_ends() {
    let entry = Entry::new(ADMIN).with_group("platform-admins").with_policy("AmazonEKSAdminPolicy", Scope::cluster());
    let harness = harness(recreated(entry)).with("ALLOWED_POLICIES", VIEW).with("MAX_DURATION", "1h");
    let result = harness.send(&grant(&json!({"policyArn": VIEW}))).await.unwrap();
    assert_eq!(result["expiresAt"], after(1));
    let usable = harness.aws.world(|world| world.usable_access("prod", ADMIN));
    assert_eq!(usable.len(), 1, "{usable:?}");
    assert!(usable[0].0.ends_with(VIEW));
    let identity = harness.aws.world(|world| world.kubernetes_identity("prod", ADMIN)).unwrap();
    assert!(identity.1.is_empty(), "{identity:?}");
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert!(entries(&harness).is_empty());
}

#[tokio::test(start_paused = true)]
async fn s3_stale_administrator_gets_an_hour_and_not_for_ever() {
    let entry = Entry::new(ADMIN).with_policy(POLICY, Scope::cluster());
    let harness = harness(recreated(entry)).with("MAX_DURATION", "1h");
    assert_eq!(harness.send(&grant(&json!({}))).await.unwrap()["expiresAt"], after(1));
    assert!(is_admin(&harness));
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
    assert!(!is_admin(&harness) && entries(&harness).is_empty());
}

/// Killed between delete, create and associate, at every ten milliseconds; and nobody sends the event again.
#[tokio::test(start_paused = true)]
async fn s3_killed_at_any_point_of_a_replacement_nothing_works_without_its_end() {
    let mut points = std::collections::BTreeSet::new();
    for tens in 0..60 {
        let entry = Entry::new(ADMIN).with_group("ops").with_policy(POLICY, Scope::cluster());
        let aws = Simulation::new(recreated(entry)).with_latency(Duration::from_millis(20));
        let harness = Harness::new(aws).with_schedules().with("MAX_DURATION", "1h");
        let event = grant(&json!({}));
        let _ = tokio::time::timeout(Duration::from_millis(tens * 10), harness.send(&event)).await;
        let usable = harness.aws.world(|world| world.usable_access("prod", ADMIN));
        assert!(usable.is_empty() || schedules(&harness).len() == 1, "killed after {} ms: {usable:?}", tens * 10);
        points.insert((
            entries(&harness).contains_key(ADMIN),
            usable.len(),
            schedules(&harness).len(),
            changes(&harness).len(),
        ));
        for answer in harness.after(HOUR).await {
            answer.unwrap();
        }
        assert!(
            harness.aws.world(|world| world.usable_access("prod", ADMIN)).is_empty(),
            "killed after {} ms",
            tens * 10
        );
    }
    // Before anything, with the schedule alone, without the entry, with a bare entry, with its policy.
    assert!(points.len() >= 5, "{points:?}");
}

#[tokio::test(start_paused = true)]
async fn s5_by_default_only_principals_of_the_clusters_account_are_allowed_and_never_the_functions_own_roles() {
    let foreign = "arn:aws:iam::999999999999:role/anybody";
    let own = "arn:aws:iam::111122223333:role/eks-break-glass";
    let schedules = "arn:aws:iam::111122223333:role/eks-break-glass-schedules";
    let target = "arn:aws:iam::111122223333:role/there";
    let everybody = "arn:aws:iam::*:role/*";
    let world = [foreign, own, schedules, target]
        .into_iter()
        .fold(world(Mode::Api), |world, arn| world.with_principal(Principal::new(arn)));
    let harness = harness(world.clone()).with("TARGET_ROLE_NAME", "there");
    let denied = harness.send(&grant(&json!({"principalArn": foreign}))).await.unwrap_err();
    assert_eq!(denied.name, ErrorName::RequestDenied);
    assert!(
        denied.message.contains("`ALLOWED_PRINCIPALS`") && denied.message.contains("111122223333"),
        "{}",
        denied.message
    );
    for (principal, session) in [(own, "eks-break-glass"), (schedules, "eks-break-glass-schedules"), (target, "there")]
    {
        for allowed in [None, Some(everybody)] {
            let harness = match allowed {
                None => self::harness(world.clone()),
                Some(patterns) => self::harness(world.clone()).with("ALLOWED_PRINCIPALS", patterns),
            };
            let harness = harness.with("TARGET_ROLE_NAME", "there");
            let session = format!("arn:aws:sts::111122223333:assumed-role/{session}/x");
            for arn in [principal, &session] {
                let denied = harness.send(&grant(&json!({"principalArn": arn}))).await.unwrap_err();
                assert_eq!(denied.name, ErrorName::RequestDenied, "{arn}: {}", denied.message);
                assert!(denied.message.contains(principal), "{}", denied.message);
            }
            assert!(changes(&harness).iter().all(|operation| *operation == "PutEvents"));
        }
    }
    let result = self::harness(world)
        .with("ALLOWED_PRINCIPALS", everybody)
        .send(&grant(&json!({"principalArn": foreign})))
        .await
        .unwrap();
    assert!(warnings(&result).contains(&"FOREIGN_ACCOUNT".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn s6_made_up_restore_is_no_evidence_and_a_dry_run_says_so() {
    let entry = Entry::new(ADMIN).with_policy(POLICY, Scope::cluster());
    let forged = json!({"restore": {"version": 1, "entryExisted": false}});
    let bound = harness(world(Mode::Api).with_entry("prod", entry.clone()))
        .with("ALLOWED_PRINCIPALS", "arn:aws:iam::*:role/other");
    let denied = bound.send(&revoke(&forged)).await.unwrap_err();
    assert_eq!(denied.name, ErrorName::RequestDenied);
    assert!(denied.message.contains("`ALLOWED_PRINCIPALS`") && is_admin(&bound), "{}", denied.message);

    let theirs = harness(world(Mode::Api).with_entry("prod", entry));
    let plan = theirs.send(&revoke(&merged(forged.clone(), &json!({"dryRun": true})))).await.unwrap();
    assert_eq!((&plan["plannedStatus"], &plan["accessEntry"]["ownership"]), (&json!("REVOKED"), &json!("UNKNOWN")));
    assert!(warnings(&plan).contains(&"OWNERSHIP_UNKNOWN".to_owned()));

    let ours = harness(world(Mode::Api));
    let plan = ours.send(&revoke(&json!({"dryRun": true}))).await.unwrap();
    assert_eq!(plan["accessEntry"], json!({"ownership": "UNKNOWN"}), "without an entry, that alone");
    assert_eq!(plan["plannedStatus"], "NOTHING_TO_REVOKE");
    ours.send(&grant(&json!({}))).await.unwrap();
    let plan = ours.send(&revoke(&json!({"dryRun": true}))).await.unwrap();
    assert_eq!((&plan["plannedStatus"], &plan["accessEntry"]["ownership"]), (&json!("REVOKED"), &json!("PROVEN")));
}

#[tokio::test(start_paused = true)]
async fn s8_approval_is_required_by_the_function_itself() {
    let harness = harness(world(Mode::Api)).with("REQUIRE_APPROVAL", "true").with("EMERGENCY_MAX_DURATION", "30m");
    for alias in ["live", "7", "APPROVED", "approved2"] {
        let denied = harness.send_through(alias, &grant(&json!({}))).await.unwrap_err();
        assert_eq!(denied.name, ErrorName::RequestDenied, "{alias}");
        assert!(denied.message.contains("`REQUIRE_APPROVAL`"), "{}", denied.message);
    }
    let plan = harness.send(&grant(&json!({"dryRun": true}))).await.unwrap();
    assert_eq!((&plan["status"], &plan["plannedStatus"]), (&json!("PLANNED"), &json!("GRANTED")));
    assert_eq!(harness.send_through("approved", &grant(&json!({}))).await.unwrap()["status"], "GRANTED");
    assert_eq!(harness.send(&revoke(&json!({}))).await.unwrap()["status"], "REVOKED", "a revoke needs none");
    let misused = harness.send_through("revoke", &grant(&json!({}))).await.unwrap_err();
    assert_eq!(misused.name, ErrorName::RequestDenied);
}

#[tokio::test(start_paused = true)]
async fn s8_emergency_skips_the_approval_within_its_own_limits() {
    let guarded = || harness(world(Mode::Api)).with("REQUIRE_APPROVAL", "true").with("EMERGENCY_MAX_DURATION", "30m");
    let emergency =
        |fields: Value| merged(grant(&json!({"emergency": true, "reason": "INC-1", "duration": null})), &fields);
    let harness = guarded();
    let result = harness.send_as(REQUEST_ID, &emergency(json!({}))).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    let end = World::START + jiff::SignedDuration::from_mins(30);
    assert_eq!(result["expiresAt"], end.to_string());
    assert_eq!(announced(&harness), ["EKS access granted without approval"]);
    assert_eq!(harness.logged("audit").last().unwrap()["emergency"], true);
    let shorter = guarded().with("MAX_DURATION", "10m").with("DEFAULT_DURATION", "5m");
    let result = shorter.send(&emergency(json!({}))).await.unwrap();
    let end = World::START + jiff::SignedDuration::from_mins(10);
    assert_eq!(result["expiresAt"], end.to_string(), "the smaller of both maxima");
    for (harness, event, name, names) in [
        (guarded(), emergency(json!({"duration": "31m"})), ErrorName::RequestDenied, "`EMERGENCY_MAX_DURATION`"),
        (guarded(), emergency(json!({"reason": null})), ErrorName::RequestDenied, "`reason`"),
        (
            guarded().with("EMERGENCY_MAX_DURATION", "0"),
            emergency(json!({})),
            ErrorName::RequestDenied,
            "`EMERGENCY_MAX_DURATION`",
        ),
        (guarded().with("GRANTS_FROZEN", "true"), emergency(json!({})), ErrorName::RequestDenied, "`GRANTS_FROZEN`"),
        (guarded().with("REQUIRE_APPROVAL", "false"), emergency(json!({})), ErrorName::InvalidRequest, "`emergency`"),
    ] {
        let failed = harness.send(&event).await.unwrap_err();
        assert_eq!(failed.name, name, "{}", failed.message);
        assert!(failed.message.contains(names), "{}", failed.message);
        assert!(entries(&harness).is_empty());
    }
    let approved = guarded().send_through("approved", &emergency(json!({}))).await.unwrap_err();
    assert_eq!(approved.name, ErrorName::InvalidRequest);
}

#[tokio::test(start_paused = true)]
async fn frozen_grants_let_plans_revokes_and_inspections_through() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let frozen = harness.with("GRANTS_FROZEN", "true");
    let denied = frozen.send(&grant(&json!({"duration": "2h"}))).await.unwrap_err();
    assert!(denied.message.contains("`GRANTS_FROZEN`"), "{}", denied.message);
    assert_eq!(frozen.send(&grant(&json!({"dryRun": true}))).await.unwrap()["status"], "PLANNED");
    assert_eq!(frozen.send(&json!({"action": "inspect", "clusterName": "prod"})).await.unwrap()["status"], "INSPECTED");
    assert_eq!(statuses(frozen.after(HOUR).await), ["REVOKED"]);
}

#[tokio::test(start_paused = true)]
async fn s9_altered_schedule_is_no_end_and_a_grant_corrects_it() {
    type Alter = fn(&mut simulator::world::Schedule);
    let alterations: [(&str, Alter, &str); 6] = [
        ("disabled", |schedule| "DISABLED".clone_into(&mut schedule.state), "DISABLED"),
        ("moved", |schedule| schedule.at += jiff::SignedDuration::from_hours(600_000), "its time"),
        ("another function", |schedule| schedule.target_arn += "x", "it invokes"),
        ("the unqualified function", |schedule| FUNCTION.clone_into(&mut schedule.target_arn), "it invokes"),
        ("another role", |schedule| schedule.role_arn += "x", "role"),
        (
            "another input",
            |schedule| schedule.input = schedule.input.replace("new-cluster-admin", "other"),
            "something else",
        ),
    ];
    for (name, alter, said) in alterations {
        let harness = harness(world(Mode::Api));
        harness.send(&grant(&json!({}))).await.unwrap();
        let schedule = harness.aws.world(|world| world.schedules()[0].name.clone());
        assert!(harness.aws.world(|world| world.alter_schedule(&schedule, alter)), "{name}");
        let seen = harness.send(&grant(&json!({"duration": null}))).await.unwrap();
        assert_eq!((&seen["status"], &seen["expiresAt"]), (&json!("ALREADY_GRANTED"), &Value::Null), "{name}");
        assert!(messages(&seen, "EXPIRY_ALTERED").contains(said), "{name}: {}", messages(&seen, "EXPIRY_ALTERED"));
        let corrected = harness.send(&grant(&json!({}))).await.unwrap();
        assert_eq!((&corrected["status"], &corrected["expiresAt"]), (&json!("GRANTED"), &json!(after(1))), "{name}");
        assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"], "{name}");
        assert!(entries(&harness).is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn s11_other_accounts_are_allowed_one_by_one_and_their_sessions_are_restricted_to_the_request() {
    let cluster = "arn:aws:eks:eu-west-1:444455556666:cluster/prod";
    let admin = "arn:aws:iam::444455556666:role/a*b?c$d/admin";
    let role = "arn:aws:iam::444455556666:role/there";
    let world = world(Mode::Api)
        .with_cluster(Cluster::new("prod", Mode::Api).at("444455556666", "eu-west-1"))
        .with_cluster(Cluster::new("other", Mode::Api).at("444455556666", "eu-west-1"))
        .with_principal(Principal::new(admin))
        .with_assumable_role(role, "111122223333", Some("a-secret"), Policy::allow_all());
    let reaching = || harness(world.clone()).with("TARGET_ROLE_NAME", "there").with("TARGET_EXTERNAL_ID", "a-secret");
    let event = |fields: Value| merged(json!({"clusterName": cluster, "principalArn": admin}), &fields);
    for fields in [json!({}), json!({"dryRun": true}), json!({"action": "revoke"}), json!({"action": "inspect"})] {
        let harness = reaching();
        let denied = harness.send(&event(fields)).await.unwrap_err();
        assert_eq!(denied.name, ErrorName::RequestDenied);
        assert!(denied.message.contains("`ALLOWED_ACCOUNTS`"), "{}", denied.message);
        assert!(harness.aws.calls().iter().all(|call| call.operation == "PutEvents"), "no role is assumed");
    }
    let harness = reaching().with("ALLOWED_ACCOUNTS", "444455556666");
    assert_eq!(harness.send(&event(json!({}))).await.unwrap()["status"], "GRANTED");
    assert_eq!(harness.send(&event(json!({"action": "revoke"}))).await.unwrap()["status"], "REVOKED");
    harness.send(&event(json!({"action": "inspect"}))).await.unwrap();
    let sessions = harness.aws.world(|world| world.assumed_roles().to_vec());
    let policies: Vec<&str> = sessions.iter().map(|session| session.policy.as_deref().unwrap()).collect();
    assert_eq!(policies.len(), 2, "grant and revoke of one access share a session, an inspection has its own");
    assert!(policies[0].contains("role/a${*}b${?}c${$}d/admin"), "{}", policies[0]);
    assert!(!policies[1].contains("AccessEntry\"") && !policies[1].contains("a${*}b"), "{}", policies[1]);
    for policy in policies {
        assert!(policy.len() <= 2048 && policy.contains(":cluster/prod") && !policy.contains("other"), "{policy}");
    }
}

/// A cluster's name has 100 characters at most, a path 512 and a role's name 64. Source: the API references of EKS and IAM.
#[tokio::test(start_paused = true)]
async fn s11_session_policy_of_the_longest_pair_of_arns_keeps_to_its_limit() {
    let name = "c".repeat(100);
    let cluster = format!("arn:aws:eks:eu-west-1:444455556666:cluster/{name}");
    let role = "arn:aws:iam::444455556666:role/there";
    for (path, fits) in [("p".repeat(510), true), ("*".repeat(510), false)] {
        let admin = format!("arn:aws:iam::444455556666:role/{path}/{}", "r".repeat(64));
        for verify in ["controlPlane", "kubernetes"] {
            let world = world(Mode::Api)
                .with_cluster(Cluster::new(&name, Mode::Api).at("444455556666", "eu-west-1"))
                .with_principal(Principal::new(&admin))
                .with_assumable_role(role, "111122223333", None, Policy::allow_all());
            let harness = harness(world).with("TARGET_ROLE_NAME", "there").with("ALLOWED_ACCOUNTS", "444455556666");
            let answer = harness.send(&json!({"clusterName": cluster, "principalArn": admin, "verify": verify})).await;
            let sessions = harness.aws.world(|world| world.assumed_roles().to_vec());
            let policies: Vec<&str> = sessions.iter().filter_map(|session| session.policy.as_deref()).collect();
            if fits {
                assert_eq!(answer.unwrap()["status"], "GRANTED");
                assert!(policies.iter().any(|policy| policy.contains(&admin)), "{policies:?}");
                assert!(policies.iter().all(|policy| policy.len() <= 2048), "{policies:?}");
            } else {
                let refused = answer.unwrap_err();
                assert_eq!(refused.name, ErrorName::InvalidRequest);
                assert!(refused.message.contains("too long") && policies.is_empty(), "{}", refused.message);
            }
        }
    }
}

fn two_installations(world: World) -> (Harness, Harness) {
    let second = Caller {
        arn: "arn:aws:sts::111122223333:assumed-role/second/second".to_owned(),
        account: "111122223333".to_owned(),
        user_id: "AROASECOND:second".to_owned(),
        policy: Policy::allow_all(),
    };
    let group = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/eks-break-glass";
    let aws = Simulation::new(world.with_caller("ASIASECOND", second).with_schedule_group(group));
    let first = Harness::new(aws.clone()).with_schedules();
    let second =
        Harness::new(aws).with_schedules().with("AWS_REGION", "eu-central-1").installed_as(SECOND, "ASIASECOND");
    (first, second)
}

#[tokio::test(start_paused = true)]
async fn r4_entry_of_another_installation_is_not_ours() {
    let (first, second) = two_installations(world(Mode::Api));
    let cluster = json!({"clusterName": "arn:aws:eks:eu-west-1:111122223333:cluster/prod"});
    first.send(&grant(&cluster)).await.unwrap();
    let again = second.send(&grant(&cluster)).await.unwrap();
    assert_eq!(
        (&again["status"], &again["undo"], &again["expiresAt"]),
        (&json!("ALREADY_GRANTED"), &Value::Null, &Value::Null)
    );
    assert!(messages(&again, "ACCESS_IS_PERMANENT").contains("Another installation"), "{again}");
    let plan = second.send(&revoke(&merged(cluster.clone(), &json!({"dryRun": true})))).await.unwrap();
    assert_eq!(plan["accessEntry"]["ownership"], "UNKNOWN");
    // Bound by the guardrails, it removes the policy alone, and the entry stays: the tags are another's.
    let removed = second
        .send(&revoke(&merged(cluster, &json!({"restore": {"version": 1, "entryExisted": false}}))))
        .await
        .unwrap();
    assert_eq!(removed["status"], "REVOKED");
    assert!(warnings(&removed).contains(&"ENTRY_KEPT".to_owned()));
    assert!(entries(&first).contains_key(ADMIN));
    assert_eq!(statuses(first.after(HOUR).await), ["REVOKED"]);
    assert!(entries(&first).is_empty(), "its own installation removes the rest");
}

#[tokio::test(start_paused = true)]
async fn r6_principal_with_an_unusual_path_is_granted_and_inspected() {
    let unusual = "arn:aws:iam::111122223333:role/a!b/(x)/admin";
    let world = world(Mode::Api)
        .with_principal(Principal::new(unusual))
        .with_entry("prod", Entry::new(unusual).with_policy(POLICY, Scope::cluster()));
    let harness = harness(world);
    let result = harness.send(&json!({"action": "inspect", "clusterName": "prod"})).await.unwrap();
    assert!(result["findings"].to_string().contains(unusual), "{}", result["findings"]);
    assert_eq!(harness.send(&grant(&json!({"principalArn": unusual}))).await.unwrap()["status"], "ALREADY_GRANTED");
}

#[tokio::test(start_paused = true)]
async fn r9_scheduled_revoke_of_a_deleted_cluster_has_nothing_to_revoke() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    let input: Value = harness.aws.world(|world| serde_json::from_str(&world.schedules()[0].input).unwrap());
    let gone = self::harness(World::new().with_schedule_group(GROUP).with_event_bus(BUS));
    let result = gone.send_through("revoke", &input).await.unwrap();
    assert_eq!(result["status"], "NOTHING_TO_REVOKE");
    assert_eq!((&result["cluster"]["status"], &result["cluster"]["name"]), (&Value::Null, &json!("prod")));
    let sent_manually = gone.send(&revoke(&json!({}))).await.unwrap_err();
    assert_eq!(sent_manually.name, ErrorName::ClusterNotFound);
}

#[test]
fn r10_durations_without_a_place_for_schedules_are_misconfigured() {
    for variable in ["MAX_DURATION", "DEFAULT_DURATION"] {
        let wrong = crate::settings::settings(&[(variable, "1h")]).unwrap_err().join("; ");
        assert!(wrong.contains(&format!("`{variable}`")) && wrong.contains("`SCHEDULE_GROUP`"), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn r12_polls_have_jitter() {
    let mut times = std::collections::BTreeSet::new();
    for seed in 0..8 {
        fastrand::seed(seed);
        let delays = simulator::world::Delays { entry: Duration::from_secs(20), ..Default::default() };
        let harness = harness(world(Mode::Api).with_delays(delays));
        let begun = eks_break_glass::platform::clock::instant();
        harness.send(&grant(&json!({}))).await.unwrap();
        times.insert(begun.elapsed());
    }
    assert!(times.len() > 4, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn r14_what_others_added_to_our_entry_keeps_it() {
    for (name, added) in [
        ("a tag", Entry::new(ADMIN).with_tag("team", "platform")),
        ("a username", Entry::new(ADMIN).with_username("ops:{{SessionName}}")),
    ] {
        let ours = [("function", FUNCTION), ("policy", POLICY), ("ends", "never"), ("grant-id", "an-earlier-one")];
        let entry =
            ours.iter().fold(added, |entry, (key, value)| entry.with_tag(&format!("eks-break-glass:{key}"), value));
        let harness = harness(world(Mode::Api).with_entry("prod", entry.with_policy(POLICY, Scope::cluster())));
        let result = harness.send(&revoke(&json!({}))).await.unwrap();
        assert_eq!(result["status"], "REVOKED", "{name}");
        assert_eq!(warnings(&result), ["ENTRY_KEPT", "ACCESS_MAY_PERSIST"], "{name}");
        assert!(entries(&harness)[ADMIN].policies.is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn r16_result_stays_within_what_step_functions_takes() {
    let mut world = world(Mode::Api);
    for number in 0..600 {
        let arn = format!("arn:aws:iam::111122223333:role/{}/role-{number}", "x".repeat(400));
        let entry = (0..20).fold(Entry::new(&arn), |entry, group| entry.with_group(&format!("group-{group:>040}")));
        world = world
            .with_principal(Principal::new(&arn).recreated_at(World::START))
            .with_entry("prod", entry.made_for_id("AROAEARLIER").with_policy(VIEW, Scope::cluster()));
    }
    let harness = harness(world);
    let event = json!({"action": "inspect", "clusterName": "prod"}).to_string();
    let text = harness.answer_text(&event, crate::harness::LAMBDA_TIMEOUT).await.unwrap();
    assert!(text.len() <= 200_000, "{} bytes", text.len());
    let result: Value = serde_json::from_str(&text).unwrap();
    let codes = warnings(&result);
    assert!(
        codes.contains(&"FINDINGS_TRUNCATED".to_owned()) || codes.contains(&"RESULT_TRUNCATED".to_owned()),
        "{codes:?}"
    );

    let many = (0..4000).fold(Entry::new(ADMIN), |entry, group| entry.with_group(&format!("group-{group:>055}")));
    let harness = self::harness(recreated(many));
    let event = grant(&json!({})).to_string();
    let text = harness.answer_text(&event, crate::harness::LAMBDA_TIMEOUT).await.unwrap();
    assert!(text.len() <= 200_000, "{} bytes", text.len());
    assert!(text.contains("RESULT_TRUNCATED"));
}

#[tokio::test(start_paused = true)]
async fn r18_revoke_that_only_deletes_a_schedule_is_announced() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    harness.aws.world(|world| {
        let delete = simulator::operation::Operation::DeleteAccessEntry {
            cluster: "prod".to_owned(),
            principal: ADMIN.to_owned(),
        };
        let caller = world.caller("").clone();
        world.call(&caller, "eu-west-1", &delete).unwrap();
    });
    assert_eq!(harness.send(&revoke(&json!({}))).await.unwrap()["status"], "NOTHING_TO_REVOKE");
    assert_eq!(announced(&harness), ["EKS access granted", "EKS access revoked"]);
    assert!(schedules(&harness).is_empty());
}

#[tokio::test(start_paused = true)]
async fn r19_line_of_a_warning_keeps_its_message_and_has_the_warning() {
    let harness = harness(world(Mode::ApiAndConfigMap));
    harness.send(&grant(&json!({}))).await.unwrap();
    let lines = harness.logged("warning");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["warning"]["code"], "AWS_AUTH_OVERRIDDEN");
    assert!(lines[0]["warning"]["message"].is_string());
}

#[tokio::test(start_paused = true)]
async fn r20_schedule_that_can_not_be_read_after_a_revoke_is_said_to_stay() {
    let harness = harness(world(Mode::Api));
    harness.send(&grant(&json!({}))).await.unwrap();
    harness.aws.inject(Fault::new(At::Every("GetSchedule"), Kind::Denied));
    let result = harness.send(&revoke(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "REVOKED");
    assert!(warnings(&result).contains(&"SCHEDULE_NOT_REMOVED".to_owned()), "{:?}", warnings(&result));
}

#[tokio::test(start_paused = true)]
async fn r21_principal_that_eks_does_not_know_is_named_with_the_command_that_fits_it() {
    for (arn, command) in [
        ("arn:aws:iam::111122223333:role/nobody", "aws iam get-role --role-name 'nobody'"),
        ("arn:aws:iam::111122223333:user/nobody", "aws iam get-user --user-name 'nobody'"),
    ] {
        let harness = harness(world(Mode::Api).with_policy(Policy::article()));
        let failed = harness.send(&grant(&json!({"principalArn": arn, "duration": null}))).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::PrincipalNotFound);
        assert!(failed.message.contains(arn) && failed.message.contains(command), "{}", failed.message);
    }
}

#[tokio::test(start_paused = true)]
async fn field_3_and_4_role_of_instances_is_granted_nothing_unless_the_caller_knows() {
    let karpenter = "arn:aws:iam::111122223333:role/KarpenterNodeRole-prod";
    let session = "arn:aws:sts::111122223333:assumed-role/KarpenterNodeRole-prod/i-0123456789abcdef0";
    for service in ["ec2.amazonaws.com", "eks-fargate-pods.amazonaws.com", "pods.eks.amazonaws.com"] {
        let world = world(Mode::ApiAndConfigMap).with_principal(Principal::new(karpenter).trusting(&[service]));
        for principal in [karpenter, session] {
            let harness = harness(world.clone());
            let event = grant(&json!({"principalArn": principal}));
            let failed = harness.send(&event).await.unwrap_err();
            assert_eq!(failed.name, ErrorName::InvalidRequest, "{principal}");
            assert!(
                failed.message.contains("`instanceRole`") && failed.message.contains(karpenter),
                "{}",
                failed.message
            );
            assert!(entries(&harness).is_empty());
            let knowing = harness.send(&merged(event, &json!({"instanceRole": true}))).await.unwrap();
            assert_eq!(knowing["status"], "GRANTED");
        }
    }
    // The session's name shows it, too, where IAM may not be asked.
    let world = world(Mode::ApiAndConfigMap)
        .with_principal(Principal::new(karpenter))
        .with_policy(lacking(&["iam:GetRole"]))
        .with_entry("prod", Entry::new(karpenter));
    let failed = harness(world).send(&grant(&json!({"principalArn": session}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::InvalidRequest);
    // Others take no further call.
    let plain = harness(self::world(Mode::Api));
    plain.send(&grant(&json!({}))).await.unwrap();
    assert!(
        plain
            .aws
            .calls()
            .iter()
            .all(|call| !call.operation.contains("Nodegroup") && !call.operation.contains("Fargate"))
    );
}

#[tokio::test(start_paused = true)]
async fn node_role_of_the_cluster_is_a_conflict_whatever_is_set() {
    let nodes = "arn:aws:iam::111122223333:role/eks-nodes";
    let clusters: [(&str, Cluster); 3] = [
        ("node group `workers`", Cluster::new("prod", Mode::Api).with_nodegroup("workers", nodes)),
        ("Fargate profile `batch`", Cluster::new("prod", Mode::Api).with_fargate_profile("batch", nodes)),
        ("EKS Auto Mode", Cluster::new("prod", Mode::Api).with_auto_mode(nodes)),
    ];
    for (user, cluster) in clusters {
        for instance_role in [false, true] {
            let world = world(Mode::Api).with_cluster(cluster.clone()).with_principal(
                Principal::new(nodes).trusting(&["ec2.amazonaws.com", "eks-fargate-pods.amazonaws.com"]),
            );
            let harness = harness(world);
            let event = grant(&json!({"principalArn": nodes, "instanceRole": instance_role}));
            let failed = harness.send(&event).await.unwrap_err();
            assert_eq!(failed.name, ErrorName::AccessEntryConflict, "{user}");
            assert!(
                failed.message.contains(user) && failed.message.contains("Nothing was changed."),
                "{}",
                failed.message
            );
        }
    }
    // Where the function isn't allowed to look, the caller's word decides, and the result says so.
    let world = world(Mode::Api)
        .with_cluster(Cluster::new("prod", Mode::Api).with_nodegroup("workers", nodes))
        .with_principal(Principal::new(nodes).trusting(&["ec2.amazonaws.com"]))
        .with_policy(lacking(&["eks:ListNodegroups", "eks:ListFargateProfiles"]));
    let result = harness(world).send(&grant(&json!({"principalArn": nodes, "instanceRole": true}))).await.unwrap();
    assert!(warnings(&result).contains(&"NODE_ROLES_UNKNOWN".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn field_9_entry_that_overrides_aws_auth_warns() {
    for (mode, warned) in [(Mode::ApiAndConfigMap, true), (Mode::ConfigMap, true), (Mode::Api, false)] {
        let event = grant(&json!({"policyArn": VIEW, "accessScope": {"type": "namespace", "namespaces": ["team-a"]}}));
        let result = harness(world(mode)).with("ALLOWED_POLICIES", VIEW).send(&event).await.unwrap();
        assert_eq!(warnings(&result).contains(&"AWS_AUTH_OVERRIDDEN".to_owned()), warned, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn field_10_session_of_a_replaced_role_is_answered_with_the_present_one() {
    let session =
        "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978/jane.doe@example.com";
    for mode in [Mode::ConfigMap, Mode::Api] {
        let world = world(mode)
            .with_principal(Principal::new(OLD_SSO).deleted_at(World::START))
            .with_principal(Principal::new(NEW_SSO));
        for sent in [session, OLD_SSO] {
            let harness = harness(world.clone());
            let failed = harness.send(&grant(&json!({"principalArn": sent}))).await.unwrap_err();
            assert_eq!(failed.name, ErrorName::PrincipalNotFound, "{}", failed.message);
            assert!(failed.message.contains("deleted") && failed.message.contains(NEW_SSO), "{}", failed.message);
            let (_, rest) = failed.message.split_once("send this event: ").unwrap();
            let event: Value = serde_json::Deserializer::from_str(rest).into_iter().next().unwrap().unwrap();
            assert_eq!(harness.send(&event).await.unwrap()["status"], "GRANTED");
        }
    }
    // Of several, the youngest; of the same age, all are named and no event is offered.
    let third = NEW_SSO.replace("1111111111111111", "2222222222222222");
    let older = World::START - jiff::SignedDuration::from_hours(2);
    for (made, offered) in [(older, true), (World::START, false)] {
        let world = world(Mode::Api)
            .with_principal(Principal::new(OLD_SSO).deleted_at(World::START))
            .with_principal(Principal::made_at(NEW_SSO, World::START))
            .with_principal(Principal::made_at(&third, made));
        let failed = harness(world).send(&grant(&json!({"principalArn": session}))).await.unwrap_err();
        assert_eq!(failed.message.contains("send this event"), offered, "{}", failed.message);
        assert_eq!(failed.message.contains(&third), !offered, "{}", failed.message);
    }
}

#[tokio::test(start_paused = true)]
async fn field_16_cluster_that_is_not_there_is_answered_with_account_region_and_nearest_name() {
    let harness = harness(world(Mode::Api));
    for (name, region) in [("Prod", "eu-west-1"), ("prd", "eu-west-1")] {
        let failed = harness.send(&grant(&json!({"clusterName": name, "region": region}))).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::ClusterNotFound);
        for part in ["111122223333", region, "`prod`", name] {
            assert!(failed.message.contains(part), "{part}: {}", failed.message);
        }
    }
    let failed = harness.send(&grant(&json!({"region": "us-east-1"}))).await.unwrap_err();
    assert!(failed.message.contains("us-east-1") && failed.message.contains("no cluster at all"), "{}", failed.message);
    let blind = self::harness(world(Mode::Api).with_policy(lacking(&["eks:ListClusters"])));
    let failed = blind.send(&grant(&json!({"clusterName": "prd"}))).await.unwrap_err();
    assert!(failed.message.contains("111122223333") && !failed.message.contains("nearest"), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn field_17_explicit_deny_is_told_from_a_missing_permission() {
    let denied = |world: World| harness(world.with_authorization_ids());
    let deny = Policy::parse(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"eks:UpdateClusterConfig","Resource":"*"}]}"#,
    )
    .unwrap();
    for (world, words) in [
        (world(Mode::ConfigMap).with_service_control_policy(deny.clone()), "explicit deny in a service control policy"),
        (
            world(Mode::ConfigMap).with_policy(Policy::allow_all().without(&["eks:UpdateClusterConfig"])),
            "explicit deny in an identity-based policy",
        ),
    ] {
        let failed = denied(world).send(&grant(&json!({}))).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::PermissionDenied);
        assert!(failed.message.contains(words) && failed.message.contains("owner of that"), "{}", failed.message);
        assert!(failed.message.to_lowercase().contains("authorization"), "the id is passed on: {}", failed.message);
    }
    let missing = denied(world(Mode::ConfigMap).with_policy(lacking(&["eks:UpdateClusterConfig"])));
    let failed = missing.send(&grant(&json!({}))).await.unwrap_err();
    assert!(
        failed.message.contains("Allow `eks:UpdateClusterConfig`") && !failed.message.contains("owner of that"),
        "{}",
        failed.message
    );
}

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
