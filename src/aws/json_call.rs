//! Calls without an SDK: services that speak AWS's JSON protocol, one signed POST each. An SDK would add a tenth to the binary
//! for each of them; the signature is the SDK's own.

use std::time::{Duration, SystemTime};

use aws_sdk_sts::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Connection;
use super::error::chain;
use crate::arn::{Partition, Region};

/// A service that is called without its SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    EventBridge,
    SecretsManager,
    StepFunctions,
}

/// What is to be known of a service: its name for people, in the variable that moves its endpoint, in its host and its signature, in its
/// targets, and the version of the protocol. Source: the service models that the AWS SDKs are made from.
struct Facts {
    name: &'static str,
    variable: &'static str,
    host: &'static str,
    target: &'static str,
    content_type: &'static str,
}

impl Service {
    fn facts(self) -> Facts {
        let (name, variable, host, target, content_type) = match self {
            Self::EventBridge => ("EventBridge", "EVENTBRIDGE", "events", "AWSEvents", "application/x-amz-json-1.1"),
            Self::SecretsManager => {
                ("Secrets Manager", "SECRETS_MANAGER", "secretsmanager", "secretsmanager", "application/x-amz-json-1.1")
            }
            Self::StepFunctions => {
                ("Step Functions", "SFN", "states", "AWSStepFunctions", "application/x-amz-json-1.0")
            }
        };
        Facts { name, variable, host, target, content_type }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.facts().name)
    }
}

/// Where each of these services answers.
#[derive(Debug, Clone)]
pub(super) struct JsonEndpoints {
    event_bridge: String,
    secrets_manager: String,
    step_functions: String,
}

impl JsonEndpoints {
    /// AWS's own, where `moved` does not name another for a variable such as `AWS_ENDPOINT_URL_SFN`.
    pub(super) fn new(home: &Region, fips: bool, moved: impl Fn(&str) -> Option<String>) -> Self {
        let endpoint = |service: Service| {
            let Facts { variable, host, .. } = service.facts();
            // Where the plain name is the one that complies. Source: the services' endpoint rules.
            let complies = match service {
                Service::EventBridge => home.as_str().starts_with("us-gov-"),
                Service::StepFunctions => home.as_str() == "us-gov-west-1",
                Service::SecretsManager => false,
            };
            let fips = if fips && !complies { "-fips" } else { "" };
            moved(&format!("AWS_ENDPOINT_URL_{variable}"))
                .unwrap_or_else(|| format!("https://{host}{fips}.{home}.{}", Partition::of_region(home).dns_suffix()))
        };
        Self {
            event_bridge: endpoint(Service::EventBridge),
            secrets_manager: endpoint(Service::SecretsManager),
            step_functions: endpoint(Service::StepFunctions),
        }
    }

    fn of(&self, service: Service) -> &str {
        match service {
            Service::EventBridge => &self.event_bridge,
            Service::SecretsManager => &self.secrets_manager,
            Service::StepFunctions => &self.step_functions,
        }
    }
}

/// Why a call without an SDK failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// AWS said no.
    #[error("{service} refused it: {message} ({code})")]
    Refused {
        /// Which service, for people.
        service: &'static str,
        /// The error's name, without its namespace.
        code: String,
        /// Why, in AWS's words.
        message: String,
        /// Whether a later attempt may succeed: it was throttled, or the service is in trouble.
        for_now: bool,
    },
    /// AWS said something that cannot be understood, or nothing.
    #[error("{0}")]
    Unanswered(String),
}

