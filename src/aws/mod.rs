//! AWS, as far as this program needs it: each method is one API operation, in and out of our own types.
//!
//! The seam for tests is the SDK's own: its HTTP client. What runs in Lambda runs in the tests,
//! signing, retries and parsing included, and only the network is replaced.

mod accounts;
mod call_policy;
mod classify;
mod complete;
mod eks;
mod eks_access;
mod eks_nodes;
mod eks_token;
mod endpoints;
mod event_bridge;
mod http;
mod iam;
mod kubernetes;

mod scheduler;
mod sts;
mod trust_fallback;
mod trust_policy;
mod unconfirmed;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eks::primitives::DateTime;
use aws_sdk_sts::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use accounts::TargetAccount;
pub use call_policy::CallPolicy;
pub use classify::{CallError, error_chain};
pub use endpoints::Service;

pub use eks::{Update, UpdateStatus};
pub use event_bridge::SOURCE;
pub use http::public_connector;
pub use kubernetes::{Answer, ApiServer, ClusterConnectors, KubernetesIdentity};

use endpoints::Endpoints;

use crate::domain::api_error::ApiError;
use crate::domain::operation::Operation;
use crate::domain::region::Region;
use crate::platform::clock::Deadline;

/// What serves every request: configuration, credentials, connections, and the clients that were needed so far.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: SdkConfig,
    endpoints: Endpoints,
    home: Region,
    clusters: ClusterConnectors,
    /// The clients of each region, and of each region of another account.
    regional: Mutex<BTreeMap<(Option<String>, String), Clients>>,
    accounts: accounts::Sessions,
    // Clients of the function's own account and region. Each is built when it is first used, because building one parses a partition table.
    event_bridge: OnceLock<aws_sdk_eventbridge::Client>,
    scheduler: OnceLock<aws_sdk_scheduler::Client>,
}

impl Connection {
    /// Configures the SDK from the environment variables that the AWS SDKs share, read through `lookup`. Credentials are those of
    /// the environment, as Lambda gives them; why not the SDK's whole chain: `docs/decisions/0003-credentials.md`.
    ///
    /// # Errors
    /// If `AWS_CA_BUNDLE` or `SSL_CERT_FILE`, which replace the compiled-in root certificates, names no CA bundle.
    pub fn open(home: &Region, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let bundle = set("AWS_CA_BUNDLE").or_else(|| set("SSL_CERT_FILE"));
        let connector = http::aws_connector(home, bundle.as_deref())?;
        let clusters = ClusterConnectors::new(http::cluster_connector);
        let credentials = EnvironmentVariableCredentialsProvider::new();
        let connection = Self::configured(home, lookup, connector, credentials, clusters);
        // Most clusters are in the function's own region, and Lambda gives a whole processor during initialization.
        let shared = &connection.0;
        shared.kept(None, home, || shared.config(home));
        Ok(connection)
    }

    /// The same with another connector and other credentials, and nothing in the environment: for tests with a simulated AWS.
    pub fn over(
        home: &Region,
        connector: SharedHttpConnector,
        credentials: impl ProvideCredentials + 'static,
        clusters: ClusterConnectors,
    ) -> Self {
        Self::configured(home, |_| None, connector, credentials, clusters)
    }

    /// The same with an environment.
    pub fn configured(
        home: &Region,
        lookup: impl Fn(&str) -> Option<String>,
        connector: SharedHttpConnector,
        credentials: impl ProvideCredentials + 'static,
        clusters: ClusterConnectors,
    ) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let on = |name: &str| set(name).map(|value| value.eq_ignore_ascii_case("true"));
        let mut config = configuration(connector, credentials).into_builder();
        config.set_use_fips(on("AWS_USE_FIPS_ENDPOINT"));
        config.set_use_dual_stack(on("AWS_USE_DUALSTACK_ENDPOINT"));
        Self(Arc::new(Shared {
            config: config.build(),
            endpoints: Endpoints::read(set),
            home: home.clone(),
            clusters,
            regional: Mutex::default(),
            accounts: accounts::Sessions::default(),
            event_bridge: OnceLock::new(),
            scheduler: OnceLock::new(),
        }))
    }

    /// AWS in one region, until a deadline.
    #[must_use]
    pub fn aws(&self, region: &Region, deadline: Deadline) -> Aws {
        let clients = self.0.kept(None, region, || self.0.config(region));
        Aws { clients, connection: self.clone(), session: None, deadline }
    }

    /// Waits for the answer to a call, until a deadline.
    ///
    /// # Errors
    /// If AWS refused the call, or didn't answer in time.
    pub async fn within<T, E, F>(&self, service: Service, call: F, deadline: Deadline) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E>>> + Send,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // Boxed, because the SDK's futures are large, and so would be all that awaits this one.
        let call: BoxFuture<'_, _> = Box::pin(call);
        match deadline.timeout(call).await {
            Some(answer) => answer.map_err(|error| CallError::from_sdk(service, &error)),
            None => Err(CallError::timed_out(service)),
        }
    }

    /// The configuration of a service of the function's own account and region.
    #[must_use]
    pub fn service_config(&self, service: Service, policy: CallPolicy) -> SdkConfig {
        let shared = &self.0;
        let mut config = shared.config(&shared.home).into_builder();
        config.set_endpoint_url(shared.endpoints.of(service));
        config.retry_config(policy.retries()).timeout_config(policy.timeouts()).build()
    }

    fn event_bridge(&self) -> &aws_sdk_eventbridge::Client {
        let config = || self.service_config(Service::EventBridge, CallPolicy::ANNOUNCEMENT);
        self.0.event_bridge.get_or_init(|| aws_sdk_eventbridge::Client::new(&config()))
    }

    fn scheduler(&self) -> &aws_sdk_scheduler::Client {
        let config = || self.service_config(Service::Scheduler, CallPolicy::DEFAULT);
        self.0.scheduler.get_or_init(|| aws_sdk_scheduler::Client::new(&config()))
    }
}

