//! Names of resources: ARNs, accounts and regions.

/// The account that everything is in unless it says otherwise.
pub const ACCOUNT: &str = "111122223333";

/// The region that everything is in unless it says otherwise.
pub const REGION: &str = "eu-west-1";

/// Account, region and name of what is given by its ARN, in which `kind` precedes the name, or by its name.
pub(crate) fn key_of(kind: &str, name: &str) -> (String, String, String) {
    let mut fields = name.splitn(6, ':').skip(3);
    let (region, account) = (fields.next().unwrap_or(REGION), fields.next().unwrap_or(ACCOUNT));
    let name = fields.next().and_then(|resource| resource.strip_prefix(kind)).unwrap_or(name);
    (account.to_owned(), region.to_owned(), name.to_owned())
}

/// The parts of a principal's ARN.
pub(crate) struct Resource<'a> {
    pub(crate) partition: &'a str,
    pub(crate) account: &'a str,
    /// `role`, `user` or `root`.
    pub(crate) kind: &'a str,
    /// Without the path.
    pub(crate) name: &'a str,
}

impl<'a> Resource<'a> {
    pub(crate) fn of(arn: &'a str) -> Self {
        let mut fields = arn.splitn(6, ':').skip(1);
        let partition = fields.next().unwrap_or_default();
        let account = fields.nth(2).unwrap_or_default();
        let resource = fields.next().unwrap_or_default();
        Self {
            partition,
            account,
            kind: resource.split('/').next().unwrap_or_default(),
            name: resource.rsplit('/').next().unwrap_or_default(),
        }
    }
}

/// The partition of a region ("Regions and partitions" in the AWS SDKs' reference guide).
pub(crate) fn partition_of(region: &str) -> &'static str {
    let prefixes = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    prefixes.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}
