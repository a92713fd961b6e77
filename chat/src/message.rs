//! What is said in Slack, as Block Kit. Limits are those of "Blocks" and "Composition objects" in Slack's Block Kit reference.

use eks_break_glass::domain::access_entry::policy_name;
use eks_break_glass::domain::arn::PolicyArn;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::approval::Answer;
use crate::command::{self, Verb};
use crate::conversation::{Conversation, SlackUser};
use crate::slack::mrkdwn::{bounded, code, date, escape, mention, user_or_name};
use crate::slack::payload::{APPROVE, REFUSE, UNDO};

/// The most blocks of a message, with room for what is added to one that is answered.
const MOST_BLOCKS: usize = 48;
/// The longest text of a section, a header and a field.
const LONGEST_TEXT: usize = 3000;
const LONGEST_HEADER: usize = 150;
const LONGEST_FIELD: usize = 2000;
/// The most fields of a section.
const MOST_FIELDS: usize = 10;
/// The longest text for notifications, and for messages without blocks; Slack itself cuts far later.
const LONGEST_FALLBACK: usize = 3000;

/// How an execution of the workflow ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// The event that it was started with.
    pub event: &'a Value,
    /// The function's result, if there is one.
    pub result: Option<&'a Value>,
    /// The error's name and cause, if it failed.
    pub failure: Option<(&'a str, &'a str)>,
    /// Who approved, if an approval was needed.
    pub approved_by: Option<&'a str>,
}

/// A text that the one who acted alone sees. `text` is mrkdwn.
#[must_use]
pub fn ephemeral(text: &str) -> Value {
    json!({ "response_type": "ephemeral", "replace_original": false, "text": text })
}

/// What there is to say, and the names that the settings know.
#[must_use]
pub fn help(aliases: &crate::settings::Aliases) -> Value {
    let mut text = String::from("*Access to EKS clusters when everybody is locked out*\n");
    for (form, purpose) in command::forms() {
        text.extend(["• ", &code(&form), ": ", purpose, "\n"]);
    }
    let names = |what: &str, names: Vec<&String>| match names.as_slice() {
        [] => section(&format!("{what}.")),
        names => {
            let names: Vec<_> = names.iter().map(|name| code(name)).collect();
            section(&format!("{what}, or one of: {}.", bounded_list(&names, ", ")))
        }
    };
    json!({
        "response_type": "ephemeral",
        "text": "Access to EKS clusters when everybody is locked out",
        "blocks": [
            section(&text),
            names("CLUSTER is a cluster's name or ARN", aliases.clusters.keys().collect()),
            names("PRINCIPAL is an ARN, or `me`", aliases.principals.keys().collect()),
        ],
    })
}

/// That a command was taken up.
#[must_use]
pub fn started(verb: Verb, event: &Value, execution: &str) -> Value {
    let next = match verb {
        Verb::Grant | Verb::Extend => "If anything has to be changed, an approver is asked here.",
        Verb::Revoke => "The outcome is posted here.",
        Verb::Inspect | Verb::List => "The outcome is posted here, visible to you only.",
    };
    let facts: Vec<_> = facts(event, None).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let reason = event.get("reason").and_then(Value::as_str).map(|reason| format!("\nBecause: {}", code(reason)));
    ephemeral(&format!(
        "Started: {}{}\n{next} Execution {}.",
        facts.join(", "),
        reason.unwrap_or_default(),
        code(execution)
    ))
}

/// The request for approval: the plan in words, and the two buttons, which both hold `ticket`.
#[must_use]
pub fn approval(event: &Value, plan: &Value, requester: &SlackUser, ticket: &str, ends: Timestamp) -> Value {
    let cluster = text_at(plan, "/cluster/name").or_else(|| text_at(event, "/clusterName")).unwrap_or_default();
    let title = format!("Break-glass: access to {cluster} is asked for");
    let mut blocks = vec![header(&title), section(&format!("{} asks for this access.", mention(requester)))];
    blocks.extend(fields(facts(event, Some(plan))));
    blocks.extend(reason(event));
    let steps = entries(plan, "/steps").filter(|step| text_at(step, "/outcome") == Some("PLANNED"));
    let steps: Vec<_> = steps.filter_map(|step| text_at(step, "/detail")).collect();
    blocks.extend(list("What would be done", &steps));
    blocks.extend(warnings(plan));
    blocks.push(context(&format!("Until {}, an approver other than {} can answer.", date(ends), mention(requester))));
    let confirm = |title: &str, text: &str, yes: &str, style: &str| json!({ "title": plain(title), "text": plain(text), "confirm": plain(yes), "deny": plain("Not now"), "style": style });
    let yes = confirm("Let them in?", "This is carried out at once, under your name.", "Approve", "primary");
    let no = confirm("Refuse?", "The request ends. It can be made again.", "Refuse", "danger");
    blocks.push(json!({ "type": "actions", "elements": [
        button("Approve", APPROVE, ticket, "primary", &yes),
        button("Refuse", REFUSE, ticket, "danger", &no),
    ] }));
    json!({ "response_type": "in_channel", "replace_original": false, "text": fallback(&title), "blocks": blocks })
}

