//! The event: what is taken, what is refused, and in which words.

use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::arn::ClusterRef;
use eks_break_glass::domain::principal::Principal;
use eks_break_glass::domain::region::Region;
use eks_break_glass::input::event::{Action, Grant, Request, Verify};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

fn home() -> Region {
    Region::parse("eu-west-1").unwrap()
}

fn parse(event: &Value) -> Result<Request, String> {
    Request::parse(&event.to_string(), &home()).map_err(|invalid| invalid.to_string())
}

/// The least event, with `field` set to `value`.
fn with(field: &str, value: Value) -> Value {
    let mut event = json!({
        "clusterName": "prod",
        "principalArn": "arn:aws:iam::111122223333:role/new-cluster-admin",
    });
    event[field] = value;
    event
}

fn grant(event: &Value) -> Grant {
    match parse(event).unwrap().action {
        Action::Grant(grant) => grant,
        other => panic!("{other:?} is no grant"),
    }
}

fn refusal(event: &Value) -> String {
    parse(event).expect_err("the event should be refused")
}

#[test]
fn two_fields_are_a_whole_event() {
    let event = with("action", Value::Null);
    let request = parse(&event).unwrap();
    assert_eq!(request.cluster.name, "prod");
    assert_eq!(request.cluster.region, home());
    let grant = grant(&event);
    assert_eq!(grant.policy.name(), "AmazonEKSClusterAdminPolicy");
    assert_eq!(grant.scope, AccessScope::Cluster);
    assert_eq!((grant.duration, grant.wait), (None, None));
    assert_eq!(grant.verify, Verify::ControlPlane);
    assert!(!grant.dry_run && !grant.recreate_entry);
}

#[test]
fn a_misspelt_field_is_refused_and_the_nearest_one_is_named() {
    for (misspelt, nearest) in [
        ("durration", "duration"),
        ("Duration", "duration"),
        ("cluster", "clusterName"),
        ("principal", "principalArn"),
        ("dry_run", "dryRun"),
        ("policy", "policyArn"),
    ] {
        let message = refusal(&with(misspelt, json!("1h")));
        assert!(message.contains(&format!("`{misspelt}`")), "{message}");
        assert!(message.contains(&format!("`{nearest}`")), "{message}");
    }
    let message = refusal(&with("accessScope", json!({"type": "namespace", "namespace": ["a"]})));
    assert!(message.contains("`accessScope.namespace`"), "{message}");
    assert!(message.contains("`namespaces`"), "{message}");
}

#[test]
fn a_field_said_twice_is_refused() {
    let event = r#"{"clusterName":"prod","clusterName":"dev","principalArn":"arn:aws:iam::111122223333:role/x"}"#;
    let message = Request::parse(event, &home()).unwrap_err().to_string();
    assert!(message.contains("`clusterName`") && message.contains("twice"), "{message}");
    let event = r#"{"clusterName":"prod","principalArn":"arn:aws:iam::111122223333:role/x","accessScope":{"type":"cluster","type":"namespace"}}"#;
    let message = Request::parse(event, &home()).unwrap_err().to_string();
    assert!(message.contains("`accessScope.type`"), "{message}");
}

#[test]
fn a_field_of_another_action_is_refused() {
    let revoke = |field: &str, value: Value| {
        let mut event = with(field, value);
        event["action"] = json!("revoke");
        event
    };
    for (field, value) in [
        ("duration", json!("1h")),
        ("accessScope", json!({"type": "cluster"})),
        ("waitSeconds", json!(1)),
        ("recreateEntry", json!(true)),
    ] {
        let message = refusal(&revoke(field, value));
        assert!(message.contains(&format!("`{field}`")) && message.contains("`revoke`"), "{message}");
    }
    assert!(refusal(&with("restore", json!({}))).contains("`restore`"));
    assert!(refusal(&with("expiresAt", json!("2026-11-23T18:00:00Z"))).contains("`expiresAt`"));
    for (field, value) in [("dryRun", json!(true)), ("verify", json!("kubernetes"))] {
        let mut inspect = json!({"action": "inspect", "clusterName": "prod"});
        inspect[field] = value;
        assert!(refusal(&inspect).contains(&format!("`{field}`")));
    }
    // `null` is the same as absent, of whichever action.
    assert!(parse(&revoke("duration", Value::Null)).is_ok());
}

