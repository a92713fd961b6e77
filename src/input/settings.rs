//! The function's settings: environment variables, read and checked once at start.

use jiff::SignedDuration;

use crate::domain::arn::{PolicyArn, account};
use crate::domain::codes::Setting;
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::principal::{PrincipalArn, PrincipalKind};
use crate::domain::region::{Partition, Region};
use crate::input::event;
use crate::platform::log::Level;

/// What the platform team has decided. Names, meanings and defaults are those of the README's table.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// `AWS_REGION`: where the function runs.
    pub region: Region,
    /// `ALLOWED_CLUSTERS`: patterns of names or ARNs.
    pub allowed_clusters: Vec<String>,
    /// `ALLOWED_PRINCIPALS`: patterns of ARNs; `None`: any principal of the cluster's own account.
    pub allowed_principals: Option<Vec<String>>,
    /// `ALLOWED_POLICIES`: bare names of access policies.
    pub allowed_policies: Vec<String>,
    /// `ALLOWED_GROUPS`: patterns of Kubernetes groups, and of `user:NAME` for custom usernames, that a recreated entry may keep.
    pub allowed_groups: Vec<String>,
    /// `ALLOWED_ACCOUNTS`: accounts, besides the function's own, whose clusters may be reached.
    pub allowed_accounts: Vec<String>,
    /// `ALLOW_AUTHENTICATION_MODE_CHANGE`.
    pub allow_authentication_mode_change: bool,
    /// `REQUIRE_REASON`.
    pub require_reason: bool,
    /// `DEFAULT_DURATION`.
    pub default_duration: Option<SignedDuration>,
    /// `MAX_DURATION`.
    pub max_duration: Option<SignedDuration>,
    /// `REQUIRE_APPROVAL`.
    pub require_approval: bool,
    /// `GRANTS_FROZEN`.
    pub grants_frozen: bool,
    /// `EMERGENCY_MAX_DURATION`; `None`: emergency grants are refused.
    pub emergency_max_duration: Option<SignedDuration>,
    /// `SCHEDULE_GROUP`, `SCHEDULE_ROLE_ARN`, `SCHEDULE_DLQ_ARN`: `None` if no revoke can be scheduled.
    pub schedule: Option<Schedule>,
    /// `EVENT_BUS`.
    pub event_bus: Option<String>,
    /// `TARGET_ROLE_NAME`, `TARGET_EXTERNAL_ID`: `None` if other accounts are out of reach.
    pub target_role: Option<TargetRole>,
    /// `LOG_LEVEL`.
    pub log_level: Level,
}

/// Where revokes are scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The schedule group's name.
    pub group: String,
    /// The role that EventBridge Scheduler takes on to invoke this function.
    pub role_arn: String,
    /// The queue for revokes that could not be delivered.
    pub dead_letter_arn: Option<String>,
}

/// The role to take on in another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRole {
    /// Its name, the same in every account.
    pub name: String,
    /// What its trust policy asks for as `sts:ExternalId`.
    pub external_id: Option<String>,
}

/// Every setting that is wrong, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Misconfigured(pub Vec<String>);

impl From<Misconfigured> for Failure {
    fn from(misconfigured: Misconfigured) -> Self {
        Self::new(
            ErrorName::Misconfigured,
            format!("The settings of this function are wrong: {misconfigured}."),
            "Ask the platform team to correct these environment variables (in the stack's parameters) and to deploy again.",
        )
    }
}

/// Reads settings one by one and keeps what is wrong with each, so that one look shows all of it.
#[derive(Debug)]
pub struct Reader<L> {
    lookup: L,
    /// What is wrong, so far.
    pub wrong: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// Reads through `lookup`, which answers with an environment variable's value.
    pub fn new(lookup: L) -> Self {
        Self { lookup, wrong: Vec::new() }
    }

