//! `EventBridge`: one event, put by hand. Its SDK would add a tenth to the binary for this one call; the signature is the SDK's own.

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
use serde_json::json;

use super::Connection;
use super::error::chain;
use crate::announce::Announcement;
use crate::clock::Deadline;

/// Who announces. Rules match it.
pub const SOURCE: &str = "eks-break-glass";
/// An announcement has what is left of an invocation's time for it, once: whoever asked waits.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    failed_entry_count: u32,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    error_code: Option<String>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(rename = "__type")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

impl Connection {
    /// Puts an event on a bus, given by its name or ARN, in the function's own account and region.
    ///
    /// # Errors
    /// Why it is not on the bus, in words.
    pub async fn announce(&self, bus: &str, announcement: &Announcement, now: Timestamp) -> Result<(), String> {
        let put = Deadline::after(TIMEOUT).bound(self.put_event(bus, announcement, now)).await;
        put.unwrap_or_else(|| Err("EventBridge did not answer in time".to_owned()))
    }

    async fn put_event(&self, bus: &str, announcement: &Announcement, now: Timestamp) -> Result<(), String> {
        let shared = &self.0;
        let entry = json!({
            "Source": SOURCE,
            "DetailType": announcement.detail_type,
            "Detail": announcement.detail.to_string(),
            "EventBusName": bus,
        });
        let request = self.signed(json!({ "Entries": [entry] }).to_string(), now).await?;
        let response = shared.connector.call(request).await.map_err(|error| chain(&error))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await.map_err(|error| chain(&error))?.into_bytes();
        if status != 200 {
            return Err(match serde_json::from_slice::<Refused>(&body) {
                Ok(refused) => format!(
                    "EventBridge refused it: {} ({})",
                    refused.message.unwrap_or_default(),
                    refused.code.unwrap_or_default()
                ),
                Err(_) => format!("EventBridge answered with HTTP status {status}"),
            });
        }
        match serde_json::from_slice::<Put>(&body) {
            Ok(Put { failed_entry_count: 0, .. }) => Ok(()),
            Ok(Put { entries, .. }) => {
                let why = entries.into_iter().find_map(|entry| Some((entry.error_code?, entry.error_message)));
                let (code, message) = why.unwrap_or_default();
                Err(format!("EventBridge refused it: {} ({code})", message.unwrap_or_default()))
            }
            Err(_) => Err("EventBridge's answer cannot be understood".to_owned()),
        }
    }

    async fn signed(&self, body: String, now: Timestamp) -> Result<HttpRequest, String> {
        let shared = &self.0;
        let provider = shared.config.credentials_provider().ok_or("the function has no credentials")?;
        let identity = provider.provide_credentials().await.map_err(|error| error.to_string())?.into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(shared.home.as_str())
            .name("events")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_second().unsigned_abs()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let url = format!("{}/", shared.endpoints.events.trim_end_matches('/'));
        let host = url.split('/').nth(2).unwrap_or_default().to_owned();
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", host.as_str()),
            ("x-amz-target", "AWSEvents.PutEvents"),
        ];
        let signable =
            SignableRequest::new("POST", url.as_str(), headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
                .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
        let (signature, _) = instructions.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|error| error.to_string())?;
        request.set_uri(url).map_err(|error| error.to_string())?;
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
            request.headers_mut().insert(name, value.to_owned());
        }
        for header in signature {
            request.headers_mut().insert(header.name(), header.value().to_owned());
        }
        Ok(request)
    }
}
