//! The planner, for any world: it plans the least that leads to the goal, and then nothing.

use eks_break_glass::decide::history::{History, StepResult};
use eks_break_glass::decide::plan::{self, Goal};
use eks_break_glass::domain::access_entry::{AccessEntry, EntryState};
use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::cluster::AuthenticationMode;
use eks_break_glass::domain::identity::IamPrincipal;
use eks_break_glass::domain::observed_state::Observation;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::planner::{EARLY, LATE, NOW, after, entry, goal, held, revoke_goal, world};
use crate::planner_expiry::HOUR;
use crate::settings::settings;

fn any_scope() -> impl Strategy<Value = AccessScope> {
    prop_oneof![
        Just(AccessScope::Cluster),
        prop::collection::vec("[a-c*-]{1,4}", 1..4).prop_map(AccessScope::Namespaces),
    ]
}

fn any_world() -> impl Strategy<Value = Observation> {
    let policies = prop::collection::btree_map(
        prop_oneof![Just("AmazonEKSViewPolicy"), Just("AmazonEKSEditPolicy"), Just("AmazonEKSClusterAdminPolicy")],
        any_scope(),
        0..4,
    );
    let state = prop_oneof![
        Just(EntryState::Absent),
        (policies, any::<bool>()).prop_map(|(policies, stale)| {
            let policies: Vec<_> = policies.into_iter().collect();
            EntryState::Present(AccessEntry {
                created_at: Some(if stale { Timestamp::UNIX_EPOCH } else { LATE }),
                ..entry(&policies)
            })
        }),
    ];
    (any::<bool>(), state).prop_map(|(config_map, state)| {
        if config_map {
            world(AuthenticationMode::ConfigMap, EntryState::Unreadable)
        } else {
            let mut seen = world(AuthenticationMode::Api, state);
            seen.iam = IamPrincipal::Exists { created_at: EARLY };
            seen
        }
    })
}

/// Carries a plan out, and remembers it.
fn carry_out(goal: &Goal<'_>, seen: &mut Observation) -> History {
    let mut history = History::default();
    history.observe(seen);
    for step in plan::grant(goal, &history, seen, NOW).unwrap().steps {
        after(&step, seen);
        history.append(step, StepResult::Applied);
        history.observe(seen);
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_plan_leads_to_the_goal_takes_nothing_away_that_works_and_leaves_nothing_to_do(
        seen in any_world(), scope in any_scope(), recreate in any::<bool>(), timed in any::<bool>(),
    ) {
        let allowing = settings(&[("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy,AmazonEKSEditPolicy"), ("ALLOWED_GROUPS", "*")]).unwrap();
        let goal = Goal { recreate, settings: &allowing, duration: timed.then_some(HOUR), ..goal(scope.clone()) };
        let before = seen.clone();
        let mut now = seen;
        let history = carry_out(&goal, &mut now);
        prop_assert_eq!(plan::grant(&goal, &history, &now, NOW).unwrap().steps, []);
        let held = now.entry.present().unwrap();
        prop_assert!(held.scope_of(&goal.policy).unwrap().covers(&scope));
        if before.entry_is_stale() {
            let asked: Vec<_> = held.access_policies.iter().map(|held| (held.policy_arn.as_str(), &held.access_scope)).collect();
            prop_assert_eq!(asked, [(goal.policy.as_str(), &scope)], "exactly what was asked for");
            prop_assert!(held.kubernetes_groups.is_empty());
            return Ok(());
        }
        for policy in before.entry.present().map(|entry| entry.access_policies.clone()).unwrap_or_default() {
            let kept = held.access_policies.iter().find(|kept| kept.policy_arn == policy.policy_arn).unwrap();
            prop_assert!(kept.access_scope.covers(&policy.access_scope), "{:?} was narrowed to {:?}", policy, kept);
        }
        if let Some(entry) = before.entry.present() {
            prop_assert_eq!(&held.kubernetes_groups, &entry.kubernetes_groups);
        }
    }

    #[test]
    fn what_a_grant_gave_its_revoke_removes_and_leaves_what_was_there(seen in any_world(), scope in any_scope()) {
        let goal = Goal { duration: Some(HOUR), ..goal(scope) };
        let mut now = seen.clone();
        let history = carry_out(&goal, &mut now);
        prop_assert_eq!(plan::grant(&goal, &history, &now, NOW).unwrap().steps, []);
        if let Some(pending) = now.expiry.pending().cloned() {
            let revoke = revoke_goal(pending.restore);
            for step in plan::revoke(&revoke, &History::default(), &now).unwrap().steps {
                after(&step, &mut now);
            }
            prop_assert_eq!(plan::revoke(&revoke, &History::default(), &now).unwrap().steps, []);
            prop_assert!(now.expiry.pending().is_none());
        }
        if seen.entry_is_stale() {
            prop_assert_eq!(now.entry, EntryState::Absent, "a replaced entry goes");
        } else {
            prop_assert_eq!(held(&now.entry), held(&seen.entry));
        }
    }

    #[test]
    fn an_intersection_is_within_both(a in any_scope(), b in any_scope()) {
        if let Some(both) = a.intersection(&b) {
            prop_assert!(a.covers(&both) && b.covers(&both));
        }
        prop_assert_eq!(a.intersection(&a), Some(a.clone()));
        prop_assert_eq!(a.union(&b).intersection(&a), Some(a));
    }

    #[test]
    fn a_scope_covers_itself_and_a_union_covers_both(a in any_scope(), b in any_scope()) {
        prop_assert!(a.covers(&a));
        let union = a.union(&b);
        prop_assert!(union.covers(&a) && union.covers(&b));
    }
}
