//! Another account: a role there, assumed for one request alone, and kept between invocations for as long as its credentials are good,
//! because a request is often sent again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use jiff::Timestamp;

use super::Aws;
use super::sts::SESSION_SECONDS;
use crate::domain::api_error::ApiError;
use crate::domain::region::Region;

/// Credentials that end sooner are renewed: an invocation may last for a quarter of an hour.
const LEFT_AT_LEAST: Duration = Duration::from_mins(16);
/// So many sessions are kept; a fleet may go through thousands of them in one environment.
const MOST_SESSIONS: usize = 64;

/// A role in another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetAccount {
    /// The account.
    pub id: String,
    /// The role to assume there.
    pub role_arn: String,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
    /// What the session may do of what the role may do.
    pub policy: String,
}

impl TargetAccount {
    /// What a session is kept under: sessions of two requests must not be mixed up.
    fn key(&self) -> String {
        format!("{} {}", self.role_arn, self.policy)
    }
}

/// The sessions in other accounts, by role and policy.
pub(super) type Sessions = Mutex<BTreeMap<String, Credentials>>;

impl Aws {
    /// The same in another account.
    ///
    /// # Errors
    /// If the role there does not trust the function, or the function isn't allowed to assume it.
    pub async fn in_account(&self, target: &TargetAccount, region: &Region, now: Timestamp) -> Result<Self, ApiError> {
        let (shared, key) = (&self.connection.0, target.key());
        let known = shared.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let session = if let Some(session) = known.filter(|session| lasts(session, now)) {
            session
        } else {
            let external_id = target.external_id.as_deref();
            let session =
                self.home().assume_role(&target.role_arn, external_id, &target.policy, SESSION_SECONDS).await?;
            let mut accounts = shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            if accounts.len() >= MOST_SESSIONS {
                accounts.clear();
            }
            // Clients go with the credentials that they were built with.
            let mut regional = shared.regional.lock().unwrap_or_else(PoisonError::into_inner);
            regional.retain(|(session, _), _| {
                session.as_ref().is_none_or(|session| *session != key && accounts.contains_key(session))
            });
            accounts.insert(key.clone(), session.clone());
            session
        };
        let config = || {
            let credentials = SharedCredentialsProvider::new(session.clone());
            shared.config(region).into_builder().credentials_provider(credentials).build()
        };
        let clients = shared.kept(Some(&key), region, config);
        Ok(Self { clients, session: Some(session), ..self.clone() })
    }

    /// The same in the function's own account and region; `None` if this is the function's own account.
    #[must_use]
    pub fn at_home(&self) -> Option<Self> {
        self.session.as_ref().map(|_| self.home())
    }

    /// The cluster's region may be one that the function's own account has not opted in to ("Managing STS in an AWS Region" in the IAM
    /// User Guide). Credentials of one region hold in all.
    pub(super) fn home(&self) -> Self {
        let shared = &self.connection.0;
        Self { clients: shared.kept(None, &shared.home, || shared.config(&shared.home)), session: None, ..self.clone() }
    }
}

fn lasts(session: &Credentials, now: Timestamp) -> bool {
    let needed = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_second().unsigned_abs()) + LEFT_AT_LEAST;
    session.expiry().is_some_and(|end| end > needed)
}