impl Shared {
    fn config(&self, region: &Region) -> SdkConfig {
        self.config.to_builder().region(aws_config::Region::new(region.as_str().to_owned())).build()
    }

    /// The clients of a region, built at the first use.
    fn kept(&self, account: Option<&str>, region: &Region, config: impl FnOnce() -> SdkConfig) -> Clients {
        let mut regional = self.regional.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.map(str::to_owned), region.as_str().to_owned());
        regional.entry(key).or_insert_with(|| self.clients(config())).clone()
    }

    fn clients(&self, config: SdkConfig) -> Clients {
        let mut eks = aws_sdk_eks::config::Builder::from(&config);
        eks.set_endpoint_url(self.endpoints.of(Service::Eks));
        let mut sts = aws_sdk_sts::config::Builder::from(&config);
        sts.set_endpoint_url(self.endpoints.of(Service::Sts));
        Clients {
            eks: aws_sdk_eks::Client::from_conf(eks.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            iam: Arc::default(),
            config,
        }
    }
}

/// One connector for all clients, so that they share its connections. Credentials are at hand, so nothing caches them. The limit of an
/// attempt covers an answer that stalls.
fn configuration(connector: SharedHttpConnector, credentials: impl ProvideCredentials + 'static) -> SdkConfig {
    let http_client = http_client_fn(move |_, _| connector.clone());
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .identity_cache(IdentityCache::no_cache())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(CallPolicy::DEFAULT.retries())
        .timeout_config(CallPolicy::DEFAULT.timeouts())
        .build()
}

/// The clients of one region.
#[derive(Debug, Clone)]
struct Clients {
    eks: aws_sdk_eks::Client,
    sts: aws_sdk_sts::Client,
    /// Built when it is first used.
    iam: Arc<OnceLock<aws_sdk_iam::Client>>,
    config: SdkConfig,
}

/// AWS during one request.
#[derive(Debug, Clone)]
pub struct Aws {
    clients: Clients,
    connection: Connection,
    /// The session in another account that this is.
    session: Option<Credentials>,
    /// When everything has to be over.
    pub deadline: Deadline,
}

impl Aws {
    /// The same with another client for EKS: one that a test has made.
    #[must_use]
    pub fn with_eks(mut self, eks: aws_sdk_eks::Client) -> Self {
        self.clients.eks = eks;
        self
    }

    fn iam(&self) -> &aws_sdk_iam::Client {
        self.clients.iam.get_or_init(|| {
            let policy = CallPolicy::BEST_EFFORT;
            let mut config = aws_sdk_iam::config::Builder::from(&self.clients.config);
            config.set_endpoint_url(self.connection.0.endpoints.of(Service::Iam));
            config.set_retry_config(Some(policy.retries())).set_timeout_config(Some(policy.timeouts()));
            aws_sdk_iam::Client::from_conf(config.build())
        })
    }

    fn scheduler(&self) -> &aws_sdk_scheduler::Client {
        self.connection.scheduler()
    }

    /// Waits for the answer to a call, until the deadline, and classifies what went wrong. The call is
    /// boxed: the SDK's futures are large, and everything that awaits this one would be.
    fn answer<'a, T, E, F>(
        &self,
        operation: Operation,
        call: F,
    ) -> impl Future<Output = Result<T, ApiError>> + use<'a, T, E, F>
    where
        F: Future<Output = Result<T, SdkError<E>>> + Send + 'a,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let deadline = self.deadline;
        let call: BoxFuture<'a, Result<T, SdkError<E>>> = Box::pin(call);
        async move {
            if deadline.left().is_zero() {
                return Err(ApiError::not_sent(operation));
            }
            match deadline.timeout(call).await {
                Some(answer) => answer.map_err(|error| classify::api_error(operation, &error)),
                None => Err(ApiError::out_of_time(operation)),
            }
        }
    }
}

/// Milliseconds are as exact as AWS is.
fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.to_millis().ok()?).ok()
}
