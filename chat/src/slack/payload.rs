//! What Slack sends, once it is known to be Slack: commands and clicks.

use serde::Deserialize;
use serde_json::Value;

use crate::conversation::SlackUser;

/// The largest body that is looked at. A click brings its message along: fifty blocks of three thousand characters.
pub const LARGEST_BODY: usize = 512 * 1024;
/// The button that lets a request go ahead.
pub const APPROVE: &str = "break-glass-approve";
/// The button that ends it.
pub const REFUSE: &str = "break-glass-refuse";
/// The button that takes a grant back.
pub const UNDO: &str = "break-glass-undo";

/// A request by Slack.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// A user typed the command.
    Command(SlashCommand),
    /// A user clicked a button.
    ButtonClick(ButtonClick),
    /// Something else, which needs no answer.
    Other,
}

/// A command as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlashCommand {
    /// Who.
    pub user: SlackUser,
    /// Where.
    pub channel: String,
    /// What stands behind the command.
    pub text: String,
    /// Slack's name for this one act.
    pub trigger: String,
    /// Where Slack takes messages for it.
    pub response_url: String,
}

/// A click on a button.
#[derive(Debug, Clone, PartialEq)]
pub struct ButtonClick {
    /// Who.
    pub user: SlackUser,
    /// Where.
    pub channel: String,
    /// Which button.
    pub button: String,
    /// What it holds.
    pub value: String,
    /// Slack's name for this one act.
    pub trigger: String,
    /// Where Slack takes messages for it.
    pub response_url: String,
    /// The message that the button is on.
    pub message_ts: Option<String>,
    /// What that message says.
    pub blocks: Vec<Value>,
}

/// The fields of `block_actions` that matter here. Source: "`block_actions` payload" in Slack's documentation.
#[derive(Deserialize)]
struct Payload {
    r#type: String,
    user: Option<User>,
    team: Option<Named>,
    enterprise: Option<Named>,
    channel: Option<Named>,
    container: Option<Container>,
    message: Option<Message>,
    #[serde(default)]
    actions: Vec<Action>,
    trigger_id: Option<String>,
    response_url: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Container {
    message_ts: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    ts: Option<String>,
    #[serde(default)]
    blocks: Vec<Value>,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    #[serde(default)]
    value: String,
}

impl Incoming {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// If it is not what Slack's documentation says; what is missing.
    pub fn read(body: &[u8]) -> Result<Self, &'static str> {
        let form: Vec<_> = form_urlencoded::parse(body).collect();
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        if let Some(payload) = field("payload") {
            let payload = serde_json::from_str(payload).map_err(|_| "`payload` is not what it should be")?;
            return click(payload);
        }
        if field("command").is_none() {
            return Ok(Self::Other);
        }
        let team = field("team_id").or_else(|| field("enterprise_id")).unwrap_or_default();
        Ok(Self::Command(SlashCommand {
            user: SlackUser::new(team, field("user_id").unwrap_or_default()).ok_or("it does not say who typed it")?,
            channel: field("channel_id").unwrap_or_default().to_owned(),
            text: field("text").unwrap_or_default().to_owned(),
            trigger: field("trigger_id").ok_or("it has no `trigger_id`")?.to_owned(),
            response_url: field("response_url").ok_or("it has no `response_url`")?.to_owned(),
        }))
    }
}

fn click(payload: Payload) -> Result<Incoming, &'static str> {
    if payload.r#type != "block_actions" {
        return Ok(Incoming::Other);
    }
    let Some(action) = payload.actions.into_iter().find(|action| [APPROVE, REFUSE, UNDO].contains(&&*action.action_id))
    else {
        return Ok(Incoming::Other);
    };
    let user = payload.user.ok_or("it does not say who clicked")?;
    // In a channel that several workspaces share, the clicker's own.
    let team = user.team_id.or_else(|| Some(payload.team.or(payload.enterprise)?.id)).unwrap_or_default();
    let (ts, blocks) = payload.message.map_or((None, Vec::new()), |message| (message.ts, message.blocks));
    Ok(Incoming::ButtonClick(ButtonClick {
        user: SlackUser::new(&team, &user.id).ok_or("it does not say who clicked")?,
        channel: payload.channel.map(|channel| channel.id).unwrap_or_default(),
        button: action.action_id,
        value: action.value,
        trigger: payload.trigger_id.ok_or("it has no `trigger_id`")?,
        response_url: payload.response_url.ok_or("it has no `response_url`")?,
        message_ts: ts.or_else(|| payload.container?.message_ts),
        blocks,
    }))
}
