//! Carries out what was decided: observe, plan, execute, observe. Adds no choice.

pub mod accounts;
pub mod context;
pub mod execute;
pub mod grant;
pub mod inspect;
pub mod instance_role;
pub mod mode_change;
pub mod observe;
pub mod reconcile;
pub mod recorder;
pub mod recreate_entry;
pub mod resolve;
pub mod revoke;
pub mod unneeded_schedule;
pub mod verify;
