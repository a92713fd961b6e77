//! Asking the cluster itself: the token, the questions, the waiting, and what the result says. Time is simulated; the simulated
//! API server checks tokens as aws-iam-authenticator does.

use std::time::Duration;

use eks_break_glass::decide::access_review::Review;
use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::arn::PolicyArn;
use eks_break_glass::domain::region::Partition;
use eks_break_glass::platform::clock;
use serde_json::{Value, json};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Delays, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{Harness, steps, warnings};

const ADMIN: &str = "arn:aws:iam::111122223333:role/team/new-cluster-admin";
const USER: &str = "arn:aws:iam::111122223333:user/oncall";
const ACCOUNT: &str = "111122223333";
const POLICY: &str = "AmazonEKSClusterAdminPolicy";

fn world() -> World {
    World::new()
        .with_cluster(Cluster::new("prod", Mode::Api))
        .with_principal(Principal::new(ADMIN))
        .with_principal(Principal::new(USER))
        .with_assumable_role(ADMIN, ACCOUNT, None, Policy::allow_all())
}

fn harness(world: World) -> Harness {
    Harness::new(Simulation::new(world))
}

fn slow(seconds: u64) -> Delays {
    Delays { kubernetes: Duration::from_secs(seconds), ..Delays::default() }
}

fn event(fields: &Value) -> Value {
    let mut event = json!({"clusterName": "prod", "principalArn": ADMIN, "verify": "kubernetes"});
    for (field, value) in fields.as_object().unwrap() {
        event[field] = value.clone();
    }
    event
}

