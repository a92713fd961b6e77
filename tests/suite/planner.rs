//! The planner: for any world it plans the least that leads to the goal, and then nothing.

use std::collections::BTreeMap;

use eks_break_glass::arn::PolicyArn;
use eks_break_glass::error::ErrorName;
use eks_break_glass::expiry::{Expiry, PendingRevoke, Slot};
use eks_break_glass::observation::{
    AccessEntry, AccessPolicy, AuthenticationMode, Caller, Cluster, ClusterKind, EntryState, IamPrincipal, Observation,
};
use eks_break_glass::plan::{self, End, Goal, Step};
use eks_break_glass::principal::PrincipalArn;
use eks_break_glass::region::Partition;
use eks_break_glass::request::Restore;
use eks_break_glass::scope::AccessScope;
use jiff::Timestamp;
use proptest::prelude::*;

const EARLY: Timestamp = Timestamp::constant(1_700_000_000, 0);
const LATE: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn goal(scope: AccessScope) -> Goal {
    Goal {
        policy: PolicyArn::named("AmazonEKSClusterAdminPolicy", Partition::Aws),
        scope,
        recreate: false,
        deleted: None,
        may_change_mode: true,
        tags: BTreeMap::new(),
        expires_at: None,
        restore: None,
        end: End::NoneFound,
        remade: false,
    }
}

fn slot() -> Slot {
    Slot {
        name: "prod".to_owned(),
        group: "grants".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/schedules".to_owned(),
        dead_letter_arn: None,
        function_arn: "arn:aws:lambda:eu-west-1:111122223333:function:f".to_owned(),
    }
}

fn world(mode: AuthenticationMode, entry: EntryState) -> Observation {
    Observation {
        caller: Caller {
            account_id: "111122223333".to_owned(),
            arn: "arn:aws:sts::111122223333:assumed-role/f/f".to_owned(),
            user_id: "AROA:f".to_owned(),
        },
        cluster: Cluster {
            name: "prod".to_owned(),
            arn: "arn:aws:eks:eu-west-1:111122223333:cluster/prod".to_owned(),
            status: "ACTIVE".to_owned(),
            version: None,
            platform_version: None,
            endpoint: None,
            certificate_authority: None,
            authentication_mode: mode,
            kind: ClusterKind::Regional,
            health: Vec::new(),
            public_endpoint: true,
            private_endpoint: false,
            auto_mode_node_role: None,
            public_access_cidrs: Vec::new(),
        },
        principal: PrincipalArn::parse("arn:aws:iam::111122223333:role/admin").unwrap(),
        iam: IamPrincipal::Exists { created_at: EARLY },
        entry,
        expiry: Expiry::Absent(slot()),
    }
}

fn entry(policies: &[(&str, AccessScope)]) -> AccessEntry {
    AccessEntry {
        arn: None,
        r#type: "STANDARD".to_owned(),
        username: Some("arn:aws:sts::111122223333:assumed-role/admin/{{SessionName}}".to_owned()),
        kubernetes_groups: vec!["viewers".to_owned()],
        tags: BTreeMap::from([("team".to_owned(), "a".to_owned()), ("aws:x".to_owned(), "y".to_owned())]),
        created_at: Some(LATE),
        modified_at: Some(LATE),
        access_policies: policies
            .iter()
            .map(|(name, scope)| AccessPolicy {
                policy_arn: PolicyArn::named(name, Partition::Aws).as_str().to_owned(),
                access_scope: scope.clone(),
                associated_at: Some(LATE),
            })
            .collect(),
    }
}

fn namespaces(names: &[&str]) -> AccessScope {
    AccessScope::Namespaces(names.iter().map(|&name| name.to_owned()).collect())
}

fn operations(goal: &Goal, seen: &Observation) -> Vec<String> {
    plan::grant(goal, seen).unwrap().steps.iter().map(Step::operation).collect()
}

#[test]
fn an_empty_cluster_needs_an_entry_and_a_policy() {
    for mode in [AuthenticationMode::Api, AuthenticationMode::ApiAndConfigMap] {
        let seen = world(mode, EntryState::Absent);
        assert_eq!(operations(&goal(AccessScope::Cluster), &seen), ["CreateAccessEntry", "AssociateAccessPolicy"]);
    }
}