    /// A setting's text; blank is the same as absent.
    pub fn text(&self, name: impl AsRef<str>) -> Option<String> {
        (self.lookup)(name.as_ref()).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A setting that `parse` reads; absent or wrong, none.
    pub fn parsed<T, E: std::fmt::Display>(
        &mut self,
        name: impl AsRef<str>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&self.text(&name)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong.push(format!("`{}`: {error}", name.as_ref()));
                None
            }
        }
    }

    /// A comma-separated list; absent, its default. See [`Self::optional_list`].
    fn list(&mut self, name: impl AsRef<str>, default: &str) -> Vec<String> {
        self.optional_list(name).unwrap_or_else(|| vec![default.to_owned()])
    }

    /// A comma-separated list. One that is set but empty is refused, because it could mean "nothing" and "everything".
    fn optional_list(&mut self, name: impl AsRef<str>) -> Option<Vec<String>> {
        let text = (self.lookup)(name.as_ref())?;
        let entries: Vec<_> =
            text.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect();
        if entries.is_empty() {
            self.wrong.push(format!("`{}`: the list is empty; remove the setting to get its default", name.as_ref()));
        }
        Some(entries)
    }

    fn flag(&mut self, name: impl AsRef<str>, default: bool) -> bool {
        self.parsed(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("`{text}` is neither `true` nor `false`")),
        })
        .unwrap_or(default)
    }

    /// An ARN of a service.
    pub fn arn(&mut self, name: impl AsRef<str>, service: &str) -> Option<String> {
        self.parsed(name, |text| {
            let mut fields = text.splitn(6, ':');
            match (fields.next(), fields.nth(1), fields.nth(2)) {
                (Some("arn"), Some(of), Some(_)) if of == service => Ok(text.to_owned()),
                _ => Err(format!("`{text}` is not an ARN of `{service}`")),
            }
        })
    }
}

impl Settings {
    /// Reads the settings through `lookup`, which answers with an environment variable's value.
    ///
    /// # Errors
    /// If any is wrong: all of those that are.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Misconfigured> {
        let mut reader = Reader::new(lookup);
        let region = reader.parsed("AWS_REGION", Region::parse);
        let settings = Self {
            allowed_clusters: reader.list(Setting::AllowedClusters, "*"),
            allowed_principals: reader.optional_list(Setting::AllowedPrincipals),
            allowed_policies: policies(&mut reader),
            allowed_groups: reader.optional_list(Setting::AllowedGroups).unwrap_or_default(),
            allowed_accounts: accounts(&mut reader),
            allow_authentication_mode_change: reader.flag(Setting::AllowAuthenticationModeChange, true),
            require_reason: reader.flag(Setting::RequireReason, false),
            default_duration: reader.parsed(Setting::DefaultDuration, event::duration),
            max_duration: reader.parsed(Setting::MaxDuration, event::duration),
            require_approval: reader.flag(Setting::RequireApproval, false),
            grants_frozen: reader.flag(Setting::GrantsFrozen, false),
            emergency_max_duration: emergency(&mut reader),
            schedule: schedule(&mut reader),
            event_bus: reader.parsed(Setting::EventBus, bus),
            target_role: target_role(&mut reader),
            log_level: reader.parsed(Setting::LogLevel, str::parse::<Level>).unwrap_or(Level::Info),
            region: match region {
                Some(region) => region,
                None if reader.wrong.is_empty() => {
                    return Err(Misconfigured(vec!["`AWS_REGION` is not set, which Lambda always does".to_owned()]));
                }
                None => return Err(Misconfigured(reader.wrong)),
            },
        };
        if let (Some(default), Some(max)) = (settings.default_duration, settings.max_duration)
            && default > max
        {
            reader.wrong.push("`DEFAULT_DURATION` is longer than `MAX_DURATION`".to_owned());
        }
        // Without a place for schedules, every grant would fail at run time.
        let said = |name: Setting| reader.text(name).is_some();
        if (said(Setting::DefaultDuration) || said(Setting::MaxDuration))
            && !(said(Setting::ScheduleGroup) && said(Setting::ScheduleRoleArn))
        {
            reader.wrong.push(
                "`DEFAULT_DURATION` and `MAX_DURATION` need `SCHEDULE_GROUP` and `SCHEDULE_ROLE_ARN`, because the end of an access is scheduled there"
                    .to_owned(),
            );
        }
        if reader.wrong.is_empty() { Ok(settings) } else { Err(Misconfigured(reader.wrong)) }
    }
}

