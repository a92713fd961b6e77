//! The wire formats, by requests built by hand.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use simulator::Simulation;
use simulator::operation::{Operation, Page, Scope};
use simulator::wire;
use simulator::world::{Entry, Mode};

use crate::{ADMIN_POLICY, ROLE, USER, world};

const ENCODED: &str = "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fteam%2FOps";

fn signed(method: Method, uri: &str, service: &str, body: &str) -> Request<Bytes> {
    let credential = format!("AKIAEXAMPLE/20261124/eu-west-1/{service}/aws4_request");
    Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"))
        .body(Bytes::from(body.to_owned()))
        .unwrap()
}

fn eks(method: Method, uri: &str, body: &str) -> Request<Bytes> {
    signed(method, uri, "eks", body)
}

fn read(request: &Request<Bytes>) -> Operation {
    wire::read(request).unwrap().operation
}

async fn ask(request: Request<Bytes>) -> Response<Bytes> {
    let world = world(Mode::Api).with_entry("prod", Entry::new(USER));
    Simulation::new(world).serve(request).await.unwrap()
}

fn json_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn text_of(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

#[test]
fn the_signature_says_who_calls_what_and_where() {
    let incoming = wire::read(&eks(Method::GET, "/clusters/prod", "")).unwrap();
    assert_eq!((incoming.service, incoming.region.as_str()), ("eks", "eu-west-1"));
    assert_eq!(incoming.access_key_id, "AKIAEXAMPLE");
}

#[test]
fn arns_in_a_path_are_percent_encoded() {
    let policy = ADMIN_POLICY.replace(':', "%3A").replace('/', "%2F");
    let uri = format!("/clusters/prod/access-entries/{ENCODED}/access-policies/{policy}");
    assert_eq!(
        read(&eks(Method::DELETE, &uri, "")),
        Operation::DisassociateAccessPolicy {
            cluster: "prod".to_owned(),
            principal: ROLE.to_owned(),
            policy: ADMIN_POLICY.to_owned()
        }
    );
}

#[test]
fn a_body_is_read_and_null_is_absent() {
    let uri = format!("/clusters/prod/access-entries/{ENCODED}/access-policies");
    let body = json!({ "policyArn": ADMIN_POLICY, "accessScope": { "type": "cluster", "namespaces": null } });
    let operation = read(&eks(Method::POST, &uri, &body.to_string()));
    assert_eq!(operation, crate::associate(ROLE, ADMIN_POLICY, Scope::cluster()));
    let body = json!({ "principalArn": ROLE, "kubernetesGroups": null, "tags": null, "type": null });
    let operation = read(&eks(Method::POST, "/clusters/prod/access-entries", &body.to_string()));
    assert_eq!(operation, crate::create(ROLE));
}

#[test]
fn lists_take_their_page_from_the_query() {
    let uri = format!("/clusters/prod/access-entries?maxResults=5&nextToken=from-5&associatedPolicyArn={ENCODED}");
    let page = Page { max_results: Some(5), next_token: Some("from-5".to_owned()) };
    let (cluster, policy) = ("prod".to_owned(), Some(ROLE.to_owned()));
    assert_eq!(read(&eks(Method::GET, &uri, "")), Operation::ListAccessEntries { cluster, policy, page });
}

#[test]
fn every_untagged_key_is_read() {
    let operation = read(&eks(Method::DELETE, &format!("/tags/{ENCODED}?tagKeys=a&tagKeys=b%20c"), ""));
    let keys = vec!["a".to_owned(), "b c".to_owned()];
    assert_eq!(operation, Operation::UntagResource { arn: ROLE.to_owned(), keys });
}

#[tokio::test]
async fn times_are_numbers_with_a_fraction() {
    let uri = format!("/clusters/prod/access-entries/{}", USER.replace(':', "%3A").replace('/', "%2F"));
    let response = ask(eks(Method::GET, &uri, "")).await;
    let shown = json_of(&response);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(shown["accessEntry"]["createdAt"].is_f64(), "{shown}");
}

#[tokio::test]
async fn an_error_has_its_code_in_the_header_and_its_cluster_in_the_body() {
    let response = ask(eks(Method::GET, "/clusters/dev", "")).await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-amzn-errortype"], "ResourceNotFoundException");
    assert_eq!(response.headers()["x-amzn-requestid"].len(), 36);
    assert_eq!(json_of(&response), json!({ "message": "No cluster found for name: dev.", "clusterName": "dev" }));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    for (request, status, code) in [
        (eks(Method::POST, "/clusters/prod/access-entries", "{"), 400, "SerializationException"),
        (eks(Method::POST, "/clusters/prod/access-entries", "{}"), 400, "SerializationException"),
        (eks(Method::POST, "/clusters/prod/access-entries", "{\"principalArn\":1}"), 400, "SerializationException"),
        (eks(Method::POST, "/clusters/prod/update-config", "[]"), 400, "SerializationException"),
        (eks(Method::GET, "/clusters/prod/access-entries?maxResults=x", ""), 400, "InvalidParameterException"),
        (eks(Method::GET, "/nothing", ""), 404, "UnknownOperationException"),
        (eks(Method::PUT, "/clusters/prod", ""), 404, "UnknownOperationException"),
        (signed(Method::POST, "/", "scheduler", ""), 404, "UnknownOperationException"),
        (Request::get("/clusters/prod").body(Bytes::new()).unwrap(), 403, "MissingAuthenticationTokenException"),
    ] {
        let what = format!("{request:?}");
        let response = ask(request).await;
        assert_eq!(response.status(), status, "{what}");
        assert_eq!(response.headers()["x-amzn-errortype"], code, "{what}");
    }
}

#[tokio::test]
async fn sts_and_iam_speak_xml() {
    let response = ask(signed(Method::POST, "/", "sts", "Action=GetCallerIdentity&Version=2011-06-15")).await;
    let text = text_of(&response);
    assert_eq!(response.headers()["content-type"], "text/xml");
    let start =
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>";
    assert!(text.starts_with(start), "{text}");
    let response = ask(signed(Method::POST, "/", "iam", "Action=GetRole&RoleName=No%26body")).await;
    assert_eq!(response.status(), 404);
    let text = text_of(&response);
    let error = "<Code>NoSuchEntity</Code><Message>The role with name No&amp;body cannot be found.</Message>";
    assert!(text.contains(error), "{text}");
}

#[tokio::test]
async fn a_presigned_url_is_signed_in_its_query() {
    let uri = "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAEXAMPLE%2F20261124%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Expires=60&X-Amz-Signature=0";
    let response = ask(Request::get(uri).body(Bytes::new()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert!(text_of(&response).contains("<Account>111122223333</Account>"));
}
