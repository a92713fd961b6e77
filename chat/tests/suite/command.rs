//! What people type, and what is made of it.

use std::collections::BTreeMap;

use eks_break_glass::domain::region::Region;
use eks_break_glass::input::event::Request;
use eks_break_glass_chat::command::{Command, Verb, forms, parse};
use eks_break_glass_chat::settings::Aliases;
use proptest::prelude::*;
use serde_json::{Value, json};

const ADMIN: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";

fn home() -> Region {
    Region::parse("eu-west-1").unwrap()
}

fn aliases() -> Aliases {
    let map = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, target)| ((*name).to_owned(), (*target).to_owned())).collect::<BTreeMap<_, _>>()
    };
    Aliases {
        clusters: map(&[("prod", "arn:aws:eks:eu-central-1:111122223333:cluster/production")]),
        principals: map(&[("oncall", ADMIN), ("U0ASKER", ADMIN), ("U0BOB", BOB)]),
    }
}

fn read(text: &str) -> Result<Command, String> {
    parse(text, "U0ASKER", &aliases(), &home()).map_err(|misunderstood| misunderstood.to_string())
}

fn run(text: &str) -> (Verb, Value) {
    match read(text) {
        Ok(Command::Run(verb, event)) => (verb, event),
        other => panic!("{text}: {other:?}"),
    }
}

