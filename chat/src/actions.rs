//! What is done for each request: executions started, approvals passed on, messages posted.

use eks_break_glass::aws::CallError;
use eks_break_glass::decide::expiry::digest;
use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::handler::Failed;
use eks_break_glass::platform::clock::Deadline;
use eks_break_glass::platform::log::Level;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::approval::{self, Answer, ApprovalToken, RejectReason, Right};
use crate::audit::Audit;
use crate::aws::{Answered, Aws, Started};
use crate::command::{self, Command, Verb};
use crate::conversation::{Conversation, SlackUser, may_post_to};
use crate::message::{self, Ending, ephemeral};
use crate::secret::Secret;
use crate::settings::{Rules, Settings};
use crate::slack::client::Slack;
use crate::slack::mrkdwn::escape;
use crate::slack::payload::{APPROVE, ButtonClick, Incoming, REFUSE, SlashCommand};

/// How many hexadecimal digits tell executions apart. A name has at most 80 characters.
const NAME_DIGITS: usize = 32;

/// What serves one request.
pub(crate) struct Actions<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) rules: &'a Rules,
    pub(crate) aws: &'a Aws,
    pub(crate) slack: &'a Slack,
}

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) secret: &'a Secret,
    pub(crate) now: Timestamp,
    /// When Slack sent it.
    pub(crate) sent: Timestamp,
    pub(crate) deadline: Deadline,
}

/// What Slack is answered, and what the audit says.
pub(crate) struct Reply {
    pub(crate) body: Option<Value>,
    pub(crate) audit: Audit,
}

/// The workflow's request to ask for approval.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ask {
    task_token: String,
    event: Value,
    plan: Value,
    chat: Conversation,
    /// When the task gives up waiting.
    until: Option<Timestamp>,
}

/// The workflow's request to post the outcome.
#[derive(Deserialize)]
struct Tell {
    event: Value,
    result: Option<Value>,
    failure: Option<Failure>,
    approval: Option<Approved>,
    chat: Conversation,
}

/// An error, as Step Functions hands it on.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    error: String,
    #[serde(default)]
    cause: String,
}

#[derive(Deserialize)]
struct Approved {
    by: Option<String>,
}

