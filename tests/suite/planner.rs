//! The planner: for any world it plans the least that leads to the goal, and then nothing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use eks_break_glass::decide::history::{History, StepResult};
use eks_break_glass::decide::ownership::Installation;
use eks_break_glass::decide::plan::{self, Goal, Plan, RevokeGoal};
use eks_break_glass::domain::access_entry::{AccessEntry, AccessPolicy, Ends, EntryState};
use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::arn::{FunctionArn, PolicyArn};
use eks_break_glass::domain::cluster::{AuthenticationMode, Cluster, ClusterKind};
use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::domain::identity::{Caller, IamPrincipal, InstanceRole, NodeRole};
use eks_break_glass::domain::observed_state::Observation;
use eks_break_glass::domain::principal::PrincipalArn;
use eks_break_glass::domain::region::Partition;
use eks_break_glass::domain::scheduled_revoke::{Alteration, ExpiryState, PendingRevoke, Restore, ScheduleTarget};
use eks_break_glass::domain::step::Step;
use eks_break_glass::input::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::settings::settings;

const EARLY: Timestamp = Timestamp::constant(1_700_000_000, 0);
const LATE: Timestamp = Timestamp::constant(1_800_000_000, 0);
const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:111122223333:function:f";
const REQUEST: &str = "this-request";

static DEFAULTS: LazyLock<Settings> = LazyLock::new(|| settings(&[]).unwrap());
static OURS: LazyLock<Installation> = LazyLock::new(|| Installation::of(Some(&FunctionArn::parse(FUNCTION).unwrap())));

fn goal(scope: AccessScope) -> Goal<'static> {
    Goal {
        policy: PolicyArn::named("AmazonEKSClusterAdminPolicy", Partition::Aws),
        scope,
        duration: None,
        recreate: false,
        emergency: false,
        instance_role: false,
        tags: tags("AmazonEKSClusterAdminPolicy", REQUEST),
        request_id: REQUEST,
        installation: &OURS,
        settings: &DEFAULTS,
    }
}

/// The tags of an entry that a grant of this installation has created.
fn tags(policy: &str, request: &str) -> BTreeMap<String, String> {
    [("function", FUNCTION), ("policy", policy), ("grant-id", request)]
        .map(|(key, value)| (format!("eks-break-glass:{key}"), value.to_owned()))
        .into()
}

fn slot() -> ScheduleTarget {
    ScheduleTarget {
        name: "prod".to_owned(),
        group: "grants".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/schedules".to_owned(),
        dead_letter_arn: None,
        target_arn: format!("{FUNCTION}:revoke"),
    }
}

fn world(mode: AuthenticationMode, entry: EntryState) -> Observation {
    let caller = Caller {
        account_id: "111122223333".to_owned(),
        arn: "arn:aws:sts::111122223333:assumed-role/f/f".to_owned(),
        user_id: "AROA:f".to_owned(),
    };
    Observation {
        own: vec![caller.clone()],
        caller,
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
            public_access_cidrs: Vec::new(),
            auto_mode_node_role: None,
        },
        principal: PrincipalArn::parse("arn:aws:iam::111122223333:role/admin").unwrap(),
        iam: IamPrincipal::Exists { created_at: EARLY },
        instance: InstanceRole::default(),
        entry,
        expiry: ExpiryState::Absent(slot()),
    }
}

fn entry(policies: &[(&str, AccessScope)]) -> AccessEntry {
    AccessEntry {
        arn: Some("arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/admin/1".to_owned()),
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

fn plan(goal: &Goal<'_>, seen: &Observation) -> Plan {
    plan::grant(goal, &History::default(), seen, NOW).unwrap()
}

fn refusal(goal: &Goal<'_>, seen: &Observation) -> eks_break_glass::domain::failure::Failure {
    plan::grant(goal, &History::default(), seen, NOW).unwrap_err()
}

fn steps(goal: &Goal<'_>, seen: &Observation) -> Vec<Step> {
    plan(goal, seen).steps
}

fn codes(plan: &Plan) -> Vec<&'static str> {
    plan.warnings.iter().map(|(code, _)| code.as_str()).collect()
}

fn operations(goal: &Goal<'_>, seen: &Observation) -> Vec<String> {
    steps(goal, seen).iter().flat_map(Step::operations).map(|(operation, _)| operation.as_ref().to_owned()).collect()
}

/// A world whose entry is stale, by IAM's word.
fn stale(entry: AccessEntry) -> Observation {
    let entry = AccessEntry { created_at: Some(EARLY), ..entry };
    let mut seen = world(AuthenticationMode::Api, EntryState::Present(entry));
    seen.iam = IamPrincipal::Exists { created_at: LATE };
    seen
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
    let forbidding = settings(&[("ALLOW_AUTHENTICATION_MODE_CHANGE", "false")]).unwrap();
    let failure = refusal(&Goal { settings: &forbidding, ..goal(AccessScope::Cluster) }, &seen);
    assert_eq!(failure.name, ErrorName::RequestDenied);
    assert!(failure.what.contains("ALLOW_AUTHENTICATION_MODE_CHANGE"));
}

#[test]
fn a_mode_is_never_changed_for_a_principal_that_does_not_exist() {
    let mut seen = world(AuthenticationMode::ConfigMap, EntryState::Unreadable);
    let right = PrincipalArn::parse("arn:aws:iam::111122223333:role/path/admin").unwrap();
    seen.iam = IamPrincipal::Absent { instead: Some(right.clone()) };
    let failure = refusal(&goal(AccessScope::Cluster), &seen);
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
        assert_eq!(steps(&goal(wanted), &seen), []);
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
        let planned = steps(&goal(wanted), &seen);
        let [Step::AssociatePolicy { scope, .. }] = planned.as_slice() else { panic!("{planned:?}") };
        assert_eq!(*scope, then);
    }
}

