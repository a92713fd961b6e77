//! What a grant waits for: principals, entries, and EKS itself.

use std::time::Duration;

use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::platform::clock;
use serde_json::json;
use simulator::World;
use simulator::policy::Policy;
use simulator::world::{Delays, Entry, Mode, Principal};

use crate::workflow::{ADMIN, SSO, changes, event, harness, is_admin, world};

#[tokio::test(start_paused = true)]
async fn a_new_principal_is_waited_for() {
    let new = Principal::made_at(ADMIN, World::START).with_eks_lag(Duration::from_secs(90));
    let harness = harness(world(Mode::Api).with_principal(new));
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    let steps = result["steps"].as_array().unwrap();
    let create =
        steps.iter().find(|step| step["operation"] == "CreateAccessEntry" && step["outcome"] == "SUCCEEDED").unwrap();
    assert!(create["durationMs"].as_u64().unwrap() > 60_000, "{create}");
}

#[tokio::test(start_paused = true)]
async fn where_iam_cannot_be_asked_eks_has_two_minutes_to_know_the_principal() {
    let harness = harness(world(Mode::Api).with_policy(Policy::article()));
    let typo = json!({"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/new-clutser-admin"});
    let begun = clock::instant();
    let failed = harness.send(&typo).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PrincipalNotFound);
    assert!(begun.elapsed() > Duration::from_secs(100) && begun.elapsed() < Duration::from_secs(130));
    assert!(failed.message.contains("Nothing was changed."), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn a_stripped_path_is_answered_with_the_right_arn() {
    let harness = harness(world(Mode::Api));
    let stripped = json!({"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978"});
    let failed = harness.send(&stripped).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PrincipalNotFound);
    assert!(failed.message.contains(SSO), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_resolved_by_iam_else_by_an_entry_else_not() {
    let session = json!({"clusterName": "prod", "principalArn": "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978/jane.doe@example.com"});
    let by_iam = harness(world(Mode::ConfigMap));
    let result = by_iam.send(&session).await.unwrap();
    assert_eq!(result["principal"]["arn"], SSO);
    assert_eq!(result["principal"]["requested"], session["principalArn"]);
    assert!(is_admin(&by_iam, SSO));

    let by_entry = harness(world(Mode::Api).with_policy(Policy::article()).with_entry("prod", Entry::new(SSO)));
    assert_eq!(by_entry.send(&session).await.unwrap()["principal"]["arn"], SSO);

    let by_nothing = harness(world(Mode::Api).with_policy(Policy::article()));
    let failed = by_nothing.send(&session).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::PrincipalNotFound);
    assert!(
        failed
            .message
            .contains("role/aws-reserved/sso.amazonaws.com/REGION/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978"),
        "{}",
        failed.message
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_entry_that_eks_does_not_show_yet_is_waited_for() {
    let delays = Delays { entry: Duration::from_mins(1), ..Delays::default() };
    let harness = harness(world(Mode::Api).with_delays(delays));
    let result = harness.send(&event()).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert_eq!(changes(&harness).iter().filter(|&&name| name == "CreateAccessEntry").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_never_shows_is_not_called_granted() {
    let delays = Delays { entry: Duration::from_mins(10), ..Delays::default() };
    let harness = harness(world(Mode::Api).with_delays(delays));
    let failed = harness.send(&event()).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::VerificationFailed);
    assert!(failed.message.contains("the access entry was created"), "{}", failed.message);
}
