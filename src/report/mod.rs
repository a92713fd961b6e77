//! What goes out: the result, the kubeconfig, the announcement.

pub mod announcement;
pub mod announcement_text;
pub mod grant_report;
pub mod inspect_report;
pub mod kubeconfig;
pub mod next_steps;
pub mod outcome;
pub mod revoke_report;