#[test]
fn an_entry_of_another_type_is_not_touched() {
    let node = AccessEntry { r#type: "EC2_LINUX".to_owned(), ..entry(&[]) };
    let seen = world(AuthenticationMode::Api, EntryState::Present(node));
    let forced = Goal { recreate: true, ..goal(AccessScope::Cluster) };
    assert_eq!(refusal(&forced, &seen).name, ErrorName::AccessEntryConflict);
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
        let failure = refusal(&goal(AccessScope::Cluster), &seen);
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
            let mut seen = world(AuthenticationMode::Api, state);
            seen.iam = IamPrincipal::Exists { created_at: EARLY };
            seen
        }
    })
}

/// What EKS would show after a step.
fn after(step: &Step, seen: &mut Observation) {
    let associate = |seen: &mut Observation, policy: &str, scope: &AccessScope| {
        let EntryState::Present(entry) = &mut seen.entry else { panic!("a policy needs an entry") };
        entry.access_policies.retain(|held| held.policy_arn != *policy);
        entry.access_policies.push(AccessPolicy {
            policy_arn: policy.to_owned(),
            access_scope: scope.clone(),
            associated_at: None,
        });
    };
    match step {
        Step::ChangeAuthenticationMode | Step::Observe => {}
        Step::AwaitAuthenticationMode => {
            seen.cluster.authentication_mode = AuthenticationMode::ApiAndConfigMap;
            seen.entry = EntryState::Absent;
        }
        Step::DeleteEntry => seen.entry = EntryState::Absent,
        Step::ReplaceEntry(replacement) | Step::RecreateEntry(replacement) => {
            let new = &replacement.new;
            seen.entry = EntryState::Present(AccessEntry {
                kubernetes_groups: new.groups.clone(),
                tags: new.tags.clone(),
                ..entry(&[])
            });
            for held in &replacement.policies {
                associate(seen, &held.policy_arn, &held.access_scope);
            }
        }
        Step::CreateEntry(new) => {
            assert!(seen.entry.present().is_none(), "an entry is created only if there is none");
            seen.entry = EntryState::Present(AccessEntry {
                kubernetes_groups: new.groups.clone(),
                tags: new.tags.clone(),
                ..entry(&[])
            });
        }
        Step::TagEntry { ends, .. } => {
            let EntryState::Present(entry) = &mut seen.entry else { panic!("there is no entry") };
            entry.tags.extend([ends.tag()]);
        }
        Step::AssociatePolicy { policy, scope } => associate(seen, policy, scope),
        Step::DisassociatePolicy { policy } => {
            let EntryState::Present(entry) = &mut seen.entry else { panic!("there is no entry") };
            entry.access_policies.retain(|held| held.policy_arn != *policy);
        }
        Step::CreateSchedule { target, revoke } | Step::UpdateSchedule { target, revoke } => {
            assert_eq!(matches!(step, Step::UpdateSchedule { .. }), seen.expiry.target().is_some());
            seen.expiry = ExpiryState::Pending(target.clone(), revoke.clone());
        }
        Step::DeleteSchedule(target) => seen.expiry = ExpiryState::Absent(target.clone()),
    }
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
fn a_revoke_never_gives_anything() {
    for (held, before) in [
        (namespaces(&["a"]), AccessScope::Cluster),
        (namespaces(&["a"]), namespaces(&["a", "b"])),
        (namespaces(&["a"]), namespaces(&["*"])),
    ] {
        let state = EntryState::Present(entry(&[("AmazonEKSClusterAdminPolicy", held)]));
        let seen = world(AuthenticationMode::Api, state);
        let restore = Restore::entry_existed(Some(before));
        assert_eq!(plan::revoke(&revoke_goal(restore), &History::default(), &seen).unwrap().steps, []);
    }
}

fn revoke_goal(restore: Restore) -> RevokeGoal<'static> {
    let policy = PolicyArn::named("AmazonEKSClusterAdminPolicy", Partition::Aws);
    RevokeGoal { policy, restore: Some(restore), is_proven: true, installation: &OURS }
}

