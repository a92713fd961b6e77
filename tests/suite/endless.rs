//! With `MAX_DURATION`, no principal has, after any sequence of requests, faults and kills, access without an end that it did not have
//! and could use before. Two installations work on one cluster; of two requests at once, the generator chooses whose pending call is
//! answered next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::handler::Failed;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::gate::Gate;
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Caller, Cluster, Delays, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{GROUP, Harness, cases};
use crate::interruption::simulated;

const PRINCIPALS: [&str; 2] =
    ["arn:aws:iam::111122223333:role/new-cluster-admin", "arn:aws:iam::111122223333:role/colleague"];
const ADMIN: &str = "AmazonEKSClusterAdminPolicy";
const VIEW: &str = "AmazonEKSViewPolicy";
/// The second installation: the same account, another Region.
const SECOND: &str = "arn:aws:lambda:eu-central-1:111122223333:function:eks-break-glass";
const SECOND_GROUP: &str = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/eks-break-glass";
const SECOND_KEY: &str = "ASIASECOND";

/// What an entry holds at first.
#[derive(Debug, Clone)]
struct Held {
    stale: bool,
    group: bool,
    admin: Option<Scope>,
    view: Option<Scope>,
}

/// One request.
#[derive(Debug, Clone)]
struct Sent {
    second: bool,
    event: Value,
}

#[derive(Debug, Clone)]
enum Round {
    /// One request, with something that goes wrong.
    Alone(Sent, Trouble),
    /// Two requests at once; which pending call is answered next; and, for two grants, something that goes wrong.
    Together(Sent, Sent, Vec<usize>, Trouble),
    /// Time goes by, and what is due is delivered; the first delivery with something that goes wrong.
    Later(u64, Trouble),
}

#[derive(Debug, Clone)]
enum Trouble {
    Nothing,
    Fault(usize, Kind),
    Persistent(&'static str, Kind),
    Killed(u64),
}

fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::cluster()), Just(Scope::namespaces(&["a"])), Just(Scope::namespaces(&["a", "b"]))]
}

fn any_held() -> impl Strategy<Value = Option<Held>> {
    let held = (any::<bool>(), any::<bool>(), proptest::option::of(any_scope()), proptest::option::of(any_scope()))
        .prop_map(|(stale, group, admin, view)| Held { stale, group, admin, view });
    proptest::option::of(held)
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let policy = prop_oneof![3 => Just(ADMIN), 1 => Just(VIEW)];
    let grant = (policy.clone(), any_scope(), prop_oneof![Just(Value::Null), Just(json!("30m")), Just(json!("2h"))], proptest::bool::weighted(0.2), proptest::bool::weighted(0.05))
        .prop_map(|(policy, scope, duration, recreate, dry_run)| {
            let scope = if scope.kind == "cluster" { json!({"type": "cluster"}) } else { scope.json() };
            json!({"policyArn": policy, "accessScope": scope, "duration": duration, "recreateEntry": recreate, "dryRun": dry_run})
        });
    let restore = prop_oneof![
        Just(Value::Null),
        Just(json!({"version": 1, "entryExisted": false})),
        any_scope().prop_map(|scope| json!({"version": 1, "entryExisted": true, "accessScope": scope.json()})),
    ];
    let revoke = (policy, restore)
        .prop_map(|(policy, restore)| json!({"action": "revoke", "policyArn": policy, "restore": restore}));
    (any::<bool>(), 0..PRINCIPALS.len(), prop_oneof![3 => grant, 1 => revoke]).prop_map(
        |(second, principal, mut event)| {
            event["clusterName"] = json!("arn:aws:eks:eu-west-1:111122223333:cluster/prod");
            event["principalArn"] = json!(PRINCIPALS[principal]);
            Sent { second, event }
        },
    )
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    let kind = prop_oneof![
        Just(Kind::Throttled),
        Just(Kind::ServerError(500)),
        Just(Kind::ResetBeforeEffect),
        Just(Kind::ResetAfterEffect),
        Just(Kind::Garbage),
        Just(Kind::Denied),
    ];
    let operations = [
        "GetRole",
        "DescribeAccessEntry",
        "ListAssociatedAccessPolicies",
        "CreateAccessEntry",
        "AssociateAccessPolicy",
        "DisassociateAccessPolicy",
        "DeleteAccessEntry",
        "TagResource",
        "GetSchedule",
        "CreateSchedule",
        "UpdateSchedule",
        "DeleteSchedule",
    ];
    prop_oneof![
        2 => Just(Trouble::Nothing),
        3 => (0..20_usize, kind.clone()).prop_map(|(call, kind)| Trouble::Fault(call, kind)),
        3 => (proptest::sample::select(operations.to_vec()), kind).prop_map(|(name, kind)| Trouble::Persistent(name, kind)),
        4 => (0..30_u64).prop_map(|tens| Trouble::Killed(tens * 10)),
    ]
}