/// The same message once it is answered: without its buttons.
#[must_use]
pub fn answered(blocks: &[Value], answer: Answer, by: &SlackUser) -> Value {
    let words = match answer {
        Answer::Approve => format!("Approved by {}; it is being carried out.", mention(by)),
        Answer::Refuse => format!("Refused by {}. Nothing was changed.", mention(by)),
    };
    without_buttons(blocks, &words)
}

/// An outcome whose Undo was clicked: without its buttons.
#[must_use]
pub fn undoing(blocks: &[Value], by: &SlackUser) -> Value {
    without_buttons(blocks, &format!("{} takes it back; it is being carried out.", mention(by)))
}

fn without_buttons(blocks: &[Value], words: &str) -> Value {
    let kept = blocks.iter().filter(|block| text_at(block, "/type") != Some("actions")).take(MOST_BLOCKS);
    let blocks: Vec<_> = kept.cloned().chain([context(words)]).collect();
    json!({ "replace_original": true, "text": words, "blocks": blocks })
}

/// The outcome: it takes the place of the request for approval if there is one, and is posted to the channel, or to the requester alone
/// if nothing was changed. `undo` is what an Undo button would hold.
#[must_use]
pub fn outcome(ending: &Ending<'_>, conversation: &Conversation, undo: Option<&str>) -> Value {
    let title = title(ending, conversation.command);
    let mut blocks = vec![header(&title)];
    let status = ending.result.and_then(|result| text_at(result, "/status"));
    if ending.failure.is_none() && status == Some("INSPECTED") {
        blocks.extend(ending.result.into_iter().flat_map(|result| findings(result, conversation.command)));
    } else {
        blocks.extend(fields(facts(ending.event, ending.result)));
        blocks.extend(reason(ending.event));
    }
    if let Some((name, cause)) = ending.failure {
        blocks.push(plain_section(&format!("{name}: {}", words_of(cause))));
    }
    blocks.extend(ending.result.filter(|_| ending.failure.is_none()).into_iter().flat_map(warnings));
    if conversation.thread_ts.is_none() {
        blocks.extend(detail_blocks(ending));
    }
    blocks.truncate(MOST_BLOCKS - 2);
    blocks.push(context(&people(ending, conversation)));
    if let Some(undo) = undo {
        let confirm = json!({ "title": plain("Take it back?"), "text": plain("What this has given is revoked, under your name."),
            "confirm": plain("Take it back"), "deny": plain("Not now"), "style": "danger" });
        blocks.push(json!({ "type": "actions", "elements": [button("Undo", UNDO, undo, "danger", &confirm)] }));
    }
    let heard = status.is_some_and(|status| ["GRANTED", "ALREADY_GRANTED", "REVOKED"].contains(&status));
    let to = if heard && ending.failure.is_none() { "in_channel" } else { "ephemeral" };
    match conversation.thread_ts {
        Some(_) => json!({ "replace_original": true, "text": fallback(&title), "blocks": blocks }),
        None => json!({ "response_type": to, "replace_original": false, "text": fallback(&title), "blocks": blocks }),
    }
}

/// What was done in detail, for the thread of the outcome; `None` if there is no more to say.
#[must_use]
pub fn details(ending: &Ending<'_>, thread_ts: &str) -> Option<Value> {
    let mut blocks = detail_blocks(ending);
    blocks.truncate(MOST_BLOCKS);
    (!blocks.is_empty()).then(|| {
        json!({ "response_type": "in_channel", "replace_original": false, "thread_ts": thread_ts,
            "text": "What was done, and what to do next", "blocks": blocks })
    })
}

