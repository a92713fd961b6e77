//! Tokens, as aws-iam-authenticator checks them (facts §6.1): each rule, broken.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Request;
use serde_json::json;
use simulator::Simulation;
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Caller, Entry, Mode};

use crate::{ROLE, world};

const URL: &str = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ops%2F20261124%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Date=20261124T060000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=5ca1ab1e";

/// A cluster whose administrator is the role, in a session that an access key belongs to.
fn simulation() -> Simulation {
    let ops = Caller {
        arn: "arn:aws:sts::111122223333:assumed-role/Ops/jane".to_owned(),
        account: "111122223333".to_owned(),
        user_id: "AROA:jane".to_owned(),
        policy: Policy::allow_all(),
    };
    let entry = Entry::new(ROLE).with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    Simulation::new(world(Mode::Api).with_entry("prod", entry).with_caller("ops", ops))
}

fn token(url: &str) -> String {
    format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url))
}

async fn ask(simulation: &Simulation, token: &str) -> (u16, serde_json::Value) {
    let review = json!({"spec": {"resourceAttributes": {"verb": "*", "resource": "*"}}});
    let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .header("authorization", format!("Bearer {token}"))
        .body(Bytes::from(review.to_string()))
        .unwrap();
    let response = simulation.api_server("prod", &request).await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_good_token_is_answered() {
    let (status, answer) = ask(&simulation(), &token(URL)).await;
    assert_eq!((status, &answer["status"]["allowed"]), (201, &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn each_rule_broken_is_401() {
    let broken = [
        ("no prefix", URL_SAFE_NO_PAD.encode(URL)),
        ("another prefix", token(URL).replace("k8s-aws-v1.", "k8s-aws-v2.")),
        ("padded", format!("k8s-aws-v1.{}=", URL_SAFE.encode(format!("{URL}1")).trim_end_matches('='))),
        ("too long", token(&URL.replace("5ca1ab1e", &"5".repeat(3000)))),
        ("plain http", token(&URL.replace("https:", "http:"))),
        ("the global endpoint", token(&URL.replace("sts.eu-west-1.", "sts."))),
        ("another region's endpoint", token(&URL.replace("sts.eu-west-1.", "sts.us-east-1."))),
        ("another partition's endpoint", token(&URL.replace("amazonaws.com", "amazonaws.com.cn"))),
        ("another host", token(&URL.replace("amazonaws.com", "example.com"))),
        ("a path", token(&URL.replace("com/?", "com/x?"))),
        ("a further parameter", token(&format!("{URL}&x-id=GetCallerIdentity"))),
        ("a parameter twice", token(&format!("{URL}&Version=2011-06-15"))),
        ("another action", token(&URL.replace("GetCallerIdentity", "AssumeRole"))),
        ("no cluster among the headers", token(&URL.replace("host%3Bx-k8s-aws-id", "host"))),
        ("good for too long", token(&URL.replace("Expires=60", "Expires=901"))),
        ("no date", token(&URL.replace("20261124T060000Z", "today"))),
        ("a date too long ago", token(&URL.replace("20261124T060000Z", "20261124T054459Z"))),
        ("an unknown session", token(&URL.replace("ops%2F", "nobody%2F"))),
        ("nothing", String::new()),
    ];
    for (what, token) in broken {
        assert_eq!(ask(&simulation(), &token).await.0, 401, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_a_quarter_of_an_hour() {
    let simulation = simulation();
    simulation.world(|_| ());
    tokio::time::advance(std::time::Duration::from_mins(15)).await;
    assert_eq!(ask(&simulation, &token(URL)).await.0, 201);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(ask(&simulation, &token(URL)).await.0, 401);
}

#[tokio::test(start_paused = true)]
async fn where_the_secret_is_known_the_signature_is_checked() {
    let simulation = simulation();
    simulation.world(|world| *world = std::mem::take(world).with_secret("ops", "secret"));
    assert_eq!(ask(&simulation, &token(URL)).await.0, 401);
}
