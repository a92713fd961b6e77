//! EventBridge Scheduler: one-time schedules, what they refuse, and that they fire.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use simulator::World;
use simulator::operation::{NewSchedule, Operation, Page};
use simulator::policy::Policy;
use simulator::world::{ACCOUNT, Mode};

use crate::{call, refusal, seconds, world};

pub(crate) const GROUP: &str = "grants";
const ROLE: &str = "arn:aws:iam::111122223333:role/schedules";

pub(crate) fn schedule(name: &str, minutes: i64) -> NewSchedule {
    let at = World::START + SignedDuration::from_mins(minutes);
    NewSchedule {
        group: GROUP.to_owned(),
        name: name.to_owned(),
        expression: format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S")),
        flexible: Some("OFF".to_owned()),
        action_after_completion: Some("DELETE".to_owned()),
        target_arn: Some("arn:aws:lambda:eu-west-1:111122223333:function:f".to_owned()),
        role_arn: Some(ROLE.to_owned()),
        input: Some(name.to_owned()),
        ..NewSchedule::default()
    }
}

pub(crate) fn create(schedule: NewSchedule) -> Operation {
    Operation::CreateSchedule { schedule }
}

pub(crate) fn get(name: &str) -> Operation {
    Operation::GetSchedule { group: GROUP.to_owned(), name: name.to_owned() }
}

pub(crate) fn with_group() -> World {
    world(Mode::Api).with_schedule_group(GROUP)
}

pub(crate) fn sent(world: &mut World) -> Vec<String> {
    world.due().into_iter().map(|delivery| delivery.input).collect()
}

#[test]
fn a_schedule_fires_once_when_its_time_has_come_and_is_gone() {
    let mut world = with_group();
    call(&mut world, &create(schedule("later", 2))).unwrap();
    call(&mut world, &create(schedule("sooner", 1))).unwrap();
    assert_eq!(sent(&mut world), [""; 0]);
    world.advance_to(seconds(120));
    assert_eq!(sent(&mut world), ["sooner", "later"], "in order of time");
    assert_eq!(sent(&mut world), [""; 0]);
    assert_eq!(refusal(&mut world, &get("later")).1, "ResourceNotFoundException");
}

#[test]
fn one_that_is_not_to_be_deleted_stays_and_fires_no_more() {
    let mut world = with_group();
    let stays = NewSchedule { action_after_completion: None, ..schedule("stays", 1) };
    call(&mut world, &create(stays)).unwrap();
    world.advance_to(seconds(60));
    assert_eq!(sent(&mut world), ["stays"]);
    assert_eq!(sent(&mut world), [""; 0]);
    call(&mut world, &get("stays")).unwrap();
}

#[test]
fn a_disabled_one_does_not_fire() {
    let mut world = with_group();
    call(&mut world, &create(NewSchedule { state: Some("DISABLED".to_owned()), ..schedule("off", 1) })).unwrap();
    world.advance_to(seconds(60));
    assert_eq!(sent(&mut world), [""; 0]);
}

