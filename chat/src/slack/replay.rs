//! Requests that were answered already: within the five minutes that a signature holds, nobody can send one again.
//!
//! This is the memory of one instance of the function. To another one, a request that is sent again is new, and does no harm: an execution
//! has a name that follows from Slack's own name for the act, so it starts once; a task takes one answer; the rest changes nothing.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::slack::signature::{SignatureHeaders, WINDOW};

/// How many are remembered. Only requests that Slack has signed are.
const MOST: usize = 10_000;

/// The signatures that still hold, the oldest first.
#[derive(Debug, Default)]
pub struct ReplayCache(Mutex<BTreeSet<(Timestamp, [u8; 32])>>);

impl ReplayCache {
    /// Remembers a request; `false` if it was there already.
    pub fn is_new(&self, claim: &SignatureHeaders, now: Timestamp) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = seen.split_off(&(now - WINDOW, [0; 32]));
        if seen.len() >= MOST {
            seen.pop_first();
        }
        seen.insert((claim.sent, claim.signature))
    }
}
