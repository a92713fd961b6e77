//! The planner: for any world it plans the least that leads to the goal, and then nothing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use eks_break_glass::decide::history::History;
use eks_break_glass::decide::ownership::Installation;
use eks_break_glass::decide::plan::{self, Goal, Plan, RevokeGoal};
use eks_break_glass::domain::access_entry::{AccessEntry, AccessPolicy, EntryState};
use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::arn::{FunctionArn, PolicyArn};
use eks_break_glass::domain::cluster::{AuthenticationMode, Cluster, ClusterKind};
use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::domain::identity::{Caller, IamPrincipal, InstanceRole, NodeRole};
use eks_break_glass::domain::observed_state::Observation;
use eks_break_glass::domain::principal::PrincipalArn;
use eks_break_glass::domain::region::Partition;
use eks_break_glass::domain::scheduled_revoke::{ExpiryState, Restore, ScheduleTarget};
use eks_break_glass::domain::step::Step;
use eks_break_glass::input::settings::Settings;
use jiff::Timestamp;

use crate::settings::settings;

pub(crate) const EARLY: Timestamp = Timestamp::constant(1_700_000_000, 0);
pub(crate) const LATE: Timestamp = Timestamp::constant(1_800_000_000, 0);
pub(crate) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:111122223333:function:f";
const REQUEST: &str = "this-request";

static DEFAULTS: LazyLock<Settings> = LazyLock::new(|| settings(&[]).unwrap());
pub(crate) static OURS: LazyLock<Installation> =
    LazyLock::new(|| Installation::of(Some(&FunctionArn::parse(FUNCTION).unwrap())));

pub(crate) fn goal(scope: AccessScope) -> Goal<'static> {
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
pub(crate) fn tags(policy: &str, request: &str) -> BTreeMap<String, String> {
    [("function", FUNCTION), ("policy", policy), ("grant-id", request)]
        .map(|(key, value)| (format!("eks-break-glass:{key}"), value.to_owned()))
        .into()
}

pub(crate) fn slot() -> ScheduleTarget {
    ScheduleTarget {
        name: "prod".to_owned(),
        group: "grants".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/schedules".to_owned(),
        dead_letter_arn: None,
        target_arn: format!("{FUNCTION}:revoke"),
    }
}

pub(crate) fn world(mode: AuthenticationMode, entry: EntryState) -> Observation {
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

pub(crate) fn entry(policies: &[(&str, AccessScope)]) -> AccessEntry {
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

pub(crate) fn namespaces(names: &[&str]) -> AccessScope {
    AccessScope::Namespaces(names.iter().map(|&name| name.to_owned()).collect())
}

pub(crate) fn plan(goal: &Goal<'_>, seen: &Observation) -> Plan {
    plan::grant(goal, &History::default(), seen, NOW).unwrap()
}

pub(crate) fn refusal(goal: &Goal<'_>, seen: &Observation) -> eks_break_glass::domain::failure::Failure {
    plan::grant(goal, &History::default(), seen, NOW).unwrap_err()
}

pub(crate) fn steps(goal: &Goal<'_>, seen: &Observation) -> Vec<Step> {
    plan(goal, seen).steps
}

pub(crate) fn codes(plan: &Plan) -> Vec<&'static str> {
    plan.warnings.iter().map(|(code, _)| code.as_str()).collect()
}

pub(crate) fn operations(goal: &Goal<'_>, seen: &Observation) -> Vec<String> {
    steps(goal, seen).iter().flat_map(Step::operations).map(|(operation, _)| operation.as_ref().to_owned()).collect()
}

/// A world whose entry is stale, by IAM's word.
pub(crate) fn stale(entry: AccessEntry) -> Observation {
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

/// What EKS would show after a step.
pub(crate) fn after(step: &Step, seen: &mut Observation) {
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

/// What there is to compare before and after: groups, tags, and scopes by policy; none where there is no entry.
pub(crate) fn held(state: &EntryState) -> Option<(Vec<String>, BTreeMap<String, AccessScope>)> {
    let entry = state.present()?;
    let policies = entry.access_policies.iter().map(|held| (held.policy_arn.clone(), held.access_scope.clone()));
    Some((entry.kubernetes_groups.clone(), policies.collect()))
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

pub(crate) fn revoke_goal(restore: Restore) -> RevokeGoal<'static> {
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
