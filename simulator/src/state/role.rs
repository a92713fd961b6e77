//! Roles that can be assumed.

use crate::policy::Policy;
use crate::state::caller::Caller;
use crate::state::resource::Resource;

/// A call of `AssumeRole` that the caller's own policy allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// The role.
    pub role_arn: String,
    /// The external id that was sent.
    pub external_id: Option<String>,
    /// The text of the session policy that was sent.
    pub policy: Option<String>,
    /// The name of the session.
    pub session_name: String,
    /// The ARN of the caller.
    pub caller_arn: String,
    /// Whether credentials were issued. If not, STS refused the call: the role doesn't trust the caller, or a parameter is wrong.
    pub granted: bool,
}

/// A role that can be assumed, for work in another account.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AssumableRole {
    pub(crate) trusted: String,
    pub(crate) external_id: Option<String>,
    pub(crate) policy: Policy,
}

impl AssumableRole {
    /// An account trusts whom it trusts: all of it, one role of it, or one session ("AWS JSON policy elements: Principal" in the
    /// IAM User Guide).
    pub(crate) fn trusts(&self, caller: &Caller) -> bool {
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
