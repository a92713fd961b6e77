//! Slack, as far as this program calls it: messages to a `response_url`, and who is in a user group.

use std::sync::{Arc, OnceLock};

use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use eks_break_glass::aws::error_chain;
use eks_break_glass::platform::clock::Deadline;
use serde::Deserialize;
use serde_json::Value;

use crate::slack::mrkdwn::bounded;

/// How much of an answer is repeated in an error.
const LONGEST_ANSWER: usize = 100;

/// The way to Slack. The connector is made at the first use: most requests are answered without one.
#[derive(Clone)]
pub struct Slack(Arc<Way>);

type Connect = dyn Fn() -> Result<SharedHttpConnector, String> + Send + Sync;

struct Way {
    connect: Box<Connect>,
    connector: OnceLock<Result<SharedHttpConnector, String>>,
}

impl std::fmt::Debug for Slack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slack")
    }
}

#[derive(Deserialize)]
struct Members {
    ok: bool,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    error: String,
}

impl Slack {
    /// Slack over a connector that `connect` makes.
    pub fn new(connect: impl Fn() -> Result<SharedHttpConnector, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Way { connect: Box::new(connect), connector: OnceLock::new() }))
    }

    /// Posts a message to a `response_url`, which the caller has checked.
    ///
    /// # Errors
    /// Why it is not there, in words that do not name the URL: anybody who has it can post.
    pub async fn post(&self, url: &str, message: &Value, deadline: Deadline) -> Result<(), String> {
        self.send(url, None, "application/json; charset=utf-8", message.to_string(), deadline).await.map(drop)
    }

    /// Whether a user is in a user group. Source: `usergroups.users.list` in Slack's documentation.
    ///
    /// # Errors
    /// If Slack does not say.
    pub async fn is_member(
        &self,
        api: &str,
        token: &str,
        group: &str,
        user: &str,
        deadline: Deadline,
    ) -> Result<bool, String> {
        let url = format!("{api}/usergroups.users.list");
        let form = format!("usergroup={group}");
        let answer = self.send(&url, Some(token), "application/x-www-form-urlencoded", form, deadline).await?;
        match serde_json::from_slice::<Members>(&answer) {
            Ok(Members { ok: true, users, .. }) => Ok(users.iter().any(|member| member == user)),
            Ok(Members { error, .. }) => Err(format!("Slack does not tell who is in `{group}`: {error}")),
            Err(_) => Err(format!("Slack's answer about `{group}` cannot be understood")),
        }
    }

    async fn send(
        &self,
        url: &str,
        token: Option<&str>,
        content_type: &'static str,
        body: String,
        deadline: Deadline,
    ) -> Result<Vec<u8>, String> {
        let connector = self.0.connector.get_or_init(|| (self.0.connect)()).clone()?;
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|error| error.to_string())?;
        request.set_uri(url).map_err(|_| "the URL cannot be used".to_owned())?;
        request.headers_mut().insert("content-type", content_type);
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}"));
        }
        let call = async {
            let response = connector
                .call(request)
                .await
                .map_err(|error| format!("Slack cannot be reached: {}", error_chain(&error)))?;
            let status = response.status().as_u16();
            let body = ByteStream::new(response.into_body()).collect().await;
            let body = body.map_err(|error| format!("Slack's answer broke off: {}", error_chain(&error)))?.into_bytes();
            if status == 200 {
                return Ok(body.into());
            }
            let said = bounded(&String::from_utf8_lossy(&body), LONGEST_ANSWER);
            Err(format!("Slack answered with HTTP status {status}: {said}"))
        };
        deadline.timeout(call).await.unwrap_or_else(|| Err("Slack did not answer in time".to_owned()))
    }
}
