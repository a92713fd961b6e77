//! Secrets Manager: one secret, read without its SDK.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::json_call::{CallError, Service};
use super::{Connection, attempted};
use crate::clock::Deadline;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    secret_string: Option<String>,
}

impl Connection {
    /// The current version of a secret, given by its name or ARN. It is a secret.
    ///
    /// # Errors
    /// If it cannot be read, or is no text.
    pub async fn secret(&self, id: &str, now: Timestamp, deadline: Deadline) -> Result<String, CallError> {
        let body = json!({ "SecretId": id });
        let call = async || self.json_call(Service::SecretsManager, "GetSecretValue", &body, now).await;
        match serde_json::from_slice(&attempted(deadline, call).await?) {
            Ok(Value { secret_string: Some(text) }) => Ok(text),
            _ => Err(CallError::Unanswered(format!("the secret `{id}` is no text"))),
        }
    }
}
