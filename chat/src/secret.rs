//! The secret that Slack's requests are checked with: kept for five minutes, and read again at once if a signature does not fit, so
//! that it can be rotated without a deployment.

use std::sync::{Arc, Mutex, PoisonError};

use eks_break_glass::aws::CallError;
use eks_break_glass::platform::clock::Deadline;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::aws::Aws;

/// How long it is kept: as long as the Parameters and Secrets extension keeps one.
const KEPT: SignedDuration = SignedDuration::from_mins(5);
/// How long a signature that does not fit has to wait for the next reading: noise must not cost calls.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// What the secret holds.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Slack's signing secret of the app.
    pub signing_secret: String,
    /// The app's bot token, for user groups.
    pub bot_token: Option<String>,
}

/// It must not reach a log.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads the secret's text: JSON, or the signing secret alone, which is hexadecimal.
    ///
    /// # Errors
    /// If it is other JSON, or is meant to be. Taken for the signing secret, it would fit no signature, and nobody would learn why.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.starts_with('{') {
            serde_json::from_str(text).map_err(|_| "the secret is JSON without a text `signingSecret`")
        } else {
            Ok(Self { signing_secret: text.to_owned(), bot_token: None })
        }
    }
}

/// The secret, once it was read.
#[derive(Debug, Default)]
pub struct SecretCache(Mutex<Option<(Timestamp, Arc<Secret>)>>);

impl SecretCache {
    /// The secret, at most five minutes old.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn current(
        &self,
        aws: &Aws,
        id: &str,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Arc<Secret>, CallError> {
        match self.younger_than(KEPT, now) {
            Some(secret) => Ok(secret),
            None => self.read(aws, id, now, deadline).await,
        }
    }

    /// The secret, read again for a signature that the kept one does not fit; `None` if that was done just now. What was kept
    /// before is not used any more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn renewed(
        &self,
        aws: &Aws,
        id: &str,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<Arc<Secret>>, CallError> {
        if self.younger_than(AGAIN_AFTER, now).is_some() {
            return Ok(None);
        }
        self.read(aws, id, now, deadline).await.map(Some)
    }

    async fn read(&self, aws: &Aws, id: &str, now: Timestamp, deadline: Deadline) -> Result<Arc<Secret>, CallError> {
        let text = aws.get_secret_value(id, deadline).await?;
        let secret = Secret::parse(&text).map_err(|why| CallError::Unanswered(why.to_owned()))?;
        let secret = Arc::new(secret);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&secret)));
        Ok(secret)
    }

    fn younger_than(&self, age: SignedDuration, now: Timestamp) -> Option<Arc<Secret>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(read, _)| now.duration_since(*read) < age).map(|(_, secret)| Arc::clone(secret))
    }
}
