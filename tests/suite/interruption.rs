//! Any world, any request, and anything that can go wrong at any call: the function killed there, or the call failing in any way.
//! Sent again, the event ends in the same state; nothing that was not ours was touched; and nothing was ever claimed that EKS did not show.

use std::time::Duration;

use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::handler::Failed;
use proptest::prelude::*;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Delays, Entry, EntrySnapshot, Mode, ModeChange, Principal};
use simulator::{Simulation, World};

use crate::harness::{Harness, cases};

pub(crate) const PRINCIPAL: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";
const BYSTANDER: &str = "arn:aws:iam::111122223333:role/bystander";
const NODES: &str = "arn:aws:iam::111122223333:role/nodes";
pub(crate) const WANTED: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
pub(crate) const LATENCY: Duration = Duration::from_millis(20);

/// A world to begin with.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) mode: Mode,
    pub(crate) entry: Option<Held>,
    pub(crate) stale: bool,
    pub(crate) article: bool,
    pub(crate) entry_delay: u64,
    pub(crate) mode_takes: u64,
    pub(crate) iam_lag: u64,
}

/// An entry that is there.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) groups: bool,
    pub(crate) view: Option<Scope>,
    pub(crate) wanted: Option<Scope>,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    Nothing,
    Fault(usize, Kind),
    Persistent(&'static str, Kind),
    Killed(u64),
}

impl Start {
    pub(crate) fn world(&self) -> World {
        let principal = Principal::new(PRINCIPAL).with_eks_lag(Duration::from_secs(self.iam_lag));
        let change = ModeChange { takes: Duration::from_secs(self.mode_takes), ..ModeChange::default() };
        let bystander =
            Entry::new(BYSTANDER).with_group("g").with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
        let mut world = World::new()
            .with_cluster(Cluster::new("prod", self.mode).with_mode_change(change))
            .with_principal(if self.stale { principal.recreated_at(World::START) } else { principal })
            .with_principal(Principal::new(BYSTANDER))
            .with_principal(Principal::new(NODES))
            .with_entry("prod", bystander)
            .with_entry("prod", Entry::new(NODES).of_kind("EC2_LINUX"))
            .with_delays(Delays { entry: Duration::from_secs(self.entry_delay), ..Delays::default() });
        if self.article {
            world = world.with_policy(Policy::article());
        }
        if let Some(held) = &self.entry {
            let mut entry = Entry::new(PRINCIPAL);
            if held.groups {
                entry = entry.with_group("deployers").with_tag("team", "a");
            }
            if let Some(scope) = &held.view {
                entry = entry.with_policy("AmazonEKSViewPolicy", scope.clone());
            }
            if let Some(scope) = &held.wanted {
                entry = entry.with_policy("AmazonEKSClusterAdminPolicy", scope.clone());
            }
            if self.stale {
                entry = entry.made_for_id("AROAEARLIER");
            }
            world = world.with_entry("prod", entry);
        }
        world
    }
}

fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::cluster()),
        Just(Scope::namespaces(&["team-a"])),
        Just(Scope::namespaces(&["team-a", "dev-*"])),
    ]
}

pub(crate) fn any_start() -> impl Strategy<Value = Start> {
    let held = (any::<bool>(), proptest::option::of(any_scope()), proptest::option::of(any_scope()))
        .prop_map(|(groups, view, wanted)| Held { groups, view, wanted });
    (
        prop_oneof![Just(Mode::ConfigMap), Just(Mode::ApiAndConfigMap), Just(Mode::Api)],
        proptest::option::of(held),
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just(0), Just(5), Just(60)],
        prop_oneof![Just(5), Just(90), Just(1200)],
        prop_oneof![Just(0), Just(40)],
    )
        .prop_map(|(mode, entry, stale, article, entry_delay, mode_takes, iam_lag)| Start {
            // EKS has no entries to show, or to keep, in CONFIG_MAP mode.
            entry: entry.filter(|_| mode != Mode::ConfigMap),
            mode,
            stale,
            article,
            entry_delay,
            mode_takes,
            iam_lag,
        })
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Throttled),
        Just(Kind::ServerError(500)),
        Just(Kind::ServerError(503)),
        Just(Kind::ResetBeforeEffect),
        Just(Kind::ResetAfterEffect),
        Just(Kind::Garbage),
        Just(Kind::Denied),
        Just(Kind::Slow(Duration::from_secs(25))),
    ]
}

pub(crate) fn any_trouble() -> impl Strategy<Value = Trouble> {
    let operations = [
        "GetCallerIdentity",
        "DescribeCluster",
        "GetRole",
        "DescribeAccessEntry",
        "ListAssociatedAccessPolicies",
        "UpdateClusterConfig",
        "DescribeUpdate",
        "CreateAccessEntry",
        "AssociateAccessPolicy",
        "DisassociateAccessPolicy",
        "DeleteAccessEntry",
        "GetSchedule",
        "CreateSchedule",
        "UpdateSchedule",
        "DeleteSchedule",
    ];
    prop_oneof![
        1 => Just(Trouble::Nothing),
        4 => (0..24_usize, any_kind()).prop_map(|(call, kind)| Trouble::Fault(call, kind)),
        4 => (proptest::sample::select(operations.to_vec()), any_kind()).prop_map(|(name, kind)| Trouble::Persistent(name, kind)),
        4 => (0..40_u64).prop_map(|tenths| Trouble::Killed(tenths * 10)),
    ]
}

