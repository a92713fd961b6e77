//! Guardrails: what the settings forbid is refused before any call, naming the setting.

use eks_break_glass::arn::Region;
use eks_break_glass::error::{ErrorName, Failure};
use eks_break_glass::guard;
use eks_break_glass::request::Request;
use serde_json::{Value, json};

use crate::settings::settings;

fn judge(variables: &[(&str, &str)], event: &Value) -> Result<(), Failure> {
    let settings = settings(variables).unwrap();
    let request = Request::parse(&event.to_string(), &Region::parse("eu-west-1").unwrap()).unwrap();
    guard::request(&settings, &request)
}

fn event() -> Value {
    json!({"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/team/admin"})
}

fn with(field: &str, value: &str) -> Value {
    let mut event = event();
    event[field] = json!(value);
    event
}

fn assert_denied(variables: &[(&str, &str)], event: &Value, setting: &str) {
    let failure = judge(variables, event).expect_err(setting);
    assert_eq!(failure.name, ErrorName::RequestDenied);
    assert!(failure.what.contains(setting), "{failure:?}");
}

#[test]
fn a_cluster_outside_the_patterns_is_refused() {
    let allowed = [("ALLOWED_CLUSTERS", "dev-*,arn:aws:eks:eu-west-1:111122223333:cluster/payments")];
    assert_denied(
        &allowed,
        &with("clusterName", "arn:aws:eks:eu-west-1:111122223333:cluster/prod"),
        "ALLOWED_CLUSTERS",
    );
    for near in ["dev", "DEV-1", "xdev-1"] {
        assert_denied(&[("ALLOWED_CLUSTERS", "dev-*")], &with("clusterName", near), "ALLOWED_CLUSTERS");
    }
    judge(&allowed, &with("clusterName", "dev-1")).unwrap();
    judge(&allowed, &with("clusterName", "arn:aws:eks:eu-west-1:111122223333:cluster/payments")).unwrap();
    assert_denied(
        &allowed,
        &with("clusterName", "arn:aws:eks:us-east-1:111122223333:cluster/payments"),
        "ALLOWED_CLUSTERS",
    );
}

#[test]
fn a_name_is_judged_by_patterns_of_arns_once_its_arn_is_known() {
    let settings = settings(&[("ALLOWED_CLUSTERS", "arn:aws:eks:eu-west-1:111122223333:cluster/payments")]).unwrap();
    let arn = "arn:aws:eks:eu-west-1:111122223333:cluster/payments";
    guard::cluster(&settings, "payments", Some(arn)).unwrap();
    let elsewhere = "arn:aws:eks:eu-west-1:999999999999:cluster/payments";
    assert!(guard::cluster(&settings, "payments", Some(elsewhere)).is_err());
}

#[test]
fn a_principal_outside_the_patterns_is_refused() {
    let allowed = [("ALLOWED_PRINCIPALS", "arn:aws:iam::111122223333:role/team/*")];
    judge(&allowed, &event()).unwrap();
    for outside in [
        "arn:aws:iam::111122223333:role/admin",
        "arn:aws:iam::999999999999:role/team/admin",
        "arn:aws:iam::111122223333:user/team/admin",
        "arn:aws:iam::111122223333:role/Team/admin",
        "arn:aws:iam::111122223333:role/x/team/admin",
    ] {
        assert_denied(&allowed, &with("principalArn", outside), "ALLOWED_PRINCIPALS");
    }
}

#[test]
fn a_policy_that_is_not_listed_is_refused() {
    assert_denied(&[], &with("policyArn", "AmazonEKSViewPolicy"), "ALLOWED_POLICIES");
    assert_denied(&[("ALLOWED_POLICIES", "AmazonEKSViewPolicy")], &event(), "ALLOWED_POLICIES");
    judge(&[("ALLOWED_POLICIES", "AmazonEKSViewPolicy")], &with("policyArn", "AmazonEKSViewPolicy")).unwrap();
}

#[test]
fn a_reason_can_be_required_and_blanks_are_none() {
    let required = [("REQUIRE_REASON", "true")];
    assert_denied(&required, &event(), "REQUIRE_REASON");
    assert_denied(&required, &with("reason", "   "), "REQUIRE_REASON");
    judge(&required, &with("reason", "INC-1")).unwrap();
}

#[test]
fn with_a_maximum_a_grant_ends_and_not_later() {
    let most = [("MAX_DURATION", "2h")];
    assert_denied(&most, &event(), "MAX_DURATION");
    assert_denied(&most, &with("duration", "121m"), "MAX_DURATION");
    judge(&most, &with("duration", "2h")).unwrap();
    judge(&[("MAX_DURATION", "2h"), ("DEFAULT_DURATION", "1h")], &event()).unwrap();
}
