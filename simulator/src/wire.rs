//! The wire: HTTP requests to operations, answers and errors to HTTP responses. EKS speaks rest-json, STS and IAM the query protocol.

mod eks;
mod event_bridge;
mod scheduler;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response};
use percent_encoding::percent_decode_str;

use crate::operation::{Answer, ApiError, Operation, Page, element, escape, speaks_json};

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// `eks`, `sts`, `iam`, `scheduler`.
    pub service: &'static str,
    /// The region that it was signed for.
    pub region: String,
    /// Whose signature it is.
    pub access_key_id: String,
    /// What is asked for.
    pub operation: Operation,
}

/// Reads a request. Signatures are not checked; they say which service and region are meant, and who calls.
///
/// # Errors
/// What the service, as far as it is known, would answer.
pub fn read(request: &Request<Bytes>) -> Result<Incoming, (&'static str, ApiError)> {
    let query = pairs(request.uri().query().unwrap_or_default());
    let scope = scope(request, &query).ok_or_else(|| ("eks", ApiError::unsigned()))?;
    let service = match scope.service.as_str() {
        "eks" => "eks",
        "sts" => "sts",
        "iam" => "iam",
        "scheduler" => "scheduler",
        "events" => "events",
        _ => return Err(("eks", ApiError::unknown_operation())),
    };
    let operation = match service {
        "eks" => eks::read(request, &query),
        "scheduler" => scheduler::read(request, &query),
        "events" => event_bridge::read(request),
        _ => {
            let mut form = query;
            form.extend(pairs(std::str::from_utf8(request.body()).unwrap_or_default()));
            read_query(service, &form)
        }
    };
    Ok(Incoming {
        service,
        region: scope.region,
        access_key_id: scope.access_key_id,
        operation: operation.map_err(|error| (service, error))?,
    })
}

struct CredentialScope {
    access_key_id: String,
    region: String,
    service: String,
}

/// `Credential=KEY/DATE/REGION/SERVICE/aws4_request`, in the header, or in the query of a presigned URL.
fn scope(request: &Request<Bytes>, query: &BTreeMap<String, String>) -> Option<CredentialScope> {
    let header = request.headers().get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = match header {
        Some(header) => header.split_once("Credential=")?.1.split([',', ' ']).next()?.to_owned(),
        None => query.get("X-Amz-Credential")?.clone(),
    };
    let mut parts = credential.split('/');
    Some(CredentialScope {
        access_key_id: parts.next()?.to_owned(),
        region: parts.nth(1)?.to_owned(),
        service: parts.next()?.to_owned(),
    })
}

fn read_query(service: &str, form: &BTreeMap<String, String>) -> Result<Operation, ApiError> {
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    match (service, field("Action").as_str()) {
        ("sts", "GetCallerIdentity") => Ok(Operation::GetCallerIdentity),
        ("sts", "AssumeRole") => Ok(Operation::AssumeRole {
            role_arn: field("RoleArn"),
            session_name: field("RoleSessionName"),
            external_id: form.get("ExternalId").cloned(),
            policy: form.get("Policy").cloned(),
        }),
        ("iam", "GetRole") => Ok(Operation::GetRole { name: field("RoleName") }),
        ("iam", "ListRoles") => {
            Ok(Operation::ListRoles { path_prefix: form.get("PathPrefix").cloned(), page: page(form)? })
        }
        ("iam", "ListUsers") => {
            Ok(Operation::ListUsers { path_prefix: form.get("PathPrefix").cloned(), page: page(form)? })
        }
        ("iam", "GetUser") => Ok(Operation::GetUser { name: field("UserName") }),
        _ => Err(ApiError::unknown_operation()),
    }
}

fn page(form: &BTreeMap<String, String>) -> Result<Page, ApiError> {
    let max_results = form.get("MaxItems").map(|text| text.parse()).transpose();
    Ok(Page {
        max_results: max_results.map_err(|_| ApiError::validation("MaxItems is not a number"))?,
        next_token: form.get("Marker").cloned(),
    })
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(crate) fn url_pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(&value.replace('+', " "))))
        .collect()
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    url_pairs(text).into_iter().collect()
}

/// The response to a call that was carried out.
#[must_use]
pub fn write(operation: &Operation, answer: &Answer, request_id: &str) -> Response<Bytes> {
    match answer {
        Answer::Json(body) => response(200, "application/json", request_id, body.to_string()),
        Answer::Xml(result) => {
            let (name, namespace) = (operation.name(), namespace(operation.service()));
            let id = element("RequestId", request_id);
            let body = format!(
                "<{name}Response xmlns=\"{namespace}\"><{name}Result>{result}</{name}Result><ResponseMetadata>{id}</ResponseMetadata></{name}Response>"
            );
            response(200, "text/xml", request_id, body)
        }
    }
}

/// The response to a call that was refused. EKS and Scheduler put the code into a header, and into the body the cluster that it is
/// about; STS and IAM put all of it into the body (facts §1.1; "AWS restJson1 protocol" and "AWS query protocol" of Smithy).
#[must_use]
pub fn refuse(service: &str, error: &ApiError, request_id: &str) -> Response<Bytes> {
    if speaks_json(service) {
        let message = if service == "eks" { "message" } else { "Message" };
        let mut body = serde_json::json!({ message: error.message });
        if let (Some(cluster), Some(fields)) = (&error.cluster, body.as_object_mut()) {
            fields.insert("clusterName".to_owned(), serde_json::json!(cluster));
        }
        // EventBridge has it in the body.
        if let ("events", Some(fields)) = (service, body.as_object_mut()) {
            fields.insert("__type".to_owned(), serde_json::json!(error.code));
        }
        let mut response = response(error.status, "application/json", request_id, body.to_string());
        response.headers_mut().insert("x-amzn-errortype", http::HeaderValue::from_static(error.code));
        return response;
    }
    let kind = if error.status < 500 { "Sender" } else { "Receiver" };
    let body = format!(
        "<ErrorResponse xmlns=\"{}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message></Error>{}</ErrorResponse>",
        namespace(service),
        error.code,
        escape(&error.message),
        element("RequestId", request_id)
    );
    response(error.status, "text/xml", request_id, body)
}

/// A response that nobody can read, as a captive portal gives it.
#[must_use]
pub fn garbage(request_id: &str) -> Response<Bytes> {
    response(200, "text/html", request_id, "<html><body>Sign in to continue".to_owned())
}

fn response(status: u16, content_type: &'static str, request_id: &str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static(content_type));
    if let Ok(request_id) = http::HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", request_id);
    }
    response
}

fn namespace(service: &str) -> &'static str {
    if service == "iam" {
        "https://iam.amazonaws.com/doc/2010-05-08/"
    } else {
        "https://sts.amazonaws.com/doc/2011-06-15/"
    }
}