#[test]
fn wrong_types_and_values_are_refused_with_the_place() {
    for (field, value) in [
        ("action", json!("delete")),
        ("action", json!(1)),
        ("clusterName", json!("")),
        ("clusterName", json!("-prod")),
        ("clusterName", json!("prod ")),
        ("clusterName", json!("a".repeat(101))),
        ("clusterName", json!("../../etc")),
        ("clusterName", json!("prod\n")),
        ("clusterName", json!(["prod"])),
        ("region", json!("eu-west")),
        ("region", json!("EU-WEST-1")),
        ("region", json!("eu-west-1.evil.example/#")),
        ("policyArn", json!("arn:aws:iam::aws:policy/AdministratorAccess")),
        ("policyArn", json!("arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSViewPolicy")),
        ("policyArn", json!("Amazon EKS View")),
        ("dryRun", json!("yes")),
        ("dryRun", json!(1)),
        ("verify", json!("maybe")),
        ("waitSeconds", json!(-1)),
        ("waitSeconds", json!(1.5)),
        ("waitSeconds", json!("10")),
        ("recreateEntry", json!("true")),
        ("reason", json!("form\u{c}feed")),
        ("reason", json!("x".repeat(1001))),
        ("reason", json!(42)),
        ("requestedBy", json!("x".repeat(257))),
    ] {
        let message = refusal(&with(field, value.clone()));
        assert!(message.starts_with(&format!("`{field}`")), "{field} = {value}: {message}");
    }
    for event in ["", "null", "[]", "\"prod\"", "{", "1"] {
        assert!(Request::parse(event, &home()).is_err(), "{event}");
    }
    assert!(refusal(&json!({"clusterName": "prod"})).contains("`principalArn`: the field is missing"));
}

#[test]
fn scopes_are_those_that_eks_takes() {
    let scope = |value: Value| grant(&with("accessScope", value)).scope;
    assert_eq!(scope(json!({"type": "cluster"})), AccessScope::Cluster);
    assert_eq!(scope(json!({"type": "cluster", "namespaces": []})), AccessScope::Cluster);
    assert_eq!(
        scope(json!({"type": "namespace", "namespaces": ["team-a", "dev-*"]})),
        AccessScope::Namespaces(vec!["team-a".to_owned(), "dev-*".to_owned()])
    );
    for wrong in [
        json!({"type": "Cluster"}),
        json!({"type": "cluster", "namespaces": ["a"]}),
        json!({"type": "namespace"}),
        json!({"type": "namespace", "namespaces": []}),
        json!({"type": "namespace", "namespaces": ["Team A"]}),
        json!({"type": "namespace", "namespaces": [1]}),
        json!({"namespaces": ["a"]}),
        json!("cluster"),
    ] {
        let message = refusal(&with("accessScope", wrong.clone()));
        assert!(message.starts_with("`accessScope"), "{wrong}: {message}");
    }
}

#[test]
fn durations_are_hours_minutes_and_seconds_of_at_least_a_minute() {
    let duration = |text: &str| grant(&with("duration", json!(text))).duration;
    assert_eq!(duration("1h"), Some(SignedDuration::from_hours(1)));
    assert_eq!(duration("90m"), Some(SignedDuration::from_mins(90)));
    assert_eq!(duration("PT1H30M"), Some(SignedDuration::from_mins(90)));
    for wrong in ["1d", "P1D", "60", "0", "0h", "59s", "-1h", "1h ago", "", "one hour", "1w", "1mo"] {
        let message = refusal(&with("duration", json!(wrong)));
        assert!(message.starts_with("`duration`"), "{wrong}: {message}");
    }
    assert!(refusal(&with("duration", json!(3600))).starts_with("`duration`"));
}

#[test]
fn a_cluster_arn_says_where_the_cluster_is() {
    for (arn, partition) in [
        ("arn:aws:eks:us-east-2:111122223333:cluster/prod", "aws"),
        ("arn:aws-cn:eks:cn-north-1:111122223333:cluster/prod", "aws-cn"),
        ("arn:aws-us-gov:eks:us-gov-west-1:111122223333:cluster/prod", "aws-us-gov"),
        ("arn:aws-iso:eks:us-iso-east-1:111122223333:cluster/prod", "aws-iso"),
        ("arn:aws-iso-b:eks:us-isob-east-1:111122223333:cluster/prod", "aws-iso-b"),
        ("arn:aws-iso-e:eks:eu-isoe-west-1:111122223333:cluster/prod", "aws-iso-e"),
        ("arn:aws-iso-f:eks:us-isof-south-1:111122223333:cluster/prod", "aws-iso-f"),
        ("arn:aws-eusc:eks:eusc-de-east-1:111122223333:cluster/prod", "aws-eusc"),
    ] {
        let mut event = with("clusterName", json!(arn));
        event["principalArn"] = json!(format!("arn:{partition}:iam::111122223333:role/x"));
        let request = parse(&event).unwrap();
        assert_eq!(request.cluster.arn().as_deref(), Some(arn));
        assert_eq!(
            request.policy().unwrap().as_str(),
            format!("arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy")
        );
    }
}

