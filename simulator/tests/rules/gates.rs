//! The gate: a test chooses which call goes on.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::json;
use simulator::Simulation;
use simulator::gate::Gate;
use simulator::world::Mode;

use crate::{ROLE, world};

/// The status of a call that creates an access entry.
async fn create(simulation: &Simulation, key: &str) -> u16 {
    let request = Request::post("/clusters/prod/access-entries")
        .header("authorization", format!("Credential={key}/20261124/eu-west-1/eks/aws4_request"))
        .body(Bytes::from(json!({ "principalArn": ROLE }).to_string()))
        .unwrap();
    simulation.serve(request).await.unwrap().status().as_u16()
}

/// Opens the gate in the order of the choices.
async fn drive(gate: &Gate, choices: &[usize]) {
    let mut choices = choices.iter();
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let waiting = gate.waiting();
        if waiting > 0 {
            gate.open(choices.next().map_or(0, |choice| choice % waiting));
        }
    }
}

fn gated() -> (Simulation, Gate) {
    let gate = Gate::new();
    (Simulation::new(world(Mode::Api)).with_gate(gate.clone()), gate)
}

#[tokio::test(start_paused = true)]
async fn the_choices_decide_which_of_two_actors_is_first() {
    for (choices, expected) in [([0, 0, 0, 0], (200, 409)), ([1, 0, 0, 0], (409, 200)), ([1, 1, 0, 0], (409, 200))] {
        let (simulation, gate) = gated();
        let actors = async { tokio::join!(create(&simulation, "AKIAONE"), create(&simulation, "AKIATWO")) };
        let answers = tokio::select! {
            answers = actors => answers,
            () = drive(&gate, &choices) => unreachable!("the driver never ends"),
        };
        assert_eq!(answers, expected, "{choices:?}");
        assert_eq!(gate.waiting(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_delivered_later_than_that_of_a_later_call() {
    let (simulation, gate) = gated();
    let order = std::sync::Mutex::new(Vec::new());
    let one = async {
        create(&simulation, "AKIAONE").await;
        order.lock().unwrap().push("one");
    };
    let two = async {
        create(&simulation, "AKIATWO").await;
        order.lock().unwrap().push("two");
    };
    // The first one takes effect and waits with its answer behind the second one, which goes through both waits.
    tokio::select! {
        _ = async { tokio::join!(one, two) } => {}
        () = drive(&gate, &[0, 0, 1, 0]) => {}
    }
    assert_eq!(*order.lock().unwrap(), ["two", "one"]);
    let outcomes: Vec<_> = simulation.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["200", "ResourceInUseException"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_the_queue() {
    let (simulation, gate) = gated();
    let lost = tokio::time::timeout(Duration::from_secs(1), create(&simulation, "AKIAONE"));
    let (lost, waiting) = tokio::join!(lost, async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        gate.waiting()
    });
    assert!(lost.is_err());
    assert_eq!((waiting, gate.waiting()), (1, 0));
    assert!(simulation.calls().is_empty(), "it had no effect");

    // Dropped between the two waits: it has taken effect.
    let lost = tokio::time::timeout(Duration::from_secs(1), create(&simulation, "AKIAONE"));
    let (lost, ()) = tokio::join!(lost, async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        gate.open(0);
    });
    assert!(lost.is_err());
    assert_eq!((simulation.calls().len(), gate.waiting()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_disabled_gate_lets_everything_pass() {
    let (simulation, gate) = gated();
    let (status, ()) = tokio::join!(create(&simulation, "AKIAONE"), async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        gate.open(1);
        assert_eq!(gate.waiting(), 1);
        gate.disable();
    });
    assert_eq!(status, 200);
    assert_eq!(create(&simulation, "AKIATWO").await, 409);
}
