//! One test for each of the security findings of November 2026 that concern the function, by its number; and for the cases from the field
//! that a grant answers. Each failed on the first version.

use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::expiry::{HOUR, after, changes, entries, grant, is_admin, merged, revoke, schedules, statuses};
use crate::harness::{FUNCTION, Harness, REQUEST_ID, warnings};

pub(crate) const ADMIN: &str = crate::expiry::ADMIN;
pub(crate) const POLICY: &str = crate::expiry::POLICY;
pub(crate) const VIEW: &str = crate::expiry::VIEW;
pub(crate) const OLD_SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978";
pub(crate) const BUS: &str = "security";

pub(crate) fn world(mode: Mode) -> World {
    crate::expiry::world(mode).with_event_bus(BUS)
}

pub(crate) fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world)).with_schedules().with("EVENT_BUS", BUS)
}

pub(crate) fn announced(harness: &Harness) -> Vec<String> {
    harness.aws.world(|world| world.bus_events().iter().map(|event| event.detail_type.clone()).collect())
}

pub(crate) fn messages(result: &Value, code: &str) -> String {
    let warnings = result["warnings"].as_array().unwrap().iter();
    warnings.filter(|warning| warning["code"] == code).map(|warning| warning["message"].as_str().unwrap()).collect()
}

pub(crate) fn recreated(entry: Entry) -> World {
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
