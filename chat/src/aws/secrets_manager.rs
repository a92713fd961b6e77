//! Secrets Manager: reads one secret.

use eks_break_glass::aws::{CallError, Service};
use eks_break_glass::platform::clock::Deadline;

use super::Aws;

impl Aws {
    /// The current version of a secret, given by its name or ARN. The result must not be logged.
    ///
    /// # Errors
    /// If it can't be read, or isn't text.
    pub async fn get_secret_value(&self, id: &str, deadline: Deadline) -> Result<String, CallError> {
        let call = self.secrets_manager().get_secret_value().secret_id(id).send();
        let answer = self.connection.within(Service::SecretsManager, call, deadline).await?;
        answer.secret_string.ok_or_else(|| CallError::Unanswered(format!("the secret `{id}` isn't text")))
    }
}
