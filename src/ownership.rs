//! Whose an access entry is: the tags that a grant puts on an entry that it makes, and what they prove later.

use std::collections::BTreeMap;

use crate::arn::PolicyArn;
use crate::observation::AccessEntry;
use crate::request::{Grant, Request, Restore};
use crate::scope::AccessScope;

/// Says that this program made the entry, and which version of it.
const MADE_BY: &str = "eks-break-glass:made-by";
/// The grant that made it: its Lambda request id.
const GRANT_ID: &str = "eks-break-glass:grant-id";
/// The policy that it was made for.
const POLICY: &str = "eks-break-glass:policy";
/// Why, in the requester's words.
const REASON: &str = "eks-break-glass:reason";
/// Who asked.
const REQUESTED_BY: &str = "eks-break-glass:requested-by";

/// The longest value of a tag, in characters. Source: "Tag your Amazon EKS resources" in the EKS User Guide.
const LONGEST_VALUE: usize = 256;

/// The tags of an entry that is made for a grant.
#[must_use]
pub fn tags(request_id: &str, request: &Request, grant: &Grant) -> BTreeMap<String, String> {
    let made_by = concat!("eks-break-glass ", env!("CARGO_PKG_VERSION"));
    [
        (MADE_BY, Some(made_by)),
        (GRANT_ID, Some(request_id)),
        (POLICY, Some(grant.policy.name())),
        (REASON, request.reason.as_deref()),
        (REQUESTED_BY, request.requested_by.as_deref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), tag_value(value?))))
    .collect()
}

/// Whether the entry was made by the grant with that request id.
#[must_use]
pub fn made_by_grant(entry: &AccessEntry, request_id: &str) -> bool {
    is_ours(entry) && entry.tags.get(GRANT_ID).is_some_and(|id| id == request_id)
}

/// Whether the entry was made with these tags, by the same grant.
#[must_use]
pub fn is_of_grant(entry: &AccessEntry, tags: &BTreeMap<String, String>) -> bool {
    tags.get(GRANT_ID).is_some_and(|id| made_by_grant(entry, id))
}

/// Whether the entry was made by a grant of this program.
#[must_use]
pub fn is_ours(entry: &AccessEntry) -> bool {
    entry.tags.contains_key(MADE_BY)
}

/// Whether the entry was made by a grant of this program, of the policy with that name.
#[must_use]
pub fn made_for(entry: &AccessEntry, policy: &str) -> bool {
    is_ours(entry) && entry.tags.get(POLICY).is_some_and(|name| name == policy)
}

/// What is to be put back after a grant of a policy in a scope, by the entry as it was before. `None`: the access was there
/// already, and is not known to be this program's.
#[must_use]
pub fn restore(before: Option<&AccessEntry>, policy: &PolicyArn, scope: &AccessScope) -> Option<Restore> {
    let Some(entry) = before else {
        return Some(Restore::entry_created());
    };
    match entry.scope_of(policy) {
        Some(held) if held.covers(scope) => made_for(entry, policy.name()).then(Restore::entry_created),
        held => Some(Restore::entry_existed(held.cloned())),
    }
}

/// A text as a tag may hold it: letters, digits, spaces and a few signs, and not for ever.
fn tag_value(text: &str) -> String {
    text.chars()
        .map(|c| {
            let allowed = c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c);
            if allowed { c } else { '_' }
        })
        .take(LONGEST_VALUE)
        .collect()
}