fn detail_blocks(ending: &Ending<'_>) -> Vec<Value> {
    let Some(result) = ending.result.filter(|_| ending.failure.is_none()) else {
        return Vec::new();
    };
    if text_at(result, "/status") == Some("INSPECTED") {
        return Vec::new();
    }
    let done = |step: &&Value| text_at(step, "/outcome") != Some("PLANNED");
    let steps: Vec<_> = entries(result, "/steps")
        .filter(done)
        .map(|step| {
            let part = |at| text_at(step, at).unwrap_or_default();
            format!("{} {}: {}", part("/operation"), part("/outcome"), part("/detail"))
        })
        .collect();
    let steps: Vec<_> = steps.iter().map(String::as_str).collect();
    let next: Vec<_> = entries(result, "/nextSteps").filter_map(Value::as_str).map(code).collect();
    let mut blocks: Vec<_> = list("What was done", &steps).into_iter().collect();
    if !next.is_empty() {
        blocks.push(section(&format!("*What to do next*\n{}", bounded_list(&next, "\n"))));
    }
    blocks
}

fn title(ending: &Ending<'_>, verb: Verb) -> String {
    let named = ending.result.and_then(|result| text_at(result, "/cluster/name"));
    let cluster = named.or_else(|| text_at(ending.event, "/clusterName")).unwrap_or("a cluster");
    if let Some((name, _)) = ending.failure {
        return match name {
            "ApprovalRefused" => format!("Refused: access to {cluster}"),
            "ApprovalTimedOut" => format!("Nobody has approved: access to {cluster}"),
            _ => format!("Failed: {} on {cluster}", verb_word(verb)),
        };
    }
    match ending.result.and_then(|result| text_at(result, "/status")).unwrap_or_default() {
        "GRANTED" if verb == Verb::Extend => format!("Access to {cluster} is extended"),
        "GRANTED" => format!("Access to {cluster} is granted"),
        "ALREADY_GRANTED" => format!("Access to {cluster} was there already"),
        "REVOKED" => format!("Access to {cluster} is revoked"),
        "NOTHING_TO_REVOKE" => format!("There was no such access to {cluster}"),
        "INSPECTED" if verb == Verb::List => format!("Who has been let into {cluster}"),
        "INSPECTED" => format!("Who gets into {cluster}"),
        status => format!("{cluster}: {status}"),
    }
}

fn verb_word(verb: Verb) -> String {
    json!(verb).as_str().unwrap_or_default().to_owned()
}

/// What the event asks for, with what the plan or the result knows better.
fn facts(event: &Value, result: Option<&Value>) -> Vec<(&'static str, String)> {
    let known = |at: &str, field: &str| result.and_then(|result| text_at(result, at)).or_else(|| text_at(event, field));
    let mut facts = Vec::new();
    if let Some(cluster) = known("/cluster/arn", "/clusterName") {
        facts.push(("Cluster", code(cluster)));
    }
    if let Some(principal) = known("/principal/arn", "/principalArn") {
        facts.push(("Principal", code(principal)));
    }
    if text_at(event, "/action") == Some("inspect") {
        return facts;
    }
    facts.push(("Policy", code(policy_name(text_at(event, "/policyArn").unwrap_or(PolicyArn::CLUSTER_ADMIN)))));
    let namespaces: Vec<_> = entries(event, "/accessScope/namespaces").filter_map(Value::as_str).map(code).collect();
    if !namespaces.is_empty() {
        facts.push(("Namespaces", bounded_list(&namespaces, ", ")));
    }
    if text_at(event, "/action") == Some("revoke") {
        return facts;
    }
    let until = result.filter(|result| text_at(result, "/status") != Some("PLANNED"));
    match until.map(|result| text_at(result, "/expiresAt").map(str::parse::<Timestamp>)) {
        Some(Some(Ok(end))) => facts.push(("Until", date(end))),
        Some(_) => facts.push(("Until", "it is revoked".to_owned())),
        None => facts.push((
            "For",
            text_at(event, "/duration")
                .map_or_else(|| "as long as the settings say, or until it is revoked".to_owned(), code),
        )),
    }
    facts
}

/// As many of these, which are escaped already, as fit a field, and so a section.
fn bounded_list(items: &[String], between: &str) -> String {
    let mut length = 0;
    let fits = |item: &&String| {
        length += item.len() + between.len();
        length < LONGEST_FIELD - 100
    };
    let shown: Vec<_> = items.iter().take_while(fits).map(String::as_str).collect();
    match items.len() - shown.len() {
        0 => shown.join(between),
        more => format!("{}{between}and {more} more", shown.join(between)),
    }
}

