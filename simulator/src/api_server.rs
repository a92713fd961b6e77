//! The API server of a simulated cluster: who the bearer of a token is, as aws-iam-authenticator finds out, and what an access
//! review about oneself answers, by what reaches the server of the cluster's access entries.
//!
//! Rules of tokens: facts §6.1 (aws-iam-authenticator, `pkg/token/token.go`). Reviews: facts §6.2 and §6.4.

mod review;
mod signature;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use review::Asked;

use crate::listener;
use crate::wire::url_pairs;
use crate::world::{KubernetesAccess, World};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
/// The longest token, in bytes.
const LONGEST_TOKEN: usize = 4096;
/// How long a token is good, whatever it says of itself.
const LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// The parameters that a token's URL may have, and no others.
const PARAMETERS: [&str; 9] = [
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Answers a request to a cluster's API server.
pub(crate) fn answer(world: &World, cluster: &str, request: &Request<Bytes>) -> Response<Bytes> {
    let bearer = request.headers().get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let Ok(principal) = authenticate(world, cluster, token) else {
        return status(StatusCode::UNAUTHORIZED, "Unauthorized");
    };
    let KubernetesAccess::Mapped(policies) = world.kubernetes_access(cluster, &principal) else {
        return status(StatusCode::UNAUTHORIZED, "Unauthorized");
    };
    if (request.method(), request.uri().path()) != (&Method::POST, REVIEWS) {
        return status(StatusCode::NOT_FOUND, "NotFound");
    }
    let Some(asked) = Asked::read(request.body()) else {
        return status(StatusCode::BAD_REQUEST, "BadRequest");
    };
    let allowed = policies.iter().any(|(policy, scope)| asked.attributes().are_allowed_by(policy, scope));
    let shown = json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": {},
        "status": { "allowed": allowed },
    });
    listener::json(StatusCode::CREATED, &shown)
}

/// The principal whose token it is.
///
/// # Errors
/// The rule that it breaks.
pub(crate) fn authenticate(world: &World, cluster: &str, token: &str) -> Result<String, &'static str> {
    if token.len() > LONGEST_TOKEN {
        return Err("token is too large");
    }
    let encoded = token.strip_prefix("k8s-aws-v1.").ok_or("token is missing its prefix")?;
    let url = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| "token is not base64 for URLs, without padding")?;
    let url = String::from_utf8(url).map_err(|_| "token is not text")?;
    let rest = url.strip_prefix("https://").ok_or("unexpected scheme")?;
    let (host, rest) = rest.split_once('/').ok_or("unexpected path")?;
    let region = world.cluster(cluster).map(|cluster| cluster.region.clone()).unwrap_or_default();
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    if host != format!("sts.{region}.{suffix}") {
        return Err("unexpected hostname");
    }
    let query = rest.strip_prefix('?').ok_or("unexpected path")?;
    let mut parameters = BTreeMap::new();
    for (name, value) in url_pairs(query) {
        let name = name.to_lowercase();
        if !PARAMETERS.contains(&name.as_str()) {
            return Err("non-whitelisted query parameter");
        }
        if parameters.insert(name, value).is_some() {
            return Err("query parameter with multiple values");
        }
    }
    let parameter = |name: &str| parameters.get(name).map(String::as_str).ok_or("a query parameter is missing");
    if parameter("action")? != "GetCallerIdentity" {
        return Err("unexpected action");
    }
    if !parameter("x-amz-signedheaders")?.split(';').any(|name| name == "x-k8s-aws-id") {
        return Err("the cluster is not among the signed headers");
    }
    if !parameter("x-amz-expires")?.parse().is_ok_and(|seconds: i64| (0..=900).contains(&seconds)) {
        return Err("invalid X-Amz-Expires");
    }
    let signed_at = moment(parameter("x-amz-date")?).ok_or("invalid X-Amz-Date")?;
    let age = world.now().duration_since(signed_at);
    if !(-LIFETIME..=LIFETIME).contains(&age) {
        return Err("token is expired");
    }
    let access_key_id = parameter("x-amz-credential")?.split('/').next().unwrap_or_default();
    if let Some(secret) = world.secret(access_key_id) {
        let expected = signature::of(secret, host, cluster, &parameters).ok_or("the signature cannot be checked")?;
        if parameter("x-amz-signature")? != expected {
            return Err("STS refuses the signature");
        }
    }
    world.principal_of(world.caller(access_key_id)).ok_or("there is no such principal")
}

/// `20261124T060000Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

fn status(code: StatusCode, reason: &str) -> Response<Bytes> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code.as_u16(),
    });
    listener::json(code, &body)
}
