//! Whose an access entry is: the tags that a grant puts on an entry that it creates, and what they prove later.

use std::collections::BTreeMap;

use crate::domain::access_entry::{AccessEntry, Ends};
use crate::domain::access_scope::AccessScope;
use crate::domain::arn::{FunctionArn, PolicyArn};
use crate::domain::scheduled_revoke::Restore;
use crate::input::event::{Grant, Request};

/// What the keys of this program's tags begin with.
const PREFIX: &str = "eks-break-glass:";
/// Says that this program created the entry, and which version of it.
const MADE_BY: &str = "eks-break-glass:made-by";
/// The installation: the function's ARN without a qualifier.
const FUNCTION: &str = "eks-break-glass:function";
/// The grant that created it: its Lambda request id.
const GRANT_ID: &str = "eks-break-glass:grant-id";
/// The policy that it was created for.
const POLICY: &str = "eks-break-glass:policy";
/// Why, in the requester's words.
const REASON: &str = "eks-break-glass:reason";
/// The requester, as claimed.
const REQUESTED_BY: &str = "eks-break-glass:requested-by";

/// The longest value of a tag, in characters. Source: "Tag your Amazon EKS resources" in the EKS User Guide.
const LONGEST_VALUE: usize = 256;

/// One deployment of this function. Another one, of another account, region or name, is not it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation(Option<String>);

impl Installation {
    /// That of the function which was invoked; `None`, which Lambda never causes, owns nothing.
    #[must_use]
    pub fn of(function: Option<&FunctionArn>) -> Self {
        Self(function.map(|function| function.as_str().to_owned()))
    }

    /// The tags of an entry that is created for a grant, but for [`Ends`], which the plan decides.
    #[must_use]
    pub fn tags(&self, request_id: &str, request: &Request, grant: &Grant) -> BTreeMap<String, String> {
        let made_by = concat!("eks-break-glass ", env!("CARGO_PKG_VERSION"));
        [
            (MADE_BY, Some(made_by)),
            (FUNCTION, self.0.as_deref()),
            (GRANT_ID, Some(request_id)),
            (POLICY, Some(grant.policy.name())),
            (REASON, request.reason.as_deref()),
            (REQUESTED_BY, request.requested_by.as_deref()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), tag_value(value?))))
        .collect()
    }

    /// Whether a grant of this installation created the entry.
    #[must_use]
    pub fn created(&self, entry: &AccessEntry) -> bool {
        self.0.is_some() && entry.tags.get(FUNCTION) == self.0.as_ref()
    }

    /// Whether a grant of this installation created the entry, for that policy.
    #[must_use]
    pub fn created_for(&self, entry: &AccessEntry, policy: &str) -> bool {
        self.created(entry) && entry.tags.get(POLICY).is_some_and(|name| name == policy)
    }

    /// Whether the grant with that request id created the entry.
    #[must_use]
    pub fn created_by_grant(&self, entry: &AccessEntry, request_id: &str) -> bool {
        self.created(entry) && entry.tags.get(GRANT_ID).is_some_and(|id| id == request_id)
    }

    /// What has to be restored after a grant of a policy in a scope, by the entry as it was before. `None`: the access was there
    /// already, and nothing shows that this installation gave it. What a timed grant gave is never restored: its schedule may be gone,
    /// because it has just fired.
    #[must_use]
    pub fn restore(&self, before: Option<&AccessEntry>, policy: &PolicyArn, scope: &AccessScope) -> Option<Restore> {
        let Some(entry) = before else {
            return Some(Restore::entry_created());
        };
        let ours = self.created_for(entry, policy.name());
        match entry.scope_of(policy) {
            _ if ours && ends(entry) == Some(Ends::Scheduled) => Some(Restore::entry_created()),
            Some(held) if held.covers(scope) => ours.then(Restore::entry_created),
            held => Some(Restore::entry_existed(held.cloned())),
        }
    }

    /// The tags of an entry that this installation hasn't set, by their keys.
    pub fn tags_of_others<'a>(&self, entry: &'a AccessEntry) -> impl Iterator<Item = &'a str> {
        let ours = self.created(entry);
        entry.tags.keys().map(String::as_str).filter(move |key| !(ours && key.starts_with(PREFIX)))
    }
}

/// What the entry's tags say of its end; `None`: no installation says anything.
#[must_use]
pub fn ends(entry: &AccessEntry) -> Option<Ends> {
    [Ends::Scheduled, Ends::Never].into_iter().find(|ends| {
        let (key, value) = ends.tag();
        entry.tags.get(&key) == Some(&value)
    })
}

/// Whether another installation created the entry.
#[must_use]
pub fn created_by_another(installation: &Installation, entry: &AccessEntry) -> bool {
    entry.tags.contains_key(FUNCTION) && !installation.created(entry)
}

/// Tags that show that something else manages the entry, and so will notice or undo a change of it.
#[must_use]
pub fn managed_by(entry: &AccessEntry) -> Vec<&str> {
    let shows = |key: &str| {
        let key = key.to_ascii_lowercase();
        key.starts_with("aws:cloudformation:")
            || key.contains("terraform")
            || key == "managedby"
            || key == "managed-by"
            || key.starts_with("services.k8s.aws/")
    };
    entry.tags.keys().map(String::as_str).filter(|key| shows(key)).collect()
}

/// A text as a tag may hold it: letters, digits, spaces and a few signs, of limited length.
fn tag_value(text: &str) -> String {
    text.chars()
        .map(|c| {
            let allowed = c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c);
            if allowed { c } else { '_' }
        })
        .take(LONGEST_VALUE)
        .collect()
}
