//! What is said: within Slack's limits, whatever it is about.

use eks_break_glass_chat::approval::{Answer, seal_undo};
use eks_break_glass_chat::command::Verb;
use eks_break_glass_chat::conversation::{Conversation, SlackUser};
use eks_break_glass_chat::message::{Ending, answered, approval, details, help, outcome, started, undoing};
use eks_break_glass_chat::settings::Aliases;
use eks_break_glass_chat::slack::mrkdwn::{bounded, code, escape, user_or_name};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Holds a message against the limits of "Blocks", "Block elements" and "Composition objects" in Slack's Block Kit reference, and its text
/// against "Formatting text for app surfaces": no mention and no link but those that this program makes.
pub(super) fn sound(message: &Value) {
    let blocks = message["blocks"].as_array().cloned().unwrap_or_default();
    assert!(blocks.len() <= 50, "{} blocks", blocks.len());
    within(&message["text"], 1, 40_000);
    for block in &blocks {
        match block["type"].as_str().unwrap() {
            "header" => text(&block["text"], "plain_text", 150),
            "section" => {
                let fields = block["fields"].as_array().cloned().unwrap_or_default();
                assert!(fields.len() <= 10 && (block.get("text").is_some() || !fields.is_empty()));
                for field in &fields {
                    text(field, "", 2000);
                }
                if let Some(body) = block.get("text") {
                    text(body, "", 3000);
                }
            }
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=10).contains(&elements.len()));
                for element in elements {
                    text(element, "", 3000);
                }
            }
            "actions" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=25).contains(&elements.len()));
                elements.iter().for_each(button);
            }
            other => panic!("{other} is no block"),
        }
    }
    no_strangers(message);
}

fn button(button: &Value) {
    assert_eq!(button["type"], "button");
    text(&button["text"], "plain_text", 75);
    within(&button["action_id"], 1, 255);
    within(&button["value"], 1, 2000);
    assert!(["primary", "danger"].contains(&button["style"].as_str().unwrap()));
    let confirm = &button["confirm"];
    text(&confirm["title"], "plain_text", 100);
    text(&confirm["text"], "plain_text", 300);
    text(&confirm["confirm"], "plain_text", 30);
    text(&confirm["deny"], "plain_text", 30);
}

fn text(object: &Value, kind: &str, most: usize) {
    let found = object["type"].as_str().unwrap();
    assert!(if kind.is_empty() { ["plain_text", "mrkdwn"].contains(&found) } else { found == kind }, "{object}");
    assert!(found == "plain_text" || object["verbatim"] == true, "{object}");
    within(&object["text"], 1, most);
}

fn within(text: &Value, least: usize, most: usize) {
    let text = text.as_str().unwrap();
    assert!((least..=most).contains(&text.encode_utf16().count()), "{} of {most}: {text}", text.len());
}

/// Every `<` in a text of a message begins a mention of a user or a date.
fn no_strangers(value: &Value) {
    match value {
        Value::String(text) => {
            for link in text.split('<').skip(1) {
                let (inside, _) = link.split_once('>').unwrap_or_else(|| panic!("a stray < in {text}"));
                let user =
                    inside.strip_prefix('@').is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
                assert!(user || inside.starts_with("!date^"), "<{inside}> in {text}");
            }
        }
        Value::Array(values) => values.iter().for_each(no_strangers),
        // A value is no text: nobody sees it.
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "value").for_each(|(_, value)| no_strangers(value));
        }
        _ => {}
    }
}

fn user(user: &str) -> SlackUser {
    SlackUser::new("T0TEAM", user).unwrap()
}

fn conversation(verb: Verb, thread_ts: Option<&str>) -> Conversation {
    Conversation::begin(&user("U0ASKER"), "C0CHANNEL", verb, "", thread_ts, Timestamp::UNIX_EPOCH)
}