fn people(ending: &Ending<'_>, conversation: &Conversation) -> String {
    let asked = conversation.requester().map_or_else(|| "an unknown user".to_owned(), |user| mention(&user));
    match ending.approved_by {
        Some(by) => format!("Asked for by {asked}, approved by {}.", user_or_name(by)),
        None => format!("Asked for by {asked}."),
    }
}

fn reason(event: &Value) -> Option<Value> {
    text_at(event, "/reason").map(|reason| plain_section(&format!("Because: {reason}")))
}

fn warnings(result: &Value) -> Vec<Value> {
    let warnings: Vec<_> = entries(result, "/warnings").filter_map(|warning| text_at(warning, "/message")).collect();
    list("Mind", &warnings).into_iter().collect()
}

/// What an inspection found; a list is about who was granted access, and who else has it.
fn findings(result: &Value, verb: Verb) -> Vec<Value> {
    let listed = ["ACTIVE_GRANTS", "OTHER_ADMINS"];
    let wanted =
        |finding: &&Value| verb != Verb::List || text_at(finding, "/code").is_some_and(|code| listed.contains(&code));
    let shown: Vec<_> = entries(result, "/findings").filter(wanted).collect();
    if shown.is_empty() {
        return vec![plain_section(if verb == Verb::List {
            "Nobody has been let in."
        } else {
            "There is nothing to say."
        })];
    }
    let mut blocks = Vec::new();
    for finding in shown.iter().take(MOST_BLOCKS / 2 - 4) {
        let part = |at| text_at(finding, at).unwrap_or_default();
        let (severity, code, message) = (part("/severity"), part("/code"), part("/message"));
        blocks.push(plain_section(&format!("{severity} {code}: {message}")));
        blocks.extend(finding.get("remedy").and_then(remedy));
    }
    blocks
}

/// The command that fixes it.
fn remedy(event: &Value) -> Option<Value> {
    let (cluster, principal) = (text_at(event, "/clusterName")?, text_at(event, "/principalArn")?);
    let policy = text_at(event, "/policyArn").map(|policy| format!(" policy {}", policy_name(policy)));
    let namespaces: Vec<_> = entries(event, "/accessScope/namespaces").filter_map(Value::as_str).collect();
    let scope = if namespaces.is_empty() { String::new() } else { format!(" namespace {}", namespaces.join(" ")) };
    let command = format!(
        "{} grant {cluster} {principal} for 1h{}{scope} because …",
        command::COMMAND,
        policy.unwrap_or_default()
    );
    Some(section(&code(&command)))
}

/// The words of a cause: what Lambda reports of a failed function holds them as JSON.
fn words_of(cause: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(cause).ok();
    let words = parsed.as_ref().and_then(|cause| text_at(cause, "/errorMessage"));
    words.unwrap_or(cause).to_owned()
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn entries<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn fallback(text: &str) -> String {
    escape(&bounded(text, LONGEST_FALLBACK))
}

/// A text that shows as it is, formatting characters and all.
fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

fn mrkdwn(text: &str) -> Value {
    // `verbatim`: addresses and names in it are no links.
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

fn header(text: &str) -> Value {
    json!({ "type": "header", "text": plain(&escape(&bounded(text, LONGEST_HEADER))) })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": mrkdwn(text) })
}

fn plain_section(text: &str) -> Value {
    json!({ "type": "section", "text": plain(&escape(&bounded(text, LONGEST_TEXT))) })
}

fn context(text: &str) -> Value {
    json!({ "type": "context", "elements": [mrkdwn(text)] })
}

fn fields(facts: Vec<(&'static str, String)>) -> Option<Value> {
    let fields: Vec<_> =
        facts.into_iter().take(MOST_FIELDS).map(|(name, value)| mrkdwn(&format!("*{name}*\n{value}"))).collect();
    (!fields.is_empty()).then(|| json!({ "type": "section", "fields": fields }))
}

/// A heading and lines under it, as plain text.
fn list(heading: &str, lines: &[&str]) -> Option<Value> {
    let lines: Vec<_> = lines.iter().map(|line| format!("• {line}")).collect();
    (!lines.is_empty()).then(|| plain_section(&format!("{heading}:\n{}", lines.join("\n"))))
}

fn button(label: &str, id: &str, value: &str, style: &str, confirm: &Value) -> Value {
    json!({ "type": "button", "text": plain(label), "action_id": id, "value": value, "style": style, "confirm": confirm })
}
