//! The chat function's settings.

use std::collections::HashMap;

use eks_break_glass_chat::conversation::may_post_to;
use eks_break_glass_chat::settings::Settings;
use serde_json::json;

use super::harness::{Harness, RUNBOOK, SECRET, reply};

fn read(more: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let mut variables = HashMap::from([
        ("AWS_REGION", "eu-west-1"),
        ("RECOVER_STATE_MACHINE_ARN", RUNBOOK),
        ("SLACK_SECRET_ARN", "slack"),
    ]);
    variables.extend(more.iter().copied());
    Settings::read(|name| variables.get(name).map(|&value| value.to_owned())).map_err(|wrong| wrong.0)
}

#[test]
fn nothing_set_lets_everybody_ask_and_nobody_approve() {
    let settings = read(&[]).unwrap();
    let rules = settings.rules.unwrap();
    assert_eq!(settings.response_hosts, ["hooks.slack.com"]);
    assert_eq!(settings.api, "https://slack.com/api");
    assert_eq!((rules.approvers, rules.approver_groups, rules.teams), (vec![], vec![], vec![]));
}

#[test]
fn users_and_groups_are_told_apart() {
    let rules =
        read(&[("CHAT_APPROVERS", "U0ONE, S0GROUP,W0TWO"), ("SLACK_TEAMS", "T0TEAM,E0ORG")]).unwrap().rules.unwrap();
    assert_eq!(rules.approvers, ["U0ONE", "W0TWO"]);
    assert_eq!(rules.approver_groups, ["S0GROUP"]);
    assert_eq!(rules.teams, ["T0TEAM", "E0ORG"]);
}

