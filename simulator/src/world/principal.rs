//! IAM principals: roles and users that exist, do not exist yet, are gone, or were made anew under the same name.

use std::time::Duration;

use jiff::Timestamp;

use super::{World, after};
use crate::operation::{Answer, ApiError};

/// A role or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its ARN, with its path.
    pub arn: String,
    lives: Vec<Life>,
    /// How long EKS takes to know a new one (terraform-provider-aws issue 35535: up to two minutes).
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
        let id = format!("AROAEXAMPLE{:08X}{:02}", fingerprint(&self.arn), self.lives.len());
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

    fn kind_and_name(&self) -> (&str, &str) {
        let resource = self.arn.splitn(6, ':').nth(5).unwrap_or_default();
        let kind = resource.split('/').next().unwrap_or_default();
        (kind, resource.rsplit('/').next().unwrap_or_default())
    }
}

impl World {
    /// `GetRole`, `GetUser`: by the name alone, which is unique in the account whatever the path.
    pub(super) fn get_principal(&self, account: &str, kind: &str, name: &str) -> Result<Answer, ApiError> {
        let found = self.principals.values().find_map(|principal| {
            let of_account = principal.arn.split(':').nth(4) == Some(account);
            let life = principal.life_at(self.now)?;
            (of_account && principal.kind_and_name() == (kind, name)).then_some((principal, life))
        });
        let Some((principal, life)) = found else {
            return Err(ApiError::no_such_entity(format!("The {kind} with name {name} cannot be found.")));
        };
        let (element, arn, id) = (if kind == "role" { "Role" } else { "User" }, &principal.arn, &life.id);
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        let path = resource.strip_prefix(kind).and_then(|rest| rest.strip_suffix(name)).unwrap_or("/");
        // IAM's dates have no fractions.
        let made = Timestamp::from_second(life.from.as_second()).unwrap_or(life.from);
        let policy = if kind == "role" { "<AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument>" } else { "" };
        Ok(Answer::Xml(format!(
            "<{element}><Path>{path}</Path><{element}Name>{name}</{element}Name><{element}Id>{id}</{element}Id><Arn>{arn}</Arn><CreateDate>{made}</CreateDate>{policy}</{element}>"
        )))
    }
}

fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}
