//! Calls of services without an SDK crate of their own: the request is written here, and all else, signature, retries, time limits,
//! connections, is the SDK's machinery. Why: `docs/decisions/0010-calls.md`.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_sdk_eks::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use serde::Deserialize;
use serde_json::Value;

use super::endpoint::{Endpoint, Service};
use super::error::{chain, told};
use super::lost::Lost;
use super::xml;

/// What `CloudTrail` shows as the user agent.
const USER_AGENT: &str = concat!("eks-break-glass/", env!("CARGO_PKG_VERSION"));

/// How long a call may take, and how often it is made while AWS throttles it, answers with 5xx or does not answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Tries, the first among them.
    pub(super) tries: u32,
    /// The pause before the second one, at most; each later pause may be twice as long.
    pub(super) pause: Duration,
    /// The longest that one try may take.
    pub(super) one: Duration,
    /// The longest that all of them may take.
    pub(super) all: Duration,
}

impl Patience {
    pub(super) fn retries(self) -> RetryConfig {
        RetryConfig::standard().with_max_attempts(self.tries).with_initial_backoff(self.pause)
    }

    pub(super) fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder().operation_timeout(self.all).operation_attempt_timeout(self.one).build()
    }
}

/// One call, as it goes over the wire.
pub(super) struct Call {
    pub(super) service: Service,
    operation: String,
    method: &'static str,
    /// Path and query.
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    lost: Option<Lost>,
}

impl Call {
    /// In AWS's JSON protocol: everything is in the body. `target` and `version` are those of the service's model.
    pub(super) fn json(service: Service, target: &str, version: &str, operation: &str, body: &Value) -> Self {
        let headers = vec![
            ("content-type", format!("application/x-amz-json-{version}")),
            ("x-amz-target", format!("{target}.{operation}")),
        ];
        Self { headers, ..Self::new(service, operation, "POST", "/".to_owned(), body.to_string()) }
    }

    /// In the query protocol: the operation and its parameters are a form, and the answer is XML.
    pub(super) fn query(service: Service, version: &str, operation: &str, parameters: &[(&str, &str)]) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", operation).append_pair("Version", version).extend_pairs(parameters);
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        Self { headers, ..Self::new(service, operation, "POST", "/".to_owned(), form.finish()) }
    }

    /// In the REST protocol, where the operation is a method and a path. What is in the path needs no encoding.
    pub(super) fn rest(
        service: Service,
        operation: &str,
        method: &'static str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Self {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let headers = body.map(|_| ("content-type", "application/json".to_owned())).into_iter().collect();
        let body = body.map(ToString::to_string).unwrap_or_default();
        Self { headers, ..Self::new(service, operation, method, path, body) }
    }

    fn new(service: Service, operation: &str, method: &'static str, path: String, body: String) -> Self {
        Self { service, operation: operation.to_owned(), method, path, headers: Vec::new(), body, lost: None }
    }

    /// The same, with its tries watched.
    pub(super) fn watched(self, lost: &Lost) -> Self {
        Self { lost: Some(lost.clone()), ..self }
    }

    /// Sends it with the credentials and the connections of `config`: the body of the answer.
    pub(super) async fn send(
        self,
        config: &SdkConfig,
        to: &Endpoint,
        patience: Patience,
    ) -> Result<Vec<u8>, SdkError<Refusal, HttpResponse>> {
        let mut operation = Operation::builder()
            .service_name(self.service.signing_name())
            .operation_name(self.operation.clone())
            .endpoint_url(&to.url)
            .standard_retry(&patience.retries())
            .timeout_config(patience.timeouts())
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refusal>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .with_connection_poisoning()
            .runtime_plugin(signature(config, self.service, &to.region));
        operation = self.lost.iter().fold(operation, |operation, lost| operation.interceptor(lost.clone()));
        if let Some(version) = config.behavior_version() {
            operation = operation.behavior_version(version);
        }
        if let Some(client) = config.http_client() {
            operation = operation.http_client(client);
        }
        operation.serializer(|call: Call| call.request()).deserializer(answer).build().invoke(self).await
    }

    fn request(&self) -> Result<HttpRequest, BoxError> {
        let mut request = HttpRequest::new(SdkBody::from(self.body.as_str()));
        request.set_method(self.method)?;
        request.set_uri(self.path.as_str())?;
        request.headers_mut().insert("user-agent", USER_AGENT);
        for (name, value) in &self.headers {
            request.headers_mut().insert(*name, value.clone());
        }
        Ok(request)
    }
}