fn any_round() -> impl Strategy<Value = Round> {
    prop_oneof![
        4 => (any_sent(), any_trouble()).prop_map(|(sent, trouble)| Round::Alone(sent, trouble)),
        3 => (any_sent(), any_sent(), proptest::collection::vec(0..4_usize, 24), any_trouble())
            .prop_map(|(one, other, choices, trouble)| {
                // A revoke deletes the schedule that a grant at the same time counts on. If that grant fails before it has read back,
                // nobody schedules the end again.
                let grants = [&one, &other].iter().all(|sent| sent.event["action"].is_null());
                let whole = !grants || matches!(trouble, Trouble::Killed(_));
                Round::Together(one, other, choices, if whole { Trouble::Nothing } else { trouble })
            }),
        2 => (1..150_u64, any_trouble()).prop_map(|(minutes, trouble)| Round::Later(minutes, trouble)),
    ]
}

struct Case {
    aws: Simulation,
    installations: [Harness; 2],
    /// What each principal could use at first: policies with their scopes, and groups.
    before: Vec<Usable>,
}

impl Case {
    fn new(held: &[Option<Held>], mode: Mode, entry_delay: u64) -> Self {
        let second = Caller {
            arn: "arn:aws:sts::111122223333:assumed-role/second/second".to_owned(),
            account: "111122223333".to_owned(),
            user_id: "AROASECOND:second".to_owned(),
            policy: Policy::allow_all(),
        };
        let mut world = World::new()
            .with_cluster(Cluster::new("prod", mode))
            .with_schedule_group(GROUP)
            .with_schedule_group(SECOND_GROUP)
            .with_caller(SECOND_KEY, second)
            .with_delays(Delays { entry: Duration::from_secs(entry_delay), ..Delays::default() });
        for (arn, held) in PRINCIPALS.iter().zip(held) {
            let stale = held.as_ref().is_some_and(|held| held.stale);
            let principal = Principal::new(arn);
            world = world.with_principal(if stale { principal.recreated_at(World::START) } else { principal });
            let Some(held) = held else { continue };
            let mut entry = Entry::new(arn);
            if held.group {
                entry = entry.with_group("deployers");
            }
            if let Some(scope) = &held.admin {
                entry = entry.with_policy(ADMIN, scope.clone());
            }
            if let Some(scope) = &held.view {
                entry = entry.with_policy(VIEW, scope.clone());
            }
            world = world.with_entry("prod", if held.stale { entry.made_for_id("AROAEARLIER") } else { entry });
        }
        let aws = Simulation::new(world).with_latency(Duration::from_millis(10));
        let guarded = |harness: Harness| {
            harness
                .with_schedules()
                .with("MAX_DURATION", "2h")
                .with("DEFAULT_DURATION", "1h")
                .with("ALLOWED_GROUPS", "*")
                .with("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy")
        };
        let first = guarded(Harness::new(aws.clone()));
        let second = guarded(Harness::new(aws.clone()).with("AWS_REGION", "eu-central-1"));
        let installations = [first, second.installed_as(SECOND, SECOND_KEY)];
        let before = PRINCIPALS.iter().map(|principal| usable(&aws, principal)).collect();
        Self { aws, installations, before }
    }

    async fn send(&self, sent: &Sent, id: &str) {
        count_answer(&self.installations[usize::from(sent.second)].send_as(id, &sent.event).await);
    }

    async fn play(&self, number: usize, round: &Round) {
        match round {
            Round::Alone(sent, trouble) => {
                self.trouble(trouble, self.send(sent, &format!("round-{number}"))).await;
            }
            Round::Together(one, other, choices, trouble) => {
                self.trouble(trouble, self.together(number, one, other, choices)).await;
            }
            Round::Later(minutes, trouble) => {
                tokio::time::advance(Duration::from_mins(*minutes)).await;
                self.deliver(trouble).await;
            }
        }
        self.aws.recover();
    }

    async fn trouble(&self, trouble: &Trouble, work: impl Future<Output = ()>) {
        let calls = self.aws.calls().len();
        match trouble {
            Trouble::Nothing => work.await,
            Trouble::Fault(call, kind) => {
                self.aws.inject(Fault::new(At::Call(calls + call), *kind));
                work.await;
            }
            Trouble::Persistent(operation, kind) => {
                self.aws.inject(Fault::new(At::Every(operation), *kind));
                work.await;
            }
            Trouble::Killed(after) => {
                if tokio::time::timeout(Duration::from_millis(*after), work).await.is_err() {
                    count("killed");
                }
            }
        }
    }

