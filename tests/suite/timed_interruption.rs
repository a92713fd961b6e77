//! A grant that ends, and its end, whatever goes wrong: no access without its end, and the end restores what was there.

use std::time::Duration;

use eks_break_glass::domain::access_scope::AccessScope;
use proptest::prelude::*;
use serde_json::{Value, json};
use simulator::Simulation;
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{EntrySnapshot, Mode};

use crate::harness::{GROUP, Harness, cases};
use crate::interruption::{
    Held, LATENCY, PRINCIPAL, Start, Trouble, WANTED, any_event, any_start, any_trouble, scope, simulated,
};

/// A grant that ends, and its end: by its schedule, or sent manually.
struct TimedGrant {
    harness: Harness,
    event: Value,
    /// The principal's entry, as it was.
    before: Option<EntrySnapshot>,
    /// Whether that entry gave the principal nothing.
    stale: bool,
}

impl TimedGrant {
    fn entry(&self) -> Option<EntrySnapshot> {
        self.harness.aws.world(|world| world.snapshot("prod")).remove(PRINCIPAL)
    }

    /// How far the policy reaches; `None`: not at all.
    fn reach(entry: Option<&EntrySnapshot>) -> Option<AccessScope> {
        entry.and_then(|entry| entry.policies.get(WANTED)).map(scope)
    }

    /// How far the policy reached that the principal could use.
    fn usable_before(&self) -> Option<AccessScope> {
        Self::reach(self.before.as_ref()).filter(|_| !self.stale)
    }

    /// How far the policy reaches that the principal can use now.
    fn usable(&self) -> Option<AccessScope> {
        let usable = self.harness.aws.world(|world| world.usable_access("prod", PRINCIPAL));
        usable.iter().find(|(policy, _)| policy == WANTED).map(|(_, held)| scope(held))
    }

    /// Never usable access that was not there before without its end, and never an end that does not know what to restore.
    fn check_end(&self) {
        let pending: Vec<Value> = self.harness.aws.world(|world| {
            let inputs = world.schedules().into_iter().map(|schedule| serde_json::from_str(&schedule.input).unwrap());
            inputs.collect()
        });
        let restore = |existed: bool, scope: Option<AccessScope>| json!({ "version": 1, "entryExisted": existed, "accessScope": scope.map(|scope| json!(scope)) });
        let was_there = restore(self.before.is_some(), Self::reach(self.before.as_ref()));
        for event in &pending {
            // Of a stale entry, nothing is restored as soon as IAM has shown that it is one. Nor of an entry that the event says to
            // recreate, because it doesn't work.
            let gone = [restore(false, None), restore(self.before.is_some(), None)];
            let recreates = self.event["recreateEntry"] == json!(true);
            let known = event["restore"] == was_there || (self.stale || recreates) && gone.contains(&event["restore"]);
            assert!(known, "what was there before is not what will be restored: {event}");
        }
        let given = match (self.usable_before(), self.usable()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(had), Some(has)) => !had.covers(&has),
        };
        assert!(!given || !pending.is_empty(), "access without its end: {:?}", self.entry());
    }

    /// Sends an event with trouble, then again without, as often as it takes.
    async fn through(&self, event: &Value, trouble: &Trouble) -> Value {
        let calls = self.harness.aws.calls().len();
        match trouble {
            Trouble::Nothing => {}
            Trouble::Fault(call, kind) => self.harness.aws.inject(Fault::new(At::Call(calls + call), *kind)),
            Trouble::Persistent(operation, kind) => self.harness.aws.inject(Fault::new(At::Every(operation), *kind)),
            Trouble::Killed(after) => {
                let sent = self.harness.send(event);
                let _ = tokio::time::timeout(Duration::from_millis(*after), sent).await;
            }
        }
        self.check_end();
        let troubled = self.harness.send(event).await;
        self.check_end();
        self.harness.aws.recover();
        if let Ok(result) = &troubled
            && result["status"] != "IN_PROGRESS"
        {
            return result.clone();
        }
        for _ in 0..4 {
            let again =
                self.harness.send(event).await.unwrap_or_else(|failed| panic!("it does not recover: {failed:?}"));
            self.check_end();
            if again["status"] != "IN_PROGRESS" {
                return again;
            }
            tokio::time::advance(Duration::from_mins(5)).await;
        }
        panic!("it stays in progress");
    }

    fn was_recreated(&self) -> bool {
        !self.harness.logged("snapshot").is_empty()
    }

    /// Whether the grant gives anything that was not there, and usable, before.
    fn gives(&self) -> bool {
        let wanted: AccessScope = serde_json::from_value(self.event["accessScope"].clone()).unwrap();
        !self.usable_before().is_some_and(|had| had.covers(&wanted))
    }
}

