//! The end of an access, if a revoke or another grant comes at the same time.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::fault::{At, Fault, Kind};
use simulator::operation::Scope;
use simulator::world::{Entry, Mode};
use simulator::{Simulation, World};

use crate::expiry::{ADMIN, HOUR, VIEW, after, entries, grant, harness, is_admin, revoke, schedules, statuses, world};
use crate::harness::{Harness, warnings};

#[tokio::test(start_paused = true)]
async fn a_revoke_at_the_same_time_does_not_leave_access_without_its_end() {
    let slow = simulator::world::Delays { entry: Duration::from_secs(30), ..Default::default() };
    let harness = harness(world(Mode::Api).with_delays(slow));
    let (event, by_hand) = (grant(&json!({})), revoke(&json!({})));
    // The entry is made and not to be seen yet when a caller revokes: what it finds is the schedule alone.
    let (granted, revoked) = tokio::join!(harness.send(&event), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        harness.send(&by_hand).await
    });
    assert_eq!(revoked.unwrap()["status"], "NOTHING_TO_REVOKE");
    let granted = granted.unwrap();
    assert_eq!(granted["status"], "GRANTED");
    assert_ne!(granted["expiresAt"], Value::Null);
    assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
}

#[tokio::test(start_paused = true)]
async fn nor_where_the_entry_was_there_before_and_tells_nothing() {
    for tenths in 0..60 {
        let view = Entry::new(ADMIN).with_policy(VIEW, Scope::cluster());
        let aws = Simulation::new(world(Mode::Api).with_entry("prod", view)).with_latency(Duration::from_secs(1));
        let harness = Harness::new(aws).with_schedules();
        let before = entries(&harness);
        let (event, by_hand) = (grant(&json!({})), revoke(&json!({})));
        let (granted, _) = tokio::join!(harness.send(&event), async {
            tokio::time::sleep(Duration::from_millis(100 * tenths)).await;
            harness.send(&by_hand).await
        });
        if is_admin(&harness) {
            assert_eq!(
                schedules(&harness).len(),
                1,
                "access without its end, after {tenths} tenths of a second: {granted:?}"
            );
            assert_eq!(statuses(harness.after(HOUR).await), ["REVOKED"]);
        }
        assert_eq!(entries(&harness), before);
    }
}

#[tokio::test(start_paused = true)]
async fn two_grants_at_once_share_one_schedule() {
    let harness =
        Harness::new(Simulation::new(world(Mode::Api)).with_latency(Duration::from_millis(20))).with_schedules();
    let (short, long) = (grant(&json!({"duration": "1h"})), grant(&json!({"duration": "2h"})));
    let (one, other) = tokio::join!(harness.send(&short), harness.send(&long));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(schedules(&harness).len(), 1);
    assert_eq!(one["expiresAt"], other["expiresAt"], "both say what there is");
    assert!(is_admin(&harness));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_sees_another_ones_access_before_its_end_looks_for_that() {
    let view = Entry::new(ADMIN).with_policy(VIEW, Scope::cluster());
    let harness = harness(world(Mode::Api).with_entry("prod", view));
    // The late one has seen that nothing is scheduled, and is throttled while the other one schedules, and gives access.
    harness.aws.inject(Fault::new(At::Next("ListAssociatedAccessPolicies", 1), Kind::Throttled));
    let (late, early) = (grant(&json!({"duration": "2h"})), grant(&json!({})));
    let (late, early) = tokio::join!(harness.send(&late), harness.send(&early));
    let (late, early) = (late.unwrap(), early.unwrap());
    assert_eq!((&early["status"], &early["expiresAt"]), (&json!("GRANTED"), &json!(after(1))));
    assert_eq!(warnings(&late), [""; 0], "it is not taken for access without end");
    assert_eq!(
        schedules(&harness).iter().map(Timestamp::to_string).collect::<Vec<_>>(),
        [late["expiresAt"].as_str().unwrap()]
    );
    assert!(schedules(&harness)[0] > World::START + HOUR, "the later grant has moved the end");
}
