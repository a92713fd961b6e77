//! The Runtime API, driven by a real process: this test binary, started again as a function.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::World;
use simulator::lambda::{Environment, Function, Outcome};
use simulator::world::Delivery;

type TestResult = Result<(), Box<dyn Error>>;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_event_reaches_the_function_and_its_response_comes_back() -> TestResult {
    let mut function = start("echo").await?;
    for n in 0..3 {
        let event = json!({ "n": n });
        let outcome = function.invoke(&event, LONG).await?;
        assert_eq!(outcome, Outcome::Response(json!({ "event": event })));
    }
    Ok(())
}

#[tokio::test]
async fn the_function_sees_the_arn_that_was_invoked() -> TestResult {
    let mut function = start("invoked-arn").await?;
    let arn = function.arn().to_owned();
    assert_eq!(arn, "arn:aws:lambda:eu-west-1:111122223333:function:eks-break-glass");
    assert_eq!(function.invoke(&json!({}), LONG).await?, invoked(&arn, &json!({})));
    let outcome = function.invoke_qualified("approved", &json!({}), LONG).await?;
    assert_eq!(outcome, invoked(&format!("{arn}:approved"), &json!({})));
    for target in [arn.clone(), format!("{arn}:revoke"), format!("{arn}:7")] {
        let outcome = function.deliver(&delivery(&target), LONG).await?;
        assert_eq!(outcome, invoked(&target, &json!({ "action": "revoke" })));
    }
    for target in [format!("{arn}-2"), format!("{arn}:"), format!("{arn}:a:b"), arn.replace("eu-west-1", "us-east-1")] {
        assert!(function.deliver(&delivery(&target), LONG).await.is_err(), "{target}");
    }
    Ok(())
}

fn delivery(target: &str) -> Delivery {
    let input = json!({ "action": "revoke" }).to_string();
    Delivery { target: target.to_owned(), input, at: World::START }
}

fn invoked(arn: &str, event: &Value) -> Outcome {
    Outcome::Response(json!({ "invoked": arn, "event": event }))
}

#[tokio::test]
async fn an_error_keeps_its_type_and_its_message() -> TestResult {
    let outcome = start("error").await?.invoke(&json!({}), LONG).await?;
    assert_eq!(outcome, error("ClusterNotFound", "no cluster `x`"));
    Ok(())
}

#[tokio::test]
async fn a_failed_initialisation_is_an_error() -> TestResult {
    let outcome = start("init-error").await?.invoke(&json!({}), LONG).await?;
    assert_eq!(outcome, error("Runtime.Broken", "cannot start"));
    Ok(())
}

#[tokio::test]
async fn a_process_that_ends_without_an_answer_has_exited() -> TestResult {
    let outcome = start("exit").await?.invoke(&json!({}), LONG).await?;
    assert!(matches!(outcome, Outcome::Exited(status) if status.code() == Some(7)));
    Ok(())
}

#[tokio::test]
async fn a_function_that_misses_its_deadline_is_killed() -> TestResult {
    let mut function = start("hang").await?;
    assert!(function.ready().await?);
    let outcome = function.invoke(&json!({}), Duration::from_millis(1)).await?;
    assert_eq!(outcome, Outcome::TimedOut);
    assert_eq!(function.pid(), None);
    Ok(())
}

#[tokio::test]
async fn an_answer_to_another_request_is_refused_and_the_right_one_still_counts() -> TestResult {
    let outcome = start("wrong-id").await?.invoke(&json!({}), LONG).await?;
    assert_eq!(outcome, Outcome::Response(json!({ "refused": 400 })));
    Ok(())
}

#[tokio::test]
async fn the_function_sees_nothing_of_our_environment_but_what_lambda_sets() -> TestResult {
    let outcome = start("environment").await?.invoke(&json!({}), LONG).await?;
    let Outcome::Response(seen) = outcome else {
        return Err(format!("{outcome:?}").into());
    };
    assert!(seen.get("PATH").is_none() && seen.get("HOME").is_none(), "{seen}");
    for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_REGION", "AWS_ACCESS_KEY_ID"] {
        assert!(seen.get(name).is_some(), "{name} is missing");
    }
    Ok(())
}

