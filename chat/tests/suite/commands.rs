//! Commands: from what a user types to an execution of the workflow.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{ADMIN, HOOK, Harness, Trouble, form, reply};

async fn said(harness: &Harness, text: &str) -> String {
    let shown = reply(&harness.invoke(&harness.typed(text)).await.unwrap());
    assert_eq!(shown["response_type"], "ephemeral");
    shown["text"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_grant_starts_the_runbook_as_the_user_that_slack_vouches_for() {
    let harness = Harness::new();
    let said = said(&harness, "grant p me for 1h because INC-1 <!channel>").await;
    let executions = harness.executions();
    let [(name, input)] = &executions[..] else { panic!("{executions:?}") };
    assert!(name.starts_with("slack-") && name.len() == 38, "{name}");
    for (field, value) in [
        ("action", json!("grant")),
        ("clusterName", json!("prod")),
        ("principalArn", json!(ADMIN)),
        ("duration", json!("1h")),
        ("reason", json!("INC-1 !channel")),
        ("requestedBy", json!("slack:T0TEAM/U0ASKER")),
    ] {
        assert_eq!(input[field], value, "{field}");
    }
    let chat = &input["chat"];
    assert_eq!(
        (&chat["team"], &chat["channel"], &chat["user"]),
        (&json!("T0TEAM"), &json!("C0CHANNEL"), &json!("U0ASKER"))
    );
    assert_eq!(
        (&chat["command"], &chat["responseUrl"], &chat["threadTs"]),
        (&json!("grant"), &json!(HOOK), &Value::Null)
    );
    for part in ["Started", "`prod`", ADMIN, "`1h`", "AmazonEKSClusterAdminPolicy", "INC-1 !channel", name] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(harness.calls(), ["GetSecretValue", "StartExecution"], "nothing is posted: the answer is the answer");
}

#[tokio::test(start_paused = true)]
async fn the_audit_says_who_and_what_and_nothing_secret() {
    let harness = Harness::new();
    said(&harness, "grant p me for 1h because INC-1").await;
    let audit = harness.log().pop().unwrap();
    for (field, value) in [
        ("message", "audit"),
        ("level", "INFO"),
        ("status", "STARTED"),
        ("action", "grant"),
        ("requestedBy", "slack:T0TEAM/U0ASKER"),
        ("clusterName", "prod"),
        ("principalArn", ADMIN),
        ("duration", "1h"),
        ("reason", "INC-1"),
        ("channel", "C0CHANNEL"),
        ("requestId", "8f507cfc-xmpl-4697-b07a-ac58fc914c95"),
    ] {
        assert_eq!(audit[field], value, "{field}");
    }
    assert!(audit["execution"].as_str().unwrap().starts_with("slack-"));
    let log = harness.log().iter().map(Value::to_string).collect::<String>();
    for secret in ["secret-part-of", "8f742231", "deprecated", "trigger-1", "very-secret"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_trigger_starts_one_execution() {
    let harness = Harness::new();
    for _ in 0..3 {
        reply(&harness.invoke(&harness.typed_by("U0ASKER", "list prod", "the-same")).await.unwrap());
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(harness.executions().len(), 1);
    assert_eq!(harness.status(), "ALREADY_STARTED");
    harness.invoke(&harness.typed_by("U0ASKER", "list prod", "another")).await.unwrap();
    assert_eq!(harness.executions().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_starts_nothing_and_shows_the_right_form() {
    let harness = Harness::new();
    let said = said(&harness, "grant prod <!everyone> because <https://evil.example.com|click & win>").await;
    assert!(said.contains("/break-glass grant CLUSTER PRINCIPAL"), "{said}");
    assert!(!said.contains('<') && said.contains("`!everyone`"), "{said}");
    assert_eq!(harness.executions(), []);
    assert_eq!(harness.status(), "MISUNDERSTOOD");
}

#[tokio::test(start_paused = true)]
async fn help_names_every_form_and_the_aliases() {
    let harness = Harness::new();
    let help = reply(&harness.invoke(&harness.typed("help")).await.unwrap()).to_string();
    for part in [
        "grant CLUSTER PRINCIPAL",
        "extend CLUSTER",
        "revoke CLUSTER",
        "inspect CLUSTER",
        "list CLUSTER",
        "`p`",
        "`oncall`",
    ] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_workspace_that_is_not_named_may_nothing() {
    let harness = Harness::new().with("SLACK_TEAMS", "T0OTHER");
    assert!(said(&harness, "list prod").await.contains("`SLACK_TEAMS`"));
    assert_eq!((harness.status(), harness.executions()), ("TEAM_REFUSED".to_owned(), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_response_url_of_another_host_is_refused() {
    let harness = Harness::new();
    let request = harness.signed(&form(&[
        ("command", "/break-glass"),
        ("text", "list prod"),
        ("team_id", "T0TEAM"),
        ("user_id", "U0ASKER"),
        ("trigger_id", "1"),
        ("response_url", "https://hooks.slack.com.evil.example.com/"),
    ]));
    assert!(
        reply(&harness.invoke(&request).await.unwrap())["text"].as_str().unwrap().contains("`SLACK_RESPONSE_HOSTS`")
    );
    assert_eq!((harness.status(), harness.executions()), ("RESPONSE_URL_REFUSED".to_owned(), vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_slack_would_not_send_is_400_and_what_needs_no_answer_has_none() {
    let harness = Harness::new();
    for body in [
        "payload={",
        "payload=1",
        "command=x",
        "command=x&team_id=T1&user_id=u1",
        "command=x&team_id=T1&user_id=%3C%21here%3E",
    ] {
        let answer = harness.invoke(&harness.signed(body)).await.unwrap();
        assert_eq!(answer, json!({ "statusCode": 400, "headers": {}, "body": "" }), "{body}");
    }
    for body in ["", "ssl_check=1", "payload=%7B%22type%22%3A%22view_submission%22%7D"] {
        let answer = harness.invoke(&harness.signed(body)).await.unwrap();
        assert_eq!(answer, json!({ "statusCode": 200, "headers": {}, "body": "" }), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_cannot_be_started_is_said_within_three_seconds() {
    let denied = json!({ "__type": "AccessDeniedException", "message": "not authorized to perform: states:StartExecution <!here>" });
    for (trouble, part) in [
        (Trouble::Answer(400, denied), "not authorized to perform: states:StartExecution &lt;!here&gt;"),
        (Trouble::Answer(500, json!({ "__type": "InternalError" })), "InternalError"),
        (Trouble::Silence, "It may have been started"),
    ] {
        let harness = Harness::new();
        for _ in 0..20 {
            harness.trouble("StartExecution", trouble.clone());
        }
        let begun = eks_break_glass::platform::clock::instant();
        let said = said(&harness, "list prod").await;
        assert!(said.contains(part) && said.contains("Send it again: that is safe"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(3), "Slack waits no longer");
        assert_eq!(harness.status(), "NOT_STARTED");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_was_lost_is_made_again_and_starts_once() {
    let harness = Harness::new();
    harness.trouble("StartExecution", Trouble::LostAnswer);
    harness.trouble("StartExecution", Trouble::Answer(400, json!({ "__type": "ThrottlingException" })));
    assert!(said(&harness, "list prod").await.contains("Started"));
    assert_eq!(harness.executions().len(), 1);
    assert_eq!(harness.calls(), ["GetSecretValue", "StartExecution", "StartExecution", "StartExecution"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_no_request_of_anybody_is_said_to_be_none() {
    let harness = Harness::new();
    for event in [json!({}), json!(null), json!({ "clusterName": "prod" }), json!({ "ask": {}, "tell": {} })] {
        let failed = harness.invoke(&event).await.unwrap_err();
        assert_eq!(failed.name.to_string(), "InvalidRequest", "{event}");
    }
}
