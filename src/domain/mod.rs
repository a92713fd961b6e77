//! The nouns: what a cluster, a principal, an access entry, a scheduled revoke and a failure are. Imports nothing of the other folders.

pub mod access_entry;
pub mod access_scope;
pub mod api_error;
pub mod arn;
pub mod cluster;
pub mod codes;
pub mod failure;
pub mod identity;
pub mod observed_state;
pub mod operation;
pub mod parse_error;
pub mod principal;
pub mod record;
pub mod region;
pub mod sanitize;
pub mod scheduled_revoke;
pub mod step;
pub mod verification;
pub mod wildcard;
