//! IAM principals: roles and users that exist, do not exist yet, are gone, or were recreated under the same name.

use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::operation::element;
use crate::state::moment::{START, after};
use crate::state::resource::Resource;

/// What a URL-encoded policy document encodes: everything but RFC 3986's unreserved characters (`Role` in the IAM API reference).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A role or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its ARN, with its path.
    pub arn: String,
    lives: Vec<Life>,
    /// How long EKS takes to know a new one (facts §3.1; terraform-provider-aws issue 35535: up to two minutes).
    pub eks_lag: Duration,
    /// A role's trust policy, if it isn't the default one.
    trust: Option<String>,
}

/// One existence of a principal: its unique id stays the same during it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) id: String,
    pub(crate) from: Timestamp,
    until: Option<Timestamp>,
}

impl Principal {
    /// One that has existed for a year.
    #[must_use]
    pub fn new(arn: &str) -> Self {
        Self::made_at(arn, START.saturating_sub(jiff::SignedDuration::from_hours(24 * 365)).unwrap_or(START))
    }

    /// One that exists from then on.
    #[must_use]
    pub fn made_at(arn: &str, from: Timestamp) -> Self {
        let mut principal = Self { arn: arn.to_owned(), lives: Vec::new(), eks_lag: Duration::ZERO, trust: None };
        principal.begin(from);
        principal
    }

    /// EKS takes that long to know it.
    #[must_use]
    pub fn with_eks_lag(mut self, lag: Duration) -> Self {
        self.eks_lag = lag;
        self
    }

    /// It is deleted then, and recreated under the same name: another unique id, another date.
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

    /// A role that these services can assume, such as `ec2.amazonaws.com` (facts §12.4). By default, a role trusts its own account.
    #[must_use]
    pub fn trusting(self, services: &[&str]) -> Self {
        // One value is written without a list, as IAM's console writes it.
        let service = match services {
            [one] => json!(one),
            several => json!(several),
        };
        self.with_trust_policy(&trust_policy(&json!({ "Service": service })))
    }

    /// A role with this trust policy. The document is returned as it is.
    #[must_use]
    pub fn with_trust_policy(mut self, json: &str) -> Self {
        self.trust = Some(json.to_owned());
        self
    }

    /// The trust policy of a role.
    fn trust(&self) -> String {
        self.trust.clone().unwrap_or_else(|| {
            let Resource { partition, account, .. } = Resource::of(&self.arn);
            trust_policy(&json!({ "AWS": format!("arn:{partition}:iam::{account}:root") }))
        })
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

    pub(crate) fn life_at(&self, now: Timestamp) -> Option<&Life> {
        self.lives.iter().find(|life| life.from <= now && life.until.is_none_or(|until| now < until))
    }

    /// Its unique id at a time; `None` while it does not exist.
    #[must_use]
    pub fn id_at(&self, now: Timestamp) -> Option<String> {
        self.life_at(now).map(|life| life.id.clone())
    }

    /// Its unique id as EKS knows it at a time.
    pub(crate) fn id_to_eks(&self, now: Timestamp) -> Option<String> {
        self.life_at(now).filter(|life| after(life.from, self.eks_lag) <= now).map(|life| life.id.clone())
    }
}

impl Principal {
    /// As IAM shows it; `None` while it does not exist.
    pub(crate) fn shown(&self, now: Timestamp) -> Option<String> {
        let life = self.life_at(now)?;
        let Resource { kind, name, .. } = Resource::of(&self.arn);
        // IAM's dates have no fractions.
        let made = Timestamp::from_second(life.from.as_second()).unwrap_or(life.from);
        let mut shown = [
            element("Path", self.path()),
            element(&format!("{}Name", title(kind)), name),
            element(&format!("{}Id", title(kind)), &life.id),
            element("Arn", &self.arn),
            element("CreateDate", &made.to_string()),
        ]
        .concat();
        if kind == "role" {
            // URL-encoded (facts §12.4).
            let trust = utf8_percent_encode(&self.trust(), RESERVED).to_string();
            shown += &element("AssumeRolePolicyDocument", &trust);
        }
        Some(shown)
    }

    pub(crate) fn path(&self) -> &str {
        let Resource { kind, name, .. } = Resource::of(&self.arn);
        let resource = self.arn.splitn(6, ':').nth(5).and_then(|resource| resource.strip_prefix(kind));
        resource.and_then(|rest| rest.strip_suffix(name)).unwrap_or("/")
    }
}

fn trust_policy(principal: &serde_json::Value) -> String {
    let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

pub(crate) fn title(kind: &str) -> &'static str {
    if kind == "role" { "Role" } else { "User" }
}

fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}
