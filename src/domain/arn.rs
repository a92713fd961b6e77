//! The ARNs of clusters, functions and access policies, and what they are made of.
//!
//! A value of one of these types has been checked: what comes after parsing need not ask again.

use std::fmt;

use crate::domain::parse_error::{Malformed, malformed};
use crate::domain::region::{Partition, Region};

/// An account's twelve digits.
pub(crate) fn account(text: &str) -> Result<String, Malformed> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        malformed(format!("`{text}` is not an account id of twelve digits"))
    }
}

/// The six fields of an ARN; the last may hold further colons.
pub(crate) struct Fields<'a> {
    pub(crate) partition: Partition,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) resource: &'a str,
}

impl<'a> Fields<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut fields = text.splitn(6, ':');
        let mut next = || fields.next();
        match (next(), next(), next(), next(), next(), next()) {
            (Some("arn"), Some(partition), Some(service), Some(region), Some(account), Some(resource)) => {
                Ok(Self { partition: Partition::parse(partition)?, service, region, account, resource })
            }
            _ => malformed(format!("`{text}` is not an ARN")),
        }
    }
}

/// A cluster as a request names it: by name, or by an ARN, which says where it is, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRef {
    /// The cluster's name.
    pub name: String,
    /// Where it is.
    pub region: Region,
    /// The partition of that region.
    pub partition: Partition,
    /// The account, if an ARN named one.
    pub account: Option<String>,
}

impl ClusterRef {
    /// Reads a cluster's name or ARN; `region` is what the request says beside it, `home` where the function runs.
    ///
    /// # Errors
    /// If the name or ARN is malformed, or contradicts `region`.
    pub fn parse(text: &str, region: Option<Region>, home: &Region) -> Result<Self, Malformed> {
        if !text.starts_with("arn:") {
            let region = region.unwrap_or_else(|| home.clone());
            return Ok(Self {
                name: cluster_name(text)?,
                partition: Partition::of_region(&region),
                region,
                account: None,
            });
        }
        let fields = Fields::parse(text)?;
        let Some(name) = fields.resource.strip_prefix("cluster/").filter(|_| fields.service == "eks") else {
            return malformed(format!(
                "`{text}` is not the ARN of an EKS cluster; one looks like `arn:aws:eks:eu-west-1:111122223333:cluster/prod`"
            ));
        };
        let of_arn = Region::parse(fields.region)?;
        if Partition::of_region(&of_arn) != fields.partition {
            return malformed(format!(
                "`{text}` names partition `{}`, but region `{of_arn}` is in `{}`",
                fields.partition,
                Partition::of_region(&of_arn)
            ));
        }
        if let Some(region) = region.filter(|region| *region != of_arn) {
            return malformed(format!("`{text}` is in `{of_arn}`, but `region` says `{region}`"));
        }
        Ok(Self {
            name: cluster_name(name)?,
            region: of_arn,
            partition: fields.partition,
            account: Some(account(fields.account)?),
        })
    }

    /// The ARN, if the account is known.
    #[must_use]
    pub fn arn(&self) -> Option<String> {
        self.account.as_ref().map(|account| self.arn_in(account))
    }

    /// The ARN; a cluster that was named without its account is in the account `home`.
    #[must_use]
    pub fn arn_in(&self, home: &str) -> String {
        let account = self.account.as_deref().unwrap_or(home);
        format!("arn:{}:eks:{}:{account}:cluster/{}", self.partition, self.region, self.name)
    }
}

/// Source of the rule: `CreateCluster` in the EKS API reference.
fn cluster_name(text: &str) -> Result<String, Malformed> {
    let well_formed = text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if well_formed {
        Ok(text.to_owned())
    } else {
        malformed(format!("`{text}` is not a cluster's name; one has 1 to 100 letters, digits, `-` and `_`"))
    }
}

/// The ARN of a Lambda function. Schedules and tags hold it without the qualifier: they outlive versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionArn {
    text: String,
    /// The account that it runs in.
    pub account: String,
    qualifier: Option<String>,
}

/// The alias that an event comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alias {
    /// `revoke`: EventBridge Scheduler alone.
    Revoke,
    /// `approved`: the workflows, after approval.
    Approved,
    /// No qualifier, a version, or any other alias: all other callers.
    None,
}

impl FunctionArn {
    /// The alias that schedules invoke.
    pub const REVOKE: &str = "revoke";
    /// The alias that workflows invoke after approval.
    pub const APPROVED: &str = "approved";

    /// Reads a function's ARN, with or without a qualifier: a version or an alias.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let fields = Fields::parse(text)?;
        let resource: Vec<&str> = fields.resource.split(':').collect();
        let (name, qualifier) = match (fields.service, resource.as_slice()) {
            ("lambda", ["function", name]) => (name, None),
            ("lambda", ["function", name, qualifier]) => (name, Some((*qualifier).to_owned())),
            _ => return malformed(format!("`{text}` is not the ARN of a Lambda function")),
        };
        Ok(Self {
            text: format!("arn:{}:lambda:{}:{}:function:{name}", fields.partition, fields.region, fields.account),
            account: account(fields.account)?,
            qualifier,
        })
    }

    /// The ARN without the qualifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The function's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.rsplit(':').next().unwrap_or_default()
    }

    /// The alias that was invoked.
    #[must_use]
    pub fn alias(&self) -> Alias {
        match self.qualifier.as_deref() {
            Some(Self::REVOKE) => Alias::Revoke,
            Some(Self::APPROVED) => Alias::Approved,
            _ => Alias::None,
        }
    }

    /// What schedules invoke: the alias `revoke` of this function.
    #[must_use]
    pub fn revoke_alias(&self) -> String {
        format!("{}:{}", self.text, Self::REVOKE)
    }
}

/// The ARN of an EKS access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyArn {
    text: String,
}

impl PolicyArn {
    /// The name that the policy for administrators of the whole cluster has.
    pub const CLUSTER_ADMIN: &str = "AmazonEKSClusterAdminPolicy";

    /// The policy with that name in a partition.
    #[must_use]
    pub fn named(name: &str, partition: Partition) -> Self {
        Self { text: format!("arn:{partition}:eks::aws:cluster-access-policy/{name}") }
    }

    /// Reads a policy's name or ARN.
    ///
    /// # Errors
    /// If it is malformed, or an ARN of another partition than the cluster's.
    pub fn parse(text: &str, partition: Partition) -> Result<Self, Malformed> {
        if !text.starts_with("arn:") {
            return if policy_name(text) {
                Ok(Self::named(text, partition))
            } else {
                malformed(format!("`{text}` is not the name of an access policy"))
            };
        }
        let fields = Fields::parse(text)?;
        match fields.resource.strip_prefix("cluster-access-policy/") {
            Some(name)
                if fields.service == "eks"
                    && fields.region.is_empty()
                    && fields.account == "aws"
                    && policy_name(name) =>
            {
                if fields.partition == partition {
                    Ok(Self::named(name, partition))
                } else {
                    malformed(format!(
                        "`{text}` is of partition `{}`, but the cluster is in `{partition}`; send the bare name `{name}`",
                        fields.partition
                    ))
                }
            }
            _ => malformed(format!(
                "`{text}` is not the ARN of an EKS access policy; one looks like `arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy`"
            )),
        }
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bare name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.rsplit_once('/').map_or(self.text.as_str(), |(_, name)| name)
    }
}

impl fmt::Display for PolicyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn policy_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
