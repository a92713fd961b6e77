//! The robustness findings of November 2026 that concern the function, each by its number.

use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Caller, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::expiry::{HOUR, entries, grant, merged, revoke, schedules, statuses};
use crate::harness::{FUNCTION, GROUP, Harness, warnings};
use crate::security::{ADMIN, BUS, POLICY, VIEW, announced, harness, messages, recreated, world};

const SECOND: &str = "arn:aws:lambda:eu-central-1:111122223333:function:eks-break-glass";

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