/// Names and ARNs, made into names: the partition is that of the cluster of each request.
fn policies<L: Fn(&str) -> Option<String>>(reader: &mut Reader<L>) -> Vec<String> {
    let mut names = Vec::new();
    for entry in reader.list(Setting::AllowedPolicies, PolicyArn::CLUSTER_ADMIN) {
        let partition = entry.split(':').nth(1).and_then(|name| Partition::parse(name).ok()).unwrap_or(Partition::Aws);
        match PolicyArn::parse(&entry, partition) {
            Ok(policy) => names.push(policy.name().to_owned()),
            Err(error) => reader.wrong.push(format!("`ALLOWED_POLICIES`: {error}")),
        }
    }
    names
}

fn accounts<L: Fn(&str) -> Option<String>>(reader: &mut Reader<L>) -> Vec<String> {
    let mut accounts = Vec::new();
    for entry in reader.optional_list(Setting::AllowedAccounts).unwrap_or_default() {
        match account(&entry) {
            Ok(account) => accounts.push(account),
            Err(error) => reader.wrong.push(format!("`ALLOWED_ACCOUNTS`: {error}")),
        }
    }
    accounts
}

/// `0` refuses emergency grants; absent means an hour.
fn emergency<L: Fn(&str) -> Option<String>>(reader: &mut Reader<L>) -> Option<SignedDuration> {
    let parse = |text: &str| if text == "0" { Ok(None) } else { event::duration(text).map(Some) };
    reader.parsed(Setting::EmergencyMaxDuration, parse).unwrap_or(Some(SignedDuration::from_hours(1)))
}

fn schedule<L: Fn(&str) -> Option<String>>(reader: &mut Reader<L>) -> Option<Schedule> {
    let group = reader.parsed(Setting::ScheduleGroup, |text| name(text, 64, b"-_."));
    let role_arn = reader.parsed(Setting::ScheduleRoleArn, |text| match PrincipalArn::parse(text) {
        Ok(role) if role.kind == PrincipalKind::Role => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is not the ARN of an IAM role")),
    });
    let dead_letter_arn = reader.arn(Setting::ScheduleDlqArn, "sqs");
    let said = [Setting::ScheduleGroup, Setting::ScheduleRoleArn, Setting::ScheduleDlqArn]
        .map(|name| reader.text(name).is_some());
    if let [false, true, _] | [true, false, _] | [false, false, true] = said {
        reader.wrong.push(
            "`SCHEDULE_GROUP`, `SCHEDULE_ROLE_ARN`: one does not work without the other, nor `SCHEDULE_DLQ_ARN` without both"
                .to_owned(),
        );
    }
    Some(Schedule { group: group?, role_arn: role_arn?, dead_letter_arn })
}

/// A name of so many letters, digits and a few signs. Sources: the API references of EventBridge, EventBridge Scheduler and IAM.
fn name(text: &str, longest: usize, signs: &[u8]) -> Result<String, String> {
    let fits = text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err(format!("`{text}` is no such name")) }
}

/// A bus, by its name or its ARN.
fn bus(text: &str) -> Result<String, String> {
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [_] => name(text, 256, b"/._-"),
        ["arn", _, "events", _, _, bus] if bus.starts_with("event-bus/") => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is neither the name nor the ARN of an event bus")),
    }
}

fn target_role<L: Fn(&str) -> Option<String>>(reader: &mut Reader<L>) -> Option<TargetRole> {
    let external_id = reader.text(Setting::TargetExternalId);
    let said = reader.text(Setting::TargetRoleName).is_some();
    let Some(name) = reader.parsed(Setting::TargetRoleName, |text| name(text, 64, b"+=,.@_-")) else {
        if external_id.is_some() && !said {
            reader.wrong.push("`TARGET_EXTERNAL_ID` has no meaning without `TARGET_ROLE_NAME`".to_owned());
        }
        return None;
    };
    Some(TargetRole { name, external_id })
}
