//! IAM: whether a principal exists, since when, and under which path.

use std::collections::BTreeMap;

use aws_sdk_iam::primitives::DateTime;
use jiff::Timestamp;

use super::eks::timestamp;
use super::{ApiError, Aws, Operation};
use crate::arn::{PrincipalArn, PrincipalKind};

/// The most that IAM puts into one page. Source: `ListRoles` in the IAM API reference.
const LONGEST_PAGE: i32 = 1000;

/// A role or user, as IAM knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its ARN, with its path.
    pub arn: PrincipalArn,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Aws {
    /// A role or user of the function's own account, by its name.
    ///
    /// # Errors
    /// [`Kind::PrincipalNotFound`](super::Kind::PrincipalNotFound) if there is none.
    pub async fn identity(&self, kind: PrincipalKind, name: &str) -> Result<Identity, ApiError> {
        let (operation, arn, created_at) = match kind {
            PrincipalKind::Role => {
                let call = self.clients.iam.get_role().role_name(name).send();
                let role = self.answer(Operation::GetRole, call).await?.role;
                let (arn, created_at) = role.map(|role| (role.arn, role.create_date)).unzip();
                (Operation::GetRole, arn, created_at)
            }
            PrincipalKind::User => {
                let call = self.clients.iam.get_user().user_name(name).send();
                let user = self.answer(Operation::GetUser, call).await?.user;
                let (arn, created_at) = user.map(|user| (user.arn, user.create_date)).unzip();
                (Operation::GetUser, arn, created_at)
            }
        };
        let (Some(arn), Some(created_at)) = (arn, created_at.as_ref().and_then(timestamp)) else {
            return Err(ApiError::unreadable(operation, "a principal is incomplete"));
        };
        let arn = PrincipalArn::parse(&arn).map_err(|why| ApiError::unfit(operation, &why))?;
        Ok(Identity { arn, created_at })
    }

    /// All roles, or all users, of the function's own account, by their names. Those that are AWS's own, which nobody uses, are not
    /// among them.
    ///
    /// # Errors
    /// If IAM does not say.
    pub async fn identities(&self, kind: PrincipalKind) -> Result<BTreeMap<String, Identity>, ApiError> {
        let mut all = BTreeMap::new();
        let mut add = |identity: Option<Identity>| all.extend(identity.map(|found| (found.arn.name.clone(), found)));
        match kind {
            PrincipalKind::Role => {
                let mut pages = self.clients.iam.list_roles().max_items(LONGEST_PAGE).into_paginator().send();
                while let Some(page) =
                    self.answer(Operation::ListRoles, async { pages.next().await.transpose() }).await?
                {
                    page.roles.iter().for_each(|role| add(read(&role.arn, &role.create_date)));
                }
            }
            PrincipalKind::User => {
                let mut pages = self.clients.iam.list_users().max_items(LONGEST_PAGE).into_paginator().send();
                while let Some(page) =
                    self.answer(Operation::ListUsers, async { pages.next().await.transpose() }).await?
                {
                    page.users.iter().for_each(|user| add(read(&user.arn, &user.create_date)));
                }
            }
        }
        Ok(all)
    }
}

fn read(arn: &str, created_at: &DateTime) -> Option<Identity> {
    Some(Identity { arn: PrincipalArn::parse(arn).ok()?, created_at: timestamp(created_at)? })
}
