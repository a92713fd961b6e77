//! Events that nobody means well with: a corpus, each of which is refused by name, and as many as one likes that are made from it.
//!
//! `make fuzz CASES=5000000 SEED=7` makes more, or others, than every run of the tests does.

use std::collections::BTreeMap;

use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::region::Region;
use eks_break_glass::domain::sanitize;
use eks_break_glass::input::event::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use simulator::operation::Scope;
use simulator::world::{Cluster, Entry, Mode, Principal as SimulatedPrincipal};
use simulator::{Simulation, World};

use crate::harness::{GROUP, Harness, LAMBDA_TIMEOUT};
use crate::schema;

const ADMIN: &str = "arn:aws:iam::111122223333:role/team/admin";
const BUS: &str = "security";
/// No message about an event is longer, in characters, however long the event is.
const LONGEST_MESSAGE: usize = 1300;
/// What guards the function in this module.
pub(crate) const GUARDRAILS: [(&str, &str); 7] = [
    ("ALLOWED_CLUSTERS", "arn:aws:eks:eu-west-1:111122223333:cluster/prod"),
    ("ALLOWED_PRINCIPALS", "arn:aws:iam::*:role/team/*"),
    ("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy"),
    ("MAX_DURATION", "8h"),
    ("SCHEDULE_GROUP", GROUP),
    ("SCHEDULE_ROLE_ARN", "arn:aws:iam::111122223333:role/eks-break-glass-schedules"),
    ("REQUIRE_REASON", "true"),
];

/// A line of `tests/fixtures/hostile-events.jsonl`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hostile {
    /// What is wrong with it.
    pub(crate) name: String,
    /// Its text; `@@` stands for what `fill` says.
    pub(crate) event: String,
    /// What `@@` stands for, and how often.
    pub(crate) fill: Option<(String, usize)>,
    /// The name of the error.
    pub(crate) error: String,
    /// What its message has to name.
    pub(crate) says: String,
    /// Whether the schema of events `takes` or `refuses` it; absent where it is no JSON.
    pub(crate) schema: Option<String>,
}

