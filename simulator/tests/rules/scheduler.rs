//! EventBridge Scheduler: one-time schedules, what they refuse, and that they fire.

use jiff::SignedDuration;
use serde_json::json;
use simulator::World;
use simulator::operation::{NewSchedule, Operation, Page};
use simulator::policy::Policy;
use simulator::world::Mode;

use crate::{call, refusal, seconds, world};

const GROUP: &str = "grants";
const ROLE: &str = "arn:aws:iam::111122223333:role/schedules";

fn schedule(name: &str, minutes: i64) -> NewSchedule {
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

fn create(schedule: NewSchedule) -> Operation {
    Operation::CreateSchedule { schedule }
}

fn get(name: &str) -> Operation {
    Operation::GetSchedule { group: GROUP.to_owned(), name: name.to_owned() }
}

fn with_group() -> World {
    world(Mode::Api).with_schedule_group(GROUP)
}

fn sent(world: &mut World) -> Vec<String> {
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
fn names_are_taken_once_but_for_the_same_request() {
    let mut world = with_group();
    let first = NewSchedule { token: Some("token".to_owned()), ..schedule("a", 1) };
    call(&mut world, &create(first.clone())).unwrap();
    call(&mut world, &create(first)).unwrap();
    let refused = refusal(&mut world, &create(schedule("a", 1)));
    assert_eq!((refused.0, refused.1), (409, "ConflictException"));
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
        NewSchedule { expression: "tomorrow".to_owned(), ..valid.clone() },
        NewSchedule { flexible: None, ..valid.clone() },
        NewSchedule { role_arn: None, ..valid.clone() },
        NewSchedule { maximum_event_age: Some(59), ..valid.clone() },
        NewSchedule { maximum_retry_attempts: Some(186), ..valid.clone() },
        NewSchedule { state: Some("ON".to_owned()), ..valid },
    ] {
        assert_eq!(refusal(&mut world, &create(wrong.clone())).1, "ValidationException", "{wrong:?}");
    }
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
