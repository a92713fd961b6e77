//! IAM principals, as ARNs name them: which can be granted access, and which cannot.

use std::fmt;

use crate::domain::arn::{Fields, account};
use crate::domain::parse_error::{Malformed, malformed};
use crate::domain::region::{Partition, Region};

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

    /// The IAM path without the slashes at both ends; empty for a principal that has none.
    #[must_use]
    pub fn path(&self) -> &str {
        let resource = self.text.splitn(6, ':').nth(5).unwrap_or_default();
        let below_kind = resource.split_once('/').map_or("", |(_, rest)| rest);
        below_kind.rsplit_once('/').map_or("", |(path, _)| path)
    }

    /// The IAM Identity Center permission set that the role belongs to, by its whole ARN.
    #[must_use]
    pub fn permission_set(&self) -> Option<&str> {
        let below = self.path().strip_prefix(IDENTITY_CENTER_PATH)?;
        let in_region = below.strip_prefix('/').is_some_and(|region| Region::parse(region).is_ok());
        let is_own = self.kind == PrincipalKind::Role && (below.is_empty() || in_region);
        permission_set_in_name(&self.name).filter(|_| is_own)
    }

    /// Whether the role has a name as IAM Identity Center gives it, but isn't one of its roles.
    #[must_use]
    pub fn looks_like_identity_center(&self) -> bool {
        self.name.starts_with("AWSReservedSSO_") && self.permission_set().is_none()
    }

    /// Reads the ARN of a role or a user.
    ///
    /// # Errors
    /// If it is malformed, or names something that can't be granted access.
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
    /// The session's name; EC2 names it after the instance.
    pub session_name: String,
}

impl SessionArn {
    /// Whether EC2 has named the session after an instance (`i-0123456789abcdef0`).
    #[must_use]
    pub fn is_of_instance(&self) -> bool {
        self.session_name
            .strip_prefix("i-")
            .is_some_and(|id| (8..=17).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }
}

/// The IAM path that roles of IAM Identity Center have, with or without a region below it. Source: "Referencing permission sets in
/// resource policies" in the IAM Identity Center User Guide.
const IDENTITY_CENTER_PATH: &str = "aws-reserved/sso.amazonaws.com";

/// The permission set that a name of the form `AWSReservedSSO_SET_0123456789abcdef` names. Anybody can create a role with such a name:
/// only [`PrincipalArn::permission_set`], which reads the whole ARN, proves that the role is Identity Center's.
#[must_use]
pub fn permission_set_in_name(role_name: &str) -> Option<&str> {
    let (set, suffix) = role_name.strip_prefix("AWSReservedSSO_")?.rsplit_once('_')?;
    (!set.is_empty() && suffix.len() == 16 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(set)
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
    /// If it is malformed, or names something that cannot be granted access: EKS takes the account's root and
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
                Some((role, session)) if iam_name(role, 64) && iam_name(session, 64) => Ok(Self::Session(SessionArn {
                    partition: fields.partition,
                    account,
                    role_name: role.to_owned(),
                    session_name: session.to_owned(),
                })),
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
                "`{text}` is not the ARN of an IAM principal: a name has up to 64 letters, digits and characters of `+=,.@_-`, and a path up to 510 printable ASCII characters"
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

/// Paths, without the slashes at both ends: any printable ASCII. Source: `Path` in the IAM API reference.
fn iam_path(text: &str) -> bool {
    (1..=510).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
