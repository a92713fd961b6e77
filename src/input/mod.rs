//! What comes in: the event and the settings, strictly read.

pub mod event;
pub mod settings;
pub mod strict_json;
