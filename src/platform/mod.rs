//! The time and the log.

pub mod clock;
pub mod log;
pub mod sdk_log;
