//! What a grant asks for, and what that means for the principal's access entry.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::decide::ownership::Installation;
use crate::domain::access_entry::{AccessEntry, AccessPolicy, NewEntry};
use crate::domain::access_scope::AccessScope;
use crate::domain::arn::PolicyArn;
use crate::domain::step::Replacement;
use crate::input::settings::Settings;

/// What a grant asks for. It doesn't change during the request.
#[derive(Debug, Clone)]
pub struct Goal<'a> {
    /// The policy to be associated with the principal's entry.
    pub policy: PolicyArn,
    /// How far it has to reach, at least.
    pub scope: AccessScope,
    /// How long the access lasts; `None`: until it is revoked.
    pub duration: Option<SignedDuration>,
    /// Whether the caller states that the existing entry doesn't work.
    pub recreate: bool,
    /// Whether the grant skips a required approval.
    pub emergency: bool,
    /// Whether the caller knows that the principal is the role of instances or pods.
    pub instance_role: bool,
    /// The tags of an entry that is created for this grant.
    pub tags: BTreeMap<String, String>,
    /// The Lambda request id, which those tags hold.
    pub request_id: &'a str,
    /// Which entries are this function's.
    pub installation: &'a Installation,
    /// The guardrails.
    pub settings: &'a Settings,
}

/// What has to happen to the principal's entry.
pub(super) enum Access {
    /// Nothing.
    Held,
    /// Associate these policies with the entry that exists.
    Associate(Vec<AccessPolicy>),
    /// Create an entry for this grant, and associate these policies.
    Create(Vec<AccessPolicy>),
    /// Create the entry that this request has deleted to recreate it, and associate these policies.
    CreateAsItWas(NewEntry, Vec<AccessPolicy>),
    /// Replace a stale entry by one for this grant, with these policies.
    Replace(AccessEntry, Vec<AccessPolicy>),
    /// Recreate an entry as it was.
    Recreate(Box<Replacement>),
}
