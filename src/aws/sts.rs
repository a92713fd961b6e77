//! STS: the function's identity, and sessions of other roles.

use std::time::SystemTime;

use aws_sdk_sts::config::Credentials;

use super::Aws;
use crate::domain::api_error::ApiError;
use crate::domain::identity::Caller;
use crate::domain::operation::Operation;

/// The name of the sessions of other roles: what `CloudTrail` shows.
const SESSION_NAME: &str = "eks-break-glass";
/// How long a session lasts: the longest that a role may grant to another role's session ("role chaining" in the IAM User Guide).
pub(super) const SESSION_SECONDS: i32 = 3600;
/// The shortest session that there is, for one that asks one question. Source: `AssumeRole` in the STS API reference.
pub(super) const SHORTEST_SESSION_SECONDS: i32 = 900;
/// A session that is denied everything. `GetCallerIdentity` can't be denied, so it still proves an identity.
pub(super) const DENY_ALL_SESSION_POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

impl Aws {
    /// The function's identity. Needs no permission.
    ///
    /// # Errors
    /// If STS does not answer, or not to these credentials.
    pub async fn get_caller_identity(&self) -> Result<Caller, ApiError> {
        let operation = Operation::GetCallerIdentity;
        let answer = self.answer(operation, self.clients.sts.get_caller_identity().send()).await?;
        match (answer.account, answer.arn, answer.user_id) {
            (Some(account_id), Some(arn), Some(user_id)) => Ok(Caller { account_id, arn, user_id }),
            _ => Err(ApiError::unreadable(operation, "an identity is incomplete")),
        }
    }

    /// Credentials of a role, for so many seconds; `policy` restricts what the session may do.
    ///
    /// # Errors
    /// If the role does not trust the function, or the function isn't allowed to assume it.
    pub(super) async fn assume_role(
        &self,
        role_arn: &str,
        external_id: Option<&str>,
        policy: &str,
        seconds: i32,
    ) -> Result<Credentials, ApiError> {
        let operation = Operation::AssumeRole;
        let call = self
            .clients
            .sts
            .assume_role()
            .role_arn(role_arn)
            .role_session_name(SESSION_NAME)
            .duration_seconds(seconds)
            .set_external_id(external_id.map(str::to_owned))
            .policy(policy)
            .send();
        let answer = self.answer(operation, call).await?;
        let given =
            answer.credentials.ok_or_else(|| ApiError::unreadable(operation, "there are no credentials in it"))?;
        let token = Some(given.session_token);
        let end = SystemTime::try_from(given.expiration).ok();
        Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, end, "AssumeRole"))
    }
}
