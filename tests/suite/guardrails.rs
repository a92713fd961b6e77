//! Guardrails: what the settings forbid is refused before any call, naming the setting. First the judgement alone, then each setting
//! in whole requests: allowed, refused, and the ways round it that a caller would try.

use eks_break_glass::decide::guardrails;
use eks_break_glass::domain::failure::{ErrorName, Failure};
use eks_break_glass::domain::region::Region;
use eks_break_glass::input::event::Request;
use serde_json::{Value, json};
use simulator::policy::Policy;
use simulator::world::{Cluster, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{GROUP, Harness};
use crate::settings::{function, settings};

fn judge(variables: &[(&str, &str)], event: &Value) -> Result<(), Failure> {
    let place = [("SCHEDULE_GROUP", GROUP), ("SCHEDULE_ROLE_ARN", "arn:aws:iam::111122223333:role/schedules")];
    let variables: Vec<_> = place.into_iter().chain(variables.iter().copied()).collect();
    let settings = settings(&variables).unwrap();
    let request = Request::parse(&event.to_string(), &Region::parse("eu-west-1").unwrap()).unwrap();
    guardrails::request(&settings, Some(&function()), &request)
}

pub(crate) fn event() -> Value {
    json!({"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/team/admin"})
}

pub(crate) fn with(field: &str, value: &str) -> Value {
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
    guardrails::cluster(&settings, "payments", Some(arn)).unwrap();
    let elsewhere = "arn:aws:eks:eu-west-1:999999999999:cluster/payments";
    assert!(guardrails::cluster(&settings, "payments", Some(elsewhere)).is_err());
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

pub(crate) const TEAM_ADMIN: &str = "arn:aws:iam::111122223333:role/team/admin";
pub(crate) const OUTSIDER: &str = "arn:aws:iam::111122223333:role/outsider";
pub(crate) const BUS: &str = "security";

pub(crate) fn world() -> World {
    World::new()
        .with_cluster(Cluster::new("prod", Mode::Api))
        .with_cluster(Cluster::new("dev", Mode::Api))
        .with_cluster(Cluster::new("prod", Mode::Api).at("444455556666", "eu-west-1"))
        .with_principal(Principal::new(TEAM_ADMIN))
        .with_principal(Principal::new(OUTSIDER))
        .with_assumable_role("arn:aws:iam::444455556666:role/there", "111122223333", None, Policy::allow_all())
        .with_schedule_group(GROUP)
        .with_event_bus(BUS)
}

pub(crate) fn guarded(world: World, setting: &str, value: &str) -> Harness {
    Harness::new(Simulation::new(world)).with_schedules().with("EVENT_BUS", BUS).with(setting, value)
}

/// A grant of the team's admin, with other fields.
pub(crate) fn grant(fields: &Value) -> Value {
    let mut event = json!({"clusterName": "prod", "principalArn": TEAM_ADMIN});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

/// What was called, but for announcements.
pub(crate) fn calls(harness: &Harness) -> Vec<simulator::simulation::Call> {
    harness.aws.calls().into_iter().filter(|call| call.operation != "PutEvents").collect()
}

#[tokio::test(start_paused = true)]
async fn a_default_beyond_the_maximum_answers_no_request_at_all() {
    let harness = guarded(world(), "MAX_DURATION", "1h").with("DEFAULT_DURATION", "2h");
    let failed = harness.send(&grant(&json!({"duration": "1m"}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::Misconfigured);
    assert!(harness.aws.calls().is_empty());
}