#[test]
fn config_map_is_switched_first_and_only_where_allowed() {
    let seen = world(AuthenticationMode::ConfigMap, EntryState::Unreadable);
    assert_eq!(
        operations(&goal(AccessScope::Cluster), &seen),
        ["UpdateClusterConfig", "AwaitAuthenticationMode", "CreateAccessEntry", "AssociateAccessPolicy"]
    );
    let forbidden = Goal { may_change_mode: false, ..goal(AccessScope::Cluster) };
    let failure = plan::grant(&forbidden, &seen).unwrap_err();
    assert_eq!(failure.name, ErrorName::RequestDenied);
    assert!(failure.what.contains("ALLOW_AUTHENTICATION_MODE_CHANGE"));
}

#[test]
fn a_mode_is_never_changed_for_a_principal_that_does_not_exist() {
    let mut seen = world(AuthenticationMode::ConfigMap, EntryState::Unreadable);
    let right = PrincipalArn::parse("arn:aws:iam::111122223333:role/path/admin").unwrap();
    seen.iam = IamPrincipal::Absent { instead: Some(right.clone()) };
    let failure = plan::grant(&goal(AccessScope::Cluster), &seen).unwrap_err();
    assert_eq!(failure.name, ErrorName::PrincipalNotFound);
    assert!(failure.remedy.contains(right.as_str()), "{failure:?}");
}

#[test]
fn what_is_there_already_is_left_alone() {
    for (held, wanted) in [
        (AccessScope::Cluster, AccessScope::Cluster),
        (AccessScope::Cluster, namespaces(&["a"])),
        (namespaces(&["a", "b"]), namespaces(&["b"])),
        (namespaces(&["dev-*"]), namespaces(&["dev-1", "dev-x*"])),
    ] {
        let seen = world(AuthenticationMode::Api, EntryState::Present(entry(&[("AmazonEKSClusterAdminPolicy", held)])));
        assert_eq!(plan::grant(&goal(wanted), &seen).unwrap().steps, []);
    }
}

#[test]
fn a_narrower_scope_is_widened_by_what_is_missing() {
    for (held, wanted, then) in [
        (namespaces(&["a"]), AccessScope::Cluster, AccessScope::Cluster),
        (namespaces(&["a"]), namespaces(&["b"]), namespaces(&["a", "b"])),
        (namespaces(&["dev-1"]), namespaces(&["dev-*"]), namespaces(&["dev-1", "dev-*"])),
    ] {
        let seen = world(AuthenticationMode::Api, EntryState::Present(entry(&[("AmazonEKSClusterAdminPolicy", held)])));
        let steps = plan::grant(&goal(wanted), &seen).unwrap().steps;
        let [Step::AssociatePolicy { scope, .. }] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(*scope, then);
    }
}

#[test]
fn a_stale_entry_is_made_anew_as_it_was() {
    let mut seen = world(
        AuthenticationMode::Api,
        EntryState::Present(AccessEntry {
            created_at: Some(EARLY),
            ..entry(&[("AmazonEKSViewPolicy", namespaces(&["a"])), ("AmazonEKSClusterAdminPolicy", namespaces(&["b"]))])
        }),
    );
    seen.iam = IamPrincipal::Exists { created_at: LATE };
    let steps = plan::grant(&goal(namespaces(&["c"])), &seen).unwrap().steps;
    let [
        Step::DeleteEntry(_),
        Step::CreateEntry(made),
        Step::AssociatePolicy { scope: view, .. },
        Step::AssociatePolicy { scope: admin, .. },
    ] = steps.as_slice()
    else {
        panic!("{steps:?}")
    };
    assert_eq!(made.groups, ["viewers"]);
    assert_eq!(made.username, None, "a username that EKS made is left to EKS");
    assert_eq!(made.tags, BTreeMap::from([("team".to_owned(), "a".to_owned())]), "AWS's own tags cannot be set");
    assert_eq!(*view, namespaces(&["a"]));
    assert_eq!(*admin, namespaces(&["b", "c"]));
}

