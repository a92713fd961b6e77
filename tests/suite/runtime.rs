//! The real binary, behind a Lambda Runtime API, against the simulated AWS over HTTP and HTTPS.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::lambda::{Environment, Function, Outcome};
use simulator::operation::Scope;
use simulator::scenario::Scenario;
use simulator::server::{ApiServer, FREE_PORT, Server, TestAuthority};
use simulator::world::Entry;
use simulator::{Simulation, kubectl};

const DEADLINE: Duration = Duration::from_mins(1);

fn scenario(name: &str) -> (Simulation, Value) {
    let scenario = Scenario::named(name).unwrap();
    let simulation = Simulation::new(scenario.world_with(Some(Duration::from_millis(100))));
    (simulation, json!({"clusterName": scenario.cluster, "principalArn": scenario.principal}))
}

fn function() -> Function {
    Function::new(env!("CARGO_BIN_EXE_eks-break-glass"))
}

async fn granted(environment: &mut Environment, event: &Value) -> Value {
    match environment.invoke(event, DEADLINE).await.unwrap() {
        Outcome::Response(result) => result,
        other => panic!("{other:?}"),
    }
}

async fn failed(environment: &mut Environment, event: &Value) -> (String, String) {
    match environment.invoke(event, DEADLINE).await.unwrap() {
        Outcome::Error { error_type, error_message } => (error_type, error_message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_locked_out_principal_is_let_in_and_every_line_of_the_log_is_a_json_object() {
    let (aws, event) = scenario("sso-role-replaced");
    let server = Server::http(aws.clone(), FREE_PORT).await.unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let mut environment = function()
        .env("AWS_ENDPOINT_URL", server.url())
        .on_log(move |line| sink.lock().unwrap().push(line.to_owned()))
        .start()
        .await
        .unwrap();
    let (cluster, principal) = ("prod", event["principalArn"].as_str().unwrap());
    assert!(!kubectl::can_do_everything(&aws, cluster, principal).allowed);
    let result = granted(&mut environment, &event).await;
    assert_eq!(result["status"], "GRANTED");
    assert!(kubectl::can_do_everything(&aws, cluster, principal).allowed);
    assert_eq!(granted(&mut environment, &event).await["status"], "ALREADY_GRANTED");
    let (name, _) = failed(&mut environment, &json!({"clusterName": "prod", "durration": "1h"})).await;
    assert_eq!(name, "InvalidRequest");
    environment.stop().await.unwrap();
    let lines = lines.lock().unwrap();
    for line in lines.iter() {
        assert!(serde_json::from_str::<serde_json::Map<String, Value>>(line).is_ok(), "{line}");
        for secret in ["ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI", "simulated-session"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    assert_eq!(lines.iter().filter(|line| line.contains("\"message\":\"audit\"")).count(), 3);
}

#[tokio::test]
async fn at_trace_the_log_shows_what_the_sdk_does_and_no_secret() {
    let authority = TestAuthority::new().unwrap();
    let (aws, _api_server, mut event) = verified(&authority).await;
    event["duration"] = json!("1h");
    let server = Server::http(aws, FREE_PORT).await.unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let mut environment = function()
        .env("LOG_LEVEL", "TRACE")
        .env("SCHEDULE_GROUP", "eks-break-glass")
        .env("SCHEDULE_ROLE_ARN", "arn:aws:iam::111122223333:role/eks-break-glass-schedules")
        .env("TARGET_ROLE_NAME", "target")
        .env("TARGET_EXTERNAL_ID", "the-id-of-the-trust")
        .env("AWS_ENDPOINT_URL", server.url())
        .on_log(move |line| sink.lock().unwrap().push(line.to_owned()))
        .start()
        .await
        .unwrap();
    failed(
        &mut environment,
        &json!({"clusterName": "arn:aws:eks:eu-west-1:444455556666:cluster/x", "principalArn": event["principalArn"]}),
    )
    .await;
    environment.invoke(&event, DEADLINE).await.unwrap();
    environment.stop().await.unwrap();
    let lines = lines.lock().unwrap();
    for line in lines.iter() {
        assert!(serde_json::from_str::<serde_json::Map<String, Value>>(line).is_ok(), "{line}");
        for secret in [
            "ASIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI",
            "simulated-session",
            "the-id-of-the-trust",
            "k8s-aws-v1",
            "AWS4-HMAC",
            "X-Amz-Signature",
        ] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    for shown in
        ["aws_smithy_runtime", "EKS.DescribeCluster", "STS.AssumeRole", "transmitting request", "lambda_runtime"]
    {
        assert!(lines.iter().any(|line| line.contains(shown)), "{shown}");
    }
}

#[tokio::test]
async fn a_ca_bundle_replaces_the_compiled_in_roots() {
    let (aws, event) = scenario("api-mode");
    let authority = TestAuthority::new().unwrap();
    let server = Server::https(aws, FREE_PORT, &authority).await.unwrap();
    let bundle = std::env::temp_dir().join(format!("eks-break-glass-{}.pem", std::process::id()));
    std::fs::write(&bundle, authority.pem()).unwrap();
    let mut trusting =
        function().env("AWS_ENDPOINT_URL", server.url()).env("AWS_CA_BUNDLE", &bundle).start().await.unwrap();
    assert_eq!(granted(&mut trusting, &event).await["status"], "GRANTED");
    let mut strict = function().env("AWS_ENDPOINT_URL", server.url()).start().await.unwrap();
    let (name, message) = failed(&mut strict, &event).await;
    assert_eq!(name, "ServiceUnavailable");
    assert!(message.contains("certificate"), "{message}");
    std::fs::remove_file(bundle).unwrap();
}

#[tokio::test]
async fn a_chain_that_ends_at_another_root_is_verified_against_the_system_s_store() {
    let (aws, event) = scenario("api-mode");
    let authority = TestAuthority::new().unwrap();
    let server = Server::https(aws, FREE_PORT, &authority).await.unwrap();
    let store = std::env::temp_dir().join(format!("eks-break-glass-store-{}", std::process::id()));
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(store.join("authority.pem"), authority.pem()).unwrap();
    let function = function().env("AWS_ENDPOINT_URL", server.url()).env("SSL_CERT_DIR", &store);
    let mut environment = function.start().await.unwrap();
    assert_eq!(granted(&mut environment, &event).await["status"], "GRANTED");
    assert_eq!(granted(&mut environment, &event).await["status"], "ALREADY_GRANTED");
    std::fs::remove_dir_all(store).unwrap();
}

#[tokio::test]
async fn settings_that_are_wrong_do_not_crash_the_function_but_answer_every_call() {
    let (_, event) = scenario("api-mode");
    let mut environment = function().env("MAX_DURATION", "1d").env("AWS_CA_BUNDLE", "/nowhere").start().await.unwrap();
    for _ in 0..2 {
        let (name, message) = failed(&mut environment, &event).await;
        assert_eq!(name, "Misconfigured");
        assert!(message.contains("`MAX_DURATION`"), "{message}");
    }
    let mut no_bundle = function().env("AWS_CA_BUNDLE", "/nowhere").start().await.unwrap();
    let (name, message) = failed(&mut no_bundle, &event).await;
    assert_eq!(name, "Misconfigured");
    assert!(message.contains("`/nowhere`"), "{message}");
}

#[tokio::test]
async fn an_aws_that_does_not_answer_is_a_service_that_is_not_available() {
    let (_, event) = scenario("api-mode");
    let mut environment = function().env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").start().await.unwrap();
    let (name, message) = failed(&mut environment, &event).await;
    assert_eq!(name, "ServiceUnavailable");
    assert!(message.contains("Nothing was changed."), "{message}");
}

#[tokio::test]
async fn the_end_of_the_invocation_is_met_with_an_answer() {
    let scenario = Scenario::named("sso-role-replaced").unwrap();
    let aws = Simulation::new(scenario.world_with(Some(Duration::from_hours(1))));
    let server = Server::http(aws, FREE_PORT).await.unwrap();
    let mut environment = function().env("AWS_ENDPOINT_URL", server.url()).start().await.unwrap();
    let event = json!({"clusterName": scenario.cluster, "principalArn": scenario.principal});
    match environment.invoke(&event, Duration::from_secs(5)).await.unwrap() {
        Outcome::Response(result) => assert_eq!(result["status"], "IN_PROGRESS"),
        other => panic!("{other:?}"),
    }
}

/// A cluster with a real API server behind TLS, and an event that asks it.
async fn verified(authority: &TestAuthority) -> (Simulation, ApiServer, Value) {
    let (aws, mut event) = scenario("api-mode");
    let aws = aws.in_real_time();
    let api_server = ApiServer::start(aws.clone(), "prod", authority).await.unwrap();
    event["verify"] = json!("kubernetes");
    (aws, api_server, event)
}

async fn verdict(aws: Simulation, event: &Value) -> (String, String) {
    verdict_within(aws, event, DEADLINE).await
}

/// What a function says that may run for so long: it stops asking a little before.
async fn verdict_within(aws: Simulation, event: &Value, timeout: Duration) -> (String, String) {
    let server = Server::http(aws, FREE_PORT).await.unwrap();
    let mut environment = function().env("AWS_ENDPOINT_URL", server.url()).start().await.unwrap();
    let outcome = environment.invoke(event, timeout).await.unwrap();
    let Outcome::Response(result) = outcome else { panic!("{outcome:?}") };
    assert_eq!(result["status"], "GRANTED");
    environment.stop().await.unwrap();
    let verification = &result["verification"];
    (verification["kubernetes"].as_str().unwrap().to_owned(), verification["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_real_api_server_over_tls_is_asked_with_a_token_that_it_takes() {
    let authority = TestAuthority::new().unwrap();
    let (aws, _api_server, event) = verified(&authority).await;
    assert_eq!(verdict(aws, &event).await.0, "ALLOWED");
}

#[tokio::test]
async fn an_api_server_with_a_certificate_of_another_ca_is_told_nothing() {
    let (aws, _api_server, event) = verified(&TestAuthority::new().unwrap()).await;
    let other = TestAuthority::new().unwrap();
    let elsewhere = Simulation::new(simulator::World::new());
    let elsewhere_authority = ApiServer::start(elsewhere, "prod", &other).await.unwrap();
    aws.world(|world| {
        let description = &mut world.cluster_mut("prod").unwrap().description;
        description.insert("endpoint".to_owned(), json!(elsewhere_authority.url()));
    });
    let (verdict, detail) = verdict(aws.clone(), &event).await;
    assert_eq!(verdict, "UNREACHABLE");
    assert!(detail.contains("certificate"), "{detail}");
}

#[tokio::test]
async fn an_api_server_that_is_not_there_is_unreachable() {
    let (aws, api_server, event) = verified(&TestAuthority::new().unwrap()).await;
    drop(api_server);
    let (verdict, detail) = verdict(aws, &event).await;
    assert_eq!(verdict, "UNREACHABLE");
    assert!(detail.contains("refused"), "{detail}");
}

#[tokio::test]
async fn a_ca_that_cannot_be_read_fails_nothing() {
    for data in [
        "no base64",
        "bm8gUEVN",
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCnNpbXVsYXRlZAotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==",
    ] {
        let (aws, _api_server, event) = verified(&TestAuthority::new().unwrap()).await;
        aws.world(|world| {
            let description = &mut world.cluster_mut("prod").unwrap().description;
            description.insert("certificateAuthority".to_owned(), json!({ "data": data }));
        });
        let (verdict, detail) = verdict(aws, &event).await;
        assert_eq!(verdict, "NOT_PERFORMED");
        assert!(detail.contains("CA"), "{detail}");
    }
}

/// The API server honours a change of EKS after so long.
fn honours_after(aws: &Simulation, delay: Duration) {
    aws.world(|world| world.delays.kubernetes = delay);
}

#[tokio::test]
async fn a_real_api_server_that_says_401_and_then_yes_is_waited_for() {
    let (aws, _api_server, event) = verified(&TestAuthority::new().unwrap()).await;
    honours_after(&aws, Duration::from_millis(500));
    assert_eq!(verdict(aws.clone(), &event).await.0, "ALLOWED");
    assert!(aws.api_server_requests() > 3, "it said no at first");
}

#[tokio::test]
async fn a_real_api_server_that_says_no_and_then_yes_is_waited_for() {
    let (aws, _api_server, event) = verified(&TestAuthority::new().unwrap()).await;
    aws.world(|world| {
        let principal = event["principalArn"].as_str().unwrap();
        let view = Entry::new(principal).with_policy("AmazonEKSViewPolicy", Scope::cluster());
        *world = std::mem::take(world).with_entry("prod", view);
    });
    honours_after(&aws, Duration::from_millis(500));
    let (verdict, detail) = verdict(aws.clone(), &event).await;
    assert_eq!(verdict, "ALLOWED", "{detail}");
    assert!(aws.api_server_requests() > 3, "it said no at first");
}

#[tokio::test]
async fn a_real_api_server_that_never_says_yes_is_denied_within_the_functions_time() {
    let (aws, _api_server, event) = verified(&TestAuthority::new().unwrap()).await;
    honours_after(&aws, Duration::from_hours(1));
    let (verdict, detail) = verdict_within(aws, &event, Duration::from_secs(3)).await;
    assert!(verdict == "DENIED" && detail.contains("401"), "{detail}");
}

#[tokio::test]
async fn a_real_api_server_whose_clock_is_ahead_takes_no_token_that_is_expired_to_it() {
    let (aws, _api_server, event) = verified(&TestAuthority::new().unwrap()).await;
    aws.world(|world| world.advance_to(world.now() + jiff::SignedDuration::from_mins(16)));
    let (verdict, detail) = verdict_within(aws, &event, Duration::from_secs(3)).await;
    assert!(verdict == "DENIED" && detail.contains("401"), "{detail}");
}
