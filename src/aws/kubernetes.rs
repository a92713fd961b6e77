//! The API server of a cluster: one question at a time, over TLS against the cluster's own CA.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sts::config::Credentials;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::classify::error_chain;
use super::{Aws, eks_token, sts};
use crate::domain::api_error::ApiError;
use crate::domain::principal::PrincipalArn;
use crate::domain::region::Region;

/// An API server that has not answered by then does not.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Where access reviews about oneself are asked.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// Makes a connector that trusts the certificates of a CA, in PEM, and no others.
#[derive(Clone)]
pub struct ClusterConnectors(Arc<Connect>);

type Connect = dyn Fn(&[u8]) -> Result<SharedHttpConnector, String> + Send + Sync;

impl ClusterConnectors {
    /// Connectors that `connect` makes.
    pub fn new(connect: impl Fn(&[u8]) -> Result<SharedHttpConnector, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(connect))
    }
}

impl std::fmt::Debug for ClusterConnectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterConnectors")
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct KubernetesIdentity(Credentials);

/// What the API server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The principal may.
    Allowed,
    /// The cluster knows the principal, and denies the request.
    NotAllowed,
    /// 401: nothing maps the principal, or not yet.
    Unauthorized,
    /// It cannot answer now (429, 5xx); why.
    Busy(String),
    /// It did not answer; why.
    Unreachable(String),
}

/// The API server of one cluster.
#[derive(Debug)]
pub struct ApiServer {
    connector: SharedHttpConnector,
    endpoint: String,
    cluster: String,
    region: Region,
}

#[derive(Deserialize)]
struct Reviewed {
    status: ReviewStatus,
}

#[derive(Deserialize)]
struct ReviewStatus {
    #[serde(default)]
    allowed: bool,
}

impl Aws {
    /// The API server at that endpoint, whose CA is given as `DescribeCluster` shows it: base64 of PEM.
    ///
    /// # Errors
    /// If the CA cannot be read.
    pub fn api_server(
        &self,
        cluster: &str,
        region: &Region,
        endpoint: &str,
        certificate_authority: &str,
    ) -> Result<ApiServer, String> {
        let pem = base64::decode(certificate_authority)
            .map_err(|error| format!("the cluster's CA cannot be read: {error}"))?;
        Ok(ApiServer {
            connector: (self.connection.0.clusters.0)(&pem)?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cluster: cluster.to_owned(),
            region: region.clone(),
        })
    }

    /// A session of that role, for a quarter of an hour, with the function's own credentials wherever the cluster is. The session is denied
    /// everything in AWS; it proves an identity to the cluster all the same.
    ///
    /// # Errors
    /// If the role does not trust the function, or the function isn't allowed to assume it.
    pub async fn assume(&self, role: &PrincipalArn) -> Result<KubernetesIdentity, ApiError> {
        let (policy, seconds) = (sts::DENY_ALL_SESSION_POLICY, sts::SHORTEST_SESSION_SECONDS);
        self.home().assume_role(role.as_str(), None, policy, seconds).await.map(KubernetesIdentity)
    }
}

impl ApiServer {
    /// Asks one question.
    pub async fn ask(&self, asker: &KubernetesIdentity, review: &Value, now: Timestamp) -> Answer {
        let request =
            eks_token::token(&asker.0, &self.region, &self.cluster, now).and_then(|token| self.request(&token, review));
        let call = async {
            let response = match request {
                Ok(request) => self.connector.call(request).await,
                Err(why) => return Answer::Unreachable(why),
            };
            let response = match response {
                Ok(response) => response,
                Err(error) => return Answer::Unreachable(error_chain(&error)),
            };
            match response.status().as_u16() {
                401 => Answer::Unauthorized,
                403 => Answer::NotAllowed,
                200..=299 => match ByteStream::new(response.into_body()).collect().await {
                    Ok(body) => read(&body.into_bytes()),
                    Err(error) => Answer::Unreachable(error_chain(&error)),
                },
                status @ (429 | 500..) => Answer::Busy(format!("it answered with HTTP status {status}")),
                status => Answer::Unreachable(format!("it answered with HTTP status {status}")),
            }
        };
        let time_out = crate::platform::clock::Deadline::after(ANSWER_TIMEOUT).timeout(call).await;
        time_out.unwrap_or_else(|| Answer::Unreachable("it did not answer in time".to_owned()))
    }

    fn request(&self, token: &str, review: &Value) -> Result<HttpRequest, String> {
        let mut request = HttpRequest::new(SdkBody::from(review.to_string()));
        request.set_method("POST").map_err(|error| error.to_string())?;
        request.set_uri(format!("{}{REVIEWS}", self.endpoint)).map_err(|error| error.to_string())?;
        request.headers_mut().insert("authorization", format!("Bearer {token}"));
        request.headers_mut().insert("content-type", "application/json");
        request.headers_mut().insert("accept", "application/json");
        Ok(request)
    }
}

fn read(body: &[u8]) -> Answer {
    match serde_json::from_slice::<Reviewed>(body) {
        Ok(Reviewed { status: ReviewStatus { allowed: true } }) => Answer::Allowed,
        Ok(_) => Answer::NotAllowed,
        Err(_) => Answer::Unreachable("what answers there is no Kubernetes API server".to_owned()),
    }
}