/// A grant at the same time finds no entry while it is away, makes a bare one, and takes it for its own.
#[test]
fn what_a_grant_at_the_same_time_has_put_in_its_place_is_made_as_it_was() {
    let was =
        AccessEntry { created_at: Some(EARLY), ..entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]) };
    let ours = BTreeMap::from([("eks-break-glass:made-by".to_owned(), "eks-break-glass 0.1.0".to_owned())]);
    let bare = AccessEntry { created_at: Some(LATE), kubernetes_groups: Vec::new(), tags: ours, ..was.clone() };
    let away = Goal { deleted: Some(was.clone()), restore: None, expires_at: Some(LATE), ..goal(AccessScope::Cluster) };
    let mut seen = world(AuthenticationMode::Api, EntryState::Present(bare.clone()));
    let pending = PendingRevoke { restore: Restore::entry_created(), expires_at: LATE };
    seen.expiry = Expiry::Pending(slot(), pending.clone());
    let steps = plan::grant(&away, &seen).unwrap().steps;
    let [
        Step::ScheduleRevoke { revoke, moves: true, .. },
        Step::DeleteEntry(gone),
        Step::CreateEntry(made),
        Step::AssociatePolicy { .. },
    ] = steps.as_slice()
    else {
        panic!("{steps:?}")
    };
    // What was there before any of the grants is not taken away at the end.
    assert_eq!(revoke.restore, Restore::entry_existed(Some(AccessScope::Cluster)));
    assert_eq!((**gone).clone(), bare);
    assert_eq!(made.groups, ["viewers"]);
    // Somebody else's entry is left alone.
    let theirs = AccessEntry { tags: BTreeMap::from([("team".to_owned(), "b".to_owned())]), ..bare };
    let seen = world(AuthenticationMode::Api, EntryState::Present(theirs));
    assert_eq!(plan::grant(&away, &seen).unwrap().steps, []);
}

#[test]
fn an_entry_that_eks_still_shows_is_not_taken_for_the_one_that_was_made_anew() {
    let was =
        AccessEntry { created_at: Some(EARLY), ..entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]) };
    let away = Goal { deleted: Some(was.clone()), ..goal(AccessScope::Cluster) };
    let seen = world(AuthenticationMode::Api, EntryState::Present(was.clone()));
    let steps = plan::grant(&away, &seen).unwrap().steps;
    assert_eq!(steps.first(), Some(&Step::DeleteEntry(Box::new(was.clone()))));
    let anew = AccessEntry { created_at: Some(LATE), ..was };
    let seen = world(AuthenticationMode::Api, EntryState::Present(anew));
    assert_eq!(plan::grant(&away, &seen).unwrap().steps, []);
}

#[test]
fn an_entry_of_another_type_is_not_touched() {
    let node = AccessEntry { r#type: "EC2_LINUX".to_owned(), ..entry(&[]) };
    let seen = world(AuthenticationMode::Api, EntryState::Present(node));
    let forced = Goal { recreate: true, ..goal(AccessScope::Cluster) };
    assert_eq!(plan::grant(&forced, &seen).unwrap_err().name, ErrorName::AccessEntryConflict);
}

#[test]
fn clusters_that_cannot_be_recovered_are_refused() {
    for (kind, status) in [
        (ClusterKind::OutpostsLocal, "ACTIVE"),
        (ClusterKind::Connected, "ACTIVE"),
        (ClusterKind::Regional, "CREATING"),
        (ClusterKind::Regional, "PENDING"),
        (ClusterKind::Regional, "DELETING"),
        (ClusterKind::Regional, "FAILED"),
    ] {
        let mut seen = world(AuthenticationMode::Api, EntryState::Absent);
        seen.cluster.kind = kind;
        seen.cluster.status = status.to_owned();
        let failure = plan::grant(&goal(AccessScope::Cluster), &seen).unwrap_err();
        assert_eq!(failure.name, ErrorName::ClusterNotRecoverable, "{kind:?} {status}");
    }
}

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
            world(AuthenticationMode::Api, state)
        }
    })
}