impl Actions<'_> {
    /// Serves a request that Slack has signed.
    pub(crate) async fn serve(&self, incoming: &Incoming, call: &Call<'_>) -> Reply {
        match incoming {
            Incoming::Other => {
                Reply { body: None, audit: Audit::new(Level::Info, "IGNORED", json!({ "action": "other" })) }
            }
            Incoming::Command(typed) => match self.turned_away("command", &typed.user, &typed.response_url) {
                Some((words, audit)) => Reply { body: Some(ephemeral(words)), audit },
                None => self.command(typed, call).await,
            },
            // What a click is answered with, Slack shows to nobody.
            Incoming::ButtonClick(click) => match self.turned_away("click", &click.user, &click.response_url) {
                Some((_, audit)) => Reply { body: None, audit },
                None => self.click(click, call).await,
            },
        }
    }

    /// Why a user is not served at all.
    fn turned_away(&self, action: &str, user: &SlackUser, url: &str) -> Option<(&'static str, Audit)> {
        let (status, words) = if !self.rules.teams.is_empty() && !self.rules.teams.contains(&user.team) {
            ("TEAM_REFUSED", "Your workspace may not use this app (the setting `SLACK_TEAMS`). Nothing was done.")
        } else if !may_post_to(url, &self.settings.response_hosts) {
            (
                "RESPONSE_URL_REFUSED",
                "The answer would have to go where this app posts nothing (the setting `SLACK_RESPONSE_HOSTS`). Nothing was done.",
            )
        } else {
            return None;
        };
        let fields = json!({ "action": action, "requestedBy": user.to_string(), "errorMessage": words });
        Some((words, Audit::new(Level::Warn, status, fields)))
    }

    async fn command(&self, typed: &SlashCommand, call: &Call<'_>) -> Reply {
        let who = typed.user.to_string();
        let aliases = &self.rules.aliases;
        let (verb, event) = match command::parse(&typed.text, &typed.user.user, aliases, &self.settings.region) {
            Ok(Command::Run(verb, event)) => (verb, event),
            Ok(Command::Help) => {
                let fields = json!({ "action": "help", "requestedBy": who });
                return Reply { body: Some(message::help(aliases)), audit: Audit::new(Level::Info, "HELPED", fields) };
            }
            Err(misunderstood) => {
                let why = misunderstood.to_string();
                let fields = json!({ "action": "command", "requestedBy": who, "errorMessage": why });
                let audit = Audit::new(Level::Info, "MISUNDERSTOOD", fields);
                return Reply { body: Some(ephemeral(&escape(&why))), audit };
            }
        };
        let SlashCommand { user, channel, response_url, trigger, .. } = typed;
        let conversation = Conversation::begin(user, channel, verb, response_url, None, call.sent);
        let (started, audit) = self.start(event.clone(), user, conversation, trigger, call).await;
        let body = match started {
            Ok(name) => message::started(verb, &event, &name),
            Err(error) => ephemeral(&not_started(&error)),
        };
        Reply { body: Some(body), audit }
    }

    /// Starts the workflow for a user; the execution's name.
    async fn start(
        &self,
        mut event: Value,
        user: &SlackUser,
        conversation: Conversation,
        trigger: &str,
        call: &Call<'_>,
    ) -> (Result<String, CallError>, Audit) {
        let name = format!("slack-{}", digest(&[&user.team, trigger], NAME_DIGITS));
        let fields = json!({ "action": conversation.command, "execution": name, "channel": conversation.channel });
        let mut audit = Audit::new(Level::Error, "NOT_STARTED", fields);
        if let Some(event) = event.as_object_mut() {
            event.insert("requestedBy".to_owned(), json!(user.to_string()));
        }
        for field in ["clusterName", "principalArn", "policyArn", "duration", "reason", "requestedBy"] {
            audit.set(field, event.get(field).cloned().unwrap_or_default());
        }
        // Never without its conversation: the workflow could ask no approver.
        let Some(conversation) = conversation.proved(&call.secret.signing_secret, &event) else {
            return (Err(CallError::Unanswered("the signing secret cannot be used".to_owned())), audit);
        };
        if let Some(input) = event.as_object_mut() {
            input.insert("chat".to_owned(), json!(conversation));
        }
        match self.aws.start_execution(&self.rules.state_machine, &name, &event, call.deadline).await {
            Ok(started) => {
                audit.end(Level::Info, if started == Started::Now { "STARTED" } else { "ALREADY_STARTED" });
                (Ok(name), audit)
            }
            Err(error) => {
                audit.set("errorMessage", json!(error.to_string()));
                (Err(error), audit)
            }
        }
    }

    async fn click(&self, click: &ButtonClick, call: &Call<'_>) -> Reply {
        let (reply, mut audit) = match click.button.as_str() {
            APPROVE => self.answer(click, Answer::Approve, call).await,
            REFUSE => self.answer(click, Answer::Refuse, call).await,
            _ => self.undo(click, call).await,
        };
        // Lambda stops this program with its answer, so the message comes first.
        if let Err(why) = self.slack.post(&click.response_url, &reply, call.deadline).await {
            audit.set("notTold", json!(why));
        }
        Reply { body: None, audit }
    }

    /// An approver's click, or that of a user who is none.
    async fn answer(&self, click: &ButtonClick, answer: Answer, call: &Call<'_>) -> (Value, Audit) {
        let action = if answer == Answer::Approve { "approve" } else { "refuse" };
        let by = click.user.to_string();
        let ticket = ApprovalToken::unseal(&call.secret.signing_secret, &click.value);
        let fields = json!({
            "action": action,
            "by": by,
            "channel": click.channel,
            "requestedBy": ticket.as_ref().map(|ticket| &ticket.requester),
        });
        let objected = |reason: RejectReason| {
            (ephemeral(&escape(reason.words())), Audit::new(Level::Warn, reason.name(), fields.clone()))
        };
        let Some(ticket) = ticket else {
            return objected(RejectReason::Forged);
        };
        let right = match approval::right(&ticket, &click.user, self.rules, call.now) {
            Ok(Right::Given) => Ok(true),
            Ok(Right::InGroups) => self.is_in_a_group(&click.user, call).await,
            Err(reason) => return objected(reason),
        };
        match right {
            Ok(true) => {}
            Ok(false) => return objected(RejectReason::NotAnApprover),
            Err(why) => {
                let words = format!(
                    "Whether you may answer this request could not be found out: {}. Nothing was done; click again.",
                    escape(&why)
                );
                let mut audit = Audit::new(Level::Error, "RIGHT_UNKNOWN", fields);
                audit.set("errorMessage", json!(why));
                return (ephemeral(&words), audit);
            }
        }
        let decision = approval::decision(answer, &click.user, &click.response_url, click.message_ts.as_deref());
        match self.aws.answer_task(&ticket.token, &decision, call.deadline).await {
            Ok(Answered::Now) => {
                let status = if answer == Answer::Approve { "APPROVED" } else { "REFUSED" };
                (message::answered(&click.blocks, answer, &click.user), Audit::new(Level::Info, status, fields))
            }
            Ok(Answered::TooLate) => objected(RejectReason::TooLate),
            Err(error) => {
                let words = format!(
                    "Your answer may not have arrived: {}. Click again: that does no harm.",
                    escape(&error.to_string())
                );
                let mut audit = Audit::new(Level::Error, "NOT_PASSED_ON", fields);
                audit.set("errorMessage", json!(error.to_string()));
                (ephemeral(&words), audit)
            }
        }
    }

    /// Whether a user is in one of the approvers' user groups.
    async fn is_in_a_group(&self, user: &SlackUser, call: &Call<'_>) -> Result<bool, String> {
        let token = call.secret.bot_token.as_deref();
        let token = token.ok_or("the secret has no `botToken`, which user groups need")?;
        for group in &self.rules.approver_groups {
            if self.slack.is_member(&self.settings.api, token, group, &user.user, call.deadline).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A click on Undo: a revoke, which anybody may ask for.
    async fn undo(&self, click: &ButtonClick, call: &Call<'_>) -> (Value, Audit) {
        let fields = json!({ "action": "undo", "requestedBy": click.user.to_string(), "channel": click.channel });
        let Some(event) = approval::unseal_undo(&call.secret.signing_secret, &click.value) else {
            let reason = RejectReason::Forged;
            return (ephemeral(&escape(reason.words())), Audit::new(Level::Warn, reason.name(), fields));
        };
        let ButtonClick { user, channel, response_url, trigger, message_ts, .. } = click;
        let conversation =
            Conversation::begin(user, channel, Verb::Revoke, response_url, message_ts.as_deref(), call.sent);
        let (started, audit) = self.start(event, user, conversation, trigger, call).await;
        let reply = match started {
            Ok(_) => message::undoing(&click.blocks, &click.user),
            Err(error) => ephemeral(&not_started(&error)),
        };
        (reply, audit)
    }

    /// Asks for approval, on behalf of the workflow.
    pub(crate) async fn ask(&self, request: &Value, call: &Call<'_>) -> (Result<(), Failed>, Audit) {
        let ask = match Ask::deserialize(request) {
            Ok(ask) => ask,
            Err(error) => return invalid("ask", &error.to_string()),
        };
        let (secret, ends) = (&call.secret.signing_secret, ask.until.unwrap_or(call.now + approval::LIFE));
        let Some(requester) = ask.chat.requester().filter(|_| ask.chat.is_proved(secret, &ask.event, call.now)) else {
            return invalid(
                "ask",
                "`chat` was not begun by a command in Slack with just this event, within the last half hour",
            );
        };
        let fields = json!({ "action": "ask", "requestedBy": requester.to_string(), "clusterName": ask.event.get("clusterName") });
        if self.rules.approvers.is_empty() && self.rules.approver_groups.is_empty() {
            let message = "nobody may approve in chat, for the setting `CHAT_APPROVERS` is empty; nobody was asked; answer by other means";
            return failed(ErrorName::RequestDenied, message.to_owned(), fields);
        }
        let ticket = ApprovalToken { token: ask.task_token, requester: requester.to_string(), ends: ends.as_second() };
        let Some(ticket) = ticket.seal(secret) else {
            let message =
                "the task's token is too long for a button of Slack's; nobody was asked; answer by other means";
            return failed(ErrorName::LimitExceeded, message.to_owned(), fields);
        };
        let message = message::approval(&ask.event, &ask.plan, &requester, &ticket, ends);
        self.post(&ask.chat, &message, "ASKED", fields, call).await
    }

    /// Posts the outcome, on behalf of the workflow.
    pub(crate) async fn tell(&self, request: &Value, call: &Call<'_>) -> (Result<(), Failed>, Audit) {
        let tell = match Tell::deserialize(request) {
            Ok(tell) => tell,
            Err(error) => return invalid("tell", &error.to_string()),
        };
        let fields = json!({
            "action": "tell",
            "requestedBy": tell.event.get("requestedBy"),
            "clusterName": tell.event.get("clusterName"),
            "outcome": match &tell.failure {
                Some(failure) => json!(failure.error),
                None => tell.result.as_ref().and_then(|result| result.get("status")).cloned().unwrap_or_default(),
            },
        });
        let ending = Ending {
            event: &tell.event,
            result: tell.result.as_ref(),
            failure: tell.failure.as_ref().map(|failure| (failure.error.as_str(), failure.cause.as_str())),
            approved_by: tell.approval.as_ref().and_then(|approval| approval.by.as_deref()),
        };
        let undo = ending.result.filter(|_| ending.failure.is_none()).and_then(|result| result.get("undo"));
        let undo = undo.and_then(|undo| approval::seal_undo(&call.secret.signing_secret, undo));
        let message = message::outcome(&ending, &tell.chat, undo.as_deref());
        let (posted, mut audit) = self.post(&tell.chat, &message, "POSTED", fields, call).await;
        let details = tell.chat.thread_ts.as_deref().and_then(|thread| message::details(&ending, thread));
        if let (Ok(()), Some(details)) = (&posted, details)
            && let Err(why) = self.slack.post(&tell.chat.response_url, &details, call.deadline).await
        {
            audit.set("notTold", json!(why));
        }
        (posted, audit)
    }

    async fn post(
        &self,
        chat: &Conversation,
        message: &Value,
        status: &str,
        fields: Value,
        call: &Call<'_>,
    ) -> (Result<(), Failed>, Audit) {
        if !may_post_to(&chat.response_url, &self.settings.response_hosts) {
            let message =
                "`chat.responseUrl` is not one of Slack's (the setting `SLACK_RESPONSE_HOSTS`); nothing was posted";
            return failed(ErrorName::InvalidRequest, message.to_owned(), fields);
        }
        match self.slack.post(&chat.response_url, message, call.deadline).await {
            Ok(()) => (Ok(()), Audit::new(Level::Info, status, fields)),
            Err(why) => {
                failed(ErrorName::ServiceUnavailable, format!("{why}; nothing was posted; send it again"), fields)
            }
        }
    }
}

/// What to say of an execution that was not started, or may have been.
fn not_started(error: &CallError) -> String {
    let doubt = match error {
        CallError::Refused { .. } => "Nothing was started",
        CallError::Unanswered(_) => "It may have been started nevertheless, and then its outcome is posted here",
    };
    format!("The runbook could not be started: {}. {doubt}. Send it again: that is safe.", escape(&error.to_string()))
}

fn invalid(action: &str, why: &str) -> (Result<(), Failed>, Audit) {
    failed(ErrorName::InvalidRequest, format!("`{action}`: {why}; nothing was posted"), json!({ "action": action }))
}

fn failed(name: ErrorName, message: String, fields: Value) -> (Result<(), Failed>, Audit) {
    let status = name.to_string();
    (Err(Failed { name, message }), Audit::new(Level::Error, &status, fields))
}