pub(crate) fn corpus() -> Vec<Hostile> {
    let lines = include_str!("../fixtures/hostile-events.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

impl Hostile {
    pub(crate) fn text(&self) -> String {
        let fill = self.fill.as_ref().map(|(text, times)| text.repeat(*times)).unwrap_or_default();
        self.event.replace("@@", &fill)
    }
}

pub(crate) fn harness() -> Harness {
    let world = World::new()
        .with_cluster(Cluster::new("prod", Mode::ConfigMap))
        .with_principal(SimulatedPrincipal::new(ADMIN))
        .with_schedule_group(GROUP)
        .with_event_bus(BUS);
    let harness = Harness::new(Simulation::new(world)).with_schedules().with("EVENT_BUS", BUS);
    let harness = GUARDRAILS.iter().fold(harness, |harness, (name, value)| harness.with(name, value));
    harness.with("ALLOWED_PRINCIPALS", "arn:aws:iam::111122223333:role/team/*")
}

#[tokio::test(start_paused = true)]
async fn every_hostile_event_is_refused_by_name_without_a_call() {
    let corpus = corpus();
    let harness = harness();
    let mut refused = 0;
    for hostile in &corpus {
        let name = &hostile.name;
        let text = hostile.text();
        let (error, message) = if let Ok(event) = serde_json::from_str::<&RawValue>(&text) {
            let failed = harness.send_text(event.get(), LAMBDA_TIMEOUT).await.expect_err(name);
            (failed.name.to_string(), failed.message)
        } else {
            // Lambda takes nothing but JSON: what is none does not get to the handler, and would get no further.
            let invalid = Request::parse(&text, &home()).expect_err(name);
            ("InvalidRequest".to_owned(), invalid.to_string())
        };
        assert_eq!(error, hostile.error, "{name}: {message}");
        assert!(message.contains(&hostile.says), "{name}: {message}");
        assert_presentable(&message);
        refused += usize::from(error == "RequestDenied");
    }
    assert!(corpus.len() > 500, "{} events", corpus.len());
    let calls = harness.aws.calls();
    assert!(calls.iter().all(|call| call.operation == "PutEvents"), "{calls:?}");
    let announced = harness.aws.world(|world| world.bus_events().to_vec());
    assert!(announced.iter().all(|event| event.detail_type == "EKS access refused"));
    assert_eq!(announced.len(), refused, "every refusal is announced");
    let logged: BTreeMap<String, usize> = harness.logged("audit").iter().fold(BTreeMap::new(), |mut counts, line| {
        *counts.entry(line["status"].as_str().unwrap().to_owned()).or_default() += 1;
        counts
    });
    assert_eq!(logged["RequestDenied"], refused, "every refusal is logged");
}

/// The events would be taken if it were not for the one thing that is wrong with each.
#[tokio::test(start_paused = true)]
async fn the_event_that_the_corpus_is_made_from_is_taken() {
    let event = json!({"clusterName": "prod", "principalArn": ADMIN, "duration": "1h", "reason": "INC-2041"});
    assert_eq!(harness().send(&event).await.unwrap()["status"], "GRANTED");
}

#[test]
fn the_schema_of_events_says_what_a_schema_can_say() {
    let mut counts = BTreeMap::new();
    for hostile in corpus() {
        let Ok(event) = serde_json::from_str::<Value>(&hostile.text()) else { continue };
        let verdict = schema::takes_event(&event);
        let says = if verdict.is_ok() { "takes" } else { "refuses" };
        assert_eq!(Some(says), hostile.schema.as_deref(), "{}: {verdict:?}", hostile.name);
        *counts.entry((says, hostile.error)).or_insert(0) += 1;
    }
    // What is well-formed and denied by a setting, the schema has to take.
    assert!(!counts.contains_key(&("refuses", "RequestDenied".to_owned())), "{counts:?}");
    assert!(counts[&("refuses", "InvalidRequest".to_owned())] > 400, "{counts:?}");
}

pub(crate) fn read(scope: &Scope) -> AccessScope {
    serde_json::from_value(json!({"type": scope.kind, "namespaces": scope.namespaces})).unwrap()
}

/// A revoke that was made up gives nothing to anybody, whatever it says was there before.
#[tokio::test(start_paused = true)]
async fn a_made_up_restore_widens_nothing() {
    let namespaces = |names: &[&str]| json!({"type": "namespace", "namespaces": names});
    for held in [Scope::cluster(), Scope::namespaces(&["team-a", "dev-*"])] {
        for before in [
            json!({"type": "cluster"}),
            namespaces(&["*"]),
            namespaces(&["team-a", "kube-system"]),
            namespaces(&["dev-**", "dev-?", "????-?"]),
            namespaces(&[]),
            namespaces(&["", "Kube System\n", "../.."]),
            Value::Null,
        ] {
            for existed in [true, false] {
                let world = World::new()
                    .with_cluster(Cluster::new("prod", Mode::Api))
                    .with_principal(SimulatedPrincipal::new(ADMIN))
                    .with_entry("prod", Entry::new(ADMIN).with_policy("AmazonEKSViewPolicy", held.clone()));
                let harness = Harness::new(Simulation::new(world));
                let event = json!({
                    "action": "revoke", "clusterName": "prod", "principalArn": ADMIN, "policyArn": "AmazonEKSViewPolicy",
                    "restore": {"version": 1, "entryExisted": existed, "accessScope": before},
                });
                let _ = harness.send(&event).await;
                let entries = harness.aws.world(|world| world.snapshot("prod"));
                for (policy, scope) in entries.values().flat_map(|entry| &entry.policies) {
                    assert!(policy.ends_with("AmazonEKSViewPolicy"), "{policy}");
                    assert!(read(&held).covers(&read(scope)), "{before}: {scope:?}");
                }
                let widening = ["CreateAccessEntry", "UpdateClusterConfig", "CreateSchedule"];
                assert!(harness.aws.calls().iter().all(|call| !widening.contains(&call.operation)));
            }
        }
    }
}

pub(crate) fn home() -> Region {
    Region::parse("eu-west-1").unwrap()
}

pub(crate) fn assert_presentable(message: &str) {
    assert!(!message.chars().any(sanitize::forges), "{message:?} has characters that forge");
    assert!(message.chars().count() <= LONGEST_MESSAGE, "{} characters", message.chars().count());
}
