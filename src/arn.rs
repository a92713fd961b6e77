//! Names that AWS gives to things: partitions, regions, accounts, clusters, IAM principals, access policies.
//!
//! A value of one of these types has been checked: what comes after parsing need not ask again.

use std::fmt;

/// Why a text is not the name that it should be: prose for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

fn malformed<T>(why: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(why.into()))
}

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

/// An account's twelve digits.
fn account(text: &str) -> Result<String, Malformed> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        malformed(format!("`{text}` is not an account id of twelve digits"))
    }
}

/// The six fields of an ARN; the last may hold further colons.
struct Fields<'a> {
    partition: Partition,
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, Malformed> {
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
    /// The account, where an ARN named one.
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

    /// The ARN, where the account is known.
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

/// The ARN of a Lambda function, without a version or an alias: what it names goes on when those are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionArn {
    text: String,
    /// The account that it runs in.
    pub account: String,
}

impl FunctionArn {
    /// Reads a function's ARN; a version or an alias in it is left out.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let fields = Fields::parse(text)?;
        let mut resource = fields.resource.split(':');
        match (fields.service, resource.next(), resource.next()) {
            ("lambda", Some("function"), Some(name)) => Ok(Self {
                text: format!("arn:{}:lambda:{}:{}:function:{name}", fields.partition, fields.region, fields.account),
                account: account(fields.account)?,
            }),
            _ => malformed(format!("`{text}` is not the ARN of a Lambda function")),
        }
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The function's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.rsplit(':').next().unwrap_or_default()
    }
}

/// What an IAM principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// An IAM role.
    Role,
    /// An IAM user.
    User,
}

/// The ARN of an IAM role or user, with its path: what an access entry can be made for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrincipalArn {
    text: String,
    /// The partition it lives in.
    pub partition: Partition,
    /// The account it lives in.
    pub account: String,
    /// Role or user.
    pub kind: PrincipalKind,
    /// The name, without the path: unique in the account.
    pub name: String,
}

impl PrincipalArn {
    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The username that EKS gives to an entry that was made without one.
    /// Source: "Create access entries" in the EKS User Guide.
    #[must_use]
    pub fn default_username(&self) -> String {
        match self.kind {
            PrincipalKind::User => self.text.clone(),
            PrincipalKind::Role => {
                format!("arn:{}:sts::{}:assumed-role/{}/{{{{SessionName}}}}", self.partition, self.account, self.name)
            }
        }
    }

    /// Reads the ARN of a role or a user.
    ///
    /// # Errors
    /// If it is malformed, or names something that cannot be let in.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        match Principal::parse(text)? {
            Principal::Iam(arn) => Ok(arn),
            Principal::Session(_) => malformed(format!("`{text}` is a session; its role's ARN is wanted here")),
        }
    }
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A session of an assumed role. Its ARN lacks the role's path, so the role has to be looked up by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionArn {
    /// The partition it lives in.
    pub partition: Partition,
    /// The account of the role.
    pub account: String,
    /// The role's name: unique in its account, whatever the path.
    pub role_name: String,
}

/// The name of the permission set whose role has that name: IAM Identity Center names them
/// `AWSReservedSSO_SET_0123456789abcdef`, and gives a set that is provisioned again another suffix ("Referencing permission sets
/// in resource policies" in the IAM Identity Center User Guide).
#[must_use]
pub fn permission_set(role_name: &str) -> Option<&str> {
    let (set, suffix) = role_name.strip_prefix("AWSReservedSSO_")?.rsplit_once('_')?;
    (suffix.len() == 16 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(set)
}

/// The principal that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A role or a user, by its own ARN.
    Iam(PrincipalArn),
    /// A session, to be resolved to its role.
    Session(SessionArn),
}

impl Principal {
    /// Reads the ARN of a role, a user or a role's session.
    ///
    /// # Errors
    /// If it is malformed, or names something that cannot be let in: EKS takes the account's root and
    /// gives it nothing (aws-iam-authenticator issue 797), and refuses the others.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let fields = Fields::parse(text)?;
        let account = account(fields.account)?;
        if !fields.region.is_empty() {
            return malformed(format!("`{text}` names a region; the ARN of an IAM principal has none"));
        }
        let resource = fields.resource;
        match (fields.service, resource.split_once('/')) {
            ("iam", Some(("role", rest))) => {
                if rest.starts_with("aws-service-role/") {
                    return malformed(format!(
                        "`{text}` is a service-linked role; EKS manages the access of those itself"
                    ));
                }
                Self::iam(text, &fields, account, PrincipalKind::Role, rest)
            }
            ("iam", Some(("user", rest))) => Self::iam(text, &fields, account, PrincipalKind::User, rest),
            ("sts", Some(("assumed-role", rest))) => match rest.split_once('/') {
                Some((role, session)) if iam_name(role, 64) && iam_name(session, 64) => {
                    Ok(Self::Session(SessionArn { partition: fields.partition, account, role_name: role.to_owned() }))
                }
                _ => malformed(format!(
                    "`{text}` is not a session ARN; one looks like `arn:aws:sts::111122223333:assumed-role/NAME/SESSION`"
                )),
            },
            ("iam", None) if resource == "root" => malformed(format!(
                "`{text}` is the account's root, which an access entry does not let in; name a role or a user"
            )),
            ("iam", Some(("group", _))) => {
                malformed(format!("`{text}` is an IAM group, which an access entry cannot name; name a role or a user"))
            }
            ("sts", Some(("federated-user", _))) => malformed(format!(
                "`{text}` is a federated user, which an access entry cannot name; name the role or user behind it"
            )),
            _ => malformed(format!(
                "`{text}` is not the ARN of an IAM role, an IAM user or a role's session; one looks like `arn:aws:iam::111122223333:role/NAME`"
            )),
        }
    }

    fn iam(
        text: &str,
        fields: &Fields<'_>,
        account: String,
        kind: PrincipalKind,
        path_and_name: &str,
    ) -> Result<Self, Malformed> {
        let (path, name) = match path_and_name.rsplit_once('/') {
            Some((path, name)) => (Some(path), name),
            None => (None, path_and_name),
        };
        if !iam_name(name, 64) || !path.is_none_or(iam_path) {
            return malformed(format!(
                "`{text}` is not the ARN of an IAM principal that this function takes: its path and name have no characters but letters, digits and `+=,.@_-`"
            ));
        }
        Ok(Self::Iam(PrincipalArn {
            text: text.to_owned(),
            partition: fields.partition,
            account,
            kind,
            name: name.to_owned(),
        }))
    }

    /// The partition it lives in.
    #[must_use]
    pub fn partition(&self) -> Partition {
        match self {
            Self::Iam(arn) => arn.partition,
            Self::Session(session) => session.partition,
        }
    }
}

/// Names of roles, users and sessions. Source: the IAM and STS API references.
fn iam_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}

/// Paths, without the slashes at both ends. IAM takes any printable ASCII. Here a path is made of what names are made of, for it
/// is held against patterns: a colon in it would look like a field of the ARN, `..` and `%` like another path.
fn iam_path(text: &str) -> bool {
    let segment = |segment: &str| iam_name(segment, 510) && segment != "." && segment != "..";
    text.len() <= 510 && text.split('/').all(segment)
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