#[test]
fn every_wrong_setting_is_named_at_once() {
    let wrong = read(&[
        ("AWS_REGION", "nowhere"),
        ("SLACK_SECRET_ARN", " "),
        ("RECOVER_STATE_MACHINE_ARN", "recover"),
        ("CHAT_APPROVERS", "jane.doe"),
        ("SLACK_TEAMS", "U0NOTEAM"),
        ("CHAT_ALIASES", "{\"cluster\":{}}"),
        ("SLACK_RESPONSE_HOSTS", "hooks.slack.com,evil.example.com:8080"),
        ("LOG_LEVEL", "LOUD"),
    ])
    .unwrap_err();
    for name in [
        "AWS_REGION",
        "SLACK_SECRET_ARN",
        "RECOVER_STATE_MACHINE_ARN",
        "CHAT_APPROVERS",
        "SLACK_TEAMS",
        "CHAT_ALIASES",
        "SLACK_RESPONSE_HOSTS",
        "LOG_LEVEL",
    ] {
        let named = wrong.iter().filter(|text| text.contains(&format!("`{name}`"))).count();
        assert_eq!(named, 1, "{name} in {wrong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_settings_are_told_to_people_that_slack_vouches_for_and_to_nobody_else() {
    let harness = Harness::new().with("CHAT_APPROVERS", "everybody");
    let shown = reply(&harness.invoke(&harness.typed("grant prod me because x")).await.unwrap());
    assert_eq!(shown["response_type"], "ephemeral");
    assert!(shown["text"].as_str().unwrap().contains("`CHAT_APPROVERS`"), "{shown}");
    let mut forged = harness.typed("help");
    forged["body"] = json!("text=grant");
    assert_eq!(harness.invoke(&forged).await.unwrap()["statusCode"], 401);
    assert_eq!(harness.calls(), ["GetSecretValue"]);
    let failed = harness.invoke(&json!({ "ask": {} })).await.unwrap_err();
    assert_eq!(failed.name.to_string(), "Misconfigured");
}

#[tokio::test(start_paused = true)]
async fn without_a_secret_nobody_can_be_known_and_the_log_says_why() {
    let harness = Harness::new().with("SLACK_SECRET_ARN", "").with("CHAT_ALIASES", "[");
    for _ in 0..2 {
        let answer = harness.invoke(&harness.typed("help")).await.unwrap();
        assert_eq!(answer, json!({ "statusCode": 500, "headers": {}, "body": "" }));
    }
    let line = harness.log().pop().unwrap();
    let said = line["errorMessage"].as_str().unwrap();
    assert!(said.contains("`SLACK_SECRET_ARN`") && said.contains("`CHAT_ALIASES`"), "{said}");
    let failed = harness.invoke(&json!({ "tell": {} })).await.unwrap_err();
    assert_eq!(failed.name.to_string(), "Misconfigured");
    assert!(failed.message.contains("`SLACK_SECRET_ARN`"), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn a_secret_may_be_the_signing_secret_alone_or_json() {
    for secret in [format!(" {SECRET}\n"), json!({ "signingSecret": SECRET }).to_string()] {
        let harness = Harness::new();
        harness.outside.lock().unwrap().secret = secret;
        assert_eq!(harness.invoke(&harness.typed("help")).await.unwrap()["statusCode"], 200);
    }
    let harness = Harness::new();
    harness.outside.lock().unwrap().secret = String::new();
    assert_eq!(harness.invoke(&harness.typed("help")).await.unwrap()["statusCode"], 401);
}

/// A typing error: every signature would be said not to fit.
#[tokio::test(start_paused = true)]
async fn json_that_is_not_the_secrets_is_not_taken_for_the_signing_secret() {
    let misspelt = json!({ "signing_secret": SECRET }).to_string();
    for secret in [misspelt.clone(), json!({ "signingSecret": [SECRET] }).to_string(), misspelt.replace('}', "")] {
        let harness = Harness::new();
        harness.outside.lock().unwrap().secret.clone_from(&secret);
        assert_eq!(harness.invoke(&harness.typed("help")).await.unwrap()["statusCode"], 503, "{secret}");
        let line = harness.log().pop().unwrap();
        assert_eq!((&line["status"], &line["level"]), (&json!("SECRET_UNAVAILABLE"), &json!("ERROR")));
        assert_eq!(line["errorMessage"], "the secret is JSON without a text `signingSecret`");
        let failed = harness.invoke(&json!({ "tell": {} })).await.unwrap_err();
        assert!(failed.message.contains("`signingSecret`"), "{}", failed.message);
        let log = format!("{:?}", harness.log());
        assert!(!log.contains(SECRET) && !failed.message.contains(SECRET), "{log}");
    }
}

#[test]
fn messages_go_to_slack_alone() {
    let slack = ["hooks.slack.com".to_owned()];
    let local = ["hooks.slack.com".to_owned(), "127.0.0.1:8080".to_owned()];
    assert!(may_post_to("https://hooks.slack.com/commands/T1/2/3", &slack));
    assert!(may_post_to("http://127.0.0.1:8080/commands", &local));
    for url in [
        "http://hooks.slack.com/commands/T1/2/3",
        "https://hooks.slack.com",
        "https://hooks.slack.com.evil.example.com/",
        "https://hooks.slack.com@evil.example.com/",
        "https://evil.example.com@hooks.slack.com/",
        "https://hooks.slack.com:443/",
        "https://hooks.slack.com:pw@evil.example.com/",
        "https://hooks.slack.com?@evil.example.com/",
        "https://hooks.slack.com#@evil.example.com/",
        "https://hooks.slack.com\\@evil.example.com/",
        "https://hooks.slack.com\t/",
        "https://hooks.slack.com/\r\nHost: evil.example.com",
        "https://HOOKS.slack.com/",
        "https://evil.example.com/hooks.slack.com/",
        "https:///hooks.slack.com/",
        "//hooks.slack.com/",
        "https://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:8080/commands",
        "file:///etc/passwd",
        "",
    ] {
        assert!(!may_post_to(url, &slack), "{url}");
    }
    assert!(!may_post_to("http://127.0.0.1:8081/commands", &local));
    assert!(!may_post_to(&format!("https://hooks.slack.com/{}", "x".repeat(2000)), &slack));
}