impl std::fmt::Debug for Call {
    /// Without what is in it: task tokens, for one, are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("operation", &self.operation).finish_non_exhaustive()
    }
}

fn answer(response: &HttpResponse) -> Result<Vec<u8>, OrchestratorError<Refusal>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        Ok(body.to_vec())
    } else {
        Err(OrchestratorError::operation(Refusal::read(response.headers().get("x-amzn-errortype"), body)))
    }
}

/// How a call is signed.
fn signature(config: &SdkConfig, service: Service, region: &str) -> StaticRuntimePlugin {
    let mut layer = Layer::new("signature");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(Region::new(region.to_owned()))),
        name: Some(SigningName::from_static(service.signing_name())),
        ..SigV4OperationSigningConfig::default()
    });
    let components = RuntimeComponentsBuilder::new("signature")
        .with_auth_scheme(SigV4AuthScheme::new())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
        .with_identity_cache(Some(IdentityCache::no_cache()));
    let components = match config.credentials_provider() {
        Some(provider) => components.with_identity_resolver(SCHEME_ID, provider),
        None => components,
    };
    StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
}

/// AWS's no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(.0).unwrap_or_default())]
pub(super) struct Refusal(ErrorMetadata);

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Refusal {
    /// Reads the error's name and its words, as each protocol has them; `header` is the name in the REST protocol.
    fn read(header: Option<&str>, body: &[u8]) -> Self {
        #[derive(Deserialize, Default)]
        struct Told {
            #[serde(rename = "__type", alias = "code")]
            code: Option<String>,
            #[serde(alias = "Message")]
            message: Option<String>,
        }
        let told = match xml::texts(body, &["Code", "Message"]) {
            Some(texts) => {
                let text = |wanted| texts.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text.clone());
                Told { code: text("Code"), message: text("Message") }
            }
            None => serde_json::from_slice(body).unwrap_or_default(),
        };
        // With a namespace before it, or an address behind it: `com.amazon.coral.service#AccessDeniedException:http://...`.
        let code = header.or(told.code.as_deref()).map(|code| code.split(':').next().unwrap_or(code));
        let code = code.map(|code| code.rsplit('#').next().unwrap_or(code)).filter(|code| !code.is_empty());
        let mut metadata = ErrorMetadata::builder();
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        if let Some(message) = told.message {
            metadata = metadata.message(message);
        }
        Self(metadata.build())
    }
}

/// Why a call failed that has no [`Operation`](super::Operation) of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// AWS said no.
    #[error("{service} refused it: {told}")]
    Refused {
        /// Which service, for people.
        service: &'static str,
        /// The error's name, without its namespace.
        code: String,
        /// Why, in AWS's words, and the name.
        told: String,
    },
    /// AWS said something that cannot be understood, or nothing.
    #[error("{0}")]
    Unanswered(String),
}

impl CallError {
    pub(super) fn of(service: Service, error: &SdkError<Refusal, HttpResponse>) -> Self {
        let name = service.name();
        match error {
            SdkError::ServiceError(refused) => match (refused.err().code(), told(refused.err().meta())) {
                (Some(code), Some(told)) => Self::Refused { service: name, code: code.to_owned(), told },
                _ => Self::Unanswered(format!("{name} answered with HTTP status {}", refused.raw().status())),
            },
            SdkError::TimeoutError(_) => Self::Unanswered(format!("{name} did not answer in time")),
            other => Self::Unanswered(chain(other)),
        }
    }

    /// The error's name, where AWS gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unanswered(_) => None,
        }
    }
}
