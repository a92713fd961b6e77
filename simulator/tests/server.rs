//! The HTTP(S) door, by a client that knows nothing of the simulator.

use std::error::Error;
use std::sync::Arc;

use serde_json::{Value, json};
use simulator::Simulation;
use simulator::scenario::Scenario;
use simulator::server::{FREE_PORT, Server, TestAuthority};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

type Failure = Box<dyn Error + Send + Sync>;
type TestResult = Result<(), Failure>;

/// What the simulator reads of a signature.
const SIGNED: &str = "host: x\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261123/eu-west-1/eks/aws4_request, SignedHeaders=host, Signature=0";

/// The status of a reply that never came.
const NO_ANSWER: u16 = 0;

const DESCRIBE: &str = "GET /clusters/prod HTTP/1.1";

#[tokio::test]
async fn aws_answers_over_http() -> TestResult {
    let server = Server::http(simulation(), FREE_PORT).await?;
    let reply = ask(&server, DESCRIBE, "").await?;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.at("/cluster/name"), "prod");
    Ok(())
}

#[tokio::test]
async fn aws_answers_over_https_to_who_trusts_the_authority() -> TestResult {
    let authority = TestAuthority::new()?;
    let server = Server::https(simulation(), FREE_PORT, &authority).await?;
    assert!(server.url().starts_with("https://127.0.0.1:"));

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
    for name in ["localhost", "127.0.0.1"] {
        let stream = connect_tls(&server, roots.clone(), name).await?;
        assert_eq!(exchange(stream, DESCRIBE, "").await?.status, 200);
    }

    let stranger = TestAuthority::new()?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(stranger.pem().as_bytes())?)?;
    assert!(connect_tls(&server, roots, "localhost").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() -> TestResult {
    let server = Server::http(simulation(), FREE_PORT).await?;
    let mut stream = TcpStream::connect(server.address()).await?;
    let request = format!("{DESCRIBE}\r\n{SIGNED}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.read_u8().await?;
    assert_eq!(exchange(stream, DESCRIBE, "").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_body_beyond_every_limit_is_refused() -> TestResult {
    let server = Server::http(simulation(), FREE_PORT).await?;
    let body = " ".repeat(8 << 20);
    let reply = ask(&server, "POST /clusters/prod/access-entries HTTP/1.1", &body).await?;
    assert_eq!(reply.status, 413);
    Ok(())
}

#[tokio::test]
async fn a_reset_closes_the_connection_without_an_answer_and_the_next_call_is_answered() -> TestResult {
    let server = Server::http(simulation(), FREE_PORT).await?;
    let fault = json!({ "operation": "DescribeCluster", "kind": "resetBeforeEffect" });
    let put_in = "POST /_simulator/faults HTTP/1.1";
    assert_eq!(ask(&server, put_in, &fault.to_string()).await?.status, 200);
    assert_eq!(ask(&server, DESCRIBE, "").await?.status, NO_ANSWER);
    assert_eq!(ask(&server, DESCRIBE, "").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_fault_that_nobody_knows_is_refused_with_those_that_there_are() -> TestResult {
    let server = Server::http(simulation(), FREE_PORT).await?;
    let put_in = "POST /_simulator/faults HTTP/1.1";
    for (fault, named) in [
        (r#"{"operation":"DescribeClutser","kind":"throttled"}"#, "DescribeCluster"),
        (r#"{"operation":"DescribeCluster","kind":"flood"}"#, "throttled"),
        (r#"{"operation":"DescribeCluster","kind":"slow"}"#, "seconds"),
        (r#"{"operation":"DescribeCluster","kind":"denied","tims":2}"#, "times"),
    ] {
        let reply = ask(&server, put_in, fault).await?;
        assert_eq!(reply.status, 400, "{fault}");
        assert!(reply.json.to_string().contains(named), "{}", reply.json);
    }
    Ok(())
}

#[tokio::test]
async fn every_operation_that_the_simulator_knows_can_go_wrong() -> TestResult {
    let server = Server::http(simulation(), FREE_PORT).await?;
    let fault = json!({ "operation": "", "kind": "throttled" });
    let put_in = "POST /_simulator/faults HTTP/1.1";
    let refusal = ask(&server, put_in, &fault.to_string()).await?.json;
    let message = refusal.pointer("/message").and_then(Value::as_str).unwrap_or_default();
    let names = message.split_once("one of ").ok_or(message.to_owned())?.1;
    let source = include_str!("../src/operation.rs");
    let known =
        source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \"")?.1.split('"').next());
    let mut known: Vec<_> = known.filter(|name| name.starts_with(char::is_uppercase)).collect();
    known.sort_unstable();
    assert_eq!(names.split(", ").collect::<Vec<_>>(), known);
    Ok(())
}

#[tokio::test]
async fn access_and_snapshot_follow_what_is_done_and_a_reset_takes_it_back() -> TestResult {
    let scenario = Scenario::named("api-mode").ok_or("no such scenario")?;
    let server = Server::http(Simulation::new(scenario.world()), FREE_PORT).await?;
    let principal = scenario.principal;
    let look = format!("GET /_simulator/access?cluster=prod&principalArn={principal} HTTP/1.1");
    let locked_out = "error: You must be logged in to the server (Unauthorized)";
    assert_eq!(ask(&server, &look, "").await?.at("/output"), locked_out);

    let entries = "POST /clusters/prod/access-entries";
    let entry = json!({ "principalArn": principal }).to_string();
    let created = ask(&server, &format!("{entries} HTTP/1.1"), &entry).await?;
    assert_eq!(created.status, 200, "{}", created.json);
    let encoded = principal.replace(':', "%3A").replace('/', "%2F");
    let policy = json!({
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        "accessScope": { "type": "cluster" },
    });
    let associate = format!("{entries}/{encoded}/access-policies HTTP/1.1");
    let associated = ask(&server, &associate, &policy.to_string()).await?;
    assert_eq!(associated.status, 200, "{}", associated.json);
    assert_eq!(ask(&server, &look, "").await?.at("/allowed"), true);

    let snapshot = "GET /_simulator/snapshot?cluster=prod HTTP/1.1";
    let seen = ask(&server, snapshot, "").await?;
    assert_eq!(seen.at("/authenticationMode"), "API_AND_CONFIG_MAP");
    assert_eq!(seen.at(&format!("/accessEntries/{}/type", principal.replace('/', "~1"))), "STANDARD");

    ask(&server, "POST /_simulator/reset HTTP/1.1", "").await?;
    assert_eq!(ask(&server, &look, "").await?.at("/output"), locked_out);
    let calls = ask(&server, "GET /_simulator/calls HTTP/1.1", "").await?;
    assert_eq!(calls.at("/calls/0/operation"), "CreateAccessEntry");
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_closes_its_connections() -> TestResult {
    let server = Server::http(simulation(), FREE_PORT).await?;
    let mut stream = TcpStream::connect(server.address()).await?;
    server.stop();
    let mut rest = Vec::new();
    // Closed or reset: either way there is nothing to read any more.
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap_or(0), 0);
    Ok(())
}

struct Reply {
    status: u16,
    json: Value,
}

impl Reply {
    fn at(&self, pointer: &str) -> &Value {
        self.json.pointer(pointer).unwrap_or(&Value::Null)
    }
}

fn simulation() -> Simulation {
    Simulation::new(Scenario::default().world())
}

async fn ask(server: &Server, request_line: &str, body: &str) -> Result<Reply, Failure> {
    exchange(TcpStream::connect(server.address()).await?, request_line, body).await
}

/// Sends one request and reads until the connection is closed. [`NO_ANSWER`]: it was closed without one.
async fn exchange(stream: impl AsyncRead + AsyncWrite, request_line: &str, body: &str) -> Result<Reply, Failure> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let request =
        format!("{request_line}\r\n{SIGNED}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut reply = Vec::new();
    // A server that refuses a body does not read it to its end.
    let (_, read) = tokio::join!(writer.write_all(request.as_bytes()), reader.read_to_end(&mut reply));
    let reply = match read {
        Err(_) if reply.is_empty() => String::new(),
        _ => String::from_utf8(reply)?,
    };
    // On a connection that was used before, the end of the previous answer comes first.
    let last = reply.rfind("HTTP/1.1 ").and_then(|start| reply.get(start..));
    let (head, body) = last.and_then(|reply| reply.split_once("\r\n\r\n")).unwrap_or_default();
    Ok(Reply {
        status: head.get(9..12).map_or(Ok(NO_ANSWER), str::parse)?,
        json: serde_json::from_str(body).unwrap_or_default(),
    })
}

async fn connect_tls(
    server: &Server,
    roots: RootCertStore,
    name: &'static str,
) -> Result<impl AsyncRead + AsyncWrite + use<>, Failure> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address()).await?;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(connector.connect(ServerName::try_from(name)?, stream).await?)
}
