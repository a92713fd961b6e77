//! AWS, as far as this program needs it: each method is one API operation, in and out of our own types.
//!
//! The seam for tests is the SDK's own: its HTTP client. What runs in Lambda runs in the tests,
//! signing, retries and parsing included, and only the network is replaced.

mod account;
mod cluster;
mod eks;
mod error;
mod events;
mod http;
mod iam;
mod json_call;
mod lost;
mod operation;
mod scheduler;
mod secrets;
mod states;
mod sts;
mod token;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use futures_util::future::BoxFuture;

pub use account::TargetAccount;
pub use cluster::{Answer, ApiServer, Asker, ClusterConnectors};
pub use eks::{NewEntry, Update, UpdateStatus};
pub(crate) use error::chain;
pub use error::{ApiError, Kind};
pub use events::SOURCE;
pub use http::public_connector;
pub use iam::Identity;
pub use json_call::CallError;
pub use operation::Operation;
pub use states::{Answered, Decision, Started};

use crate::arn::Region;
use crate::clock::{Deadline, Pauses};
use crate::settings::Misconfigured;

/// No call may take longer, retries included; the deadline of the invocation may end it earlier.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(40);
/// No single attempt may take longer. The SDK has no limit of its own.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the SDK sends a call that was throttled, answered with 5xx or not answered.
const ATTEMPTS: u32 = 4;
/// Calls without an SDK, for somebody in a chat who waits: no attempt may take longer,
const JSON_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// and this is how long to pause between two.
const JSON_PAUSES: Pauses = Pauses { first: Duration::from_millis(100), longest: Duration::from_millis(500) };
/// IAM only adds to what is known, and cannot be reached at all from some VPCs: it gets little time.
const IAM_TIMEOUT: Duration = Duration::from_secs(4);

/// What serves every request: configuration, credentials, connections, and a client for each region, once it was asked for.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: SdkConfig,
    connector: SharedHttpConnector,
    endpoints: Endpoints,
    home: Region,
    clusters: ClusterConnectors,
    /// The clients of each region, and of each region of another account.
    regional: Mutex<BTreeMap<(Option<String>, String), Clients>>,
    accounts: account::Sessions,
    scheduler: OnceLock<aws_sdk_scheduler::Client>,
}

/// Where a service is said to answer, other than where AWS has it: emulators, VPC endpoints without private DNS.
#[derive(Debug, Clone)]
struct Endpoints {
    eks: Option<String>,
    /// Of those that are called without their SDK: never unknown.
    json: json_call::JsonEndpoints,
    iam: Option<String>,
    scheduler: Option<String>,
    sts: Option<String>,
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
        let endpoint = |name: &str| set(name).or_else(|| set("AWS_ENDPOINT_URL"));
        let connector = http::aws_connector(home, bundle.as_deref()).map_err(|wrong| Misconfigured(vec![wrong]))?;
        let mut config = configuration(connector.clone(), EnvironmentVariableCredentialsProvider::new()).into_builder();
        config.set_use_fips(on("AWS_USE_FIPS_ENDPOINT"));
        config.set_use_dual_stack(on("AWS_USE_DUALSTACK_ENDPOINT"));
        let fips = on("AWS_USE_FIPS_ENDPOINT") == Some(true);
        let endpoints = Endpoints {
            eks: endpoint("AWS_ENDPOINT_URL_EKS"),
            json: json_call::JsonEndpoints::new(home, fips, endpoint),
            iam: endpoint("AWS_ENDPOINT_URL_IAM"),
            scheduler: endpoint("AWS_ENDPOINT_URL_SCHEDULER"),
            sts: endpoint("AWS_ENDPOINT_URL_STS"),
        };
        let clusters = ClusterConnectors::new(http::cluster_connector);
        let connection = Self::new(home, config.build(), connector, endpoints, clusters);
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
        let json = json_call::JsonEndpoints::new(home, false, |_| None);
        let endpoints = Endpoints { eks: None, json, iam: None, scheduler: None, sts: None };
        Self::new(home, configuration(connector.clone(), credentials), connector, endpoints, clusters)
    }

    fn new(
        home: &Region,
        config: SdkConfig,
        connector: SharedHttpConnector,
        endpoints: Endpoints,
        clusters: ClusterConnectors,
    ) -> Self {
        Self(Arc::new(Shared {
            config,
            connector,
            endpoints,
            home: home.clone(),
            clusters,
            regional: Mutex::default(),
            accounts: account::Sessions::default(),
            scheduler: OnceLock::new(),
        }))
    }

    /// AWS in one region, until a deadline.
    #[must_use]
    pub fn aws(&self, region: &Region, deadline: Deadline) -> Aws {
        let clients = self.0.kept(None, region, || self.0.config(region));
        Aws { clients, connection: self.clone(), session: None, deadline }
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
        regional.entry(key).or_insert_with(|| self.clients(&config())).clone()
    }

    fn clients(&self, config: &SdkConfig) -> Clients {
        let iam_timeouts =
            TimeoutConfig::builder().operation_timeout(IAM_TIMEOUT).operation_attempt_timeout(IAM_TIMEOUT).build();
        let mut eks = aws_sdk_eks::config::Builder::from(config);
        eks.set_endpoint_url(self.endpoints.eks.clone());
        let mut iam = aws_sdk_iam::config::Builder::from(config).timeout_config(iam_timeouts);
        iam.set_endpoint_url(self.endpoints.iam.clone());
        let mut sts = aws_sdk_sts::config::Builder::from(config);
        sts.set_endpoint_url(self.endpoints.sts.clone());
        Clients {
            eks: aws_sdk_eks::Client::from_conf(eks.build()),
            iam: aws_sdk_iam::Client::from_conf(iam.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
        }
    }

    /// The schedules of this function are in its own region, wherever the cluster is. Most requests need none.
    fn scheduler(&self) -> &aws_sdk_scheduler::Client {
        self.scheduler.get_or_init(|| {
            let mut scheduler = aws_sdk_scheduler::config::Builder::from(&self.config(&self.home));
            scheduler.set_endpoint_url(self.endpoints.scheduler.clone());
            aws_sdk_scheduler::Client::from_conf(scheduler.build())
        })
    }
}

/// Makes a call again where that may help, until the deadline. Only for calls that can be made twice.
async fn attempted<T>(deadline: Deadline, call: impl AsyncFn() -> Result<T, CallError>) -> Result<T, CallError> {
    let mut last = None;
    let answer = deadline
        .poll(JSON_PAUSES, async || {
            let attempt = deadline.no_later_than(JSON_ATTEMPT_TIMEOUT).bound(call()).await;
            match attempt.unwrap_or_else(|| Err(CallError::Unanswered("there was no answer in time".to_owned()))) {
                Err(error) if error.passes() => {
                    last = Some(error);
                    None
                }
                settled => Some(settled),
            }
        })
        .await;
    answer.unwrap_or_else(|| Err(last.unwrap_or_else(|| CallError::Unanswered("there was no time left".to_owned()))))
}

/// One connector for all clients, so that they share its connections.
fn configuration(connector: SharedHttpConnector, credentials: impl ProvideCredentials + 'static) -> SdkConfig {
    let http_client = http_client_fn(move |_, _| connector.clone());
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(
            TimeoutConfig::builder()
                .operation_timeout(OPERATION_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        )
        .build()
}

/// The clients of one region.
#[derive(Debug, Clone)]
struct Clients {
    eks: aws_sdk_eks::Client,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
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
