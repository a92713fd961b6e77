//! Who is Slack, and who is not.

use std::time::Duration;

use eks_break_glass_chat::slack::signature::{SignatureHeaders, seal, unseal};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::harness::{Harness, SECRET, Trouble, form, in_base64, reply, request, sign};

/// The example of "Verifying requests from Slack" in Slack's documentation.
#[test]
fn the_example_of_slacks_documentation_is_slacks() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let now = Timestamp::from_second(1_531_420_618).unwrap();
    let claim = SignatureHeaders::read(Some("1531420618"), Some(signature), now).unwrap();
    assert_eq!(claim.check("8f742231b10e8888abcd99yyyzzz85a5", body.as_bytes()), Ok(()));
    assert!(claim.check("8f742231b10e8888abcd99yyyzzz85a6", body.as_bytes()).is_err());
}

/// What a caller without the secret, or with an old request, could try.
fn forgeries(harness: &Harness) -> Vec<(&'static str, Value)> {
    let good = harness.typed("list prod");
    let body = good["body"].as_str().unwrap().to_owned();
    let time = good["headers"]["x-slack-request-timestamp"].as_str().unwrap().to_owned();
    let right = good["headers"]["x-slack-signature"].as_str().unwrap().to_owned();
    let header = |name: &str, value: Value| {
        let mut request = good.clone();
        request["headers"][name] = value;
        request
    };
    let signature = |text: &str| header("x-slack-signature", json!(text));
    let timed = |text: &str| header("x-slack-request-timestamp", json!(text));
    let field = |name: &str, value: Value| {
        let mut request = good.clone();
        request[name] = value;
        request
    };
    let signed_at = |moved: SignedDuration| request(SECRET, harness.now() + moved, &body);
    let with_time = |time: &str| {
        let mut request = signature(&sign(SECRET, time, body.as_bytes()));
        request["headers"]["x-slack-request-timestamp"] = json!(time);
        request
    };
    let digits = right.strip_prefix("v0=").unwrap();
    let last_changed = format!("v0={}{}", digits.split_at(63).0, if digits.ends_with('0') { '1' } else { '0' });
    let mut without_headers = good.clone();
    without_headers.as_object_mut().unwrap().remove("headers");
    let mut twice = good.clone();
    twice["headers"]["X-Slack-Signature"] = json!(right);
    vec![
        ("no headers at all", without_headers),
        ("no signature", header("x-slack-signature", Value::Null)),
        ("no time", header("x-slack-request-timestamp", Value::Null)),
        ("an empty signature", signature("")),
        ("an empty time", timed("")),
        ("no version", signature(digits)),
        ("another version", signature(&format!("v1={digits}"))),
        ("just the version", signature("v0=")),
        ("a digit less", signature(&format!("v0={}", digits.split_at(63).0))),
        ("half of it", signature(&format!("v0={}", digits.split_at(32).0))),
        ("a digit more", signature(&format!("{right}0"))),
        ("a byte more", signature(&format!("{right}00"))),
        ("one digit changed", signature(&last_changed)),
        ("upper case", signature(&format!("v0={}", digits.to_uppercase()))),
        ("no digits", signature(&format!("v0={}", "z".repeat(64)))),
        ("letters beyond ASCII", signature(&format!("v0={}", "é".repeat(32)))),
        ("zeros", signature(&format!("v0={}", "0".repeat(64)))),
        ("blanks around it", signature(&format!(" {right}"))),
        ("two signatures in one", signature(&format!("{right},{right}"))),
        ("two headers of one name", twice),
        ("a number for a signature", header("x-slack-signature", json!(0))),
        ("a list of signatures", header("x-slack-signature", json!([right]))),
        ("another time, still fresh", timed(&(time.parse::<i64>().unwrap() + 1).to_string())),
        ("a signed time with a sign", with_time(&format!("+{time}"))),
        ("a signed time with a zero before it", with_time(&format!("0{time}"))),
        ("a signed time that is no number", with_time("now")),
        ("a signed time beyond all calendars", with_time("99999999999999999999")),
        ("a signed time of another year", with_time("1531420618")),
        ("sent five minutes and a second ago", signed_at(SignedDuration::from_secs(-301))),
        ("sent in five minutes and a second", signed_at(SignedDuration::from_secs(301))),
        ("another body", field("body", json!(body.replace("list", "revoke")))),
        ("a body with something added", field("body", json!(format!("{body}&text=grant")))),
        ("a body with a line break added", field("body", json!(format!("{body}\n")))),
        ("no body", field("body", json!(""))),
        ("a body that is not sent as base64, but said to be", field("isBase64Encoded", json!(true))),
        ("a body in base64 that is not said to be", {
            let mut request = in_base64(good.clone());
            request["isBase64Encoded"] = json!(false);
            request
        }),
        ("a body that is no text", field("body", json!({ "text": "list prod" }))),
        ("another secret", request("8f742231b10e8888abcd99yyyzzz85a6", harness.now(), &body)),
        ("no secret", {
            let mut request = request("x", harness.now(), &body);
            request["headers"]["x-slack-signature"] = json!(sign("", &time, body.as_bytes()));
            request
        }),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_way_to_break_the_signature_gets_401_and_nothing_else() {
    let harness = Harness::new();
    let forgeries = forgeries(&harness);
    assert!(forgeries.len() >= 30, "{}", forgeries.len());
    for (what, forgery) in forgeries {
        let answer = harness.invoke(&forgery).await.unwrap();
        assert_eq!(answer, json!({ "statusCode": 401, "headers": {}, "body": "" }), "{what}");
        assert_eq!(harness.status(), "UNSIGNED", "{what}");
    }
    assert!(harness.calls().iter().all(|call| call == "GetSecretValue"), "{:?}", harness.calls());
    // It was not the request itself.
    assert_eq!(harness.invoke(&harness.typed("list prod")).await.unwrap()["statusCode"], 200);
}

#[tokio::test(start_paused = true)]
async fn a_signature_holds_for_five_minutes_either_way() {
    for moved in [-300, -1, 0, 1, 300] {
        let harness = Harness::new();
        let body = form(&[
            ("command", "/break-glass"),
            ("text", "help"),
            ("team_id", "T0TEAM"),
            ("user_id", "U0ASKER"),
            ("trigger_id", "1"),
            ("response_url", super::harness::HOOK),
        ]);
        let sent = harness.now() + SignedDuration::from_secs(moved);
        assert_eq!(harness.invoke(&request(SECRET, sent, &body)).await.unwrap()["statusCode"], 200, "{moved}");
    }
}

#[tokio::test(start_paused = true)]
async fn noise_costs_no_call() {
    let harness = Harness::new();
    let mut bare = harness.typed("help");
    bare["headers"] = json!({});
    let old = request(SECRET, harness.now() - SignedDuration::from_hours(1), "text=help");
    for noise in [bare, old] {
        harness.invoke(&noise).await.unwrap();
    }
    assert_eq!(harness.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_signed_as_it_was_sent_however_lambda_hands_it_on() {
    let harness = Harness::new();
    let answer = harness.invoke(&in_base64(harness.typed("help"))).await.unwrap();
    assert!(reply(&answer)["blocks"][0]["text"]["text"].as_str().unwrap().contains("grant CLUSTER PRINCIPAL"));
}

#[tokio::test(start_paused = true)]
async fn headers_are_known_in_any_case() {
    let harness = Harness::new();
    let mut request = harness.typed("help");
    let headers = request["headers"].as_object().unwrap().clone();
    request["headers"] = headers.into_iter().map(|(name, value)| (name.to_uppercase(), value)).collect();
    assert_eq!(harness.invoke(&request).await.unwrap()["statusCode"], 200);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_sent_again_is_refused_for_as_long_as_its_signature_holds() {
    let harness = Harness::new();
    let request = harness.typed("list prod");
    assert_eq!(harness.invoke(&request).await.unwrap()["statusCode"], 200);
    for _ in 0..11 {
        assert_eq!(harness.invoke(&request).await.unwrap()["statusCode"], 401);
        tokio::time::advance(Duration::from_secs(30)).await;
    }
    assert_eq!(harness.executions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_another_instance_has_answered_starts_nothing_twice() {
    let harness = Harness::new();
    let request = harness.typed("list prod");
    let first = reply(&harness.invoke(&request).await.unwrap());
    let harness = harness.another_instance();
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(reply(&harness.invoke(&request).await.unwrap()), first);
    assert_eq!(harness.executions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_all_measure_is_refused_unread() {
    let harness = Harness::new();
    let text = "x".repeat(600 * 1024);
    for request in [harness.typed(&text), in_base64(harness.typed(&text))] {
        assert_eq!(harness.invoke(&request).await.unwrap()["statusCode"], 401);
    }
    assert_eq!(harness.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_secret_is_read_once_in_five_minutes() {
    let harness = Harness::new();
    for _ in 0..10 {
        harness.invoke(&harness.typed("help")).await.unwrap();
        tokio::time::advance(Duration::from_secs(29)).await;
    }
    assert_eq!(harness.calls(), ["GetSecretValue"]);
    tokio::time::advance(Duration::from_secs(11)).await;
    harness.invoke(&harness.typed("help")).await.unwrap();
    assert_eq!(harness.calls(), ["GetSecretValue"; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_counts_at_once_and_the_one_before_no_more() {
    let harness = Harness::new();
    assert_eq!(harness.invoke(&harness.typed("help")).await.unwrap()["statusCode"], 200);
    let new = "0123456789abcdef0123456789abcdef";
    harness.outside.lock().unwrap().secret = json!({ "signingSecret": new, "botToken": "xoxb-token" }).to_string();
    tokio::time::advance(Duration::from_mins(1)).await;
    let old = harness.typed("help");
    let body = old["body"].as_str().unwrap();
    assert_eq!(harness.invoke(&request(new, harness.now(), body)).await.unwrap()["statusCode"], 200);
    assert_eq!(harness.invoke(&old).await.unwrap()["statusCode"], 401);
}

#[tokio::test(start_paused = true)]
async fn signatures_that_do_not_fit_make_the_secret_be_read_every_ten_seconds_at_most() {
    let harness = Harness::new();
    for _ in 0..30 {
        harness.invoke(&request("not the secret", harness.now(), "text=help")).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(harness.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn while_the_secret_cannot_be_read_nobody_is_let_through() {
    let denied = json!({ "__type": "AccessDeniedException", "Message": "not authorized to perform: secretsmanager:GetSecretValue" });
    for trouble in [Trouble::Answer(400, denied), Trouble::Answer(500, json!({})), Trouble::Silence] {
        let harness = Harness::new();
        for _ in 0..20 {
            harness.trouble("GetSecretValue", trouble.clone());
        }
        let begun = eks_break_glass::platform::clock::instant();
        let answer = harness.invoke(&harness.typed("help")).await.unwrap();
        assert_eq!(answer, json!({ "statusCode": 503, "headers": {}, "body": "" }), "{trouble:?}");
        assert_eq!(harness.status(), "SECRET_UNAVAILABLE");
        assert!(begun.elapsed() < Duration::from_secs(3), "Slack waits no longer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_does_not_answer_at_first_is_asked_again() {
    for trouble in [Trouble::Silence, Trouble::Answer(500, json!({})), Trouble::LostAnswer] {
        let harness = Harness::new();
        harness.trouble("GetSecretValue", trouble);
        assert_eq!(harness.invoke(&harness.typed("help")).await.unwrap()["statusCode"], 200);
    }
}

#[test]
fn a_seal_is_for_one_purpose_and_one_text() {
    let sealed = seal(SECRET, "approval", "{\"t\":1}").unwrap();
    assert_eq!(unseal(SECRET, "approval", &sealed), Some("{\"t\":1}"));
    assert_eq!(unseal(SECRET, "undo", &sealed), None);
    assert_eq!(unseal("another secret", "approval", &sealed), None);
    assert_eq!(unseal(SECRET, "approval", &sealed.replace(":1}", ":2}")), None);
    assert_eq!(unseal(SECRET, "approval", ""), None);
    assert_eq!(unseal(SECRET, "approval", &"é".repeat(64)), None);
    assert_eq!(seal("", "approval", "{}"), None, "anybody could seal with an empty secret");
    // Slack signs texts that begin with a version and a colon.
    assert_ne!(sign(SECRET, "1", b"x").strip_prefix("v0="), seal(SECRET, "v0:1:x", "").as_deref());
}