#[test]
fn an_update_replaces_everything() {
    let mut world = with_group();
    call(&mut world, &create(NewSchedule { maximum_retry_attempts: Some(3), ..schedule("a", 1) })).unwrap();
    call(&mut world, &Operation::UpdateSchedule { schedule: NewSchedule { input: None, ..schedule("a", 5) } }).unwrap();
    let shown = call(&mut world, &get("a")).unwrap();
    assert_eq!(shown["Target"]["RetryPolicy"], json!({"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}));
    assert_eq!(shown["Target"]["Input"], "");
    world.advance_to(seconds(60));
    assert_eq!(sent(&mut world), [""; 0]);
}

#[test]
fn an_update_of_one_that_has_fired_makes_it_fire_again() {
    let mut world = with_group();
    let stays = |minutes| NewSchedule { action_after_completion: None, ..schedule("stays", minutes) };
    call(&mut world, &create(stays(1))).unwrap();
    world.advance_to(seconds(60));
    assert_eq!(sent(&mut world), ["stays"]);
    call(&mut world, &Operation::UpdateSchedule { schedule: stays(2) }).unwrap();
    assert_eq!(sent(&mut world), [""; 0]);
    world.advance_to(seconds(120));
    assert_eq!(sent(&mut world), ["stays"]);
}

#[test]
fn names_are_taken_once_but_for_the_same_request() {
    let mut world = with_group();
    let first = NewSchedule { token: Some("token".to_owned()), ..schedule("a", 1) };
    let made = call(&mut world, &create(first.clone())).unwrap();
    assert_eq!(call(&mut world, &create(first.clone())).unwrap(), made);
    assert_eq!(world.schedules().len(), 1);
    for another in [schedule("a", 1), NewSchedule { input: Some("other".to_owned()), ..first }] {
        let refused = refusal(&mut world, &create(another));
        assert_eq!(refused, (409, "ConflictException", "Schedule a already exists.".to_owned()));
    }
}

#[test]
fn what_was_sent_is_shown_and_the_rest_has_its_defaults() {
    let mut world = with_group();
    let described = NewSchedule { description: Some("why".to_owned()), ..schedule("a", 1) };
    call(&mut world, &create(described)).unwrap();
    world.advance_to(seconds(30));
    let shown = call(&mut world, &get("a")).unwrap();
    assert_eq!(shown["Description"], "why");
    assert_eq!((&shown["ScheduleExpressionTimezone"], &shown["State"]), (&json!("UTC"), &json!("ENABLED")));
    let epoch = |time: Timestamp| format!("{}.0", time.as_second());
    assert_eq!(shown["CreationDate"].to_string(), epoch(World::START));
    call(&mut world, &Operation::UpdateSchedule { schedule: schedule("a", 1) }).unwrap();
    let updated = call(&mut world, &get("a")).unwrap();
    assert_eq!((&updated["Description"], &updated["CreationDate"]), (&json!(null), &shown["CreationDate"]));
    assert_eq!(updated["LastModificationDate"].to_string(), epoch(seconds(30)));
}

#[test]
fn groups_and_schedules_belong_to_an_account_s_region() {
    let group = format!("arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule-group/{GROUP}");
    let mut world = with_group().with_schedule_group(&group).with_schedule_quota(1);
    let caller = world.caller("AKIAFUNCTION").clone();
    call(&mut world, &create(schedule("a", 1))).unwrap();
    let mut there =
        |region, operation: &Operation| world.call(&caller, region, operation).map_err(|error| error.message);
    assert_eq!(there("us-east-1", &get("a")).unwrap_err(), "Schedule a does not exist.");
    there("us-east-1", &create(schedule("a", 1))).unwrap();
    assert_eq!(there("us-west-2", &get("a")).unwrap_err(), format!("Schedule group {GROUP} does not exist."));
    there("us-west-2", &create(NewSchedule { group: "default".to_owned(), ..schedule("a", 1) })).unwrap();
    assert_eq!(world.schedules().len(), 3);
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut world = with_group();
    for operation in [
        get("a"),
        Operation::DeleteSchedule { group: GROUP.to_owned(), name: "a".to_owned() },
        Operation::UpdateSchedule { schedule: schedule("a", 1) },
        create(NewSchedule { group: "nowhere".to_owned(), ..schedule("a", 1) }),
    ] {
        let refused = refusal(&mut world, &operation);
        assert_eq!((refused.0, refused.1), (404, "ResourceNotFoundException"), "{operation:?}");
    }
}

#[test]
fn what_is_malformed_is_refused() {
    let mut world = with_group();
    let valid = schedule("a", 1);
    for wrong in [
        NewSchedule { name: "a b".to_owned(), ..valid.clone() },
        NewSchedule { name: "a".repeat(65), ..valid.clone() },
        NewSchedule { expression: "at(2026-01-31T13:05:00Z)".to_owned(), ..valid.clone() },
        NewSchedule { expression: "at(2026-01-31 13:05:00)".to_owned(), ..valid.clone() },
        NewSchedule { expression: "at(20260131T130500.123)".to_owned(), ..valid.clone() },
        NewSchedule { expression: "at(2026-02-31T13:05:00)".to_owned(), ..valid.clone() },
        NewSchedule { expression: "tomorrow".to_owned(), ..valid.clone() },
        NewSchedule { flexible: None, ..valid.clone() },
        NewSchedule { flexible: Some("ON".to_owned()), ..valid.clone() },
        NewSchedule { action_after_completion: Some("KEEP".to_owned()), ..valid.clone() },
        NewSchedule { target_arn: None, ..valid.clone() },
        NewSchedule { role_arn: None, ..valid.clone() },
        NewSchedule { maximum_event_age: Some(59), ..valid.clone() },
        NewSchedule { maximum_retry_attempts: Some(186), ..valid.clone() },
        NewSchedule { state: Some("ON".to_owned()), ..valid },
    ] {
        assert_eq!(refusal(&mut world, &create(wrong.clone())).1, "ValidationException", "{wrong:?}");
    }
    let page = Page { max_results: Some(101), next_token: None };
    let refused = refusal(&mut world, &Operation::ListSchedules { group: None, prefix: None, page });
    assert_eq!((refused.0, refused.1), (400, "ValidationException"));
}

#[test]
fn what_is_malformed_is_refused_before_permissions_and_groups_are_looked_at() {
    let mut world = world(Mode::Api).with_policy(Policy::allowing(&[]));
    let wrong = NewSchedule { role_arn: None, ..schedule("a", 1) };
    assert_eq!(refusal(&mut world, &create(wrong)).1, "ValidationException");
}

#[test]
fn there_are_only_so_many() {
    let mut world = with_group().with_schedule_quota(1);
    call(&mut world, &create(schedule("a", 1))).unwrap();
    let refused = refusal(&mut world, &create(schedule("b", 1)));
    assert_eq!((refused.0, refused.1), (402, "ServiceQuotaExceededException"));
}

#[test]
fn whoever_makes_one_must_be_allowed_to_pass_its_role() {
    for (denied, named) in [
        ("iam:PassRole", format!("iam:PassRole on resource: {ROLE}")),
        (
            "scheduler:CreateSchedule",
            "scheduler:CreateSchedule on resource: arn:aws:scheduler:eu-west-1:111122223333:schedule/grants/a"
                .to_owned(),
        ),
    ] {
        let mut world = with_group().with_policy(Policy::allow_all().without(&[denied]));
        let refused = refusal(&mut world, &create(schedule("a", 1)));
        assert_eq!((refused.0, refused.1), (403, "AccessDeniedException"));
        assert!(refused.2.contains(&named), "{}", refused.2);
    }
}

#[test]
fn a_role_is_passed_to_scheduler_by_create_and_update() {
    let policy = |service: &str| {
        let statements = json!([
            { "Effect": "Allow", "Action": "scheduler:*", "Resource": "*" },
            { "Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE,
              "Condition": { "StringEquals": { "iam:PassedToService": service } } },
        ]);
        Policy::parse(&json!({ "Statement": statements }).to_string()).unwrap()
    };
    let operations = [create(schedule("a", 1)), Operation::UpdateSchedule { schedule: schedule("a", 2) }];
    let mut right = with_group().with_policy(policy("scheduler.amazonaws.com"));
    let mut wrong = with_group().with_policy(policy("lambda.amazonaws.com"));
    for operation in operations {
        call(&mut right, &operation).unwrap();
        assert_eq!(refusal(&mut wrong, &operation).1, "AccessDeniedException");
    }
}

#[test]
fn lists_are_by_group_and_prefix_and_come_in_pages() {
    let mut world = with_group().with_schedule_group("others");
    for name in ["a-1", "a-2", "a-3", "b-1"] {
        call(&mut world, &create(schedule(name, 1))).unwrap();
    }
    call(&mut world, &create(NewSchedule { group: "others".to_owned(), ..schedule("a-4", 1) })).unwrap();
    let mut list = |next_token: Option<String>| {
        let page = Page { max_results: Some(2), next_token };
        let (group, prefix) = (Some(GROUP.to_owned()), Some("a-".to_owned()));
        let answer = call(&mut world, &Operation::ListSchedules { group, prefix, page }).unwrap();
        let names: Vec<_> = answer["Schedules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|shown| shown["Name"].as_str().unwrap().to_owned())
            .collect();
        (names, answer["NextToken"].as_str().map(str::to_owned))
    };
    let (first, next) = list(None);
    assert_eq!(first, ["a-1", "a-2"]);
    assert_eq!(list(next), (vec!["a-3".to_owned()], None));
}
