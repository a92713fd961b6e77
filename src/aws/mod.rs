//! AWS, as far as this program needs it: each method is one API operation, in and out of our own types.
//!
//! The seam for tests is the SDK's own: its HTTP client. What runs in Lambda runs in the tests,
//! signing, retries and parsing included, and only the network is replaced.

mod account;
mod call;
mod cluster;
mod eks;
mod endpoint;
mod error;
mod events;
mod http;
mod iam;
mod lost;
mod operation;
mod scheduler;
mod secrets;
mod states;
mod sts;
mod token;
mod xml;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use futures_util::future::BoxFuture;

pub use account::TargetAccount;
pub use call::CallError;
pub use cluster::{Answer, ApiServer, Asker, ClusterConnectors};
pub use eks::{NewEntry, Update, UpdateStatus};
pub(crate) use error::chain;
pub use error::{ApiError, Kind};
pub use events::SOURCE;
pub use http::public_connector;
pub use iam::Identity;
pub use operation::Operation;
pub use states::{Answered, Decision, Started};

use call::{Call, Patience};
use endpoint::Endpoints;

use crate::clock::Deadline;
use crate::region::Region;
use crate::settings::Misconfigured;

/// The patience with all calls that a grant depends on; the deadline of the invocation may end it earlier. The SDK's own has no limit.
const PATIENCE: Patience =
    Patience { tries: 4, pause: Duration::from_secs(1), one: Duration::from_secs(10), all: Duration::from_secs(40) };
/// The patience while somebody in a chat waits.
const SOMEBODY_WAITS: Patience =
    Patience { tries: 4, pause: Duration::from_millis(200), one: Duration::from_secs(1), all: Duration::from_secs(3) };

/// What serves every request: configuration, credentials, connections, and a client for each region, once it was asked for.
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
    accounts: account::Sessions,
}

impl Connection {
    /// Configures the SDK from the environment variables that the AWS SDKs share, read through `lookup`. Credentials are those of
    /// the environment, as Lambda gives them; why not the SDK's whole chain: `docs/decisions/0003-credentials.md`.
    ///
    /// # Errors
    /// If `AWS_CA_BUNDLE` or `SSL_CERT_FILE`, which replace the compiled-in root certificates, names no CA bundle.
    pub fn open(home: &Region, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Misconfigured> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let bundle = set("AWS_CA_BUNDLE").or_else(|| set("SSL_CERT_FILE"));
        let on = |name: &str| set(name).map(|value| value.eq_ignore_ascii_case("true"));
        let connector = http::aws_connector(home, bundle.as_deref()).map_err(|wrong| Misconfigured(vec![wrong]))?;
        let mut config = configuration(connector, EnvironmentVariableCredentialsProvider::new()).into_builder();
        let (fips, dual_stack) = (on("AWS_USE_FIPS_ENDPOINT"), on("AWS_USE_DUALSTACK_ENDPOINT"));
        config.set_use_fips(fips);
        config.set_use_dual_stack(dual_stack);
        let endpoints = Endpoints::read(set, fips == Some(true), dual_stack == Some(true));
        let clusters = ClusterConnectors::new(http::cluster_connector);
        let connection = Self::new(home, config.build(), endpoints, clusters);
        // Most clusters are in the function's own region, and Lambda gives a whole processor while it initialises.
        let shared = &connection.0;
        shared.kept(None, home, || shared.config(home));
        Ok(connection)
    }

    /// The same over another connector and with other credentials: what tests put a simulated AWS behind.
    pub fn over(
        home: &Region,
        connector: SharedHttpConnector,
        credentials: impl ProvideCredentials + 'static,
        clusters: ClusterConnectors,
    ) -> Self {
        Self::new(home, configuration(connector, credentials), Endpoints::default(), clusters)
    }

    fn new(home: &Region, config: SdkConfig, endpoints: Endpoints, clusters: ClusterConnectors) -> Self {
        Self(Arc::new(Shared {
            config,
            endpoints,
            home: home.clone(),
            clusters,
            regional: Mutex::default(),
            accounts: account::Sessions::default(),
        }))
    }

    /// AWS in one region, until a deadline.
    #[must_use]
    pub fn aws(&self, region: &Region, deadline: Deadline) -> Aws {
        let clients = self.0.kept(None, region, || self.0.config(region));
        Aws { clients, connection: self.clone(), session: None, deadline }
    }

    /// Makes a call in the function's own account and region: the body of the answer.
    async fn home_call(&self, call: Call, patience: Patience, deadline: Deadline) -> Result<Vec<u8>, CallError> {
        let (shared, service) = (&self.0, call.service);
        let endpoint = shared.endpoints.of(service, &shared.home);
        // Boxed, as what awaits it would be large otherwise.
        match deadline.bound(Box::pin(call.send(&shared.config, &endpoint, patience))).await {
            Some(answer) => answer.map_err(|error| CallError::of(service, &error)),
            None => Err(CallError::Unanswered(format!("{} did not answer in time", service.name()))),
        }
    }
}

impl Shared {
    fn config(&self, region: &Region) -> SdkConfig {
        self.config.to_builder().region(aws_config::Region::new(region.as_str().to_owned())).build()
    }

    /// The clients of a region, made at the first use.
    fn kept(&self, account: Option<&str>, region: &Region, config: impl FnOnce() -> SdkConfig) -> Clients {
        let mut regional = self.regional.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.map(str::to_owned), region.as_str().to_owned());
        regional.entry(key).or_insert_with(|| self.clients(region, config())).clone()
    }

    fn clients(&self, region: &Region, config: SdkConfig) -> Clients {
        let mut eks = aws_sdk_eks::config::Builder::from(&config);
        eks.set_endpoint_url(self.endpoints.eks.clone());
        let mut sts = aws_sdk_sts::config::Builder::from(&config);
        sts.set_endpoint_url(self.endpoints.sts.clone());
        Clients {
            eks: aws_sdk_eks::Client::from_conf(eks.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            config,
            region: region.clone(),
        }
    }
}

/// One connector for all clients, so that they share its connections. Credentials are at hand, so nothing keeps them; that an answer
/// stalls, the limit of a try sees.
fn configuration(connector: SharedHttpConnector, credentials: impl ProvideCredentials + 'static) -> SdkConfig {
    let http_client = http_client_fn(move |_, _| connector.clone());
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .identity_cache(IdentityCache::no_cache())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(PATIENCE.retries())
        .timeout_config(PATIENCE.timeouts())
        .build()
}

/// The clients of one region, and what other calls there are made with.
#[derive(Debug, Clone)]
struct Clients {
    eks: aws_sdk_eks::Client,
    sts: aws_sdk_sts::Client,
    config: SdkConfig,
    region: Region,
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

    /// Waits for the answer to a call, within the deadline, and says what went wrong in our own words. The call is
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
            match deadline.bound(call).await {
                Some(answer) => answer.map_err(|error| ApiError::classify(operation, &error)),
                None => Err(ApiError::out_of_time(operation)),
            }
        }
    }
}
