//! IAM: whether a principal exists, since when, and under which path.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::call::{Call, Patience};
use super::endpoint::Service;
use super::{ApiError, Aws, Operation, PATIENCE, xml};
use crate::principal::{PrincipalArn, PrincipalKind};

/// The version of IAM's API.
const VERSION: &str = "2010-05-08";
/// The most that IAM puts into one page. Source: `ListRoles` in the IAM API reference.
const LONGEST_PAGE: &str = "1000";
/// IAM only adds to what is known, and cannot be reached at all from some VPCs: it gets little time.
const HASTE: Patience = Patience { one: Duration::from_secs(4), all: Duration::from_secs(4), ..PATIENCE };

/// A role or user, as IAM knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its ARN, with its path.
    pub arn: PrincipalArn,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What an answer says of roles or users.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// ARN and date of each.
    identities: Vec<(String, Option<String>)>,
    /// Where the next page begins, if there is one.
    marker: Option<String>,
}

impl Told {
    /// `None` where that is no whole answer.
    fn read(operation: Operation, xml: &[u8]) -> Option<Self> {
        // A list that was cut off on its way would look like a shorter one.
        if !xml.trim_ascii_end().ends_with(format!("</{operation}Response>").as_bytes()) {
            return None;
        }
        let mut told = Self::default();
        for (name, text) in xml::texts(xml, &["Arn", "CreateDate", "Marker"])? {
            match (name, told.identities.last_mut()) {
                ("Arn", _) => told.identities.push((text, None)),
                ("CreateDate", Some((_, created_at))) => *created_at = Some(text),
                ("Marker", _) => told.marker = Some(text),
                _ => return None,
            }
        }
        Some(told)
    }
}

impl Aws {
    /// A role or user of the function's own account, by its name.
    ///
    /// # Errors
    /// [`Kind::PrincipalNotFound`](super::Kind::PrincipalNotFound) if there is none.
    pub async fn identity(&self, kind: PrincipalKind, name: &str) -> Result<Identity, ApiError> {
        let (operation, parameter) = match kind {
            PrincipalKind::Role => (Operation::GetRole, "RoleName"),
            PrincipalKind::User => (Operation::GetUser, "UserName"),
        };
        let told = self.ask_iam(operation, &[(parameter, name)]).await?;
        let [(arn, Some(created_at))] = told.identities.as_slice() else {
            return Err(ApiError::unreadable(operation, "a principal is incomplete"));
        };
        let created_at = created_at.parse().map_err(|_| ApiError::unreadable(operation, "a principal has no date"))?;
        let arn = PrincipalArn::parse(arn).map_err(|why| ApiError::unfit(operation, &why))?;
        Ok(Identity { arn, created_at })
    }

    /// All roles, or all users, of the function's own account, by their names. Those that are AWS's own, which nobody uses, are not
    /// among them.
    ///
    /// # Errors
    /// If IAM does not say.
    pub async fn identities(&self, kind: PrincipalKind) -> Result<BTreeMap<String, Identity>, ApiError> {
        let operation = match kind {
            PrincipalKind::Role => Operation::ListRoles,
            PrincipalKind::User => Operation::ListUsers,
        };
        let mut all = BTreeMap::new();
        let mut marker = None;
        loop {
            let from = marker.as_deref().map(|marker| ("Marker", marker));
            let page: Vec<_> = from.into_iter().chain([("MaxItems", LONGEST_PAGE)]).collect();
            let told = self.ask_iam(operation, &page).await?;
            let identities = told.identities.iter().filter_map(|(arn, created_at)| {
                Some(Identity { arn: PrincipalArn::parse(arn).ok()?, created_at: created_at.as_ref()?.parse().ok()? })
            });
            all.extend(identities.map(|identity| (identity.arn.name.clone(), identity)));
            marker = told.marker;
            if marker.is_none() {
                return Ok(all);
            }
        }
    }

    async fn ask_iam(&self, operation: Operation, parameters: &[(&str, &str)]) -> Result<Told, ApiError> {
        let call = Call::query(Service::Iam, VERSION, &operation.to_string(), parameters);
        let endpoint = self.connection.0.endpoints.of(Service::Iam, &self.clients.region);
        let answer = self.answer(operation, call.send(&self.clients.config, &endpoint, HASTE)).await?;
        Told::read(operation, &answer).ok_or_else(|| ApiError::unreadable(operation, "it is no whole answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<?xml version=\"1.0\"?>\n<ListRolesResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
        <ListRolesResult><IsTruncated>true</IsTruncated><Marker>a&amp;b</Marker><Roles>\
        <member><Path>/x/</Path><Arn>arn:aws:iam::111122223333:role/x/one</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate>\
        <Description/><PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::aws:policy/P</PermissionsBoundaryArn>\
        </PermissionsBoundary></member>\
        <member><Arn>arn:aws:iam::111122223333:role/two</Arn><CreateDate>2026-01-02T03:04:06Z</CreateDate></member>\
        </Roles></ListRolesResult></ListRolesResponse>\n";

    #[test]
    fn a_page_of_roles_is_read_with_what_is_needed_of_each() {
        let told = Told::read(Operation::ListRoles, PAGE.as_bytes());
        let identity = |arn: &str, created_at: &str| (arn.to_owned(), Some(created_at.to_owned()));
        let identities = vec![
            identity("arn:aws:iam::111122223333:role/x/one", "2026-01-02T03:04:05Z"),
            identity("arn:aws:iam::111122223333:role/two", "2026-01-02T03:04:06Z"),
        ];
        assert_eq!(told, Some(Told { identities, marker: Some("a&b".to_owned()) }));
    }

    #[test]
    fn a_page_that_was_cut_off_anywhere_is_no_shorter_list() {
        let whole = PAGE.trim_end();
        for end in 0..whole.len() {
            assert_eq!(
                Told::read(Operation::ListRoles, whole.as_bytes().get(..end).unwrap_or_default()),
                None,
                "{end}"
            );
        }
    }

    #[test]
    fn what_another_operation_answers_is_no_answer() {
        assert_eq!(Told::read(Operation::ListUsers, PAGE.as_bytes()), None);
        assert_eq!(Told::read(Operation::ListRoles, b"{}"), None);
    }
}
