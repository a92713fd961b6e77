//! Another account: a role there, taken on, and kept between invocations for as long as its credentials are good.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use jiff::Timestamp;

use super::{ApiError, Aws};
use crate::region::Region;

/// Credentials that end sooner are renewed: an invocation may last for a quarter of an hour.
const LEFT_AT_LEAST: Duration = Duration::from_mins(16);
/// So many accounts are kept; a fleet may go through thousands of them in one environment.
const MOST_ACCOUNTS: usize = 64;

/// A role in another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetAccount {
    /// The account.
    pub id: String,
    /// The role to take on there.
    pub role_arn: String,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
}

/// The sessions in other accounts, by account.
pub(super) type Sessions = Mutex<BTreeMap<String, Credentials>>;

impl Aws {
    /// The same in another account.
    ///
    /// # Errors
    /// If the role there does not trust the function, or the function may not take it on.
    pub async fn in_account(&self, target: &TargetAccount, region: &Region, now: Timestamp) -> Result<Self, ApiError> {
        let shared = &self.connection.0;
        let known = shared.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&target.id).cloned();
        let session = if let Some(session) = known.filter(|session| lasts(session, now)) {
            session
        } else {
            // The cluster's region may be one that the function's own account has not opted in to ("Managing STS in an AWS Region" in
            // the IAM User Guide). Credentials of one region hold in all.
            let at_home =
                Self { clients: shared.kept(None, &shared.home, || shared.config(&shared.home)), ..self.clone() };
            let session = at_home.assume_role(&target.role_arn, target.external_id.as_deref(), None).await?;
            let mut accounts = shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            if accounts.len() >= MOST_ACCOUNTS {
                accounts.clear();
            }
            // Clients go with the credentials that they were made with.
            let mut regional = shared.regional.lock().unwrap_or_else(PoisonError::into_inner);
            regional.retain(|(account, _), _| {
                account.as_ref().is_none_or(|account| *account != target.id && accounts.contains_key(account))
            });
            accounts.insert(target.id.clone(), session.clone());
            session
        };
        let config = || {
            let credentials = SharedCredentialsProvider::new(session.clone());
            shared.config(region).into_builder().credentials_provider(credentials).build()
        };
        let clients = shared.kept(Some(&target.id), region, config);
        Ok(Self { clients, session: Some(session), ..self.clone() })
    }
}

fn lasts(session: &Credentials, now: Timestamp) -> bool {
    let needed = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_second().unsigned_abs()) + LEFT_AT_LEAST;
    session.expiry().is_some_and(|end| end > needed)
}
