//! Secrets Manager: one secret, read.

use serde::Deserialize;
use serde_json::json;

use super::call::{Call, CallError};
use super::endpoint::Service;
use super::{Connection, SOMEBODY_WAITS};
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
    pub async fn secret(&self, id: &str, deadline: Deadline) -> Result<String, CallError> {
        let call =
            Call::json(Service::SecretsManager, "secretsmanager", "1.1", "GetSecretValue", &json!({ "SecretId": id }));
        match serde_json::from_slice(&self.home_call(call, SOMEBODY_WAITS, deadline).await?) {
            Ok(Value { secret_string: Some(text) }) => Ok(text),
            _ => Err(CallError::Unanswered(format!("the secret `{id}` is no text"))),
        }
    }
}
