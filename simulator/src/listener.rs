//! The socket behind both HTTP doors: accepts connections, reads requests whole, sends answers whole.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// The largest body that is read, in bytes: Lambda's own limit of a response, with room for its envelope.
const BODY_LIMIT: usize = 7 << 20;

/// What stands behind a socket.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// Answers one of many requests. None: the connection is closed without a word.
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Option<Response<Bytes>>> + Send;
}

/// A listening socket and its connections. Dropping it closes them all.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Binds `address` (port 0: any free one) and gives every request to `door`, many at once.
    pub(crate) async fn bind(address: SocketAddr, tls: Option<TlsAcceptor>, door: impl Answer) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, accepting: tokio::spawn(accept(listener, tls, door)) })
    }

    /// Where it listens, with the real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The task owns the set of connections, so they end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, door: impl Answer) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(greet(stream, tls.clone(), door.clone()));
                }
                // A client that gave up, or no file descriptor left: another connection's end frees one.
                Err(_) => drop(connections.join_next().await),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>, door: impl Answer) {
    // Without it, the small answers of this protocol wait for acknowledgements.
    let _ = stream.set_nodelay(true);
    match tls {
        None => converse(stream, door).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                converse(stream, door).await;
            }
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, door: impl Answer) {
    let service = service_fn(|request| {
        let door = door.clone();
        async move {
            let response = match whole(request).await {
                Ok(request) => door.answer(request).await,
                Err(status) => Some(status_only(status)),
            };
            response.map(|response| response.map(Full::new)).ok_or(io::Error::from(io::ErrorKind::ConnectionReset))
        }
    });
    // An error here is a client that went away, or an answer that was withheld on purpose.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn whole(request: Request<Incoming>) -> Result<Request<Bytes>, StatusCode> {
    let (head, body) = request.into_parts();
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(Request::from_parts(head, body.to_bytes())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

fn status_only(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
