//! STS: who a caller is, and roles that can be assumed.

use crate::operation::{Answer, ApiError, element};
use crate::policy::{Limit, Policy};
use crate::state::caller::Caller;
use crate::state::resource::Resource;
use crate::state::role::{AssumableRole, AssumedRole};
use crate::world::World;

/// The longest session policy, in characters (facts §12.6).
const LONGEST_SESSION_POLICY: usize = 2048;

impl World {
    /// A role that may be taken on by `trusted`: an account, by its number or its root's ARN, or a role's or session's ARN; and
    /// with that external id alone, where there is one.
    #[must_use]
    pub fn with_assumable_role(
        mut self,
        role_arn: &str,
        trusted: &str,
        external_id: Option<&str>,
        policy: Policy,
    ) -> Self {
        let external_id = external_id.map(str::to_owned);
        let role = AssumableRole { trusted: trusted.to_owned(), external_id, policy };
        self.assumable.insert(role_arn.to_owned(), role);
        self
    }

    /// What was sent with `AssumeRole`, in order. Calls that the caller's own policy doesn't allow are not among them.
    #[must_use]
    pub fn assumed_roles(&self) -> &[AssumedRole] {
        &self.assumed
    }

    /// `AssumeRole`, recorded.
    ///
    /// # Errors
    /// What STS would answer.
    pub(crate) fn assume_role(
        &mut self,
        caller: &Caller,
        role_arn: &str,
        session: &str,
        external_id: Option<&str>,
        policy: Option<&str>,
    ) -> Result<Answer, ApiError> {
        let answer = self.issue_credentials(caller, role_arn, session, external_id, policy);
        self.assumed.push(AssumedRole {
            role_arn: role_arn.to_owned(),
            external_id: external_id.map(str::to_owned),
            policy: policy.map(str::to_owned),
            session_name: session.to_owned(),
            caller_arn: caller.arn.clone(),
            granted: answer.is_ok(),
        });
        answer
    }

    /// `AssumeRole`: new credentials, which belong to a new caller in the role's account. What the trust policy does not let
    /// through is denied in the same words as what the caller's own policy does not ("How to use an external ID" in the IAM
    /// User Guide).
    fn issue_credentials(
        &mut self,
        caller: &Caller,
        role_arn: &str,
        session: &str,
        external_id: Option<&str>,
        policy: Option<&str>,
    ) -> Result<Answer, ApiError> {
        let allowed = |character: char| character.is_ascii_alphanumeric() || "+=,.@_-".contains(character);
        if !(2..=64).contains(&session.len()) || !session.chars().all(allowed) {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
            )));
        }
        let session_policy = policy.map(session_policy).transpose()?;
        let role = self.assumable.get(role_arn).filter(|role| {
            role.trusts(caller) && role.external_id.as_deref().is_none_or(|wanted| Some(wanted) == external_id)
        });
        let Some(role) = role else {
            return Err(self.access_denied(caller, "sts", "sts:AssumeRole", role_arn, ""));
        };
        let Resource { partition, account, name, .. } = Resource::of(role_arn);
        let assumed = Caller {
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}"),
            account: account.to_owned(),
            user_id: format!("AROAEXAMPLEASSUMED000:{session}"),
            // What both allow ("Session policies" in the IAM User Guide).
            policy: match session_policy {
                Some(policy) => role.policy.clone().limited_by(Limit::SessionPolicy, policy),
                None => role.policy.clone(),
            },
        };
        self.ids += 1;
        let key = format!("ASIASIMULATED{:07}", self.ids);
        let expires = self.now.saturating_add(jiff::SignedDuration::from_hours(1)).unwrap_or(self.now);
        let credentials = [
            element("AccessKeyId", &key),
            element("SecretAccessKey", "simulated"),
            element("SessionToken", "simulated"),
            element("Expiration", &expires.to_string()),
        ]
        .concat();
        let user = element("AssumedRoleId", &assumed.user_id) + &element("Arn", &assumed.arn);
        self.secrets.insert(key.clone(), "simulated".to_owned());
        self.callers.insert(key, assumed);
        Ok(Answer::Xml(format!("<Credentials>{credentials}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>")))
    }
}

/// Reads a session policy.
///
/// # Errors
/// One with more than 2,048 characters is a `ValidationError`. `PackedPolicyTooLarge` is another limit: of the compressed form, together
/// with tags, whose size AWS doesn't publish; it is not simulated. One that is no policy is a `MalformedPolicyDocument`, whose exact text is
/// not on record (`AssumeRole` in the STS API reference; facts §12.6).
fn session_policy(text: &str) -> Result<Policy, ApiError> {
    if text.chars().count() > LONGEST_SESSION_POLICY {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value '{text}' at 'policy' failed to satisfy constraint: Member must have length less than or equal to {LONGEST_SESSION_POLICY}"
        )));
    }
    Policy::parse(text).map_err(|_| ApiError::malformed_policy("This policy contains invalid Json"))
}

/// `GetCallerIdentity`: nobody needs a permission for it (facts §1.3; `GetCallerIdentity` in STS's API reference).
pub(crate) fn identity(caller: &Caller) -> Answer {
    let elements = [("UserId", &caller.user_id), ("Account", &caller.account), ("Arn", &caller.arn)];
    Answer::Xml(elements.map(|(name, text)| element(name, text)).concat())
}
