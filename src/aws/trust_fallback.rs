//! A connector that trusts the compiled-in roots first and the system's store second: AWS may change its roots, and a proxy may have its
//! own. Why: `docs/decisions/0002-tls.md`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::classify::error_chain;

type Build = dyn Fn() -> Result<SharedHttpConnector, String> + Send + Sync;

/// Sends a request through `first`. If the server's certificate has an unknown issuer, sends it through a second connector, which is
/// built then. Once that has worked, all requests go through it.
#[derive(Clone)]
pub(super) struct TrustFallback(Arc<Connectors>);

struct Connectors {
    first: SharedHttpConnector,
    build_second: Box<Build>,
    second: OnceLock<Result<SharedHttpConnector, String>>,
    second_works: AtomicBool,
}

impl TrustFallback {
    pub(super) fn new(
        first: SharedHttpConnector,
        build_second: impl Fn() -> Result<SharedHttpConnector, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Connectors {
            first,
            build_second: Box::new(build_second),
            second: OnceLock::new(),
            second_works: AtomicBool::new(false),
        }))
    }
}

impl Connectors {
    fn second(&self) -> Option<&SharedHttpConnector> {
        self.second.get_or_init(|| (self.build_second)()).as_ref().ok()
    }
}

impl HttpConnector for TrustFallback {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connectors = Arc::clone(&self.0);
        if connectors.second_works.load(Ordering::Relaxed)
            && let Some(second) = connectors.second()
        {
            return second.call(request);
        }
        let again = request.try_clone();
        let first = connectors.first.call(request);
        HttpConnectorFuture::new(async move {
            let error = match first.await {
                Err(error) if issuer_is_unknown(&error) => error,
                answer => return answer,
            };
            // Nothing was sent: the handshake comes before the request.
            let (Some(second), Some(again)) = (connectors.second(), again) else {
                return Err(error);
            };
            let answer = second.call(again).await;
            if answer.is_ok() {
                connectors.second_works.store(true, Ordering::Relaxed);
            }
            answer
        })
    }
}

/// rustls's `CertificateError::UnknownIssuer`, which arrives as the text of an I/O error.
fn issuer_is_unknown(error: &ConnectorError) -> bool {
    error_chain(error).contains("UnknownIssuer")
}

impl std::fmt::Debug for TrustFallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrustFallback")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::http::StatusCode;

    use super::*;

    /// Counts its requests, and answers as its error says.
    #[derive(Debug, Clone)]
    struct Fake(&'static str, Option<&'static str>, Arc<Mutex<Vec<String>>>);

    impl HttpConnector for Fake {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            if let Ok(mut calls) = self.2.lock() {
                calls.push(format!("{} {}", self.0, request.uri()));
            }
            HttpConnectorFuture::ready(match self.1 {
                Some(error) => Err(ConnectorError::io(error.into())),
                None => StatusCode::try_from(200)
                    .map(|status| HttpResponse::new(status, "".into()))
                    .map_err(|error| ConnectorError::user(error.into())),
            })
        }
    }

    async fn calls(first: Option<&'static str>, second: Result<Option<&'static str>, ()>) -> (Vec<String>, Vec<bool>) {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (log, built) = (Arc::clone(&calls), Arc::clone(&calls));
        let connector = TrustFallback::new(SharedHttpConnector::new(Fake("first", first, log)), move || {
            let second = second.map_err(|()| "there is no store".to_owned())?;
            Ok(SharedHttpConnector::new(Fake("second", second, Arc::clone(&built))))
        });
        let mut answers = Vec::new();
        for _ in 0..2 {
            let mut request = HttpRequest::new("body".into());
            answers.push(request.set_uri("/x").is_ok() && connector.call(request).await.is_ok());
        }
        let calls = calls.lock().map(|calls| calls.clone()).unwrap_or_default();
        (calls, answers)
    }

    const UNKNOWN: Option<&str> = Some("invalid peer certificate: UnknownIssuer");

    #[tokio::test]
    async fn a_chain_that_ends_elsewhere_is_verified_against_the_second_store_from_then_on() {
        let (calls, answers) = calls(UNKNOWN, Ok(None)).await;
        assert_eq!(calls, ["first /x", "second /x", "second /x"]);
        assert_eq!(answers, [true, true]);
    }

    #[tokio::test]
    async fn a_chain_that_neither_store_knows_is_refused_each_time() {
        let (asked, answers) = calls(UNKNOWN, Ok(UNKNOWN)).await;
        assert_eq!(asked, ["first /x", "second /x", "first /x", "second /x"]);
        assert_eq!(answers, [false, false]);
        let (asked, answers) = calls(UNKNOWN, Err(())).await;
        assert_eq!((asked, answers), (vec!["first /x".to_owned(); 2], vec![false, false]));
    }

    #[tokio::test]
    async fn another_error_and_an_answer_never_reach_the_second_store() {
        for (first, expected) in [(None, true), (Some("invalid peer certificate: Expired"), false)] {
            let (calls, answers) = calls(first, Ok(None)).await;
            assert_eq!((calls, answers), (vec!["first /x".to_owned(); 2], vec![expected; 2]));
        }
    }
}