/// Text as attackers and accidents make it.
fn wild() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "<!channel>",
            "<@U0VICTIM>",
            "<https://evil.example.com|kubectl>",
            "*`_~",
            "```",
            "&amp;",
            "\n",
            "\u{202e}",
            "🔥",
        ])
        .prop_map(|part| part.repeat(40)),
        "\\PC{0,40}",
        any::<String>(),
        (0usize..5000).prop_map(|length| "<&>é".repeat(length / 4)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_in_them_messages_fit_and_call_nobody(texts in proptest::collection::vec(wild(), 8), many in 0usize..70, verb in 0usize..5) {
        let [a, b, c, d, e, f, g, h] = &texts[..] else { panic!("eight") };
        let verb = [Verb::Grant, Verb::Extend, Verb::Revoke, Verb::Inspect, Verb::List][verb];
        let event = json!({
            "action": "grant", "clusterName": a, "principalArn": b, "policyArn": c, "duration": d, "reason": e, "requestedBy": f,
            "accessScope": { "type": "namespace", "namespaces": vec![g; many] },
        });
        let result = json!({
            "status": "GRANTED", "cluster": { "name": a, "arn": b }, "principal": { "arn": c }, "expiresAt": "2026-11-24T18:00:00Z",
            "steps": vec![json!({ "operation": d, "outcome": "PLANNED", "detail": e }); many],
            "warnings": vec![json!({ "code": f, "message": g }); many], "nextSteps": vec![h; many.min(12)], "undo": { "clusterName": a },
        });
        let inspected = json!({ "status": "INSPECTED", "cluster": { "name": a },
            "findings": vec![json!({ "code": b, "severity": c, "message": d, "remedy": { "clusterName": e, "principalArn": f } }); many] });
        let undo = seal_undo("secret", &result["undo"]);
        let request = approval(&event, &result, &user("U0ASKER"), "value", Timestamp::UNIX_EPOCH);
        sound(&request);
        let blocks = request["blocks"].as_array().unwrap();
        sound(&answered(blocks, Answer::Approve, &user("U0APPROVER")));
        sound(&undoing(blocks, &user("U0APPROVER")));
        sound(&started(verb, &event, "slack-0"));
        let aliases = texts.iter().map(|text| (text.clone(), text.clone())).collect::<std::collections::BTreeMap<_, _>>();
        sound(&help(&Aliases { clusters: aliases.clone(), principals: aliases }));
        for thread_ts in [None, Some("1.2")] {
            for (result, failure) in [(Some(&result), None), (Some(&inspected), None), (None, Some((g.as_str(), h.as_str())))] {
                let ending = Ending { event: &event, result, failure, approved_by: Some(f) };
                sound(&outcome(&ending, &conversation(verb, thread_ts), undo.as_deref()));
                details(&ending, "1.2").iter().for_each(sound);
            }
        }
    }
}

#[test]
fn what_is_empty_or_absent_is_told_all_the_same() {
    let nothing = json!({});
    for result in [None, Some(&nothing)] {
        for verb in [Verb::Grant, Verb::List] {
            let ending = Ending { event: &nothing, result, failure: None, approved_by: None };
            sound(&outcome(&ending, &conversation(verb, None), None));
        }
    }
    sound(&approval(&nothing, &nothing, &user("U0ASKER"), "value", Timestamp::UNIX_EPOCH));
    sound(&answered(&[], Answer::Refuse, &user("U0APPROVER")));
}

#[test]
fn text_is_escaped_and_cut_between_characters() {
    assert_eq!(escape("a<b>&c"), "a&lt;b&gt;&amp;c");
    assert_eq!(code("a`b\nc<!here>"), "`a'b c&lt;!here&gt;`");
    assert_eq!(code("prod\u{202e}ved\u{200b}\u{2028}"), "`prod ved  `", "as it is, and not as it would be shown");
    assert_eq!(bounded("abc", 3), "abc");
    assert_eq!(bounded("abcdef", 5), "ab…");
    assert_eq!(escape(&bounded("a<<<<", 9)), "a&lt;…");
    assert_eq!(bounded("éééé", 7), "éé…");
    assert_eq!(user_or_name("slack:T0TEAM/U0ASKER"), "<@U0ASKER>");
    assert_eq!(user_or_name("slack:T0TEAM/U0ASKER><!here"), "`slack:T0TEAM/U0ASKER&gt;&lt;!here`");
    assert_eq!(user_or_name("jane"), "`jane`");
}
