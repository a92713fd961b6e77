//! The revoke that waits in a schedule, and what is known of it.

use jiff::Timestamp;
use serde_json::Value;

use super::access_scope::AccessScope;
use super::api_error::ApiError;

/// What was there before a grant: enough to restore it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// The version of this record. Revokes wait in schedules for weeks, so later versions of this program read all earlier ones.
    pub version: u32,
    /// Whether the principal had an access entry.
    pub entry_existed: bool,
    /// The scope that the policy had; `None`: it was not associated.
    pub access_scope: Option<AccessScope>,
}

impl Restore {
    /// The version that this program writes.
    pub const VERSION: u32 = 1;

    /// There was no entry: the grant made it.
    #[must_use]
    pub fn entry_created() -> Self {
        Self { version: Self::VERSION, entry_existed: false, access_scope: None }
    }

    /// There was an entry, and the policy had that scope in it, or none.
    #[must_use]
    pub fn entry_existed(access_scope: Option<AccessScope>) -> Self {
        Self { version: Self::VERSION, entry_existed: true, access_scope }
    }
}

/// The schedule of one grant: its name, and what it invokes, in which role.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the EventBridge Scheduler API")]
pub struct ScheduleTarget {
    pub name: String,
    pub group: String,
    pub role_arn: String,
    pub dead_letter_arn: Option<String>,
    pub target_arn: String,
}

/// A revoke that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRevoke {
    /// What it will restore.
    pub restore: Restore,
    /// When it is carried out.
    pub expires_at: Timestamp,
}

impl PendingRevoke {
    /// The event that the schedule sends: the grant's `undo`, and the expiry that it was scheduled for.
    #[must_use]
    pub fn input(&self, mut undo: Value) -> String {
        if let Some(event) = undo.as_object_mut() {
            event.insert("expiresAt".to_owned(), Value::String(self.expires_at.to_string()));
        }
        undo.to_string()
    }
}

/// What is known of the end of an access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpiryState {
    /// No end can be scheduled; why.
    Unavailable(String),
    /// Scheduler did not answer.
    Unknown(ApiError),
    /// None is scheduled; where it would be.
    Absent(ScheduleTarget),
    /// The revoke waits there, as this function has scheduled it.
    Pending(ScheduleTarget, PendingRevoke),
    /// There is a schedule, but not as this function would write it: the end is not certain.
    Altered(ScheduleTarget, Alteration),
}

/// How a schedule differs from what this function writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alteration {
    /// Each difference, as a clause.
    pub differences: Vec<String>,
    /// What its input says, if that is still this grant's revoke.
    pub revoke: Option<PendingRevoke>,
}

impl ExpiryState {
    /// The revoke that is certain to come.
    #[must_use]
    pub fn pending(&self) -> Option<&PendingRevoke> {
        match self {
            Self::Pending(_, revoke) => Some(revoke),
            _ => None,
        }
    }

    /// The revoke that was scheduled, even if its schedule was altered since.
    #[must_use]
    pub fn scheduled(&self) -> Option<&PendingRevoke> {
        match self {
            Self::Altered(_, Alteration { revoke, .. }) => revoke.as_ref(),
            _ => self.pending(),
        }
    }

    /// The schedule that there is.
    #[must_use]
    pub fn target(&self) -> Option<&ScheduleTarget> {
        match self {
            Self::Pending(target, _) | Self::Altered(target, _) => Some(target),
            _ => None,
        }
    }
}

/// When a one-time schedule fires. Source: "Schedule types in EventBridge Scheduler"; the time zone is UTC unless another is named.
#[must_use]
pub fn expression(at: Timestamp) -> String {
    format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// A schedule, as far as this function compares it with what it would write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// `ENABLED` or `DISABLED`.
    pub state: String,
    /// `at(2026-01-31T13:05:00)`.
    pub expression: String,
    /// The time zone of the expression; UTC if absent.
    pub timezone: Option<String>,
    /// Whom it calls.
    pub target_arn: String,
    /// The role that Scheduler assumes for the call.
    pub role_arn: String,
    /// What it sends; empty if there is none.
    pub input: String,
}