pub(crate) fn any_event() -> impl Strategy<Value = Value> {
    (any_scope(), proptest::bool::weighted(0.2)).prop_map(|(scope, recreate)| {
        let scope = match scope.kind.as_str() {
            "cluster" => json!({"type": "cluster"}),
            _ => scope.json(),
        };
        json!({"clusterName": "prod", "principalArn": PRINCIPAL, "accessScope": scope, "recreateEntry": recreate})
    })
}

pub(crate) fn scope(scope: &Scope) -> AccessScope {
    match scope.kind.as_str() {
        "cluster" => AccessScope::Cluster,
        _ => AccessScope::Namespaces(scope.namespaces.clone()),
    }
}

type Entries = std::collections::BTreeMap<String, EntrySnapshot>;

/// One case: what the world was, what happened to it, and what each answer claimed.
struct Case {
    harness: Harness,
    event: Value,
    before: Entries,
}

impl Case {
    fn entries(&self) -> Entries {
        self.harness.aws.world(|world| world.snapshot("prod"))
    }

    /// What holds after whatever happened.
    fn check(&self, answer: Option<&Result<Value, Failed>>, earlier: &Entries) {
        let now = self.entries();
        for untouched in [BYSTANDER, NODES] {
            assert_eq!(now.get(untouched), self.before.get(untouched), "another principal's entry was touched");
        }
        match answer {
            Some(Ok(result)) if ["GRANTED", "ALREADY_GRANTED"].contains(&result["status"].as_str().unwrap()) => {
                let entry = now.get(PRINCIPAL).expect("a grant was claimed, and there is no entry");
                let held = entry.policies.get(WANTED).expect("a grant was claimed, and the policy is not there");
                let wanted: AccessScope = serde_json::from_value(self.event["accessScope"].clone()).unwrap();
                assert!(scope(held).covers(&wanted), "a grant was claimed, and its scope is {held:?}");
                self.check_nothing_taken_away(entry);
            }
            Some(Ok(result)) => assert_eq!(result["status"], "IN_PROGRESS"),
            Some(Err(failed)) if now != *earlier => {
                assert!(!failed.message.contains("Nothing was changed."), "a change was not named: {}", failed.message);
            }
            Some(Err(_)) | None => {}
        }
        // An entry that is there has not lost anything, unless it was deleted to be recreated and is not finished yet.
        if let (Some(entry), false) = (now.get(PRINCIPAL), self.was_deleted()) {
            self.check_nothing_taken_away(entry);
        }
    }

    /// Everything that the principal had, it still has. If its entry was deleted and the function killed before it was made
    /// recreated, what it had is in the log.
    fn check_nothing_taken_away(&self, now: &EntrySnapshot) {
        let Some(before) = self.before.get(PRINCIPAL) else {
            return;
        };
        let kept = now.groups == before.groups
            && before
                .policies
                .iter()
                .all(|(policy, held)| now.policies.get(policy).is_some_and(|kept| scope(kept).covers(&scope(held))));
        if !kept {
            assert!(self.was_deleted(), "something was taken away from {before:?}: {now:?}");
            let snapshots = self.harness.logged("snapshot");
            let groups = snapshots.iter().any(|line| line["accessEntry"]["kubernetesGroups"] == json!(before.groups));
            assert!(groups, "what was deleted is not in the log: {snapshots:?}");
        }
    }

    fn was_deleted(&self) -> bool {
        self.harness
            .aws
            .calls()
            .iter()
            .any(|call| call.operation == "DeleteAccessEntry" && call.outcome != "AccessDeniedException")
    }
}

async fn live_through(start: Start, event: Value, trouble: Trouble) {
    let case = Case {
        // An entry may be recreated with all that it holds.
        harness: Harness::new(Simulation::new(start.world()).with_latency(LATENCY))
            .with("ALLOWED_GROUPS", "*")
            .with("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy"),
        before: start.world().snapshot("prod"),
        event,
    };
    match trouble {
        Trouble::Nothing => {}
        Trouble::Fault(call, kind) => case.harness.aws.inject(Fault::new(At::Call(call), kind)),
        Trouble::Persistent(operation, kind) => case.harness.aws.inject(Fault::new(At::Every(operation), kind)),
        Trouble::Killed(after) => {
            let sent = case.harness.send(&case.event);
            let _ = tokio::time::timeout(Duration::from_millis(after), sent).await;
            case.check(None, &case.before);
        }
    }
    let earlier = case.entries();
    let first = case.harness.send(&case.event).await;
    case.check(Some(&first), &earlier);

    // The trouble is over. Sent again, as often as the answer says, it ends granted.
    case.harness.aws.recover();
    let mut granted = false;
    for _ in 0..4 {
        let earlier = case.entries();
        let again = case.harness.send(&case.event).await;
        case.check(Some(&again), &earlier);
        let again = again.unwrap_or_else(|failed| panic!("it does not recover: {failed:?}"));
        if again["status"] != "IN_PROGRESS" {
            granted = true;
            break;
        }
        tokio::time::advance(Duration::from_mins(5)).await;
    }
    assert!(granted, "it stays in progress");

    // And once more changes nothing.
    let end = case.entries();
    let calls = case.harness.aws.calls().len();
    let mut plain = case.event.clone();
    plain["recreateEntry"] = json!(false);
    let last = case.harness.send(&plain).await.unwrap();
    assert_eq!(last["status"], "ALREADY_GRANTED");
    assert_eq!(case.entries(), end);
    assert!(case.harness.aws.calls()[calls..].iter().all(|call| !call.changes()));
}

/// Runs to its end under simulated time.
pub(crate) fn simulated(life: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(life);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(4000), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_event_sent_again_ends_in_the_same_state(
        start in any_start(), event in any_event(), trouble in any_trouble(),
    ) {
        simulated(live_through(start, event, trouble));
    }
}
