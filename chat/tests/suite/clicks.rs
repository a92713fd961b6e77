//! Clicks: who may answer, once, and what comes of all the other clicks.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{ADMIN, CLICK_HOOK, Harness, Trouble};
use super::messages::sound;
use super::runbook::{TOKEN, UNDO, asked, begun, button, granted, plan};

const APPROVE: &str = "break-glass-approve";
const REFUSE: &str = "break-glass-refuse";

/// A user clicks: what they, or the channel, are shown.
async fn click(harness: &Harness, user: &str, id: &str, value: &str, message: &Value) -> Value {
    let before = harness.posts().len();
    let answer = harness.invoke(&harness.clicked(user, id, value, message)).await.unwrap();
    assert_eq!(answer, json!({ "statusCode": 200, "headers": {}, "body": "" }));
    let posts = harness.posts().split_off(before);
    let [(url, shown)] = &posts[..] else { panic!("{posts:?}") };
    assert_eq!(url, CLICK_HOOK);
    sound(shown);
    shown.clone()
}

/// That nothing came of a click, and only the user who clicked got a message.
fn in_vain(harness: &Harness, shown: &Value, status: &str) {
    assert_eq!((&shown["response_type"], &shown["replace_original"]), (&json!("ephemeral"), &json!(false)), "{shown}");
    assert_eq!(harness.status(), status);
    assert_eq!(harness.answers(), []);
}