/// What EKS would show after a step.
fn after(step: &Step, seen: &mut Observation) {
    match step {
        Step::OpenAccessEntries => {}
        Step::AwaitAuthenticationMode => {
            seen.cluster.authentication_mode = AuthenticationMode::ApiAndConfigMap;
            seen.entry = EntryState::Absent;
        }
        Step::DeleteEntry(_) | Step::RemoveEntry => seen.entry = EntryState::Absent,
        Step::CreateEntry(made) => {
            assert!(seen.entry.present().is_none(), "an entry is made only where there is none");
            seen.entry = EntryState::Present(AccessEntry {
                kubernetes_groups: made.groups.clone(),
                tags: made.tags.clone(),
                ..entry(&[])
            });
        }
        Step::AssociatePolicy { policy, scope } => {
            let EntryState::Present(entry) = &mut seen.entry else { panic!("a policy needs an entry") };
            entry.access_policies.retain(|held| held.policy_arn != *policy);
            entry.access_policies.push(AccessPolicy {
                policy_arn: policy.clone(),
                access_scope: scope.clone(),
                associated_at: None,
            });
        }
        Step::DisassociatePolicy { policy } => {
            let EntryState::Present(entry) = &mut seen.entry else { panic!("there is no entry") };
            entry.access_policies.retain(|held| held.policy_arn != *policy);
        }
        Step::ScheduleRevoke { slot, revoke, moves } => {
            assert_eq!(*moves, seen.expiry.pending().is_some());
            seen.expiry = Expiry::Pending(slot.clone(), revoke.clone());
        }
        Step::CancelRevoke(slot) => seen.expiry = Expiry::Absent(slot.clone()),
    }
}

/// What there is to compare before and after: groups, tags, and scopes by policy; none where there is no entry.
fn held(state: &EntryState) -> Option<(Vec<String>, BTreeMap<String, AccessScope>)> {
    let entry = state.present()?;
    let policies = entry.access_policies.iter().map(|held| (held.policy_arn.clone(), held.access_scope.clone()));
    Some((entry.kubernetes_groups.clone(), policies.collect()))
}

#[test]
fn the_end_is_scheduled_after_a_change_of_mode_and_before_anything_is_given() {
    let seen = world(AuthenticationMode::ConfigMap, EntryState::Unreadable);
    assert_eq!(
        operations(&Goal { expires_at: Some(LATE), ..goal(AccessScope::Cluster) }, &seen),
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
    seen.expiry = Expiry::Unavailable("`SCHEDULE_GROUP` is absent".to_owned());
    let failure = plan::grant(&Goal { expires_at: Some(LATE), ..goal(AccessScope::Cluster) }, &seen).unwrap_err();
    assert_eq!(failure.name, ErrorName::ExpiryUnavailable);
    assert!(failure.what.contains("SCHEDULE_GROUP"));
}

#[test]
fn an_extension_moves_the_one_schedule_and_keeps_what_the_first_grant_has_to_put_back() {
    let first = PendingRevoke { restore: Restore::entry_existed(Some(namespaces(&["a"]))), expires_at: EARLY };
    let held = entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]);
    let mut seen = world(AuthenticationMode::Api, EntryState::Present(held));
    seen.expiry = Expiry::Pending(slot(), first.clone());
    let longer = Goal { expires_at: Some(LATE), ..goal(AccessScope::Cluster) };
    let moved = PendingRevoke { expires_at: LATE, ..first };
    assert_eq!(
        plan::grant(&longer, &seen).unwrap().steps,
        [Step::ScheduleRevoke { slot: slot(), revoke: moved, moves: true }]
    );
    assert_eq!(plan::grant(&goal(AccessScope::Cluster), &seen).unwrap().steps, [], "without a duration its end stays");
}

