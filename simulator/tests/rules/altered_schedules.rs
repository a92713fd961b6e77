//! Schedules that another user of Scheduler alters, and two installations in one world.

use serde_json::{Value, json};
use simulator::World;
use simulator::operation::Operation;
use simulator::policy::Policy;
use simulator::world::{ACCOUNT, Caller, REGION, Schedule};

use crate::scheduler::{GROUP, create, get, schedule, sent, with_group};
use crate::{call, call_as, seconds};

fn altered(alter: impl FnOnce(&mut Schedule)) -> (World, Value) {
    let mut world = with_group();
    call(&mut world, &create(schedule("a", 1))).unwrap();
    world.advance_to(seconds(10));
    assert!(world.alter_schedule("a", alter));
    let shown = call(&mut world, &get("a")).unwrap();
    (world, shown)
}

#[test]
fn the_expression_follows_the_time() {
    let (mut world, shown) = altered(|schedule| schedule.at = seconds(180));
    let expected = seconds(180).strftime("at(%Y-%m-%dT%H:%M:%S)").to_string();
    assert_eq!(shown["ScheduleExpression"], expected);
    assert_eq!(shown["LastModificationDate"].to_string(), format!("{}.0", seconds(10).as_second()));
    world.advance_to(seconds(60));
    assert_eq!(sent(&mut world), [""; 0]);
    world.advance_to(seconds(180));
    assert_eq!(sent(&mut world), ["a"]);
}

#[test]
fn a_schedule_that_is_disabled_does_not_fire_until_it_is_enabled() {
    let (mut world, shown) = altered(|schedule| schedule.state = "DISABLED".to_owned());
    assert_eq!(shown["State"], "DISABLED");
    world.advance_to(seconds(60));
    assert_eq!(sent(&mut world), [""; 0]);
    assert!(world.alter_schedule("grants/a", |schedule| schedule.state = "ENABLED".to_owned()));
    assert_eq!(sent(&mut world), ["a"]);
}

#[test]
fn the_target_the_role_and_the_input_are_shown_and_used() {
    let other = "arn:aws:lambda:eu-west-1:111122223333:function:f:revoke";
    let (mut world, shown) = altered(|schedule| {
        schedule.target_arn = other.to_owned();
        schedule.role_arn = "arn:aws:iam::111122223333:role/other".to_owned();
        schedule.input = "{}".to_owned();
        schedule.timezone = "Europe/Berlin".to_owned();
        schedule.description = Some("altered".to_owned());
    });
    let target = &shown["Target"];
    assert_eq!((&target["Arn"], &target["Input"]), (&json!(other), &json!("{}")));
    assert_eq!(target["RoleArn"], "arn:aws:iam::111122223333:role/other");
    assert_eq!(shown["ScheduleExpressionTimezone"], "Europe/Berlin");
    assert_eq!(shown["Description"], "altered");
    world.advance_to(seconds(60));
    let deliveries = world.due();
    assert_eq!((deliveries[0].target.as_str(), deliveries[0].input.as_str()), (other, "{}"));
}

#[test]
fn any_expression_can_be_set() {
    let (mut world, shown) = altered(|schedule| schedule.raw_expression = Some("rate(1 hour)".to_owned()));
    assert_eq!(shown["ScheduleExpression"], "rate(1 hour)");
    world.advance_to(seconds(3600));
    assert_eq!(sent(&mut world), [""; 0], "rates are not simulated");
    let at = seconds(7200).strftime("at(%Y-%m-%dT%H:%M:%S)").to_string();
    world.alter_schedule("a", |schedule| schedule.raw_expression = Some(at));
    assert_eq!(world.schedules()[0].at, seconds(7200));
    world.advance_to(seconds(7200));
    assert_eq!(sent(&mut world), ["a"]);
}

#[test]
fn a_schedule_that_does_not_exist_cannot_be_altered() {
    let (mut world, _) = altered(|_| {});
    for name in ["b", "default/a"] {
        assert!(!world.alter_schedule(name, |_| {}), "{name}");
    }
}

#[test]
fn an_update_replaces_what_was_altered() {
    let (mut world, _) = altered(|schedule| schedule.raw_expression = Some("rate(1 hour)".to_owned()));
    call(&mut world, &Operation::UpdateSchedule { schedule: schedule("a", 2) }).unwrap();
    world.advance_to(seconds(120));
    assert_eq!(sent(&mut world), ["a"]);
}

#[test]
fn two_installations_share_a_world() {
    let caller = |account: &str, role: &str| Caller {
        arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{role}"),
        account: account.to_owned(),
        user_id: format!("AROA:{role}"),
        policy: Policy::allow_all(),
    };
    let group = "arn:aws:scheduler:eu-west-1:444455556666:schedule-group/grants";
    let mut world = with_group()
        .with_schedule_group(group)
        .with_schedule_group("others")
        .with_schedule_quota(2)
        .with_caller("AKIAONE", caller(ACCOUNT, "one"))
        .with_caller("AKIATWO", caller(ACCOUNT, "two"))
        .with_caller("AKIATHREE", caller("444455556666", "three"));
    let mut other = schedule("a", 1);
    other.group = "others".to_owned();
    call_as(&mut world, "AKIAONE", &create(schedule("a", 1))).unwrap();
    call_as(&mut world, "AKIATWO", &create(other)).unwrap();
    call_as(&mut world, "AKIATHREE", &create(schedule("a", 1))).unwrap();
    let error = call_as(&mut world, "AKIATWO", &create(schedule("b", 1))).unwrap_err();
    assert_eq!(error.code, "ServiceQuotaExceededException", "both use the account's quota in the region");
    call_as(&mut world, "AKIATHREE", &create(schedule("b", 1))).unwrap();
    let two = world.caller("AKIATWO").clone();
    let elsewhere = Operation::GetSchedule { group: GROUP.to_owned(), name: "a".to_owned() };
    world.call(&two, REGION, &elsewhere).unwrap();
    world.call(&two, "us-east-1", &elsewhere).unwrap_err();
    assert_eq!(world.schedules().len(), 4);
}