    /// Two requests at once: one pending call after the other is answered, as the generator chooses.
    async fn together(&self, number: usize, one: &Sent, other: &Sent, choices: &[usize]) {
        let gate = Gate::new();
        let aws = self.aws.clone().with_gate(gate.clone());
        let with_gate = |sent: &Sent| self.installations[usize::from(sent.second)].over(aws.clone());
        let (first, second) = (with_gate(one), with_gate(other));
        let (id, other_id) = (format!("round-{number}-a"), format!("round-{number}-b"));
        let both = async {
            let (one, other) = tokio::join!(first.send_as(&id, &one.event), second.send_as(&other_id, &other.event));
            count_answer(&one);
            count_answer(&other);
            count("together");
        };
        let mut choices = choices.iter().cycle();
        let answer = async {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let waiting = gate.waiting();
                if waiting > 0 {
                    gate.open(choices.next().unwrap() % waiting);
                }
            }
        };
        tokio::select! {
            () = both => {}
            () = answer => {}
        }
    }

    /// Lambda delivers until it is answered; only the first try has trouble.
    async fn deliver(&self, trouble: &Trouble) {
        for delivery in self.aws.due() {
            let event: Value = serde_json::from_str(&delivery.input).unwrap();
            let harness = &self.installations[usize::from(delivery.target.starts_with(SECOND))];
            self.trouble(trouble, async {
                let _ = harness.send_through("revoke", &event).await;
            })
            .await;
            self.aws.recover();
            let answer = harness.send_through("revoke", &event).await;
            answer.unwrap_or_else(|failed| panic!("it does not recover: {failed:?}"));
            count("delivered");
        }
    }

    /// What is usable now, and was not before, has an end.
    fn check(&self, what: &str) {
        let schedules: Vec<Value> = self.aws.world(|world| {
            world
                .schedules()
                .iter()
                .filter(|schedule| schedule.state == "ENABLED")
                .map(|schedule| serde_json::from_str(&schedule.input).unwrap())
                .collect()
        });
        for (principal, (policies, groups)) in PRINCIPALS.iter().zip(&self.before) {
            let (now, groups_now) = usable(&self.aws, principal);
            assert!(groups_now.is_subset(groups), "{what}: {principal} has groups that it had not: {groups_now:?}");
            for (policy, held) in now {
                let had = policies.iter().any(|(of, before)| *of == policy && scope(before).covers(&scope(&held)));
                let ends =
                    schedules.iter().any(|event| event["principalArn"] == **principal && event["policyArn"] == *policy);
                assert!(had || ends, "{what}: {principal} has {policy} on {held:?} without an end");
            }
        }
    }
}

/// What a principal can use: policies with their scopes, and groups.
type Usable = (Vec<(String, Scope)>, BTreeSet<String>);

fn usable(aws: &Simulation, principal: &str) -> Usable {
    aws.world(|world| {
        let groups = world.kubernetes_identity("prod", principal).map(|(_, groups)| groups).unwrap_or_default();
        (world.usable_access("prod", principal), groups.into_iter().collect())
    })
}

fn scope(scope: &Scope) -> AccessScope {
    match scope.kind.as_str() {
        "cluster" => AccessScope::Cluster,
        _ => AccessScope::Namespaces(scope.namespaces.clone()),
    }
}

async fn live(held: Vec<Option<Held>>, mode: Mode, entry_delay: u64, rounds: Vec<Round>) {
    let case = Case::new(&held, mode, entry_delay);
    for (number, round) in rounds.iter().enumerate() {
        case.play(number, round).await;
        case.check(&format!("after round {number}"));
    }
    // In the end, every end has come.
    for _ in 0..4 {
        tokio::time::advance(Duration::from_hours(2)).await;
        case.deliver(&Trouble::Nothing).await;
    }
    assert!(case.aws.world(|world| world.schedules().is_empty()));
    case.check("in the end");
}

#[test]
fn no_principal_gets_access_without_an_end() {
    let worlds = (
        proptest::collection::vec(any_held(), PRINCIPALS.len()),
        prop_oneof![Just(Mode::ApiAndConfigMap), Just(Mode::Api)],
        prop_oneof![3 => Just(0_u64), 1 => Just(5)],
        proptest::collection::vec(any_round(), 1..6),
    );
    let config = ProptestConfig {
        cases: cases(WORLDS),
        max_shrink_iters: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&worlds, |(held, mode, entry_delay, rounds)| {
            simulated(live(held, mode, entry_delay, rounds));
            Ok(())
        })
        .unwrap_or_else(|failed| panic!("{failed}"));
    let seen = SEEN.lock().unwrap().clone();
    let worlds = cases(WORLDS);
    say(&format!("{worlds} worlds: {seen:?}"));
    // Each kind of event happened often enough to show something.
    for what in ["GRANTED", "REVOKED", "replaced", "together", "killed", "delivered", "RequestDenied"] {
        let times = seen.get(what).copied().unwrap_or_default();
        assert!(times > u64::from(worlds) / 20, "{what}: {times} times in {worlds} worlds");
    }
}

/// How often each kind of event happened.
static SEEN: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());
const WORLDS: u32 = 4000;

fn count(what: &str) {
    *SEEN.lock().unwrap().entry(what.to_owned()).or_default() += 1;
}

fn count_answer(answer: &Result<Value, Failed>) {
    match answer {
        Ok(result) => {
            count(result["status"].as_str().unwrap());
            if result.get("replacedEntry").is_some() {
                count("replaced");
            }
        }
        Err(failed) => count(&failed.name.to_string()),
    }
}

#[expect(clippy::print_stdout, reason = "what the worlds exercised is shown")]
fn say(text: &str) {
    println!("{text}");
}