#[test]
fn a_revoke_never_gives_anything() {
    for (held, before) in [
        (namespaces(&["a"]), AccessScope::Cluster),
        (namespaces(&["a"]), namespaces(&["a", "b"])),
        (namespaces(&["a"]), namespaces(&["*"])),
    ] {
        let state = EntryState::Present(entry(&[("AmazonEKSClusterAdminPolicy", held)]));
        let seen = world(AuthenticationMode::Api, state);
        let restore = Restore::entry_existed(Some(before));
        let policy = PolicyArn::named("AmazonEKSClusterAdminPolicy", Partition::Aws);
        assert_eq!(plan::revoke(&policy, Some(&restore), &seen).unwrap().steps, []);
    }
}

#[test]
fn an_entry_that_others_use_by_now_is_kept() {
    let policy = PolicyArn::named("AmazonEKSClusterAdminPolicy", Partition::Aws);
    let bare = AccessEntry { kubernetes_groups: Vec::new(), tags: BTreeMap::new(), ..entry(&[]) };
    let admin = |entry: AccessEntry| {
        let ours = self::entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]).access_policies;
        let policies = entry.access_policies.into_iter().chain(ours).collect();
        world(AuthenticationMode::Api, EntryState::Present(AccessEntry { access_policies: policies, ..entry }))
    };
    let plan = |seen: &Observation| plan::revoke(&policy, Some(&Restore::entry_created()), seen).unwrap();
    assert_eq!(plan(&admin(bare.clone())).steps, [Step::RemoveEntry]);
    for others in [
        AccessEntry { kubernetes_groups: vec!["ops".to_owned()], ..bare.clone() },
        AccessEntry { tags: BTreeMap::from([("terraform".to_owned(), "yes".to_owned())]), ..bare.clone() },
        AccessEntry {
            access_policies: entry(&[("AmazonEKSViewPolicy", AccessScope::Cluster)]).access_policies,
            ..bare
        },
    ] {
        let plan = plan(&admin(others));
        assert_eq!(plan.steps, [Step::DisassociatePolicy { policy: policy.as_str().to_owned() }]);
        assert_eq!(plan.warnings[0].0, "ENTRY_KEPT");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_plan_leads_to_the_goal_takes_nothing_away_and_leaves_nothing_to_do(
        seen in any_world(), scope in any_scope(), recreate in any::<bool>(),
    ) {
        let mut goal = Goal { recreate, ..goal(scope.clone()) };
        let before = seen.entry.clone();
        let mut now = seen;
        for step in plan::grant(&goal, &now).unwrap().steps {
            after(&step, &mut now);
        }
        goal.recreate = false;
        prop_assert_eq!(plan::grant(&goal, &now).unwrap().steps, []);
        let held = now.entry.present().unwrap();
        prop_assert!(held.scope_of(&goal.policy).unwrap().covers(&scope));
        for policy in before.present().map(|entry| entry.access_policies.clone()).unwrap_or_default() {
            let kept = held.access_policies.iter().find(|kept| kept.policy_arn == policy.policy_arn).unwrap();
            prop_assert!(kept.access_scope.covers(&policy.access_scope), "{:?} was narrowed to {:?}", policy, kept);
        }
        if let Some(entry) = before.present() {
            prop_assert_eq!(&held.kubernetes_groups, &entry.kubernetes_groups);
        }
    }

    #[test]
    fn what_a_grant_gave_its_revoke_takes_back_and_leaves_what_was_there(seen in any_world(), scope in any_scope()) {
        let goal = Goal { expires_at: Some(LATE), ..goal(scope) };
        let mut now = seen.clone();
        for step in plan::grant(&goal, &now).unwrap().steps {
            after(&step, &mut now);
        }
        prop_assert_eq!(plan::grant(&goal, &now).unwrap().steps, []);
        if let Some(pending) = now.expiry.pending().cloned() {
            for step in plan::revoke(&goal.policy, Some(&pending.restore), &now).unwrap().steps {
                after(&step, &mut now);
            }
            prop_assert_eq!(plan::revoke(&goal.policy, Some(&pending.restore), &now).unwrap().steps, []);
            prop_assert!(now.expiry.pending().is_none());
        }
        prop_assert_eq!(held(&now.entry), held(&seen.entry));
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