#[tokio::test(start_paused = true)]
async fn an_approvers_click_lets_the_runbook_go_on_and_takes_the_buttons_away() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    let shown = click(&harness, "U0APPROVER", APPROVE, &button(&message, APPROVE), &message).await;
    let answers = harness.answers();
    let [(operation, answer)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((operation.as_str(), &answer["taskToken"]), ("SendTaskSuccess", &json!(TOKEN)));
    let output: Value = serde_json::from_str(answer["output"].as_str().unwrap()).unwrap();
    let expected = json!({
        "approved": true, "by": "slack:T0TEAM/U0APPROVER",
        "chat": { "responseUrl": CLICK_HOOK, "threadTs": "1700000000.000100" },
    });
    assert_eq!(output, expected);
    assert_eq!(shown["replace_original"], true);
    let text = shown.to_string();
    assert!(text.contains("Approved by <@U0APPROVER>") && text.contains("create an access entry"), "{text}");
    assert!(!text.contains("\"actions\""), "{text}");
    let audit = harness.log().pop().unwrap();
    assert_eq!((&audit["status"], &audit["by"]), (&json!("APPROVED"), &json!("slack:T0TEAM/U0APPROVER")));
    assert_eq!(audit["requestedBy"], "slack:T0TEAM/U0ASKER");
    let log = harness.log().iter().map(Value::to_string).collect::<String>();
    assert!(!log.contains(TOKEN) && !log.contains("secret-part-of"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn an_approvers_refusal_ends_it() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    let shown = click(&harness, "U0OTHER", REFUSE, &button(&message, REFUSE), &message).await;
    let (operation, answer) = harness.answers().pop().unwrap();
    assert_eq!((operation.as_str(), &answer["error"]), ("SendTaskFailure", &json!("ApprovalRefused")));
    assert_eq!(answer["cause"], "refused by slack:T0TEAM/U0OTHER");
    assert!(shown.to_string().contains("Refused by <@U0OTHER>"));
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_their_own_request() {
    // Not even an approver of the requests of others.
    let harness = Harness::new().with("CHAT_APPROVERS", "U0ASKER,S0GROUP");
    let message = asked(&harness).await;
    for id in [APPROVE, REFUSE] {
        let shown = click(&harness, "U0ASKER", id, &button(&message, id), &message).await;
        in_vain(&harness, &shown, "OWN_REQUEST");
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_may_not_approve_does_not() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    let shown = click(&harness, "U0EVE", APPROVE, &button(&message, APPROVE), &message).await;
    in_vain(&harness, &shown, "NOT_AN_APPROVER");
}

#[tokio::test(start_paused = true)]
async fn the_first_click_counts_and_later_ones_do_no_harm() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    click(&harness, "U0APPROVER", APPROVE, &button(&message, APPROVE), &message).await;
    for (user, id) in [("U0APPROVER", APPROVE), ("U0OTHER", REFUSE), ("U0OTHER", APPROVE)] {
        let shown = click(&harness, user, id, &button(&message, id), &message).await;
        assert_eq!((&shown["response_type"], &shown["replace_original"]), (&json!("ephemeral"), &json!(false)));
        assert_eq!((harness.status(), harness.answers().len()), ("TOO_LATE".to_owned(), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_click_is_too_late_and_asks_nobody() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    tokio::time::advance(Duration::from_secs(25 * 60 + 1)).await;
    let shown = click(&harness, "U0APPROVER", APPROVE, &button(&message, APPROVE), &message).await;
    in_vain(&harness, &shown, "TOO_LATE");
}

#[tokio::test(start_paused = true)]
async fn the_runbook_says_how_long_it_waits() {
    let harness = Harness::new();
    let (event, chat) = begun(&harness, "grant prod me because x").await;
    let until = (harness.now() + jiff::SignedDuration::from_mins(2)).to_string();
    let ask = json!({ "ask": { "taskToken": TOKEN, "event": event, "plan": plan(), "chat": chat, "until": until } });
    harness.invoke(&ask).await.unwrap();
    let (_, message) = harness.posts().pop().unwrap();
    tokio::time::advance(Duration::from_secs(121)).await;
    let shown = click(&harness, "U0APPROVER", APPROVE, &button(&message, APPROVE), &message).await;
    in_vain(&harness, &shown, "TOO_LATE");
}

#[tokio::test(start_paused = true)]
async fn a_forged_button_is_none() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    let value = button(&message, APPROVE);
    let (seal, text) = value.split_at(64);
    let outcome = outcome(&harness).await;
    for forged in [
        text.to_owned(),
        String::new(),
        format!("{}{text}", "0".repeat(64)),
        format!("{seal}{}", text.replace("U0ASKER", "U0OTHER")),
        format!("{seal}{}", text.replace(TOKEN, "AQCANOTHERTASK")),
        value.to_uppercase(),
        button(&outcome, UNDO),
    ] {
        let shown = click(&harness, "U0APPROVER", APPROVE, &forged, &message).await;
        in_vain(&harness, &shown, "FORGED");
    }
    let shown = click(&harness, "U0APPROVER", UNDO, &value, &message).await;
    in_vain(&harness, &shown, "FORGED");
}

#[tokio::test(start_paused = true)]
async fn a_button_of_before_the_secret_was_rotated_is_none() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    let new = "0123456789abcdef0123456789abcdef";
    harness.outside.lock().unwrap().secret = new.to_owned();
    tokio::time::advance(Duration::from_mins(1)).await;
    let click = harness.clicked("U0APPROVER", APPROVE, &button(&message, APPROVE), &message);
    let click = super::harness::request(new, harness.now(), click["body"].as_str().unwrap());
    harness.invoke(&click).await.unwrap();
    in_vain(&harness, &harness.posts().pop().unwrap().1, "FORGED");
}

#[tokio::test(start_paused = true)]
async fn members_of_a_user_group_may_approve() {
    let harness = Harness::new().with("CHAT_APPROVERS", "S0EMPTY,S0GROUP");
    {
        let mut outside = harness.outside.lock().unwrap();
        outside.secret = json!({ "signingSecret": super::harness::SECRET, "botToken": "xoxb-token" }).to_string();
        outside.groups.insert("S0EMPTY".to_owned(), vec![]);
        outside.groups.insert("S0GROUP".to_owned(), vec!["U0MEMBER".to_owned(), "U0ASKER".to_owned()]);
    }
    let message = asked(&harness).await;
    let shown = click(&harness, "U0EVE", APPROVE, &button(&message, APPROVE), &message).await;
    in_vain(&harness, &shown, "NOT_AN_APPROVER");
    let shown = click(&harness, "U0ASKER", APPROVE, &button(&message, APPROVE), &message).await;
    in_vain(&harness, &shown, "OWN_REQUEST");
    click(&harness, "U0MEMBER", APPROVE, &button(&message, APPROVE), &message).await;
    assert_eq!(harness.answers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_slack_does_not_tell_who_is_in_a_group_nobody_is() {
    for (secret, trouble) in [
        (super::harness::SECRET.to_owned(), None),
        (json!({ "signingSecret": super::harness::SECRET, "botToken": "xoxb-token" }).to_string(), None),
        (
            json!({ "signingSecret": super::harness::SECRET, "botToken": "xoxb-token" }).to_string(),
            Some(Trouble::Answer(200, json!("<html>"))),
        ),
    ] {
        let harness = Harness::new().with("CHAT_APPROVERS", "S0UNKNOWN");
        harness.outside.lock().unwrap().secret = secret;
        let message = asked(&harness).await;
        if let Some(trouble) = trouble {
            harness.trouble("usergroups.users.list", trouble);
        }
        let shown = click(&harness, "U0MEMBER", APPROVE, &button(&message, APPROVE), &message).await;
        in_vain(&harness, &shown, "RIGHT_UNKNOWN");
    }
}

#[tokio::test(start_paused = true)]
async fn a_click_whose_answer_is_lost_leaves_the_buttons_and_may_be_repeated() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    harness.trouble("SendTaskSuccess", Trouble::LostAnswer);
    let shown = click(&harness, "U0APPROVER", APPROVE, &button(&message, APPROVE), &message).await;
    assert_eq!((&shown["response_type"], &shown["replace_original"]), (&json!("ephemeral"), &json!(false)));
    assert!(shown["text"].as_str().unwrap().contains("Click again"));
    assert_eq!(harness.status(), "NOT_PASSED_ON");
    click(&harness, "U0APPROVER", APPROVE, &button(&message, APPROVE), &message).await;
    assert_eq!((harness.status(), harness.answers().len()), ("TOO_LATE".to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_slack_that_does_not_answer_keeps_no_approval_back() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    harness.trouble("post", Trouble::Silence);
    let begun = eks_break_glass::platform::clock::instant();
    let answer = harness.invoke(&harness.clicked("U0APPROVER", APPROVE, &button(&message, APPROVE), &message)).await;
    assert_eq!(answer.unwrap()["statusCode"], 200);
    assert!(begun.elapsed() < Duration::from_secs(3), "Slack waits no longer");
    assert_eq!(harness.answers().len(), 1);
    assert!(harness.log().pop().unwrap()["notTold"].as_str().unwrap().contains("did not answer in time"));
}

/// The outcome of a grant, with its Undo button.
async fn outcome(harness: &Harness) -> Value {
    let (event, mut chat) = begun(harness, "grant prod me for 1h because INC-1 *is* `burning` <!channel>").await;
    chat["threadTs"] = json!("1700000000.000100");
    let tell =
        json!({ "tell": { "event": event, "result": granted(), "failure": null, "approval": null, "chat": chat } });
    harness.invoke(&tell).await.unwrap();
    let posts = harness.posts();
    posts.iter().rev().map(|(_, post)| post).find(|post| post["replace_original"] == true).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn undo_starts_a_revoke_of_just_that_grant_as_the_one_who_clicked() {
    let harness = Harness::new();
    let message = outcome(&harness).await;
    harness.outside.lock().unwrap().executions.clear();
    let shown = click(&harness, "U0EVE", UNDO, &button(&message, UNDO), &message).await;
    let (_, input) = harness.executions().pop().unwrap();
    let undo = granted()["undo"].clone();
    for field in ["action", "clusterName", "principalArn", "policyArn", "restore"] {
        assert_eq!(input[field], undo[field], "{field}");
    }
    assert_eq!(input["requestedBy"], "slack:T0TEAM/U0EVE");
    assert_eq!(
        (&input["chat"]["command"], &input["chat"]["threadTs"]),
        (&json!("revoke"), &json!("1700000000.000100"))
    );
    assert_eq!(input["chat"]["responseUrl"], CLICK_HOOK);
    assert_eq!(shown["replace_original"], true);
    assert!(!shown.to_string().contains("\"actions\""));
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_is_too_long_for_a_button_is_the_revoke_that_a_person_would_ask_for() {
    let harness = Harness::new();
    let (event, mut chat) = begun(&harness, "grant prod me for 1h because x").await;
    chat["threadTs"] = json!("1700000000.000100");
    let mut result = granted();
    let namespaces: Vec<_> = (0..100).map(|number| format!("a-rather-long-namespace-{number}")).collect();
    result["undo"]["restore"] =
        json!({ "version": 1, "entryExisted": true, "accessScope": { "type": "namespace", "namespaces": namespaces } });
    let tell = json!({ "tell": { "event": event, "result": result, "failure": null, "approval": null, "chat": chat } });
    harness.invoke(&tell).await.unwrap();
    let message = harness.posts()[0].1.clone();
    sound(&message);
    harness.outside.lock().unwrap().executions.clear();
    click(&harness, "U0EVE", UNDO, &button(&message, UNDO), &message).await;
    let (_, input) = harness.executions().pop().unwrap();
    assert_eq!(
        (&input["action"], &input["principalArn"], input.get("restore")),
        (&json!("revoke"), &json!(ADMIN), None)
    );
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_cannot_be_started_keeps_its_button() {
    let harness = Harness::new();
    let message = outcome(&harness).await;
    harness.outside.lock().unwrap().executions.clear();
    harness
        .trouble("StartExecution", Trouble::Answer(400, json!({ "__type": "AccessDeniedException", "message": "no" })));
    let shown = click(&harness, "U0EVE", UNDO, &button(&message, UNDO), &message).await;
    in_vain(&harness, &shown, "NOT_STARTED");
    assert_eq!(harness.executions(), []);
}