#[test]
fn an_entry_that_others_use_by_now_is_kept() {
    let bare = AccessEntry { kubernetes_groups: Vec::new(), tags: BTreeMap::new(), ..entry(&[]) };
    let ours = AccessEntry { tags: tags("AmazonEKSClusterAdminPolicy", "an-earlier-one"), ..bare.clone() };
    let admin = |entry: AccessEntry| {
        let admin = self::entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)]).access_policies;
        let policies = entry.access_policies.into_iter().chain(admin).collect();
        world(AuthenticationMode::Api, EntryState::Present(AccessEntry { access_policies: policies, ..entry }))
    };
    let plan = |entry: AccessEntry| {
        plan::revoke(&revoke_goal(Restore::entry_created()), &History::default(), &admin(entry)).unwrap()
    };
    assert_eq!(plan(bare.clone()).steps, [Step::DeleteEntry]);
    assert_eq!(plan(ours.clone()).steps, [Step::DeleteEntry], "its own tags are no use by others");
    let tagged = |entry: &AccessEntry, key: &str, value: &str| {
        let tags = entry.tags.clone().into_iter().chain([(key.to_owned(), value.to_owned())]).collect();
        AccessEntry { tags, ..entry.clone() }
    };
    let view = entry(&[("AmazonEKSViewPolicy", AccessScope::Cluster)]).access_policies;
    for others in [
        AccessEntry { kubernetes_groups: vec!["ops".to_owned()], ..bare.clone() },
        AccessEntry { username: Some("ops:{{SessionName}}".to_owned()), ..ours.clone() },
        tagged(&bare, "terraform", "yes"),
        tagged(&ours, "team", "a"),
        tagged(&bare, "eks-break-glass:function", "arn:aws:lambda:eu-west-1:111122223333:function:another"),
        AccessEntry { access_policies: view, ..bare },
    ] {
        let plan = plan(others.clone());
        assert_eq!(
            plan.steps,
            [Step::DisassociatePolicy { policy: goal(AccessScope::Cluster).policy.as_str().to_owned() }],
            "{others:?}"
        );
        assert_eq!(codes(&plan), ["ENTRY_KEPT"]);
    }
}

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
fn age_of_an_entry_that_this_request_created_proves_nothing() {
    let ours = AccessEntry {
        tags: tags("AmazonEKSClusterAdminPolicy", REQUEST),
        ..entry(&[("AmazonEKSClusterAdminPolicy", AccessScope::Cluster)])
    };
    assert_eq!(steps(&goal(AccessScope::Cluster), &stale(ours.clone())), [], "IAM's clock may be ahead");
    let earlier = AccessEntry { tags: tags("AmazonEKSClusterAdminPolicy", "an-earlier-one"), ..ours };
    assert!(matches!(steps(&goal(AccessScope::Cluster), &stale(earlier))[..], [Step::ReplaceEntry(_)]));
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

#[test]
fn role_of_instances_needs_a_word_and_a_node_role_gets_nothing() {
    let mut seen = world(AuthenticationMode::ApiAndConfigMap, EntryState::Absent);
    seen.instance.evidence = Some("its trust policy lets ec2.amazonaws.com assume it".to_owned());
    let refused = refusal(&goal(AccessScope::Cluster), &seen);
    assert_eq!(refused.name, ErrorName::InvalidRequest);
    assert!(refused.remedy.contains("`instanceRole`"), "{refused:?}");
    let knowing = Goal { instance_role: true, ..goal(AccessScope::Cluster) };
    assert_eq!(codes(&plan(&knowing, &seen)), ["AWS_AUTH_OVERRIDDEN"]);
    seen.instance.node_role = NodeRole::Unknown("ListNodegroups: denied".to_owned());
    assert!(codes(&plan(&knowing, &seen)).contains(&"NODE_ROLES_UNKNOWN"));
    seen.instance.node_role = NodeRole::Yes("node group `workers`".to_owned());
    for goal in [knowing, goal(AccessScope::Cluster)] {
        let refused = refusal(&goal, &seen);
        assert_eq!(refused.name, ErrorName::AccessEntryConflict);
        assert!(refused.what.contains("node group `workers`"), "{refused:?}");
    }
}

#[test]
fn aws_auth_is_overridden_only_by_an_entry_that_is_created() {
    let goal = goal(AccessScope::Cluster);
    for mode in [AuthenticationMode::ConfigMap, AuthenticationMode::ApiAndConfigMap] {
        assert_eq!(codes(&plan(&goal, &world(mode, EntryState::Absent))), ["AWS_AUTH_OVERRIDDEN"], "{mode}");
    }
    assert_eq!(codes(&plan(&goal, &world(AuthenticationMode::Api, EntryState::Absent))), [""; 0]);
    let held = EntryState::Present(entry(&[]));
    assert_eq!(codes(&plan(&goal, &world(AuthenticationMode::ApiAndConfigMap, held))), [""; 0]);
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