fn kubernetes(result: &Value) -> (&str, &str) {
    let verification = &result["verification"];
    (verification["kubernetes"].as_str().unwrap(), verification["detail"].as_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_cluster_itself_says_yes() {
    let harness = harness(world());
    let result = harness.send(&event(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    let (verdict, detail) = kubernetes(&result);
    assert_eq!(verdict, "ALLOWED");
    assert!(detail.contains("kubectl auth can-i '*' '*' --all-namespaces"), "{detail}");
    assert_eq!(harness.aws.api_server_requests(), 3, "all resources of the core group, of every group, and every path");
    assert!(steps(&result).contains(&"VerifyKubernetesAccess SUCCEEDED".to_owned()));
    assert_eq!(warnings(&result), [""; 0]);
    // By way of the role, whose path AssumeRole wants and a session does not have.
    assert!(harness.aws.calls().iter().any(|call| call.operation == "AssumeRole" && call.outcome == "200"));
}

#[tokio::test(start_paused = true)]
async fn unauthorized_then_allowed_is_waited_for() {
    let harness = harness(world().with_delays(slow(40)));
    let begun = clock::instant();
    let result = harness.send(&event(&json!({}))).await.unwrap();
    assert_eq!(kubernetes(&result).0, "ALLOWED");
    assert!((Duration::from_secs(40)..Duration::from_secs(50)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn denied_then_allowed_is_waited_for() {
    let view = Entry::new(ADMIN).with_policy("AmazonEKSViewPolicy", Scope::cluster());
    let harness = harness(world().with_entry("prod", view).with_delays(slow(25)));
    let result = harness.send(&event(&json!({}))).await.unwrap();
    assert_eq!(kubernetes(&result).0, "ALLOWED");
    assert!(harness.aws.api_server_requests() > 4);
}

#[tokio::test(start_paused = true)]
async fn what_never_comes_is_denied_and_the_grant_counts_all_the_same() {
    let harness = harness(world().with_delays(slow(600)));
    let begun = clock::instant();
    let result = harness.send(&event(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    let (verdict, detail) = kubernetes(&result);
    assert_eq!(verdict, "DENIED");
    assert!(detail.contains("401"), "{detail}");
    assert!((Duration::from_secs(80)..=Duration::from_secs(95)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(warnings(&result), ["KUBERNETES_ACCESS_DENIED"]);
    let message = result["warnings"][0]["message"].as_str().unwrap();
    assert!(message.contains("`aws sts get-caller-identity`"), "other credentials are the likeliest cause: {message}");
}

#[tokio::test(start_paused = true)]
async fn a_stale_entry_that_iam_does_not_prove_is_seen_from_inside() {
    let entry = Entry::new(ADMIN).made_for_id("AROAEARLIER").with_policy(POLICY, Scope::cluster());
    let world = world().with_entry("prod", entry).with_policy(Policy::allow_all().without(&["iam:GetRole"]));
    let harness = harness(world);
    let result = harness.send(&event(&json!({}))).await.unwrap();
    assert_eq!(result["status"], "ALREADY_GRANTED");
    assert_eq!(kubernetes(&result).0, "DENIED");
    assert!(warnings(&result).contains(&"KUBERNETES_ACCESS_DENIED".to_owned()));
    let recreated = harness.send(&event(&json!({"recreateEntry": true}))).await.unwrap();
    assert_eq!(kubernetes(&recreated).0, "ALLOWED");
}

#[tokio::test(start_paused = true)]
async fn out_of_reach_is_said_at_once_with_the_likely_reason() {
    let network = json!({"endpointPublicAccess": true, "publicAccessCidrs": ["203.0.113.0/24"]});
    let private = json!({"endpointPublicAccess": false});
    for (network, reason) in [(network, "203.0.113.0/24"), (private, "VpcSubnetIds")] {
        let world = world().with_cluster(Cluster::new("prod", Mode::Api).describing("resourcesVpcConfig", network));
        let harness = harness(world);
        harness.aws.cut_off_api_servers();
        let begun = clock::instant();
        let result = harness.send(&event(&json!({}))).await.unwrap();
        assert_eq!(result["status"], "GRANTED");
        let (verdict, detail) = kubernetes(&result);
        assert_eq!(verdict, "UNREACHABLE");
        assert!(detail.contains(reason), "{detail}");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_be_asked_as_is_told_what_to_run() {
    let stranger = world().with_principal(Principal::new("arn:aws:iam::111122223333:role/closed"));
    for (principal, why) in [(USER, "IAM user"), ("arn:aws:iam::111122223333:role/closed", "sts:AssumeRole")] {
        let harness = harness(stranger.clone());
        let result = harness.send(&event(&json!({"principalArn": principal}))).await.unwrap();
        assert_eq!(result["status"], "GRANTED");
        let (verdict, detail) = kubernetes(&result);
        assert_eq!(verdict, "NOT_PERFORMED");
        assert!(detail.contains(why) && detail.contains("kubectl auth can-i '*' '*' --all-namespaces"), "{detail}");
        assert_eq!(harness.aws.api_server_requests(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn external_id_is_never_sent_to_the_principals_role() {
    let harness = harness(world()).with("TARGET_ROLE_NAME", "there").with("TARGET_EXTERNAL_ID", "a-secret");
    let result = harness.send(&event(&json!({}))).await.unwrap();
    assert_eq!(kubernetes(&result).0, "ALLOWED");
    let assumed = harness.aws.world(|world| world.assumed_roles().to_vec());
    assert_eq!(assumed.len(), 1);
    assert_eq!((assumed[0].role_arn.as_str(), assumed[0].external_id.as_deref()), (ADMIN, None));
}

#[tokio::test(start_paused = true)]
async fn every_policy_is_asked_what_it_answers_in_its_scope() {
    for policy in [
        POLICY,
        "AmazonEKSAdminPolicy",
        "AmazonEKSEditPolicy",
        "AmazonEKSViewPolicy",
        "AmazonEKSAdminViewPolicy",
        "AmazonEKSSecretReaderPolicy",
        "AmazonEKSSecretAdminPolicy",
    ] {
        for scope in [json!({"type": "cluster"}), json!({"type": "namespace", "namespaces": ["team-a", "dev-*"]})] {
            let harness = harness(world()).with("ALLOWED_POLICIES", policy);
            let result = harness.send(&event(&json!({"policyArn": policy, "accessScope": scope}))).await.unwrap();
            assert_eq!(kubernetes(&result).0, "ALLOWED", "{policy} {scope}");
        }
    }
    let other = harness(world()).with("ALLOWED_POLICIES", "AmazonEMRJobPolicy");
    let result = other.send(&event(&json!({"policyArn": "AmazonEMRJobPolicy"}))).await;
    // The simulated EKS knows the policy or not; there is no question that would fit it either way.
    if let Ok(result) = result {
        assert_eq!(kubernetes(&result).0, "NOT_PERFORMED");
    }
}

#[test]
fn the_questions_are_those_of_kubectl() {
    let admin = PolicyArn::named(POLICY, Partition::Aws);
    let reviews = Review::of(&admin, &AccessScope::Cluster);
    assert_eq!(reviews[0].body()["spec"], json!({"resourceAttributes": {"verb": "*", "resource": "*"}}));
    assert_eq!(reviews[2].body()["spec"], json!({"nonResourceAttributes": {"verb": "*", "path": "*"}}));
    let view = PolicyArn::named("AmazonEKSViewPolicy", Partition::Aws);
    let reviews = Review::of(&view, &AccessScope::Namespaces(vec!["dev-*".to_owned()]));
    assert_eq!(reviews[0].command(), "kubectl auth can-i get pods --namespace dev-x");
}

#[tokio::test(start_paused = true)]
async fn without_being_told_to_the_cluster_is_not_asked() {
    let harness = harness(world());
    let result = harness.send(&event(&json!({"verify": "controlPlane"}))).await.unwrap();
    assert_eq!(kubernetes(&result).0, "NOT_PERFORMED");
    assert_eq!(harness.aws.api_server_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_revoke_it_is_asked_until_it_says_no() {
    let harness = harness(world());
    let granted = harness.send(&event(&json!({}))).await.unwrap();
    harness.aws.world(|world| world.delays = slow(30));
    let mut undo = granted["undo"].clone();
    undo["verify"] = json!("kubernetes");
    let begun = clock::instant();
    let revoked = harness.send(&undo).await.unwrap();
    assert_eq!(revoked["status"], "REVOKED");
    let (verdict, detail) = kubernetes(&revoked);
    assert_eq!(verdict, "DENIED");
    assert!(detail.contains("after 3"), "how long it lingered: {detail}");
    assert!(begun.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn access_that_stays_by_another_way_is_warned_of() {
    let mut cluster = Cluster::new("prod", Mode::ApiAndConfigMap);
    cluster.aws_auth.push(ADMIN.to_owned());
    let harness = harness(world().with_cluster(cluster));
    let granted = harness.send(&event(&json!({}))).await.unwrap();
    let mut undo = granted["undo"].clone();
    undo["verify"] = json!("kubernetes");
    let revoked = harness.send(&undo).await.unwrap();
    assert_eq!(kubernetes(&revoked).0, "ALLOWED");
    assert!(warnings(&revoked).contains(&"KUBERNETES_ACCESS_REMAINS".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn no_token_and_no_credential_reaches_the_log() {
    let harness = harness(world().with_delays(slow(600)));
    harness.send(&event(&json!({}))).await.unwrap();
    let log = harness.log().iter().map(Value::to_string).collect::<String>();
    for secret in ["k8s-aws-v1", "X-Amz-Signature", "ASIASIMULATED", "very-secret", "Bearer"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn role_of_another_account_that_does_not_trust_the_function_is_not_asked_for() {
    let own_name = "arn:aws:iam::999999999999:role/eks-break-glass";
    let harness = harness(world().with_principal(Principal::new(own_name))).with("ALLOWED_PRINCIPALS", own_name);
    let result = harness.send(&event(&json!({"principalArn": own_name}))).await.unwrap();
    assert_eq!(kubernetes(&result).0, "NOT_PERFORMED", "its own credentials would speak of another role");
    assert!(warnings(&result).contains(&"FOREIGN_ACCOUNT".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_question_does_not_outlast_the_functions_time() {
    let slow = Simulation::new(world()).with_latency(Duration::from_secs(4));
    let harness = Harness::new(slow);
    let begun = clock::instant();
    let result = harness.send_for(&event(&json!({})), Duration::from_secs(25)).await.unwrap();
    assert_eq!(result["status"], "GRANTED");
    assert!(begun.elapsed() < Duration::from_secs(24), "{:?}", begun.elapsed());
}
