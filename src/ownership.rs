//! Whose an access entry is: the tags that a grant puts on an entry that it makes, and what they prove later.

use std::collections::BTreeMap;

use crate::observation::AccessEntry;
use crate::request::{Grant, Request};

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
    entry.tags.contains_key(MADE_BY) && entry.tags.get(GRANT_ID).is_some_and(|id| id == request_id)
}

/// Whether the entry was made by a grant of this program, of that policy.
#[must_use]
pub fn made_for(entry: &AccessEntry, grant: &Grant) -> bool {
    entry.tags.contains_key(MADE_BY) && entry.tags.get(POLICY).is_some_and(|name| name == grant.policy.name())
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