#[test]
fn a_cluster_arn_must_not_contradict_the_rest() {
    let arn = "arn:aws:eks:us-east-2:111122223333:cluster/prod";
    let mut event = with("clusterName", json!(arn));
    event["region"] = json!("eu-west-1");
    assert!(refusal(&event).contains("`eu-west-1`"));
    event["region"] = json!("us-east-2");
    assert!(parse(&event).is_ok());
    event["principalArn"] = json!("arn:aws-cn:iam::111122223333:role/x");
    assert!(refusal(&event).contains("`aws-cn`"));
    for wrong in [
        "arn:aws:eks:cn-north-1:111122223333:cluster/prod",
        "arn:aws:eks:us-east-2:1111:cluster/prod",
        "arn:aws:eks:us-east-2:111122223333:nodegroup/prod/x",
        "arn:aws:ecs:us-east-2:111122223333:cluster/prod",
        "arn:aws:eks:us-east-2:111122223333:cluster/a/b",
        "arn:aws:eks:us-east-2:111122223333",
    ] {
        assert!(refusal(&with("clusterName", json!(wrong))).starts_with("`clusterName`"), "{wrong}");
    }
}

#[test]
fn revoke_and_inspect_are_read_whole() {
    let revoke = json!({
        "action": "revoke",
        "clusterName": "prod",
        "principalArn": "arn:aws:iam::111122223333:role/x",
        "restore": {"version": 1, "entryExisted": true, "accessScope": {"type": "namespace", "namespaces": ["a"]}},
        "expiresAt": "2026-11-23T18:00:00Z",
        "dryRun": true,
    });
    let Action::Revoke(read) = parse(&revoke).unwrap().action else { panic!("not a revoke") };
    assert!(read.dry_run && read.expires_at.is_some());
    assert_eq!(read.restore.unwrap().access_scope, Some(AccessScope::Namespaces(vec!["a".to_owned()])));
    let later = {
        let mut event = revoke;
        event["restore"]["version"] = json!(2);
        event
    };
    assert!(refusal(&later).starts_with("`restore.version`"));
    assert!(parse(&json!({"action": "inspect", "clusterName": "prod"})).is_ok());
}

proptest! {
    /// Whatever is sent, there is an answer, and nothing but a well-formed request comes through.
    #[test]
    fn no_text_gets_through_that_is_not_a_request(text in "\\PC{0,200}") {
        if let Ok(request) = Request::parse(&text, &home()) {
            prop_assert!(request.cluster.name.len() <= 100);
        }
    }

    #[test]
    fn hostile_values_of_the_fields_that_let_somebody_in_are_refused_or_harmless(
        name in "[ -~\\n\\t]{0,40}", principal in "[ -~é]{0,60}",
    ) {
        let event = json!({"clusterName": name, "principalArn": format!("arn:aws:iam::111122223333:role/{principal}")});
        if let Ok(request) = parse(&event) {
            prop_assert!(request.cluster.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            let Principal::Iam(arn) = &request.principal().unwrap().principal else {
                panic!("an IAM ARN became a session")
            };
            prop_assert!(arn.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(arn.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte)));
        }
    }

    #[test]
    fn a_clusters_arn_is_read_as_it_is_written(name in "[A-Za-z0-9][A-Za-z0-9_-]{0,99}", account in "[0-9]{12}") {
        let arn = format!("arn:aws:eks:ap-southeast-2:{account}:cluster/{name}");
        prop_assert_eq!(ClusterRef::parse(&arn, None, &home()).unwrap().arn(), Some(arn));
    }
}

#[test]
fn line_breaks_and_tabs_in_prose_become_spaces() {
    let event = with("reason", json!("INC-1\r\nline two\n\tindented"));
    assert_eq!(parse(&event).unwrap().reason.as_deref(), Some("INC-1 line two  indented"));
    let event = with("requestedBy", json!("jane\ndoe"));
    assert_eq!(parse(&event).unwrap().requested_by.as_deref(), Some("jane doe"));
}
