//! The planner, for access that ends.

use eks_break_glass::decide::history::{History, StepResult};
use eks_break_glass::decide::plan::{self, Goal};
use eks_break_glass::domain::access_entry::{AccessEntry, Ends, EntryState};
use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::cluster::AuthenticationMode;
use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::domain::scheduled_revoke::{Alteration, ExpiryState, PendingRevoke, Restore};
use eks_break_glass::domain::step::Step;
use jiff::SignedDuration;

use crate::planner::{EARLY, NOW, OURS, entry, goal, namespaces, operations, refusal, slot, steps, tags, world};

pub(crate) const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[test]
fn the_end_is_scheduled_after_a_change_of_mode_and_before_anything_is_given() {
    let seen = world(AuthenticationMode::ConfigMap, EntryState::Unreadable);
    assert_eq!(
        operations(&Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) }, &seen),
        [
            "UpdateClusterConfig",
            "AwaitAuthenticationMode",
            "CreateSchedule",
            "CreateAccessEntry",
            "AssociateAccessPolicy"
        ]
    );
}

#[test]
fn without_a_place_for_schedules_nothing_is_planned_at_all() {
    let mut seen = world(AuthenticationMode::ConfigMap, EntryState::Unreadable);
    seen.expiry = ExpiryState::Unavailable("`SCHEDULE_GROUP` is absent".to_owned());
    let failure = refusal(&Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) }, &seen);
    assert_eq!(failure.name, ErrorName::ExpiryUnavailable);
    assert!(failure.what.contains("SCHEDULE_GROUP"));
}

#[test]
fn an_extension_moves_the_one_schedule_and_keeps_what_the_first_grant_has_to_put_back() {
    let first = PendingRevoke { restore: Restore::entry_existed(Some(namespaces(&["a"]))), expires_at: EARLY };
    let held = entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]);
    let mut seen = world(AuthenticationMode::Api, EntryState::Present(held));
    seen.expiry = ExpiryState::Pending(slot(), first.clone());
    let longer = Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) };
    let moved = PendingRevoke { expires_at: NOW + HOUR, ..first };
    assert_eq!(steps(&longer, &seen), [Step::UpdateSchedule { target: slot(), revoke: moved }]);
    assert_eq!(steps(&goal(AccessScope::Cluster), &seen), [], "without a duration its end stays");
}

#[test]
fn altered_schedule_is_written_again_only_with_a_duration() {
    let ours = AccessEntry {
        tags: tags("AmazonEKSClusterAdminPolicy", "an-earlier-one")
            .into_iter()
            .chain([Ends::Scheduled.tag()])
            .collect(),
        ..entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)])
    };
    let restore = Restore::entry_existed(Some(namespaces(&["a"])));
    let written = PendingRevoke { restore: restore.clone(), expires_at: EARLY };
    for (revoke, restored) in [(Some(written), restore), (None, Restore::entry_created())] {
        let mut seen = world(AuthenticationMode::Api, EntryState::Present(ours.clone()));
        let differences = vec!["its state is DISABLED".to_owned()];
        seen.expiry = ExpiryState::Altered(slot(), Alteration { differences, revoke });
        assert_eq!(steps(&goal(AccessScope::Cluster), &seen), []);
        let revoke = PendingRevoke { restore: restored, expires_at: NOW + HOUR };
        let timed = Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) };
        assert_eq!(steps(&timed, &seen), [Step::UpdateSchedule { target: slot(), revoke }]);
    }
}

#[test]
fn tag_of_our_entry_follows_a_scheduled_end() {
    let never = tags("AmazonEKSViewPolicy", "an-earlier-one").into_iter().chain([Ends::Never.tag()]).collect();
    let ours = AccessEntry { tags: never, ..entry(&[("AmazonEKSViewPolicy", AccessScope::Cluster)]) };
    let seen = world(AuthenticationMode::Api, EntryState::Present(ours.clone()));
    let timed = Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) };
    assert_eq!(operations(&timed, &seen), ["CreateSchedule", "TagResource", "AssociateAccessPolicy"]);
    assert_eq!(operations(&goal(AccessScope::Cluster), &seen), ["AssociateAccessPolicy"]);
    let scheduled = ours.tags.clone().into_iter().chain([Ends::Scheduled.tag()]).collect();
    let kept = AccessEntry { tags: scheduled, ..ours };
    assert_eq!(plan::ends_tag(&OURS, &kept, true), None);
    assert!(matches!(plan::ends_tag(&OURS, &kept, false), Some(Step::TagEntry { ends: Ends::Never, .. })));
}

#[test]
fn whatever_a_plan_with_a_duration_gives_it_schedules_first() {
    // Another request has removed, since the first observation, what was there without end.
    let held = entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]);
    let mut history = History::default();
    history.observe(&world(AuthenticationMode::Api, EntryState::Present(held)));
    let seen = world(AuthenticationMode::Api, EntryState::Absent);
    let timed = Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) };
    let planned = plan::grant(&timed, &history, &seen, NOW).unwrap().steps;
    let revoke = PendingRevoke { restore: Restore::entry_created(), expires_at: NOW + HOUR };
    assert_eq!(planned[0], Step::CreateSchedule { target: slot(), revoke });
}

/// Another request had created it, and has deleted it since.
#[test]
fn schedule_that_was_found_and_is_gone_is_created_again() {
    let goal = Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) };
    let seen = world(AuthenticationMode::Api, EntryState::Absent);
    let [schedule, create, associate] = <[Step; 3]>::try_from(steps(&goal, &seen)).unwrap();
    let mut history = History::default();
    history.observe(&seen);
    history.append(schedule.clone(), StepResult::AlreadyExists { unconfirmed: false });
    assert!(history.expects(&schedule), "until it shows");
    history.append(create, StepResult::Applied);
    history.append(associate.clone(), StepResult::Applied);
    assert!(!history.expects(&schedule) && history.expects(&associate));
    assert!(!history.expects(&Step::Observe), "a barrier isn't waited for");
}

/// The request that wrote it deletes it if it fails, unless it has changed.
#[test]
fn schedule_of_another_request_of_the_same_second_is_made_different_before_access_is_given() {
    let goal = Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) };
    let absent = world(AuthenticationMode::Api, EntryState::Absent);
    let [Step::CreateSchedule { target, revoke }, ..] = &steps(&goal, &absent)[..] else { panic!("no schedule") };
    let mut seen = absent.clone();
    seen.expiry = ExpiryState::Pending(target.clone(), revoke.clone());
    let [Step::UpdateSchedule { revoke: own, .. }, ..] = &steps(&goal, &seen)[..] else { panic!("it is the same") };
    assert!(own.expires_at < revoke.expires_at && own.restore == revoke.restore);
    // Access that is there already is left to the schedule that is there.
    let held = entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]);
    seen.entry = EntryState::Present(AccessEntry { tags: goal.tags.clone(), ..held });
    assert_eq!(operations(&goal, &seen), ["TagResource"]);
}
