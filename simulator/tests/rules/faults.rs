//! Faults, through the in-process door under simulated time.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use simulator::Simulation;
use simulator::fault::{At, Fault, Kind};
use simulator::simulation::Reset;
use simulator::world::Mode;
use tokio::time::Instant;

use crate::{ROLE, world};

const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261124/eu-west-1/eks/aws4_request, SignedHeaders=host, Signature=0";

fn simulation() -> Simulation {
    Simulation::new(world(Mode::Api))
}

async fn create(simulation: &Simulation) -> Result<Response<Bytes>, Reset> {
    let body = format!("{{\"principalArn\":\"{ROLE}\"}}");
    let request = Request::post("/clusters/prod/access-entries").header("authorization", SIGNED);
    simulation.serve(request.body(Bytes::from(body)).unwrap()).await
}

async fn describe(simulation: &Simulation) -> Result<Response<Bytes>, Reset> {
    let request = Request::get("/clusters/prod").header("authorization", SIGNED);
    simulation.serve(request.body(Bytes::new()).unwrap()).await
}

fn is_made(simulation: &Simulation) -> bool {
    simulation.world(|world| world.snapshot("prod").contains_key(ROLE))
}

fn code(response: &Response<Bytes>) -> &str {
    response.headers().get("x-amzn-errortype").map_or("", |code| code.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_fault_keeps_the_call_from_taking_effect() {
    for (kind, status, wanted) in [
        (Kind::Throttled, 429, "TooManyRequestsException"),
        (Kind::ServerError(500), 500, "ServerException"),
        (Kind::ServerError(503), 503, "ServiceUnavailableException"),
        (Kind::Denied, 403, "AccessDeniedException"),
    ] {
        let simulation = simulation();
        simulation.inject(Fault::new(At::Next("CreateAccessEntry", 1), kind));
        let response = create(&simulation).await.unwrap();
        assert_eq!((response.status().as_u16(), code(&response)), (status, wanted));
        assert!(!is_made(&simulation));
        assert_eq!(create(&simulation).await.unwrap().status(), 200, "it happens once");
    }
}

#[tokio::test(start_paused = true)]
async fn scheduler_fails_in_its_own_words() {
    for (kind, status, wanted) in [
        (Kind::Throttled, 429, "ThrottlingException"),
        (Kind::ServerError(500), 500, "InternalServerException"),
        (Kind::Denied, 403, "AccessDeniedException"),
    ] {
        let simulation = simulation();
        simulation.inject(Fault::new(At::Every("ListSchedules"), kind));
        let request = Request::get("/schedules").header("authorization", SIGNED.replace("/eks/", "/scheduler/"));
        let response = simulation.serve(request.body(Bytes::new()).unwrap()).await.unwrap();
        assert_eq!((response.status().as_u16(), code(&response)), (status, wanted));
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert!(body["Message"].is_string(), "{body}");
        assert!(!simulation.calls()[0].changes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_breaks_before_the_effect_or_after_it() {
    for (kind, made) in [(Kind::ResetBeforeEffect, false), (Kind::ResetAfterEffect, true)] {
        let simulation = simulation();
        simulation.inject(Fault::new(At::Call(0), kind));
        assert_eq!(create(&simulation).await.unwrap_err(), Reset);
        assert_eq!(is_made(&simulation), made);
        assert_eq!(simulation.calls()[0].outcome, "reset");
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_has_its_effect_and_cannot_be_read() {
    let simulation = simulation();
    simulation.inject(Fault::new(At::Every("CreateAccessEntry"), Kind::Garbage));
    let response = create(&simulation).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(serde_json::from_slice::<serde_json::Value>(response.body()).is_err());
    assert!(is_made(&simulation));
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_takes_its_time_and_every_call_its_latency() {
    let simulation = simulation().with_latency(Duration::from_millis(20));
    simulation.inject(Fault::new(At::Next("DescribeCluster", 1), Kind::Slow(Duration::from_secs(30))));
    for taken in [30_020, 20] {
        let before = Instant::now();
        describe(&simulation).await.unwrap();
        assert_eq!(before.elapsed().as_millis(), taken);
    }
}

#[tokio::test(start_paused = true)]
async fn faults_strike_the_calls_they_are_for() {
    let simulation = simulation();
    simulation.inject(Fault::new(At::Next("DescribeCluster", 2), Kind::Throttled));
    simulation.inject(Fault::new(At::Call(4), Kind::ServerError(500)));
    let mut outcomes = Vec::new();
    for _ in 0..6 {
        outcomes.push(describe(&simulation).await.unwrap().status().as_u16());
    }
    assert_eq!(outcomes, [429, 429, 200, 200, 500, 200]);
    simulation.inject(Fault::new(At::Every("DescribeCluster"), Kind::Throttled));
    for _ in 0..3 {
        assert_eq!(describe(&simulation).await.unwrap().status(), 429);
    }
    simulation.recover();
    assert_eq!(describe(&simulation).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn calls_are_recorded() {
    let simulation = simulation();
    describe(&simulation).await.unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    let answered = create(&simulation).await.unwrap();
    create(&simulation).await.unwrap();
    let calls = simulation.calls();
    let outcomes: Vec<_> = calls.iter().map(|call| (call.operation, call.outcome.as_str(), call.changes())).collect();
    assert_eq!(
        outcomes,
        [
            ("DescribeCluster", "200", false),
            ("CreateAccessEntry", "200", true),
            ("CreateAccessEntry", "ResourceInUseException", true)
        ]
    );
    let (look, made) = (&calls[0], &calls[1]);
    assert_eq!((made.at - look.at).as_secs(), 60);
    assert_eq!((made.cluster.as_deref(), made.principal.as_deref()), (Some("prod"), Some(ROLE)));
    assert!(made.caller.ends_with(":assumed-role/eks-break-glass/eks-break-glass"));
    assert_eq!(answered.headers()["x-amzn-requestid"], made.request_id.as_str());
    assert_ne!(look.request_id, made.request_id);
}
