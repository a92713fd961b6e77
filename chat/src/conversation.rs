//! Who speaks, and where they are answered: what the workflow carries along beside the event.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Verb;
use crate::settings::{is_id, is_loopback};
use crate::slack::signature::{seal, unseal};

/// How long a conversation is taken up again by the workflow: as long as Slack takes messages for its `response_url`.
/// Source: "Handling user interaction" in Slack's documentation: five messages in thirty minutes.
const LIFE: SignedDuration = SignedDuration::from_mins(30);
/// What the proof of a conversation is sealed for.
const PURPOSE: &str = "conversation";
/// The longest `response_url`.
const LONGEST_URL: usize = 1024;

/// A user of Slack, as Slack's signature vouches for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackUser {
    /// The workspace, or the organisation.
    pub team: String,
    /// The user.
    pub user: String,
}

impl SlackUser {
    /// A user by the two ids; `None` if they are no ids.
    #[must_use]
    pub fn new(team: &str, user: &str) -> Option<Self> {
        (is_id(team) && is_id(user)).then(|| Self { team: team.to_owned(), user: user.to_owned() })
    }
}

/// As it stands in `requestedBy`, in results and in the audit.
impl std::fmt::Display for SlackUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "slack:{}/{}", self.team, self.user)
    }
}

/// The conversation that an execution of the workflow belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The requester's workspace.
    pub team: String,
    /// The channel that they asked in.
    pub channel: String,
    /// The requester.
    pub user: String,
    /// What they asked for.
    pub command: Verb,
    /// Where Slack takes messages for it.
    pub response_url: String,
    /// The message that is replaced by the outcome, and whose thread the details go to.
    pub thread_ts: Option<String>,
    /// When it began, in seconds since 1970.
    #[serde(default)]
    pub began: i64,
    /// That this program has begun it, with just this event.
    #[serde(default)]
    pub proof: String,
}

impl Conversation {
    /// A conversation that a user begins by an act that Slack sent then; as yet without its proof.
    #[must_use]
    pub fn begin(
        user: &SlackUser,
        channel: &str,
        command: Verb,
        response_url: &str,
        thread_ts: Option<&str>,
        sent: Timestamp,
    ) -> Self {
        Self {
            team: user.team.clone(),
            channel: channel.to_owned(),
            user: user.user.clone(),
            command,
            response_url: response_url.to_owned(),
            thread_ts: thread_ts.map(str::to_owned),
            began: sent.as_second(),
            proof: String::new(),
        }
    }

    /// The same with its proof. Without one, a caller that may start the workflow could put words into the mouth of a user of Slack, and
    /// approve of them themselves.
    #[must_use]
    pub fn proved(self, secret: &str, event: &Value) -> Option<Self> {
        let claims = self.claims(event);
        let proof = seal(secret, PURPOSE, &claims)?.strip_suffix(&claims)?.to_owned();
        Some(Self { proof, ..self })
    }

    /// Whether this program has begun it, with this event, within the last half hour.
    #[must_use]
    pub fn is_proved(&self, secret: &str, event: &Value, now: Timestamp) -> bool {
        let began = Timestamp::from_second(self.began).ok();
        began.is_some_and(|began| now.duration_since(began).abs() <= LIFE)
            && unseal(secret, PURPOSE, &format!("{}{}", self.proof, self.claims(event))).is_some()
    }

    /// What the proof is about: all but the URL and the thread, which an approver's click replaces.
    fn claims(&self, event: &Value) -> String {
        let Self { team, channel, user, command, began, .. } = self;
        serde_json::json!({ "team": team, "channel": channel, "user": user, "command": command, "began": began, "event": event })
            .to_string()
    }

    /// Who asked.
    #[must_use]
    pub fn requester(&self) -> Option<SlackUser> {
        SlackUser::new(&self.team, &self.user)
    }
}

/// Whether messages may be posted there: over TLS, to one of the hosts that the settings name, and nowhere else. A server of this machine,
/// as tests have one, may do without TLS.
#[must_use]
pub fn may_post_to(url: &str, hosts: &[String]) -> bool {
    let (tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return false,
    };
    let host = rest.split('/').next().unwrap_or_default();
    // Compared as a whole: a user, a port, a query or a fragment in it make it another one.
    let printable = url.len() <= LONGEST_URL && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    printable && rest.len() > host.len() && hosts.iter().any(|allowed| allowed == host && (tls || is_loopback(allowed)))
}
