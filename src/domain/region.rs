//! Regions, and the partitions that they are in.

use std::fmt;

use crate::domain::parse_error::{Malformed, malformed};

/// An AWS partition: a world of its own, with its own accounts, endpoints and ARNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// The commercial regions.
    Aws,
    /// China.
    AwsCn,
    /// GovCloud (US).
    AwsUsGov,
    /// European Sovereign Cloud.
    AwsEusc,
    /// Top Secret (US).
    AwsIso,
    /// Secret (US).
    AwsIsoB,
    /// Allied governments (Europe).
    AwsIsoE,
    /// US intelligence community.
    AwsIsoF,
}

impl Partition {
    /// Every partition, with its name and the prefixes of its regions; `aws` takes all other regions.
    /// Source: the partitions file that the AWS SDKs carry.
    const ALL: [(Self, &'static str, &'static [&'static str]); 8] = [
        (Self::AwsCn, "aws-cn", &["cn-"]),
        (Self::AwsUsGov, "aws-us-gov", &["us-gov-"]),
        (Self::AwsEusc, "aws-eusc", &["eusc-"]),
        (Self::AwsIso, "aws-iso", &["us-iso-"]),
        (Self::AwsIsoB, "aws-iso-b", &["us-isob-"]),
        (Self::AwsIsoE, "aws-iso-e", &["eu-isoe-"]),
        (Self::AwsIsoF, "aws-iso-f", &["us-isof-", "eu-isof-"]),
        (Self::Aws, "aws", &[""]),
    ];

    /// The partition that a region belongs to.
    #[must_use]
    pub fn of_region(region: &Region) -> Self {
        Self::ALL
            .iter()
            .find(|(_, _, prefixes)| prefixes.iter().any(|prefix| region.as_str().starts_with(prefix)))
            .map_or(Self::Aws, |(partition, _, _)| *partition)
    }

    /// The name as it stands in ARNs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(partition, _, _)| *partition == self).map_or("aws", |(_, name, _)| name)
    }

    /// What the names of its services' endpoints end in. Source: the partitions file that the AWS SDKs carry.
    #[must_use]
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
            Self::AwsEusc => "amazonaws.eu",
            Self::AwsIso => "c2s.ic.gov",
            Self::AwsIsoB => "sc2s.sgov.gov",
            Self::AwsIsoE => "cloud.adc-e.uk",
            Self::AwsIsoF => "csp.hci.ic.gov",
        }
    }

    /// The same of endpoints that answer over IPv6, too. Source: the same file.
    #[must_use]
    pub fn dual_stack_dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "api.aws",
            Self::AwsCn => "api.amazonwebservices.com.cn",
            Self::AwsEusc => "api.amazonwebservices.eu",
            Self::AwsIso => "api.aws.ic.gov",
            Self::AwsIsoB => "api.aws.scloud",
            Self::AwsIsoE => "api.cloud-aws.adc-e.uk",
            Self::AwsIsoF => "api.aws.hci.ic.gov",
        }
    }

    /// The partition of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Self::ALL
            .iter()
            .find(|(_, name, _)| *name == text)
            .map_or_else(|| malformed(format!("`{text}` is not an AWS partition")), |(partition, _, _)| Ok(*partition))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A region's name, such as `eu-west-1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Region(String);

impl Region {
    /// Takes lower-case words and a number, joined by hyphens.
    ///
    /// # Errors
    /// If the text has another shape.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.rsplit('-');
        let number = parts.next().unwrap_or_default();
        let words: Vec<_> = parts.collect();
        let well_formed = !number.is_empty()
            && number.len() <= 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && words.len() >= 2
            && text.len() <= 32
            && words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            malformed(format!("`{text}` is not a region; one looks like `eu-west-1`"))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