fn grant(more: &Value) -> Value {
    let mut event =
        json!({ "action": "grant", "clusterName": "dev", "principalArn": ADMIN, "reason": "INC-1 is burning" });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

#[test]
fn every_form_of_a_grant_is_understood() {
    let hour = json!({ "duration": "1h" });
    let view = json!({ "duration": "1h", "policyArn": "AmazonEKSViewPolicy" });
    let scoped = json!({ "accessScope": { "type": "namespace", "namespaces": ["team-a", "dev-*"] } });
    for (text, more) in [
        ("grant dev oncall because INC-1 is burning", &json!({})),
        ("grant dev me because INC-1 is burning", &json!({})),
        ("GRANT dev ME Because INC-1 is burning", &json!({})),
        ("  grant\tdev   oncall\nbecause  INC-1   is burning ", &json!({})),
        ("grant dev arn:aws:iam::111122223333:role/new-cluster-admin because INC-1 is burning", &json!({})),
        ("grant dev oncall reason: INC-1 is burning", &json!({})),
        ("grant dev oncall Reason INC-1 is burning", &json!({})),
        ("grant dev oncall because: \"INC-1 is burning\"", &json!({})),
        ("grant dev oncall because “INC-1 is burning”", &json!({})),
        ("grant dev oncall because ‘INC-1 is burning’", &json!({})),
        ("grant dev oncall for 1h because INC-1 is burning", &hour),
        ("grant for 1h dev oncall because INC-1 is burning", &hour),
        ("grant dev for 1h oncall because INC-1 is burning", &hour),
        ("grant because “INC-1 is burning” dev oncall for 1h", &hour),
        ("grant dev oncall because INC-1 is burning for 1h", &hour),
        ("grant dev oncall For: 1h because INC-1 is burning", &hour),
        ("grant dev oncall for 1h with policy AmazonEKSViewPolicy because INC-1 is burning", &view),
        ("grant dev oncall policy AmazonEKSViewPolicy for 1h because INC-1 is burning", &view),
        ("grant dev oncall because INC-1 is burning policy AmazonEKSViewPolicy for 1h", &view),
        ("grant dev oncall namespace team-a dev-* because INC-1 is burning", &scoped),
        ("grant dev oncall in namespaces team-a,dev-* because INC-1 is burning", &scoped),
        ("grant dev oncall ns team-a, dev-* because INC-1 is burning", &scoped),
        ("grant dev oncall ns team-a namespace dev-* because INC-1 is burning", &scoped),
        ("grant dev oncall because INC-1 is burning namespace team-a dev-*", &scoped),
    ] {
        assert_eq!(run(text), (Verb::Grant, grant(more)), "{text}");
    }
    assert_eq!(run("grant dev oncall for 90 minutes because x").1["duration"], "90minutes");
    assert_eq!(run("grant dev oncall for 2 hours because x").1["duration"], "2hours");
}

#[test]
fn the_other_verbs_are_understood() {
    let prod = "arn:aws:eks:eu-central-1:111122223333:cluster/production";
    for (text, verb, event) in [
        (
            "extend prod me for 2h because not done",
            Verb::Extend,
            json!({ "action": "grant", "clusterName": prod, "principalArn": ADMIN, "duration": "2h", "reason": "not done" }),
        ),
        ("revoke prod me", Verb::Revoke, json!({ "action": "revoke", "clusterName": prod, "principalArn": ADMIN })),
        (
            "revoke PROD <@U0BOB|bob> policy AmazonEKSViewPolicy because done",
            Verb::Revoke,
            json!({ "action": "revoke", "clusterName": prod, "principalArn": BOB, "policyArn": "AmazonEKSViewPolicy", "reason": "done" }),
        ),
        ("inspect dev", Verb::Inspect, json!({ "action": "inspect", "clusterName": "dev" })),
        (
            "inspect dev @U0BOB",
            Verb::Inspect,
            json!({ "action": "inspect", "clusterName": "dev", "principalArn": BOB }),
        ),
        ("list dev", Verb::List, json!({ "action": "inspect", "clusterName": "dev" })),
    ] {
        assert_eq!(run(text), (verb, event), "{text}");
    }
    for text in ["", "  ", "help", "HELP", "?", "help me"] {
        assert_eq!(read(text), Ok(Command::Help), "{text:?}");
    }
}

#[test]
fn what_slack_makes_of_addresses_is_unmade() {
    for (typed, reason) in [
        ("see <https://status.example.com/1|status.example.com/1> now", "see status.example.com/1 now"),
        ("see <https://example.com>", "see https://example.com"),
        ("ask <mailto:jane@example.com|jane@example.com>", "ask jane@example.com"),
        ("in <#C0CHANNEL|incidents>", "in incidents"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;!channel&amp;gt;", "&lt;!channel&gt;"),
        ("a < b", "a < b"),
        ("isn't it", "isn't it"),
        ("it's 'quoted' here", "it's quoted here"),
    ] {
        assert_eq!(run(&format!("grant dev me because {typed}")).1["reason"], reason, "{typed}");
    }
}

#[test]
fn a_clause_that_a_reason_merely_mentions_is_part_of_it() {
    for reason in ["waiting for approval", "policy is wrong here", "for 1h nobody can deploy", "for"] {
        let event = run(&format!("grant dev me because {reason}")).1;
        assert_eq!(event["reason"], reason);
        assert_eq!((event.get("duration"), event.get("policyArn")), (None, None), "{reason}");
    }
    // Between quotes, everything is.
    assert_eq!(run("grant dev me because \"down for 1h\"").1, {
        let mut event = grant(&json!({}));
        event["reason"] = json!("down for 1h");
        event
    });
}

#[test]
fn what_is_not_understood_is_said_with_the_right_form() {
    for (text, what, form) in [
        ("grnt dev me", "There is no `grnt`", "grant CLUSTER PRINCIPAL"),
        ("lst dev", "There is no `lst`", "list CLUSTER"),
        ("grant", "the cluster is missing", "grant CLUSTER"),
        ("grant dev", "the principal is missing", "grant CLUSTER"),
        ("grant dev me", "the reason is missing", "because REASON"),
        ("grant dev me because", "there is nothing behind `because`", "because REASON"),
        ("grant dev me because \"\"", "there is nothing behind `because`", "because REASON"),
        ("grant dev me for because x", "there is nothing behind `for`", "for 1h"),
        ("grant dev me for 1h for 2h because x", "`for` stands there twice", "for 1h"),
        ("grant dev me policy a policy b because x", "`policy` stands there twice", "policy P"),
        ("grant dev me because \"x\" because y", "there are two reasons", "because REASON"),
        ("grant dev me for 1d because x", "`1d` is not a length of time", "for 1h"),
        ("grant dev me for ever because x", "`ever` is not a length of time", "for 1h"),
        ("grant dev me for 10s because x", "`10s` is too short", "for 1h"),
        ("grant dev me please because x", "`please` is one word too many", "grant CLUSTER"),
        ("grant dev me policy Read-Only because x", "policyArn", "policy P"),
        ("grant dev me namespace Team_A because x", "accessScope.namespaces", "namespace N"),
        ("grant no/cluster me because x", "clusterName", "grant CLUSTER"),
        ("grant dev arn:aws:iam::1:root because x", "principalArn", "grant CLUSTER"),
        (
            "grant dev nobody because x",
            "`nobody` is no alias of a principal; there are `U0ASKER`, `U0BOB`, `oncall`",
            "PRINCIPAL",
        ),
        ("grant dev <@U0EVE> because x", "`U0EVE` is no alias", "PRINCIPAL"),
        ("extend dev me because x", "for how long is missing", "extend CLUSTER PRINCIPAL for 2h"),
        ("revoke dev me for 1h", "duration", "revoke CLUSTER"),
        ("inspect dev me policy AmazonEKSViewPolicy", "policyArn", "inspect CLUSTER"),
        ("list dev me", "`me` is one word too many", "list CLUSTER"),
    ] {
        let said = read(text).unwrap_err();
        assert!(said.contains(what), "{text}: {said}");
        assert!(said.contains("\nThe right form: /break-glass ") && said.contains(form), "{text}: {said}");
    }
    let stranger = parse("grant dev me because x", "U0EVE", &aliases(), &home()).unwrap_err();
    assert!(stranger.what.contains("`me` (`U0EVE`) is no alias"), "{stranger}");
    let none = parse("grant dev me because x", "U0EVE", &Aliases::default(), &home()).unwrap_err();
    assert!(none.what.contains("`CHAT_ALIASES`"), "{none}");
}

#[test]
fn the_forms_that_are_shown_are_understood() {
    for (form, _) in forms() {
        let text = form.strip_prefix("/break-glass ").unwrap();
        let text =
            text.replace(['[', ']'], "").replace("N…", "team-a").replace("policy P", "policy AmazonEKSViewPolicy");
        let text = text.replace("CLUSTER", "dev").replace("PRINCIPAL", "me").replace("REASON", "it burns");
        run(&text);
    }
}

/// Words that mean something, and words that don't.
fn anything() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "grant",
            "extend",
            "revoke",
            "inspect",
            "list",
            "help",
            "for",
            "1h",
            "2",
            "hours",
            "policy",
            "AmazonEKSViewPolicy",
            "namespace",
            "ns",
            "in",
            "with",
            "because",
            "reason:",
            "me",
            "oncall",
            "prod",
            "dev",
            ADMIN,
            "<@U0BOB|bob>",
            "<https://x|x>",
            "\"",
            "“",
            "”",
            "'",
            "<",
            ">",
            "|",
            "&lt;",
            "&amp;",
            ",",
            "",
            "\u{0}",
            "é",
            "🔥",
            "<!channel>",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
        any::<String>(),
    ];
    proptest::collection::vec(word, 0..14).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_typed_is_a_sound_event_or_a_polite_answer(text in anything()) {
        match parse(&text, "U0ASKER", &aliases(), &home()) {
            Ok(Command::Help) => {}
            Ok(Command::Run(_, event)) => prop_assert!(Request::parse(&event.to_string(), &home()).is_ok()),
            Err(misunderstood) => prop_assert!(misunderstood.form.starts_with("/break-glass ")),
        }
    }
}