#[tokio::test]
async fn the_log_is_seen_line_by_line_to_its_end() -> TestResult {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let mut function = function("log")?
        .on_log(move |line| {
            let mut seen = sink.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(line.to_owned());
        })
        .start()
        .await?;
    function.invoke(&json!({}), LONG).await?;
    function.stop().await?;
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.retain(|line| line.starts_with("line "));
    assert_eq!(*seen, ["line 0", "line 1 on stderr", "line 2"]);
    Ok(())
}

#[tokio::test]
async fn the_first_event_is_asked_for_before_the_first_answer_is_given() -> TestResult {
    let mut function = start("echo").await?;
    assert!(function.ready().await?);
    assert_eq!(function.timings().first_answer, None);
    function.invoke(&json!({}), LONG).await?;
    let timings = function.timings();
    assert!(timings.first_next.is_some() && timings.first_next <= timings.first_answer);
    Ok(())
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let started = Function::new("no/such/function").start().await;
    let message = started.err().map(|error| error.to_string());
    assert!(message.is_some_and(|message| message.contains("no/such/function")));
}

#[test]
#[ignore = "not a test: the function that the tests above start"]
fn as_a_function() -> TestResult {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let behaviour = std::env::var("BEHAVIOUR")?;
    if behaviour == "init-error" {
        let body = r#"{"errorType":"Runtime.Broken","errorMessage":"cannot start"}"#;
        exchange(&api, "POST", "init/error", body)?;
        std::process::exit(1);
    }
    loop {
        let event = exchange(&api, "GET", "invocation/next", "")?;
        let id = event.request_id;
        let (kind, body) = match behaviour.as_str() {
            "exit" => std::process::exit(7),
            "hang" => loop {
                std::thread::park();
            },
            "error" => {
                let body = json!({ "errorType": "ClusterNotFound", "errorMessage": "no cluster `x`" });
                ("error", body)
            }
            "wrong-id" => {
                let refused = exchange(&api, "POST", "invocation/another/response", "{}")?;
                ("response", json!({ "refused": refused.status }))
            }
            "invoked-arn" => {
                let sent: Value = serde_json::from_str(&event.body)?;
                ("response", json!({ "invoked": event.invoked_arn, "event": sent }))
            }
            "environment" => ("response", std::env::vars().collect()),
            "log" => {
                writeln!(std::io::stdout(), "line 0")?;
                writeln!(std::io::stderr(), "line 1 on stderr")?;
                write!(std::io::stdout(), "line 2")?;
                std::io::stdout().flush()?;
                ("response", Value::Null)
            }
            _ => {
                let event: Value = serde_json::from_str(&event.body)?;
                ("response", json!({ "event": event }))
            }
        };
        let path = format!("invocation/{id}/{kind}");
        exchange(&api, "POST", &path, &body.to_string())?;
    }
}

struct Reply {
    status: u16,
    request_id: String,
    invoked_arn: String,
    body: String,
}

/// The smallest HTTP client there is.
fn exchange(api: &str, method: &str, path: &str, body: &str) -> Result<Reply, Box<dyn Error>> {
    let mut stream = TcpStream::connect(api)?;
    write!(
        stream,
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: {api}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut stream = BufReader::new(stream);
    let mut reply = Reply { status: 0, request_id: String::new(), invoked_arn: String::new(), body: String::new() };
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        if let Some(status) = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)) {
            reply.status = status.parse()?;
        }
        if let Some(id) = line.strip_prefix("lambda-runtime-aws-request-id: ") {
            id.trim().clone_into(&mut reply.request_id);
        }
        if let Some(arn) = line.strip_prefix("lambda-runtime-invoked-function-arn: ") {
            arn.trim().clone_into(&mut reply.invoked_arn);
        }
        line.clear();
    }
    stream.read_to_string(&mut reply.body)?;
    Ok(reply)
}

fn function(behaviour: &str) -> std::io::Result<Function> {
    Ok(Function::new(std::env::current_exe()?)
        .arg("as_a_function")
        .arg("--exact")
        .arg("--ignored")
        .arg("--nocapture")
        .env("BEHAVIOUR", behaviour))
}

async fn start(behaviour: &str) -> std::io::Result<Environment> {
    function(behaviour)?.start().await
}

fn error(error_type: &str, error_message: &str) -> Outcome {
    Outcome::Error { error_type: error_type.to_owned(), error_message: error_message.to_owned() }
}
