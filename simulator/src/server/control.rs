//! The control path, for people and other processes.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::{At, Fault, Kind};
use crate::kubectl;
use crate::listener;
use crate::{Simulation, World};

const PREFIX: &str = "/_simulator/";

/// Where a fault can be put in.
const OPERATIONS: [&str; 33] = [
    "AssociateAccessPolicy",
    "AssumeRole",
    "CreateAccessEntry",
    "CreateSchedule",
    "DeleteAccessEntry",
    "DeleteSchedule",
    "DescribeAccessEntry",
    "DescribeCluster",
    "DescribeFargateProfile",
    "DescribeNodegroup",
    "DescribeUpdate",
    "DisassociateAccessPolicy",
    "GetCallerIdentity",
    "GetRole",
    "GetSchedule",
    "GetUser",
    "ListAccessEntries",
    "ListAccessPolicies",
    "ListAssociatedAccessPolicies",
    "ListClusters",
    "ListFargateProfiles",
    "ListNodegroups",
    "ListRoles",
    "ListSchedules",
    "ListTagsForResource",
    "ListUpdates",
    "ListUsers",
    "PutEvents",
    "TagResource",
    "UntagResource",
    "UpdateAccessEntry",
    "UpdateClusterConfig",
    "UpdateSchedule",
];

pub(super) fn is_for_us(request: &Request<Bytes>) -> bool {
    request.uri().path().starts_with(PREFIX)
}

/// Answers; `initial` is the world to go back to.
pub(super) fn answer(simulation: &Simulation, initial: &World, request: &Request<Bytes>) -> Response<Bytes> {
    let path = request.uri().path().strip_prefix(PREFIX);
    let answer = match (request.method(), path.unwrap_or_default()) {
        (&Method::GET, "calls") => Ok(json!({ "calls": simulation.calls() })),
        (&Method::GET, "access") => access(simulation, request),
        (&Method::GET, "snapshot") => snapshot(simulation, request),
        (&Method::POST, "faults") => inject(simulation, request.body()),
        (&Method::POST, "reset") => Ok(reset(simulation, initial)),
        (method, path) => Err((StatusCode::NOT_FOUND, format!("there is no `{method} {PREFIX}{path}`"))),
    };
    match answer {
        Ok(body) => listener::json(StatusCode::OK, &body),
        Err((status, message)) => listener::json(status, &json!({ "message": message })),
    }
}

type Refused = (StatusCode, String);

fn access(simulation: &Simulation, request: &Request<Bytes>) -> Result<Value, Refused> {
    let cluster = parameter(request, "cluster")?;
    let principal = parameter(request, "principalArn")?;
    let answer = kubectl::can_do_everything(simulation, &cluster, &principal);
    Ok(json!({
        "allowed": answer.allowed,
        "command": kubectl::COMMAND,
        "output": answer.words,
    }))
}

fn snapshot(simulation: &Simulation, request: &Request<Bytes>) -> Result<Value, Refused> {
    let name = parameter(request, "cluster")?;
    simulation.world(|world| {
        let cluster = world.cluster(&name).ok_or_else(|| {
            let message = format!("there is no cluster `{name}`");
            (StatusCode::NOT_FOUND, message)
        })?;
        let entries = world.snapshot(&name).into_iter().map(|(principal, entry)| {
            let policies = entry.policies.iter();
            let policies = policies.map(|(arn, scope)| (arn.clone(), scope.json()));
            let entry = json!({
                "type": entry.kind,
                "username": entry.username,
                "kubernetesGroups": entry.groups,
                "tags": entry.tags,
                "accessPolicies": policies.collect::<Value>(),
            });
            (principal, entry)
        });
        Ok(json!({
            "now": world.now(),
            "status": cluster.status,
            "authenticationMode": cluster.mode.name(),
            "accessEntries": entries.collect::<Value>(),
        }))
    })
}

/// A fault as it is sent: `{"operation":"CreateAccessEntry","times":2,"kind":"throttled"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    operation: String,
    #[serde(default = "once")]
    times: usize,
    kind: String,
    /// For `slow`.
    seconds: Option<u64>,
}

fn once() -> usize {
    1
}

fn inject(simulation: &Simulation, body: &[u8]) -> Result<Value, Refused> {
    let refuse = |message: String| (StatusCode::BAD_REQUEST, message);
    let wish: Wish = serde_json::from_slice(body).map_err(|error| refuse(error.to_string()))?;
    let mut operations = OPERATIONS.into_iter();
    let operation = operations
        .find(|name| *name == wish.operation)
        .ok_or_else(|| refuse(format!("`operation`: one of {}", OPERATIONS.join(", "))))?;
    let kind = match (wish.kind.as_str(), wish.seconds) {
        ("throttled", None) => Kind::Throttled,
        ("serverError", None) => Kind::ServerError(500),
        ("unavailable", None) => Kind::ServerError(503),
        ("resetBeforeEffect", None) => Kind::ResetBeforeEffect,
        ("resetAfterEffect", None) => Kind::ResetAfterEffect,
        ("garbage", None) => Kind::Garbage,
        ("denied", None) => Kind::Denied,
        ("slow", Some(seconds)) => Kind::Slow(Duration::from_secs(seconds)),
        _ => {
            return Err(refuse(
                "`kind`: throttled, serverError, unavailable, resetBeforeEffect, resetAfterEffect, garbage, denied, or slow with `seconds`"
                    .to_owned(),
            ));
        }
    };
    simulation.inject(Fault::new(At::Next(operation, wish.times), kind));
    Ok(json!({}))
}

/// Back to how it was, now: time and the record of calls go on.
fn reset(simulation: &Simulation, initial: &World) -> Value {
    simulation.recover();
    simulation.world(|world| {
        let now = world.now();
        world.clone_from(initial);
        world.advance_to(now);
    });
    json!({})
}

fn parameter(request: &Request<Bytes>, name: &str) -> Result<String, Refused> {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| percent_encoding::percent_decode_str(value))
        .map(|value| value.decode_utf8_lossy().into_owned())
        .ok_or_else(|| (StatusCode::BAD_REQUEST, format!("`?{name}=` is missing")))
}
