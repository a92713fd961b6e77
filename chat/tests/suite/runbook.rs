//! What the runbook asks and tells.

use serde_json::{Value, json};

use super::harness::{ADMIN, CLICK_HOOK, HOOK, Harness, Trouble};
use super::messages::sound;

pub(super) const TOKEN: &str = "AQCEAAAAKgAAAAMAAAAAAAAAAWxFUHAzx9mV7kq2s7mPyX0w";
pub(super) const UNDO: &str = "break-glass-undo";

/// What the command of a grant has begun: the event, and the conversation.
pub(super) async fn begun(harness: &Harness, text: &str) -> (Value, Value) {
    harness.invoke(&harness.typed(text)).await.unwrap();
    let (_, mut event) = harness.executions().pop().unwrap();
    let chat = event.as_object_mut().unwrap().remove("chat").unwrap();
    (event, chat)
}

pub(super) fn plan() -> Value {
    json!({
        "status": "PLANNED", "action": "grant",
        "cluster": { "name": "prod", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/prod" },
        "principal": { "requested": ADMIN, "arn": ADMIN, "kind": "role" },
        "expiresAt": null,
        "steps": [
            { "operation": "DescribeCluster", "outcome": "SUCCEEDED", "durationMs": 20, "detail": "ACTIVE" },
            { "operation": "CreateAccessEntry", "outcome": "PLANNED", "durationMs": 0, "detail": "create an access entry of type STANDARD" },
        ],
        "warnings": [{ "code": "PRIVATE_ENDPOINT", "message": "the endpoint is private" }],
    })
}

pub(super) fn granted() -> Value {
    json!({
        "status": "GRANTED", "action": "grant",
        "cluster": { "name": "prod", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/prod" },
        "principal": { "requested": ADMIN, "arn": ADMIN, "kind": "role" },
        "expiresAt": "2026-11-24T18:00:00Z",
        "steps": [{ "operation": "CreateAccessEntry", "outcome": "SUCCEEDED", "durationMs": 40, "detail": "created" }],
        "warnings": [],
        "nextSteps": ["aws eks update-kubeconfig --name prod --region eu-west-1"],
        "undo": {
            "action": "revoke", "clusterName": "arn:aws:eks:eu-west-1:111122223333:cluster/prod", "principalArn": ADMIN,
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
            "restore": { "version": 1, "entryExisted": false, "accessScope": null },
        },
    })
}

/// Asks for approval of a grant: the message that was posted.
pub(super) async fn asked(harness: &Harness) -> Value {
    let (event, chat) = begun(harness, "grant prod me for 1h because INC-1 *is* `burning` <!channel>").await;
    let ask = json!({ "ask": { "taskToken": TOKEN, "event": event, "plan": plan(), "chat": chat } });
    assert_eq!(harness.invoke(&ask).await.unwrap(), json!({ "posted": true }));
    harness.outside.lock().unwrap().tasks.insert(TOKEN.to_owned());
    let (url, message) = harness.posts().pop().unwrap();
    assert_eq!(url, HOOK);
    message
}

/// The value of a button.
pub(super) fn button(message: &Value, id: &str) -> String {
    let blocks = message["blocks"].as_array().unwrap();
    let mut buttons = blocks.iter().filter_map(|block| block["elements"].as_array()).flatten();
    buttons.find(|element| element["action_id"] == id).unwrap()["value"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn approval_is_asked_for_in_the_channel_with_the_plan_in_words() {
    let harness = Harness::new();
    let message = asked(&harness).await;
    sound(&message);
    assert_eq!(message["response_type"], "in_channel");
    let text = message.to_string();
    for part in [
        "<@U0ASKER>",
        "cluster/prod",
        ADMIN,
        "`1h`",
        "create an access entry of type STANDARD",
        "the endpoint is private",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("ACTIVE"), "what was only looked at is no step");
    assert!(text.contains("INC-1 *is* `burning` !channel"), "a reason is shown as plain text: {text}");
    assert_eq!(harness.status(), "ASKED");
}

#[tokio::test(start_paused = true)]
async fn only_a_conversation_that_slack_has_begun_is_taken_up() {
    let harness = Harness::new();
    let (event, chat) = begun(&harness, "grant prod me for 1h because INC-1").await;
    let with = |place: &str, field: &str, value: Value| {
        let mut ask = json!({ "taskToken": TOKEN, "event": event, "plan": plan(), "chat": chat });
        ask[place][field] = value;
        json!({ "ask": ask })
    };
    for forged in [
        with("chat", "user", json!("U0OTHER")),
        with("chat", "team", json!("T0OTHER")),
        with("chat", "proof", json!("")),
        with("chat", "proof", Value::Null),
        with("chat", "began", json!(harness.now().as_second() + 1)),
        with("chat", "command", json!("extend")),
        with("event", "duration", json!("8h")),
        with("event", "policyArn", json!("AmazonEKSAdminPolicy")),
        with("event", "requestedBy", json!("slack:T0TEAM/U0OTHER")),
    ] {
        let failed = harness.invoke(&forged).await.unwrap_err();
        assert_eq!(failed.name.to_string(), "InvalidRequest", "{forged}");
    }
    let untouched = with("chat", "threadTs", Value::Null);
    tokio::time::advance(std::time::Duration::from_mins(29)).await;
    harness.invoke(&untouched).await.unwrap();
    tokio::time::advance(std::time::Duration::from_mins(2)).await;
    harness.invoke(&untouched).await.unwrap_err();
    assert_eq!(harness.posts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_may_approve_the_runbook_is_told_to_ask_elsewhere() {
    let harness = Harness::new().with("CHAT_APPROVERS", "");
    let (event, chat) = begun(&harness, "grant prod me because x").await;
    let ask = json!({ "ask": { "taskToken": TOKEN, "event": event, "plan": plan(), "chat": chat } });
    let failed = harness.invoke(&ask).await.unwrap_err();
    assert_eq!(failed.name.to_string(), "RequestDenied");
    assert!(failed.message.contains("`CHAT_APPROVERS`"), "{}", failed.message);
    let ask = json!({ "ask": { "taskToken": "x".repeat(2000), "event": event, "plan": plan(), "chat": chat } });
    let long = Harness::new().invoke(&ask).await.unwrap_err();
    assert_eq!(long.name.to_string(), "LimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn what_slack_does_not_take_fails_the_invocation() {
    for trouble in [
        Trouble::Answer(404, json!("used_url")),
        Trouble::Answer(500, json!("")),
        Trouble::Silence,
        Trouble::LostAnswer,
    ] {
        let harness = Harness::new();
        let (event, chat) = begun(&harness, "revoke prod me").await;
        harness.trouble("post", trouble);
        let tell =
            json!({ "tell": { "event": event, "result": granted(), "failure": null, "approval": null, "chat": chat } });
        let failed = harness.invoke(&tell).await.unwrap_err();
        assert_eq!(failed.name.to_string(), "ServiceUnavailable");
        assert!(!failed.message.contains("secret-part"), "{}", failed.message);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_posted_anywhere_else() {
    let harness = Harness::new();
    let (event, mut chat) = begun(&harness, "revoke prod me").await;
    for url in ["https://evil.example.com/", "http://169.254.169.254/latest/meta-data/"] {
        chat["responseUrl"] = json!(url);
        let tell =
            json!({ "tell": { "event": event, "result": granted(), "failure": null, "approval": null, "chat": chat } });
        assert_eq!(harness.invoke(&tell).await.unwrap_err().name.to_string(), "InvalidRequest");
    }
    assert_eq!(harness.posts(), []);
}

async fn posts_of(harness: &Harness, tell: Value) -> Vec<(String, Value)> {
    let before = harness.posts().len();
    assert_eq!(harness.invoke(&json!({ "tell": tell })).await.unwrap(), json!({ "posted": true }));
    harness.posts().split_off(before)
}

#[tokio::test(start_paused = true)]
async fn an_outcome_takes_the_place_of_the_request_and_its_details_go_to_the_thread() {
    let harness = Harness::new();
    let (event, mut chat) = begun(&harness, "grant prod me for 1h because INC-1").await;
    chat["threadTs"] = json!("1700000000.000100");
    chat["responseUrl"] = json!(CLICK_HOOK);
    let approval = json!({ "approved": true, "by": "slack:T0TEAM/U0APPROVER", "chat": {} });
    let tell = json!({ "event": event, "result": granted(), "failure": null, "approval": approval, "chat": chat });
    let posts = posts_of(&harness, tell).await;
    let [(url, outcome), (other_url, details)] = &posts[..] else { panic!("{posts:?}") };
    assert_eq!((url.as_str(), other_url.as_str()), (CLICK_HOOK, CLICK_HOOK));
    sound(outcome);
    sound(details);
    assert_eq!(outcome["replace_original"], true);
    let text = outcome.to_string();
    for part in ["Access to prod is granted", "<!date^1795543200^", "<@U0ASKER>", "<@U0APPROVER>", "INC-1"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!button(outcome, UNDO).is_empty());
    assert_eq!((&details["thread_ts"], &details["replace_original"]), (&json!("1700000000.000100"), &json!(false)));
    assert!(details.to_string().contains("aws eks update-kubeconfig --name prod"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_says_what_the_function_said() {
    let harness = Harness::new();
    let (event, chat) = begun(&harness, "grant prod me for 1h because INC-1").await;
    let cause = json!({ "errorType": "RequestDenied", "errorMessage": "the setting `ALLOWED_CLUSTERS` forbids <it>" })
        .to_string();
    let failure = json!({ "Error": "RequestDenied", "Cause": cause });
    let posts = posts_of(
        &harness,
        json!({ "event": event, "result": null, "failure": failure, "approval": null, "chat": chat }),
    )
    .await;
    let [(_, message)] = &posts[..] else { panic!("{posts:?}") };
    sound(message);
    assert_eq!(message["response_type"], "ephemeral");
    let text = message.to_string();
    assert!(text.contains("RequestDenied: the setting `ALLOWED_CLUSTERS` forbids &lt;it&gt;"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_inspection_is_told_to_the_one_who_asked_with_the_commands_that_mend_it() {
    let harness = Harness::new();
    let findings = json!([
        { "code": "NO_ACCESS_ENTRY", "severity": "ERROR", "message": "it has no access entry", "evidence": {},
          "remedy": { "action": "grant", "clusterName": "prod", "principalArn": ADMIN, "policyArn": "AmazonEKSViewPolicy" } },
        { "code": "ACTIVE_GRANTS", "severity": "INFO", "message": "this function has granted: much", "evidence": {}, "remedy": null },
    ]);
    let result = json!({ "status": "INSPECTED", "cluster": { "name": "prod" }, "findings": findings, "warnings": [], "undo": null });
    for (command, both) in [("inspect prod", true), ("list prod", false)] {
        let (event, chat) = begun(&harness, command).await;
        let posts = posts_of(
            &harness,
            json!({ "event": event, "result": result, "failure": null, "approval": null, "chat": chat }),
        )
        .await;
        sound(&posts[0].1);
        assert_eq!(posts[0].1["response_type"], "ephemeral");
        let text = posts[0].1.to_string();
        assert!(text.contains("this function has granted: much"), "{text}");
        let command = format!("/break-glass grant prod {ADMIN} for 1h policy AmazonEKSViewPolicy because …");
        assert_eq!(text.contains(&command), both, "{text}");
        harness.outside.lock().unwrap().executions.clear();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
}
