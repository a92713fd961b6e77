//! The planner, for entries that are stale or to be recreated.

use std::collections::BTreeMap;

use eks_break_glass::decide::history::{History, StepResult};
use eks_break_glass::decide::plan::{self, Goal};
use eks_break_glass::domain::access_entry::{AccessEntry, Ends, EntryState};
use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::cluster::AuthenticationMode;
use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::domain::observed_state::Observation;
use eks_break_glass::domain::scheduled_revoke::{ExpiryState, PendingRevoke, Restore};
use eks_break_glass::domain::step::Step;

use crate::planner::{LATE, NOW, codes, entry, goal, namespaces, plan, slot, stale, steps, world};
use crate::planner_expiry::HOUR;
use crate::settings::settings;

#[test]
fn stale_entry_is_replaced_by_what_was_asked() {
    let old =
        entry(&[("AmazonEKSViewPolicy", namespaces(&["a"])), ("AmazonEKSClusterAdminPolicy", namespaces(&["b"]))]);
    for recreate in [false, true] {
        let seen = stale(old.clone());
        let plan = plan(&Goal { recreate, ..goal(namespaces(&["c"])) }, &seen);
        let [Step::ReplaceEntry(replacement)] = plan.steps.as_slice() else { panic!("{plan:?}") };
        assert_eq!(replacement.old, *seen.entry.present().unwrap());
        assert_eq!((&replacement.new.groups, &replacement.new.username), (&Vec::new(), &None));
        let (key, never) = Ends::Never.tag();
        assert_eq!(replacement.new.tags.get(&key), Some(&never));
        let [policy] = replacement.policies.as_slice() else { panic!("{replacement:?}") };
        assert_eq!(policy.access_scope, namespaces(&["c"]), "nothing of the old entry comes back");
        assert_eq!(codes(&plan), ["ENTRY_REPLACED"]);
    }
}

