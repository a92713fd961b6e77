//! A shared world with a clock, a record of calls, and faults: the in-process door.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::api_server;
use crate::fault::{self, Fault, Kind};
use crate::gate::Gate;
use crate::operation::{Answer, ApiError};
use crate::state::moment::{after, uuid};
use crate::wire::{self, Incoming};
use crate::world::{Delivery, World};

/// The number in the id of the first request.
const FIRST_REQUEST: u64 = 0xca11_0000_0000;
/// The number in the id of a request that nobody could read, and that is therefore not among the calls.
const UNREADABLE: u64 = 0xbad0_0000_0000;

/// The connection broke without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset;

/// One call that was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Call {
    /// When, in simulated time.
    pub at: Timestamp,
    /// `eks`, `sts`, `iam`, `scheduler`.
    pub service: &'static str,
    /// Its name in the API reference.
    pub operation: &'static str,
    /// The region that it was signed for.
    pub region: String,
    /// Who called.
    pub caller: String,
    /// The cluster that it was about.
    pub cluster: Option<String>,
    /// The principal whose entry it was about.
    pub principal: Option<String>,
    /// The id that its answer carried, or would have.
    pub request_id: String,
    /// `200`, the code of the error, or what broke.
    pub outcome: String,
}

impl Call {
    /// Whether it changed something.
    #[must_use]
    pub fn changes(&self) -> bool {
        let reads = ["Get", "Describe", "List", "Assume"];
        !reads.iter().any(|prefix| self.operation.starts_with(prefix))
    }
}

/// A world that many can call at once. Its time goes by with tokio's clock, which tests pause.
#[derive(Clone)]
pub struct Simulation {
    state: Arc<Mutex<State>>,
    started: Arc<Mutex<Option<Instant>>>,
    latency: Duration,
    gate: Option<Gate>,
}

struct State {
    begins: Timestamp,
    world: World,
    faults: Vec<Fault>,
    calls: Vec<Call>,
    out_of_reach: bool,
    reviews: usize,
}

impl Simulation {
    /// A world whose time begins with the first look at it.
    #[must_use]
    pub fn new(world: World) -> Self {
        let state = State {
            begins: world.now(),
            world,
            faults: Vec::new(),
            calls: Vec::new(),
            out_of_reach: false,
            reviews: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), started: Arc::default(), latency: Duration::ZERO, gate: None }
    }

    /// Its time begins now, for clients that look at the clock on the wall.
    #[must_use]
    pub fn in_real_time(self) -> Self {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.begins = state.begins.max(Timestamp::now());
        }
        self
    }

    /// Every call takes that long.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Every call waits at the gate before it takes effect, and again before its answer is delivered.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    async fn wait_at_gate(&self) {
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
    }

    /// Looks at the world, or changes it.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.state().world)
    }

    /// What Scheduler sends by now.
    #[must_use]
    pub fn due(&self) -> Vec<Delivery> {
        self.state().world.due()
    }

    /// Answers a request to a cluster's API server.
    ///
    /// # Errors
    /// If the API server is out of reach.
    pub async fn api_server(&self, cluster: &str, request: &Request<Bytes>) -> Result<Response<Bytes>, Reset> {
        pass(self.latency).await;
        let mut state = self.state();
        state.reviews += 1;
        if state.out_of_reach { Err(Reset) } else { Ok(api_server::answer(&state.world, cluster, request)) }
    }

    /// From now on, nobody reaches an API server.
    pub fn cut_off_api_servers(&self) {
        self.state().out_of_reach = true;
    }

    /// How often API servers were asked.
    #[must_use]
    pub fn api_server_requests(&self) -> usize {
        self.state().reviews
    }

    /// What was called so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Something will go wrong.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Everything goes right from now on.
    pub fn recover(&self) {
        self.state().faults.clear();
    }

    /// Answers a request. It takes effect half-way through its latency: one that is given up in time had none.
    ///
    /// # Errors
    /// If the connection is made to break.
    pub async fn serve(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Reset> {
        pass(self.latency / 2).await;
        self.wait_at_gate().await;
        let (answer, delay) = self.answer(&request);
        pass(self.latency / 2 + delay).await;
        self.wait_at_gate().await;
        answer
    }

    fn answer(&self, request: &Request<Bytes>) -> (Result<Response<Bytes>, Reset>, Duration) {
        let mut state = self.state();
        let Incoming { service, region, access_key_id, operation } = match wire::read(request) {
            Ok(incoming) => incoming,
            Err((service, error)) => {
                return (Ok(wire::refuse(service, &error, &uuid(UNREADABLE))), Duration::ZERO);
            }
        };
        let state = &mut *state;
        let request_id = uuid(FIRST_REQUEST + state.calls.len() as u64);
        let caller = state.world.caller(&access_key_id).clone();
        let struck = fault::strike(&mut state.faults, state.calls.len(), operation.name());
        let before: Option<Result<Answer, ApiError>> = match struck {
            Some(Kind::Throttled) => Some(Err(ApiError::throttled(service))),
            Some(Kind::ServerError(status)) => Some(Err(ApiError::server(service, status))),
            Some(Kind::Denied) => {
                let action = format!("{service}:{}", operation.name());
                let why = format!("because no identity-based policy allows the {action} action");
                Some(Err(state.world.access_denied(&caller, service, &action, "*", &why)))
            }
            Some(Kind::ResetBeforeEffect) => None,
            _ => Some(state.world.call(&caller, &region, &operation)),
        };
        let lost = matches!(struck, Some(Kind::ResetBeforeEffect | Kind::ResetAfterEffect));
        state.calls.push(Call {
            at: state.world.now(),
            service,
            operation: operation.name(),
            region,
            caller: caller.arn,
            cluster: operation.cluster().map(str::to_owned),
            principal: operation.principal().map(str::to_owned),
            request_id: request_id.clone(),
            outcome: match (&before, struck) {
                _ if lost => "reset".to_owned(),
                (_, Some(Kind::Garbage)) => "garbage".to_owned(),
                (Some(Err(error)), _) => error.code.to_owned(),
                _ => "200".to_owned(),
            },
        });
        let delay = match struck {
            Some(Kind::Slow(delay)) => delay,
            _ => Duration::ZERO,
        };
        let response = match before {
            _ if lost => Err(Reset),
            None => Err(Reset),
            Some(_) if struck == Some(Kind::Garbage) => Ok(wire::garbage(&request_id)),
            Some(Ok(answer)) => Ok(wire::write(&operation, &answer, &request_id)),
            Some(Err(error)) => Ok(wire::refuse(service, &error, &request_id)),
        };
        (response, delay)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let now = Instant::now();
        let started = *self.started.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = after(state.begins, now.duration_since(started));
        state.world.advance_to(now);
        state
    }
}

/// No time at all is no sleep, which would take a millisecond.
async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Simulation")
    }
}
