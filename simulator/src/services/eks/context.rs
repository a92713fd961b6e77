//! What a call of EKS finds.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::state::caller::Delays;
use crate::state::principal::Principal;

/// What a call on a cluster needs to know beside it.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) id: u64,
    pub(crate) delays: Delays,
    pub(crate) quota: usize,
    pub(crate) principals: &'a BTreeMap<String, Principal>,
}
