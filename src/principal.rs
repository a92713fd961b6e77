//! IAM principals, as ARNs name them: who can be let in, and who cannot.

use std::fmt;

use crate::arn::{Fields, Malformed, account, malformed};
use crate::region::Partition;

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