#[test]
fn replaced_entry_gets_its_end_first_whatever_the_old_one_held() {
    let admin = [("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)];
    let timed = Goal { duration: Some(HOUR), ..goal(AccessScope::Cluster) };
    let revoke = PendingRevoke { restore: Restore::entry_created(), expires_at: NOW + HOUR };
    let seen = stale(entry(&admin));
    let planned = steps(&timed, &seen);
    assert_eq!(planned[0], Step::CreateSchedule { target: slot(), revoke: revoke.clone() });
    assert!(matches!(planned[1], Step::ReplaceEntry(_)));

    // What waited for the old entry has nothing to restore for the new principal, with or without a duration.
    let pending = PendingRevoke { restore: Restore::entry_existed(Some(AccessScope::Cluster)), expires_at: LATE };
    let mut seen = stale(entry(&admin));
    seen.expiry = ExpiryState::Pending(slot(), pending);
    assert_eq!(steps(&timed, &seen)[0], Step::UpdateSchedule { target: slot(), revoke: revoke.clone() });
    let kept = PendingRevoke { expires_at: LATE, ..revoke };
    assert_eq!(steps(&goal(AccessScope::Cluster), &seen)[0], Step::UpdateSchedule { target: slot(), revoke: kept });
}

#[test]
fn entry_is_recreated_as_it_was_only_if_the_settings_allow_all_that_it_holds() {
    let old =
        entry(&[("AmazonEKSViewPolicy", namespaces(&["a"])), ("AmazonEKSClusterAdminPolicy", namespaces(&["b"]))]);
    let seen = world(AuthenticationMode::Api, EntryState::Present(old.clone()));
    let recreate = |variables: &[(&str, &str)], seen: &Observation| {
        let settings = settings(variables).unwrap();
        plan::grant(
            &Goal { recreate: true, settings: &settings, ..goal(namespaces(&["c"])) },
            &History::default(),
            seen,
            NOW,
        )
    };
    let policies = ("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy");
    let group = ("ALLOWED_GROUPS", "view*");
    let plan = recreate(&[policies, group], &seen).unwrap();
    let [Step::RecreateEntry(replacement)] = plan.steps.as_slice() else { panic!("{plan:?}") };
    assert_eq!(replacement.new.groups, ["viewers"]);
    assert_eq!(replacement.new.username, None, "a username that EKS generated is left to EKS");
    assert_eq!(replacement.new.tags, BTreeMap::from([("team".to_owned(), "a".to_owned())]), "tags of AWS can't be set");
    let scopes: Vec<_> = replacement.policies.iter().map(|held| held.access_scope.clone()).collect();
    assert_eq!(scopes, [namespaces(&["a"]), namespaces(&["b", "c"])]);
    assert_eq!(codes(&plan), ["ENTRY_RECREATED"]);
    assert!(plan.warnings[0].1.contains("aws:x"), "{:?}", plan.warnings);

    let named = AccessEntry { username: Some("ops".to_owned()), kubernetes_groups: Vec::new(), ..entry(&[]) };
    let named = world(AuthenticationMode::Api, EntryState::Present(named));
    let schedule = [("SCHEDULE_GROUP", "g"), ("SCHEDULE_ROLE_ARN", "arn:aws:iam::111122223333:role/s")];
    let limited: Vec<_> = [policies, group, ("MAX_DURATION", "1h")].into_iter().chain(schedule).collect();
    for (variables, seen, setting) in [
        (vec![group], &seen, "ALLOWED_POLICIES"),
        (vec![policies], &seen, "ALLOWED_GROUPS"),
        (vec![policies, ("ALLOWED_GROUPS", "user:viewers")], &seen, "ALLOWED_GROUPS"),
        (vec![], &named, "ALLOWED_GROUPS"),
        (limited, &seen, "MAX_DURATION"),
    ] {
        let refused = recreate(&variables, seen).unwrap_err();
        assert_eq!(refused.name, ErrorName::RequestDenied);
        assert!(refused.what.contains(setting), "{refused:?}");
    }
    recreate(&[("ALLOWED_GROUPS", "user:o*")], &named).unwrap();
}

#[test]
fn recreated_entry_is_not_recreated_twice_and_another_one_in_its_place_is_a_conflict() {
    let old = entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]);
    let allowing = settings(&[("ALLOWED_GROUPS", "*")]).unwrap();
    let goal = Goal { recreate: true, settings: &allowing, ..goal(AccessScope::Cluster) };
    let seen = world(AuthenticationMode::Api, EntryState::Present(old.clone()));
    let mut history = History::default();
    history.observe(&seen);
    let [recreate] = <[Step; 1]>::try_from(steps(&goal, &seen)).unwrap();
    history.append(recreate, StepResult::Applied);
    let planned = |entry: EntryState| plan::grant(&goal, &history, &world(AuthenticationMode::Api, entry), NOW);
    assert_eq!(planned(EntryState::Present(old.clone())).unwrap().steps, []);
    let steps = planned(EntryState::Absent).unwrap().steps;
    let operations: Vec<_> =
        steps.iter().flat_map(Step::operations).map(|(name, _)| name.as_ref().to_owned()).collect();
    assert_eq!(operations, ["CreateAccessEntry", "AssociateAccessPolicy"]);
    let theirs = AccessEntry { kubernetes_groups: Vec::new(), ..old };
    let conflict = planned(EntryState::Present(theirs)).unwrap_err();
    assert_eq!(conflict.name, ErrorName::Conflict);
    assert!(conflict.detail.unwrap().contains("viewers"), "the error has what the entry held");
}

#[test]
fn owners_of_a_stale_entry_are_named() {
    let tags = [("aws:cloudformation:stack-name", "s"), ("Terraform", "true"), ("team", "a")];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let plan = plan(&goal(AccessScope::Cluster), &stale(AccessEntry { tags, ..entry(&[]) }));
    assert_eq!(codes(&plan), ["MANAGED_ELSEWHERE", "ENTRY_REPLACED"]);
    let said = &plan.warnings[0].1;
    assert!(
        said.contains("aws:cloudformation:stack-name") && said.contains("Terraform") && !said.contains("team"),
        "{said}"
    );
}
