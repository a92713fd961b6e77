//! IAM: whether a principal exists, since when, and under which path.

use jiff::Timestamp;

use super::eks::timestamp;
use super::{ApiError, Aws, Operation};
use crate::arn::{PrincipalArn, PrincipalKind};

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
                let call = self.iam.get_role().role_name(name).send();
                let role = self.answer(Operation::GetRole, call).await?.role;
                let (arn, created_at) = role.map(|role| (role.arn, role.create_date)).unzip();
                (Operation::GetRole, arn, created_at)
            }
            PrincipalKind::User => {
                let call = self.iam.get_user().user_name(name).send();
                let user = self.answer(Operation::GetUser, call).await?.user;
                let (arn, created_at) = user.map(|user| (user.arn, user.create_date)).unzip();
                (Operation::GetUser, arn, created_at)
            }
        };
        let arn = arn.and_then(|arn| PrincipalArn::parse(&arn).ok());
        match (arn, created_at.as_ref().and_then(timestamp)) {
            (Some(arn), Some(created_at)) => Ok(Identity { arn, created_at }),
            _ => Err(ApiError::unreadable(operation, "a principal is incomplete")),
        }
    }
}