impl CallError {
    /// The error's name, where AWS gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unanswered(_) => None,
        }
    }

    /// Whether a later attempt may succeed.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::Refused { for_now: true, .. })
    }
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type", default)]
    code: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl Connection {
    /// Calls an operation of a service in the function's own account and region, once: the body that it answers with.
    ///
    /// # Errors
    /// If it was refused, or not answered.
    pub(super) async fn json_call(
        &self,
        service: Service,
        operation: &str,
        body: &Value,
        now: Timestamp,
    ) -> Result<Vec<u8>, CallError> {
        let request = self.signed(service, operation, body.to_string(), now).await.map_err(CallError::Unanswered)?;
        let response = self.0.connector.call(request).await;
        let response = response.map_err(|error| CallError::Unanswered(chain(&error)))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await;
        let body = body.map_err(|error| CallError::Unanswered(chain(&error)))?.into_bytes();
        if status == 200 {
            return Ok(body.into());
        }
        Err(match serde_json::from_slice::<Refusal>(&body) {
            Ok(Refusal { code, message }) => {
                // Some services put the name into a namespace: `com.amazon.coral.service#AccessDeniedException`.
                let code = code.rsplit('#').next().unwrap_or_default().to_owned();
                let for_now = status >= 500 || status == 429 || code.contains("Throttl");
                CallError::Refused { service: service.facts().name, code, message, for_now }
            }
            Err(_) => CallError::Unanswered(format!("{service} answered with HTTP status {status}")),
        })
    }

    async fn signed(
        &self,
        service: Service,
        operation: &str,
        body: String,
        now: Timestamp,
    ) -> Result<HttpRequest, String> {
        let shared = &self.0;
        let Facts { host: signing_name, target, content_type, .. } = service.facts();
        let provider = shared.config.credentials_provider().ok_or("the function has no credentials")?;
        let identity = provider.provide_credentials().await.map_err(|error| error.to_string())?.into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(shared.home.as_str())
            .name(signing_name)
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_second().unsigned_abs()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let url = format!("{}/", shared.endpoints.json.of(service).trim_end_matches('/'));
        let host = url.split('/').nth(2).unwrap_or_default().to_owned();
        let target = format!("{target}.{operation}");
        let headers = [("content-type", content_type), ("host", host.as_str()), ("x-amz-target", target.as_str())];
        let signable =
            SignableRequest::new("POST", url.as_str(), headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
                .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
        let (signature, _) = instructions.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|error| error.to_string())?;
        request.set_uri(url.as_str()).map_err(|error| error.to_string())?;
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
            request.headers_mut().insert(name, value.to_owned());
        }
        for header in signature {
            request.headers_mut().insert(header.name(), header.value().to_owned());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(region: &str, fips: bool, service: Service) -> Result<String, String> {
        let home = Region::parse(region).map_err(|error| error.to_string())?;
        let moved =
            |name: &str| (name == "AWS_ENDPOINT_URL_SFN" && region == "eu-west-3").then(|| "http://moved".to_owned());
        Ok(JsonEndpoints::new(&home, fips, moved).of(service).to_owned())
    }

    #[test]
    fn each_service_answers_where_the_sdks_would_look_for_it() -> Result<(), String> {
        for (region, fips, service, host) in [
            ("eu-west-1", false, Service::EventBridge, "https://events.eu-west-1.amazonaws.com"),
            ("us-east-1", true, Service::EventBridge, "https://events-fips.us-east-1.amazonaws.com"),
            ("us-gov-west-1", true, Service::EventBridge, "https://events.us-gov-west-1.amazonaws.com"),
            ("eu-west-1", false, Service::SecretsManager, "https://secretsmanager.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", true, Service::SecretsManager, "https://secretsmanager-fips.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", false, Service::StepFunctions, "https://states.cn-north-1.amazonaws.com.cn"),
            ("us-east-1", true, Service::StepFunctions, "https://states-fips.us-east-1.amazonaws.com"),
            ("us-gov-east-1", true, Service::StepFunctions, "https://states-fips.us-gov-east-1.amazonaws.com"),
            ("us-gov-west-1", true, Service::StepFunctions, "https://states.us-gov-west-1.amazonaws.com"),
            ("eu-west-3", false, Service::StepFunctions, "http://moved"),
        ] {
            assert_eq!(endpoint(region, fips, service)?, host, "{region}");
        }
        Ok(())
    }
}
