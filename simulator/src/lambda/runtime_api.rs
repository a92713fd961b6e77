//! The HTTP side: what a function's runtime asks for, and what it answers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{SetOnce, mpsc};
use tokio::time::Instant;

use crate::listener::{self, Answer, Listener};

const PREFIX: &str = "/2018-06-01/runtime/";

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The function returned.
    Response(Value),
    /// The function failed, or could not be initialised: what the caller of Lambda sees.
    Error {
        /// The error's name, for Step Functions' `Retry` and `Catch`.
        error_type: String,
        /// The message for a person.
        error_message: String,
    },
    /// The process ended without an answer: `Runtime.ExitError`.
    Exited(std::process::ExitStatus),
    /// The deadline passed without an answer. As Lambda does, the process was killed.
    TimedOut,
}

/// An event on its way to the function.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) deadline_ms: u128,
    /// The ARN that was invoked, with its qualifier.
    pub(super) invoked_arn: String,
    pub(super) event: Bytes,
}

/// What a function sent to the Runtime API, and for which request (none: it could not be initialised).
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) request_id: Option<String>,
    pub(super) outcome: Outcome,
}

/// A Runtime API that serves one function.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    pub(super) events: mpsc::UnboundedSender<Invocation>,
    pub(super) answers: mpsc::UnboundedReceiver<Settled>,
    pub(super) milestones: Arc<Milestones>,
    listener: Listener,
}

/// When things happened for the first time.
#[derive(Debug, Default)]
pub(super) struct Milestones {
    pub(super) first_next: SetOnce<Instant>,
    pub(super) first_answer: SetOnce<Instant>,
}

struct State {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    answers: mpsc::UnboundedSender<Settled>,
    /// The request that the function holds.
    current: Mutex<Option<String>>,
    milestones: Arc<Milestones>,
}

impl RuntimeApi {
    pub(super) async fn start() -> io::Result<Self> {
        let (events, received) = mpsc::unbounded_channel();
        let (answered, answers) = mpsc::unbounded_channel();
        let milestones = Arc::new(Milestones::default());
        let state = Arc::new(State {
            events: tokio::sync::Mutex::new(received),
            answers: answered,
            current: Mutex::new(None),
            milestones: Arc::clone(&milestones),
        });
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(loopback, None, state).await?;
        Ok(Self { events, answers, milestones, listener })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}

impl Answer for Arc<State> {
    async fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        match (&head.method, path) {
            (&Method::GET, "invocation/next") => self.next().await,
            (&Method::POST, "init/error") => {
                self.pass_on(None, failure(&head.headers, &body));
                Some(accepted())
            }
            (&Method::POST, path) => {
                let Some((request_id, kind)) = path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/'))
                else {
                    return Some(not_found());
                };
                let outcome = match kind {
                    "response" => response(&body),
                    "error" => failure(&head.headers, &body),
                    _ => return Some(not_found()),
                };
                Some(self.settle(request_id, outcome))
            }
            _ => Some(not_found()),
        }
    }
}

impl State {
    /// Waits for an event. None where the function's environment is being taken down.
    async fn next(&self) -> Option<Response<Bytes>> {
        let _ = self.milestones.first_next.set(Instant::now());
        let invocation = self.events.lock().await.recv().await?;
        let mut response = Response::new(invocation.event);
        let trace = "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0";
        for (name, value) in [
            ("content-type", "application/json"),
            ("lambda-runtime-aws-request-id", &invocation.request_id),
            ("lambda-runtime-deadline-ms", &invocation.deadline_ms.to_string()),
            ("lambda-runtime-invoked-function-arn", &invocation.invoked_arn),
            ("lambda-runtime-trace-id", trace),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_str(value).ok()?);
        }
        *self.current() = Some(invocation.request_id);
        Some(response)
    }

    fn settle(&self, request_id: &str, outcome: Outcome) -> Response<Bytes> {
        let held = self.current().take_if(|held| held == request_id);
        if held.is_none() {
            return refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        }
        let _ = self.milestones.first_answer.set(Instant::now());
        self.pass_on(held, outcome);
        accepted()
    }

    fn pass_on(&self, request_id: Option<String>, outcome: Outcome) {
        // Nobody listens any more only while the environment is being taken down.
        let _ = self.answers.send(Settled { request_id, outcome });
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn response(body: &[u8]) -> Outcome {
    match serde_json::from_slice(body) {
        Ok(value) => Outcome::Response(value),
        Err(error) => Outcome::Error {
            error_type: "Runtime.InvalidResponse".to_owned(),
            error_message: format!("the response is not JSON: {error}"),
        },
    }
}

fn failure(headers: &HeaderMap, body: &[u8]) -> Outcome {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Report {
        error_type: Option<String>,
        error_message: String,
    }
    let report: Report = serde_json::from_slice(body).unwrap_or_default();
    let in_header = || {
        let header = headers.get("lambda-runtime-function-error-type")?;
        header.to_str().ok().map(str::to_owned)
    };
    Outcome::Error {
        error_type: report.error_type.or_else(in_header).unwrap_or_else(|| "Runtime.Unknown".to_owned()),
        error_message: report.error_message,
    }
}

fn accepted() -> Response<Bytes> {
    listener::json(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
}

fn not_found() -> Response<Bytes> {
    refusal(StatusCode::NOT_FOUND, "NotFound", "no such path in the Runtime API 2018-06-01")
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response<Bytes> {
    listener::json(status, &json!({ "errorType": error_type, "errorMessage": message }))
}
