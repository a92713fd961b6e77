//! STS: who somebody is, and roles that can be assumed.

use super::entry::Resource;
use super::{Caller, World};
use crate::operation::{Answer, ApiError, element};
use crate::policy::Policy;

/// A role that can be assumed, for work in another account.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AssumableRole {
    trusted: String,
    external_id: Option<String>,
    policy: Policy,
}

impl AssumableRole {
    /// An account trusts whom it trusts: all of it, one role of it, or one session ("AWS JSON policy elements: Principal" in the
    /// IAM User Guide).
    fn trusts(&self, caller: &Caller) -> bool {
        let session = Resource::of(&caller.arn);
        let role = caller.arn.split('/').nth(1).unwrap_or_default();
        let trusted = Resource::of(&self.trusted);
        self.trusted == caller.account
            || self.trusted == caller.arn
            || (trusted.kind == "root" && trusted.account == caller.account)
            || (session.kind == "assumed-role"
                && (trusted.account, trusted.kind, trusted.name) == (session.account, "role", role))
    }
}

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

    /// `AssumeRole`: new credentials, which belong to a new caller in the role's account. What the trust policy does not let
    /// through is denied in the same words as what the caller's own policy does not ("How to use an external ID" in the IAM
    /// User Guide).
    pub(super) fn assume_role(
        &mut self,
        caller: &Caller,
        role_arn: &str,
        session: &str,
        external_id: Option<&str>,
    ) -> Result<Answer, ApiError> {
        let allowed = |character: char| character.is_ascii_alphanumeric() || "+=,.@_-".contains(character);
        if !(2..=64).contains(&session.len()) || !session.chars().all(allowed) {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
            )));
        }
        let role = self.assumable.get(role_arn).filter(|role| {
            role.trusts(caller) && role.external_id.as_deref().is_none_or(|wanted| Some(wanted) == external_id)
        });
        let Some(role) = role else {
            return Err(ApiError::access_denied(
                "sts",
                format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}", caller.arn),
            ));
        };
        let Resource { partition, account, name, .. } = Resource::of(role_arn);
        let assumed = Caller {
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}"),
            account: account.to_owned(),
            user_id: format!("AROAEXAMPLEASSUMED000:{session}"),
            policy: role.policy.clone(),
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

/// `GetCallerIdentity`: nobody needs a permission for it (facts §1.3; `GetCallerIdentity` in STS's API reference).
pub(super) fn identity(caller: &Caller) -> Answer {
    let elements = [("UserId", &caller.user_id), ("Account", &caller.account), ("Arn", &caller.arn)];
    Answer::Xml(elements.map(|(name, text)| element(name, text)).concat())
}
