//! Scheduler's requests: rest-json, with the names of the fields in capitals.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request};
use serde::Deserialize;

use super::decode;
use crate::operation::{ApiError, NewSchedule, Operation, Page};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    group_name: Option<String>,
    #[serde(default)]
    schedule_expression: String,
    schedule_expression_timezone: Option<String>,
    description: Option<String>,
    flexible_time_window: Option<Window>,
    action_after_completion: Option<String>,
    state: Option<String>,
    target: Option<Target>,
    client_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Window {
    mode: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Target {
    arn: Option<String>,
    role_arn: Option<String>,
    input: Option<String>,
    retry_policy: Option<Retries>,
    dead_letter_config: Option<DeadLetters>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Retries {
    maximum_event_age_in_seconds: Option<u32>,
    maximum_retry_attempts: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetters {
    arn: Option<String>,
}

/// Reads a request by its method and path.
pub(super) fn read(request: &Request<Bytes>, query: &BTreeMap<String, String>) -> Result<Operation, ApiError> {
    let segments: Vec<String> = request.uri().path().split('/').skip(1).map(decode).collect();
    let group = || query.get("groupName").cloned().unwrap_or_else(|| "default".to_owned());
    match (request.method(), segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice()) {
        (&Method::POST, ["schedules", name]) => Ok(Operation::CreateSchedule { schedule: schedule(name, request)? }),
        (&Method::PUT, ["schedules", name]) => Ok(Operation::UpdateSchedule { schedule: schedule(name, request)? }),
        (&Method::GET, ["schedules", name]) => Ok(Operation::GetSchedule { group: group(), name: (*name).to_owned() }),
        (&Method::DELETE, ["schedules", name]) => {
            Ok(Operation::DeleteSchedule { group: group(), name: (*name).to_owned() })
        }
        (&Method::GET, ["schedules"]) => {
            let max_results = query.get("MaxResults").map(|text| text.parse()).transpose();
            Ok(Operation::ListSchedules {
                group: query.get("ScheduleGroup").cloned(),
                prefix: query.get("NamePrefix").cloned(),
                page: Page {
                    max_results: max_results
                        .map_err(|_| ApiError::validation_exception("MaxResults is not a number"))?,
                    next_token: query.get("NextToken").cloned(),
                },
            })
        }
        _ => Err(ApiError::unknown_operation()),
    }
}

fn schedule(name: &str, request: &Request<Bytes>) -> Result<NewSchedule, ApiError> {
    let body: Body = serde_json::from_slice(request.body()).map_err(|error| ApiError::unreadable(error.to_string()))?;
    let target = body.target.unwrap_or_default();
    let retries = target.retry_policy.unwrap_or_default();
    Ok(NewSchedule {
        group: body.group_name.unwrap_or_else(|| "default".to_owned()),
        name: name.to_owned(),
        expression: body.schedule_expression,
        timezone: body.schedule_expression_timezone,
        description: body.description,
        flexible: body.flexible_time_window.and_then(|window| window.mode),
        action_after_completion: body.action_after_completion,
        state: body.state,
        target_arn: target.arn,
        role_arn: target.role_arn,
        input: target.input,
        maximum_event_age: retries.maximum_event_age_in_seconds,
        maximum_retry_attempts: retries.maximum_retry_attempts,
        dead_letter_arn: target.dead_letter_config.and_then(|config| config.arn),
        token: body.client_token,
    })
}
