//! Every decision, without I/O: what the guardrails allow, whose access it is, when it ends, what to do, what is wrong.

pub mod access_review;
pub mod diagnosis;
pub mod expiry;
pub mod guardrails;
pub mod history;
pub mod ownership;
pub mod plan;
pub mod session_policy;
