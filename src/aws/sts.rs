//! STS: who the function is.

use super::{ApiError, Aws, Operation};
use crate::observation::Caller;

impl Aws {
    /// Who the function is. Needs no permission.
    ///
    /// # Errors
    /// If STS does not answer, or not to these credentials.
    pub async fn caller(&self) -> Result<Caller, ApiError> {
        let operation = Operation::GetCallerIdentity;
        let answer = self.answer(operation, self.clients.sts.get_caller_identity().send()).await?;
        match (answer.account, answer.arn, answer.user_id) {
            (Some(account_id), Some(arn), Some(user_id)) => Ok(Caller { account_id, arn, user_id }),
            _ => Err(ApiError::unreadable(operation, "an identity is incomplete")),
        }
    }
}
