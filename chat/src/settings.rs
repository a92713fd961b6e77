//! The chat function's settings: environment variables, read and checked once at start.

use std::collections::BTreeMap;

use eks_break_glass::domain::region::Region;
use eks_break_glass::input::settings::{Misconfigured, Reader};
use eks_break_glass::platform::log::Level;

/// Where Slack takes messages for a `response_url`. Source: "Handling user interaction" in Slack's documentation.
const RESPONSE_HOST: &str = "hooks.slack.com";
/// Where Slack's Web API is.
const API: &str = "https://slack.com/api";

/// What the operator has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `AWS_REGION`: where the function runs.
    pub region: Region,
    /// `SLACK_SECRET_ARN`: the secret that Slack's requests are checked with.
    pub secret: String,
    /// `SLACK_RESPONSE_HOSTS`: the only hosts that messages are posted to.
    pub response_hosts: Vec<String>,
    /// `SLACK_API_URL`.
    pub api: String,
    /// `LOG_LEVEL`.
    pub log_level: Level,
    /// The rest. If it is wrong, the user who asks is known, and gets the reason.
    pub rules: Result<Rules, Misconfigured>,
}

/// Who may do what, and what their words mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `RECOVER_STATE_MACHINE_ARN`: the workflow.
    pub state_machine: String,
    /// `CHAT_APPROVERS`: the users.
    pub approvers: Vec<String>,
    /// `CHAT_APPROVERS`: the user groups.
    pub approver_groups: Vec<String>,
    /// `SLACK_TEAMS`: the workspaces that may use it; empty: any that the signature vouches for.
    pub teams: Vec<String>,
    /// `CHAT_ALIASES`.
    pub aliases: Aliases,
}

/// Short names for clusters and principals.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aliases {
    /// What clusters are called.
    pub clusters: BTreeMap<String, String>,
    /// What principals are called; a Slack user's id is what `me` stands for.
    pub principals: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the settings through `lookup`, which answers with an environment variable's value.
    ///
    /// # Errors
    /// If nobody who asks could be known, or answered: all that is wrong with that, and with the rest.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Misconfigured> {
        let rules = Rules::read(&lookup);
        let mut reader = Reader::new(lookup);
        let region = reader.parsed("AWS_REGION", Region::parse);
        let secret = reader.text("SLACK_SECRET_ARN");
        let hosts = reader.parsed("SLACK_RESPONSE_HOSTS", |text| {
            let hosts = entries(text);
            match hosts.iter().find(|host| !is_host(host)) {
                Some(host) => Err(format!("`{host}` is no host; one looks like `{RESPONSE_HOST}`")),
                None => Ok(hosts),
            }
        });
        let level = reader.parsed("LOG_LEVEL", str::parse::<Level>);
        let api = reader.text("SLACK_API_URL").unwrap_or_else(|| API.to_owned());
        for (name, there) in [("AWS_REGION", region.is_some()), ("SLACK_SECRET_ARN", secret.is_some())] {
            if !there && reader.text(name).is_none() {
                reader.wrong.push(format!("`{name}` is not set"));
            }
        }
        match (region, secret) {
            (Some(region), Some(secret)) if reader.wrong.is_empty() => Ok(Self {
                region,
                secret,
                response_hosts: hosts.unwrap_or_else(|| vec![RESPONSE_HOST.to_owned()]),
                api: api.trim_end_matches('/').to_owned(),
                log_level: level.unwrap_or(Level::Info),
                rules,
            }),
            _ => {
                let mut wrong = reader.wrong;
                wrong.extend(rules.err().into_iter().flat_map(|rules| rules.0));
                Err(Misconfigured(wrong))
            }
        }
    }
}

impl Rules {
    fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Misconfigured> {
        let mut reader = Reader::new(lookup);
        let state_machine = reader.arn("RECOVER_STATE_MACHINE_ARN", "states");
        if reader.text("RECOVER_STATE_MACHINE_ARN").is_none() {
            reader.wrong.push("`RECOVER_STATE_MACHINE_ARN` is not set".to_owned());
        }
        let may_approve = ids(&mut reader, "CHAT_APPROVERS", &["U", "W", "S"]);
        let (approver_groups, approvers) = may_approve.into_iter().partition(|id| id.starts_with('S'));
        let teams = ids(&mut reader, "SLACK_TEAMS", &["T", "E"]);
        let aliases = reader.parsed("CHAT_ALIASES", |text| serde_json::from_str::<Aliases>(text));
        match state_machine {
            Some(state_machine) if reader.wrong.is_empty() => {
                Ok(Self { state_machine, approvers, approver_groups, teams, aliases: aliases.unwrap_or_default() })
            }
            _ => Err(Misconfigured(reader.wrong)),
        }
    }
}

fn entries(text: &str) -> Vec<String> {
    text.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
}

/// Slack's ids. Source: "Slack object types" in Slack's documentation.
fn ids<L: Fn(&str) -> Option<String>>(reader: &mut Reader<L>, name: &str, kinds: &[&str]) -> Vec<String> {
    let read = reader.parsed(name, |text| {
        let ids = entries(text);
        match ids.iter().find(|id| !is_id(id) || !kinds.iter().any(|kind| id.starts_with(kind))) {
            Some(id) => Err(format!("`{id}` is no id of Slack that begins with {}", kinds.join(" or "))),
            None => Ok(ids),
        }
    });
    read.unwrap_or_default()
}

/// Whether a text has the shape of an id that Slack gives: nothing in it means anything in a message, in a URL, or in a log.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (2..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':');
    !text.is_empty() && text.bytes().all(allowed) && (is_loopback(text) || !text.contains(':'))
}

/// Whether a host is a server of this machine, as tests have one: the only kind that may do without TLS.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.strip_prefix("127.0.0.1:").is_some_and(|port| port.parse::<u16>().is_ok())
}
