//! IAM: whether a principal exists, since when, under which path, and which services may assume it.

use std::collections::BTreeMap;

use aws_sdk_iam::primitives::DateTime;

use super::complete::Complete;
use super::trust_policy::trusted_services;
use super::{Aws, timestamp};
use crate::domain::api_error::ApiError;
use crate::domain::identity::Identity;
use crate::domain::operation::Operation;
use crate::domain::principal::{PrincipalArn, PrincipalKind};

/// The most that IAM puts into one page. Source: `ListRoles` in the IAM API reference.
const MAX_ITEMS: i32 = 1000;

impl Aws {
    /// A role or user of the account, by its name.
    ///
    /// # Errors
    /// [`ApiErrorKind::PrincipalNotFound`](super::ApiErrorKind::PrincipalNotFound) if there is none.
    pub async fn get_identity(&self, kind: PrincipalKind, name: &str) -> Result<Identity, ApiError> {
        match kind {
            PrincipalKind::Role => self.get_role(name).await,
            PrincipalKind::User => self.get_user(name).await,
        }
    }

    /// A role of the account, by its name.
    ///
    /// # Errors
    /// [`ApiErrorKind::PrincipalNotFound`](super::ApiErrorKind::PrincipalNotFound) if there is none.
    pub async fn get_role(&self, name: &str) -> Result<Identity, ApiError> {
        let operation = Operation::GetRole;
        let call = self.iam().get_role().role_name(name).customize().interceptor(Complete::xml(operation)).send();
        let role = self.answer(operation, call).await?.role;
        let role = role.ok_or_else(|| ApiError::unreadable(operation, "it has no role"))?;
        identity(operation, &role.arn, &role.create_date, role.assume_role_policy_document.as_deref())
    }

    /// A user of the account, by its name.
    ///
    /// # Errors
    /// [`ApiErrorKind::PrincipalNotFound`](super::ApiErrorKind::PrincipalNotFound) if there is none.
    pub async fn get_user(&self, name: &str) -> Result<Identity, ApiError> {
        let operation = Operation::GetUser;
        let call = self.iam().get_user().user_name(name).customize().interceptor(Complete::xml(operation)).send();
        let user = self.answer(operation, call).await?.user;
        let user = user.ok_or_else(|| ApiError::unreadable(operation, "it has no user"))?;
        identity(operation, &user.arn, &user.create_date, None)
    }

    /// All roles of the account, by their names, without service-linked roles.
    ///
    /// # Errors
    /// If IAM doesn't answer completely.
    pub async fn list_roles(&self) -> Result<BTreeMap<String, Identity>, ApiError> {
        let operation = Operation::ListRoles;
        let (mut all, mut marker) = (BTreeMap::new(), None);
        loop {
            let call = self.iam().list_roles().max_items(MAX_ITEMS).set_marker(marker);
            let call = call.customize().interceptor(Complete::xml(operation)).send();
            let page = self.answer(operation, call).await?;
            all.extend(page.roles.iter().filter_map(|role| {
                let policy = role.assume_role_policy_document.as_deref();
                let identity = identity(operation, &role.arn, &role.create_date, policy).ok()?;
                Some((identity.arn.name.clone(), identity))
            }));
            marker = next_marker(operation, page.is_truncated, page.marker)?;
            if marker.is_none() {
                return Ok(all);
            }
        }
    }

    /// All users of the account, by their names.
    ///
    /// # Errors
    /// If IAM doesn't answer completely.
    pub async fn list_users(&self) -> Result<BTreeMap<String, Identity>, ApiError> {
        let operation = Operation::ListUsers;
        let (mut all, mut marker) = (BTreeMap::new(), None);
        loop {
            let call = self.iam().list_users().max_items(MAX_ITEMS).set_marker(marker);
            let call = call.customize().interceptor(Complete::xml(operation)).send();
            let page = self.answer(operation, call).await?;
            all.extend(page.users.iter().filter_map(|user| {
                let identity = identity(operation, &user.arn, &user.create_date, None).ok()?;
                Some((identity.arn.name.clone(), identity))
            }));
            marker = next_marker(operation, page.is_truncated, page.marker)?;
            if marker.is_none() {
                return Ok(all);
            }
        }
    }
}

fn identity(
    operation: Operation,
    arn: &str,
    created_at: &DateTime,
    trust_policy: Option<&str>,
) -> Result<Identity, ApiError> {
    // The SDK puts an empty text and the epoch in the place of what is absent.
    let created_at = Some(created_at).filter(|created_at| created_at.secs() > 0).and_then(timestamp);
    let (Some(created_at), false) = (created_at, arn.is_empty()) else {
        return Err(ApiError::unreadable(operation, "a principal is incomplete"));
    };
    let arn = PrincipalArn::parse(arn).map_err(|why| ApiError::unfit(operation, &why))?;
    Ok(Identity { arn, created_at, trusted_services: trust_policy.and_then(trusted_services) })
}

/// Where the next page begins.
fn next_marker(operation: Operation, is_truncated: bool, marker: Option<String>) -> Result<Option<String>, ApiError> {
    match marker.filter(|marker| !marker.is_empty()) {
        None if is_truncated => Err(ApiError::unreadable(operation, "the list is truncated, and there is no marker")),
        marker => Ok(marker),
    }
}
