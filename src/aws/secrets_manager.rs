//! Secrets Manager: reads one secret.

use super::endpoints::Service;
use super::{CallError, Connection};
use crate::clock::Deadline;

impl Connection {
    /// The current version of a secret, given by its name or ARN. The result must not be logged.
    ///
    /// # Errors
    /// If it can't be read, or isn't text.
    pub async fn get_secret_value(&self, id: &str, deadline: Deadline) -> Result<String, CallError> {
        let call = self.secrets_manager().get_secret_value().secret_id(id).send();
        let answer = self.within(Service::SecretsManager, call, deadline).await?;
        answer.secret_string.ok_or_else(|| CallError::Unanswered(format!("the secret `{id}` isn't text")))
    }
}