async fn live_and_end(start: Start, event: Value, grant: Trouble, revoke: Trouble, manually: bool) {
    // The article's role can't schedule; without the permission to tag, the schedule alone shows whose the entry is.
    let tags = if start.article { ["eks:TagResource"].as_slice() } else { &[] };
    let world = Start { article: false, ..start.clone() }.world().with_policy(Policy::allow_all().without(tags));
    let before = world.snapshot("prod").remove(PRINCIPAL);
    let aws = Simulation::new(world.with_schedule_group(GROUP)).with_latency(LATENCY);
    let harness = Harness::new(aws)
        .with_schedules()
        .with("ALLOWED_GROUPS", "*")
        .with("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy");
    let stale = start.stale && before.is_some();
    let timed = TimedGrant { harness, event, before, stale };

    let granted = timed.through(&timed.event, &grant).await;
    // The caller of `recreateEntry` states that the entry gave nothing, so what is recreated has its end.
    let given = timed.was_recreated() || timed.gives();
    // Nothing showed that the entry is stale, and nothing was given.
    if stale && granted["status"] == "ALREADY_GRANTED" && granted["expiresAt"] == Value::Null {
        return;
    }
    assert_eq!(granted["expiresAt"] != Value::Null, given, "{granted}");

    let ends = if manually && given {
        vec![granted["undo"].clone()]
    } else {
        tokio::time::advance(Duration::from_hours(1)).await;
        let due = timed.harness.aws.due();
        due.iter().map(|delivery| serde_json::from_str(&delivery.input).unwrap()).collect()
    };
    assert_eq!(ends.len(), usize::from(given));
    for end in &ends {
        let scheduled = !manually;
        let calls = timed.harness.aws.calls().len();
        if scheduled {
            // Lambda sends it again until it is answered; until then it is the end of the access.
            if let Trouble::Fault(call, kind) = revoke {
                timed.harness.aws.inject(Fault::new(At::Call(calls + call), kind));
            }
            if let Trouble::Persistent(operation, kind) = revoke {
                timed.harness.aws.inject(Fault::new(At::Every(operation), kind));
            }
            if let Trouble::Killed(after) = revoke {
                let _ =
                    tokio::time::timeout(Duration::from_millis(after), timed.harness.send_through("revoke", end)).await;
            }
            if timed.harness.send_through("revoke", end).await.is_err() {
                timed.harness.aws.recover();
                let again = timed.harness.send_through("revoke", end).await;
                again.unwrap_or_else(|failed| panic!("it does not recover: {failed:?}"));
            }
            timed.harness.aws.recover();
        } else {
            timed.through(end, &revoke).await;
        }
        // Once more changes nothing, and leaves nothing behind.
        let over = timed.harness.send_through("revoke", end).await.unwrap();
        assert_eq!(over["status"], "NOTHING_TO_REVOKE");
        assert!(timed.harness.aws.world(|world| world.schedules().is_empty()));
    }
    assert!(timed.usable().is_none_or(|has| timed.usable_before().is_some_and(|had| had.covers(&has))));
    if timed.was_recreated() {
        // What a replaced or recreated entry held is in the log.
        return;
    }
    assert_eq!(timed.entry(), timed.before);
}

/// Not by chance: every call of a grant that ends, and of its revoke, fails in every way, and both are killed every ten milliseconds.
#[test]
fn at_every_single_call_no_access_is_without_its_end() {
    let kinds = [
        Kind::Throttled,
        Kind::ServerError(500),
        Kind::ResetBeforeEffect,
        Kind::ResetAfterEffect,
        Kind::Garbage,
        Kind::Denied,
        Kind::Slow(Duration::from_secs(25)),
    ];
    let faults = (0..20).flat_map(|call| kinds.map(|kind| Trouble::Fault(call, kind)));
    let troubles: Vec<_> = faults.chain((0..40).map(|tens| Trouble::Killed(tens * 10))).collect();
    let narrower = Held { groups: true, view: Some(Scope::cluster()), wanted: Some(Scope::namespaces(&["team-a"])) };
    let everything = json!({
        "clusterName": "prod", "principalArn": PRINCIPAL, "accessScope": {"type": "cluster"}, "duration": "1h",
    });
    for entry in [None, Some(narrower)] {
        let start =
            Start { mode: Mode::Api, entry, stale: false, article: false, entry_delay: 0, mode_takes: 5, iam_lag: 0 };
        for trouble in &troubles {
            for (grant, revoke) in [(trouble, &Trouble::Nothing), (&Trouble::Nothing, trouble)] {
                for manually in [false, true] {
                    let life = live_and_end(start.clone(), everything.clone(), grant.clone(), revoke.clone(), manually);
                    simulated(life);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(2000), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_access_is_without_its_end_and_the_end_restores_what_was_there(
        start in any_start(), event in any_event(), grant in any_trouble(), revoke in any_trouble(), manually in any::<bool>(),
    ) {
        let mut event = event;
        event["duration"] = json!("1h");
        simulated(live_and_end(start, event, grant, revoke, manually));
    }
}
