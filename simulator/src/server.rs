//! The HTTP(S) door: AWS's endpoints, all of them, at one loopback address.
//!
//! Point a client at it with `AWS_ENDPOINT_URL`. Beside AWS's operations it answers, below
//! `/_simulator/`, what people and other processes need to know and do; see [`Server`].

mod control;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;

use crate::listener::{self, Answer, Listener};
pub use crate::tls::TestAuthority;
use crate::{Simulation, World};

/// Any free port of the loopback interface.
pub const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A simulation behind a listening socket. Dropping it closes the socket and every connection.
///
/// | control path | answers |
/// |---|---|
/// | `GET /_simulator/calls` | every call so far, in order |
/// | `GET /_simulator/access?cluster=…&principalArn=…` | whether the cluster's API server lets the principal do everything, and in kubectl's words |
/// | `GET /_simulator/snapshot?cluster=…` | time, status, authentication mode, and access entries with all that they hold |
/// | `POST /_simulator/faults` | the next `times` calls (1) of an `operation` go wrong: `kind` is `throttled`, `serverError`, `unavailable`, `resetBeforeEffect`, `resetAfterEffect`, `garbage`, `denied`, or `slow` with `seconds` |
/// | `POST /_simulator/reset` | the world is again what it was when the server was started, without faults; its time and the record of calls go on |
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    scheme: &'static str,
}

impl Server {
    /// Serves plain HTTP at `address` ([`FREE_PORT`] for a free one).
    ///
    /// # Errors
    /// Where the address can't be bound.
    pub async fn http(simulation: Simulation, address: SocketAddr) -> io::Result<Self> {
        Self::start(simulation, address, None).await
    }

    /// Serves HTTPS (TLS 1.2 and 1.3) at `address`, with a certificate of the given authority.
    ///
    /// # Errors
    /// Where the address can't be bound.
    pub async fn https(simulation: Simulation, address: SocketAddr, authority: &TestAuthority) -> io::Result<Self> {
        Self::start(simulation, address, Some(authority)).await
    }

    async fn start(simulation: Simulation, address: SocketAddr, authority: Option<&TestAuthority>) -> io::Result<Self> {
        let tls = authority.map(TestAuthority::acceptor);
        Ok(Self {
            listener: Listener::bind(address, tls, Door::to(simulation)).await?,
            scheme: if authority.is_some() { "https" } else { "http" },
        })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// Closes the socket and every connection.
    pub fn stop(self) {
        drop(self);
    }
}

/// What a request reaches: AWS, or the control path.
#[derive(Clone)]
struct Door {
    simulation: Simulation,
    /// The world as it was when the door was opened.
    initial: Arc<World>,
}

impl Door {
    fn to(simulation: Simulation) -> Self {
        let initial = simulation.world(|world| world.clone());
        Self { simulation, initial: Arc::new(initial) }
    }
}

impl Answer for Door {
    async fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        if control::is_for_us(&request) {
            return Some(control::answer(&self.simulation, &self.initial, &request));
        }
        self.simulation.serve(request).await.ok()
    }
}

/// Services that no world is simulated for, over HTTPS: each operation is answered with JSON of its owner's making. Dropping it closes the
/// socket and every connection.
#[derive(Debug)]
pub struct Stub {
    listener: Listener,
}

impl Stub {
    /// Serves on a free loopback port; `answer` is given the operation, and answers with the body, or `None` for HTTP status 404.
    ///
    /// # Errors
    /// Where no port can be bound.
    pub async fn https(authority: &TestAuthority, answer: fn(&str) -> Option<serde_json::Value>) -> io::Result<Self> {
        Ok(Self { listener: Listener::bind(FREE_PORT, Some(authority.acceptor()), StubDoor(answer)).await? })
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.listener.address())
    }
}

#[derive(Clone)]
struct StubDoor(fn(&str) -> Option<serde_json::Value>);

impl Answer for StubDoor {
    async fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        // AWS's JSON protocol: `AWSStepFunctions.StartExecution`.
        let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let answer = self.0(target.rsplit('.').next().unwrap_or_default());
        let status = if answer.is_some() { http::StatusCode::OK } else { http::StatusCode::NOT_FOUND };
        Some(listener::json(status, &answer.unwrap_or_default()))
    }
}

/// The API server of one simulated cluster, over TLS. Dropping it closes the socket and every connection.
#[derive(Debug)]
pub struct ApiServer {
    listener: Listener,
}

impl ApiServer {
    /// Serves the API of a cluster on a free loopback port, with a certificate of the given authority, and has `DescribeCluster`
    /// show both from now on.
    ///
    /// # Errors
    /// Where no port can be bound.
    pub async fn start(simulation: Simulation, cluster: &str, authority: &TestAuthority) -> io::Result<Self> {
        let door = ApiDoor { simulation: simulation.clone(), cluster: cluster.to_owned() };
        let listener = Listener::bind(FREE_PORT, Some(authority.acceptor()), door).await?;
        let server = Self { listener };
        simulation.world(|world| {
            if let Some(cluster) = world.cluster_mut(cluster) {
                let data = STANDARD.encode(authority.pem());
                cluster.description.insert("endpoint".to_owned(), json!(server.url()));
                cluster.description.insert("certificateAuthority".to_owned(), json!({ "data": data }));
            }
        });
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.listener.address())
    }
}

#[derive(Clone)]
struct ApiDoor {
    simulation: Simulation,
    cluster: String,
}

impl Answer for ApiDoor {
    async fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        self.simulation.api_server(&self.cluster, &request).await.ok()
    }
}
