//! IAM principals: roles and users that exist, do not exist yet, are gone, or were made anew under the same name.

use std::time::Duration;

use jiff::Timestamp;

use super::entry::Resource;
use super::{World, after};
use crate::operation::{Answer, ApiError, element};

/// A role or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its ARN, with its path.
    pub arn: String,
    lives: Vec<Life>,
    /// How long EKS takes to know a new one (facts §3.1; terraform-provider-aws issue 35535: up to two minutes).
    pub eks_lag: Duration,
}

/// One existence of a principal: its unique id stays the same during it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Life {
    id: String,
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Principal {
    /// One that has existed for a year.
    #[must_use]
    pub fn new(arn: &str) -> Self {
        Self::made_at(
            arn,
            World::START.saturating_sub(jiff::SignedDuration::from_hours(24 * 365)).unwrap_or(World::START),
        )
    }

    /// One that exists from then on.
    #[must_use]
    pub fn made_at(arn: &str, from: Timestamp) -> Self {
        let mut principal = Self { arn: arn.to_owned(), lives: Vec::new(), eks_lag: Duration::ZERO };
        principal.begin(from);
        principal
    }

    /// EKS takes that long to know it.
    #[must_use]
    pub fn with_eks_lag(mut self, lag: Duration) -> Self {
        self.eks_lag = lag;
        self
    }

    /// It is deleted then, and made anew under the same name: another unique id, another date.
    #[must_use]
    pub fn recreated_at(mut self, time: Timestamp) -> Self {
        self.end(time);
        self.begin(time);
        self
    }

    /// It is deleted then.
    #[must_use]
    pub fn deleted_at(mut self, time: Timestamp) -> Self {
        self.end(time);
        self
    }

    fn begin(&mut self, from: Timestamp) {
        let id = format!(
            "{}EXAMPLE{:08X}{:02}",
            if Resource::of(&self.arn).kind == "user" { "AIDA" } else { "AROA" },
            fingerprint(&self.arn),
            self.lives.len()
        );
        self.lives.push(Life { id, from, until: None });
    }

    fn end(&mut self, time: Timestamp) {
        if let Some(life) = self.lives.last_mut() {
            life.until = Some(time);
        }
    }

    fn life_at(&self, now: Timestamp) -> Option<&Life> {
        self.lives.iter().find(|life| life.from <= now && life.until.is_none_or(|until| now < until))
    }

    /// Its unique id at a time; `None` while it does not exist.
    #[must_use]
    pub fn id_at(&self, now: Timestamp) -> Option<String> {
        self.life_at(now).map(|life| life.id.clone())
    }

    /// Its unique id as EKS knows it at a time.
    pub(super) fn id_to_eks(&self, now: Timestamp) -> Option<String> {
        self.life_at(now).filter(|life| after(life.from, self.eks_lag) <= now).map(|life| life.id.clone())
    }
}

impl World {
    /// The role or user of an account by its name alone, which is unique in it whatever the path (facts §5; "IAM identifiers"
    /// in the IAM User Guide).
    pub(super) fn principal_named(&self, account: &str, kind: &str, name: &str) -> Option<&Principal> {
        self.principals.values().find(|principal| {
            let Resource { account: owner, kind: is, name: called, .. } = Resource::of(&principal.arn);
            (owner, is, called) == (account, kind, name) && principal.life_at(self.now).is_some()
        })
    }

    /// `GetRole` and `GetUser`.
    pub(super) fn get_principal(&self, account: &str, kind: &str, name: &str) -> Result<Answer, ApiError> {
        let found = self.principal_named(account, kind, name);
        let Some((principal, life)) = found.and_then(|principal| Some((principal, principal.life_at(self.now)?)))
        else {
            return Err(ApiError::no_such_entity(format!("The {kind} with name {name} cannot be found.")));
        };
        let name_and_path = principal.arn.splitn(6, ':').nth(5).and_then(|resource| resource.strip_prefix(kind));
        let path = name_and_path.and_then(|rest| rest.strip_suffix(name)).unwrap_or("/");
        let title = if kind == "role" { "Role" } else { "User" };
        // IAM's dates have no fractions.
        let made = Timestamp::from_second(life.from.as_second()).unwrap_or(life.from);
        let mut shown = [
            element("Path", path),
            element(&format!("{title}Name"), name),
            element(&format!("{title}Id"), &life.id),
            element("Arn", &principal.arn),
            element("CreateDate", &made.to_string()),
        ]
        .concat();
        if kind == "role" {
            shown += &element("AssumeRolePolicyDocument", "%7B%7D");
        }
        Ok(Answer::Xml(format!("<{title}>{shown}</{title}>")))
    }
}

fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}
