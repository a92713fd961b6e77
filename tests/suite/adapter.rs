//! The adapter: what the SDK is asked for, and what is made of AWS's answers, word for word as AWS gives them.

use std::time::Duration;

use aws_sdk_eks::Client;
use aws_sdk_eks::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_eks::operation::create_access_entry::CreateAccessEntryOutput;
use aws_sdk_eks::operation::describe_cluster::DescribeClusterOutput;
use aws_sdk_eks::types;
use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use eks_break_glass::aws::{Aws, ClusterConnectors, Connection};
use eks_break_glass::domain::access_entry::{EntryState, NewEntry};
use eks_break_glass::domain::access_scope::AccessScope;
use eks_break_glass::domain::api_error::ApiErrorKind;
use eks_break_glass::domain::cluster::{AuthenticationMode, ClusterKind};
use eks_break_glass::domain::failure::{ErrorName, Failure};
use eks_break_glass::domain::principal::PrincipalArn;
use eks_break_glass::platform::clock::Deadline;

fn aws(rules: &[&Rule]) -> Aws {
    let mocks = rules
        .iter()
        .fold(MockResponseInterceptor::new().rule_mode(RuleMode::MatchAny), |mocks, rule| mocks.with_rule(rule));
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let eks = aws_sdk_eks::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials.clone())
        .http_client(create_mock_http_client())
        .interceptor(mocks)
        .build();
    let home = eks_break_glass::domain::region::Region::parse("eu-west-1").unwrap();
    let none = ClusterConnectors::new(|_| Err("there is no cluster".to_owned()));
    Connection::over(&home, SharedHttpConnector::new(Nowhere), credentials, none)
        .aws(&home, Deadline::after(Duration::from_mins(10)))
        .with_eks(Client::from_conf(eks))
}

/// Where calls go that are not EKS's: nowhere.
#[derive(Debug)]
struct Nowhere;

impl HttpConnector for Nowhere {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::io("there is no network".into())))
    }
}

fn principal() -> PrincipalArn {
    PrincipalArn::parse("arn:aws:iam::111122223333:role/path/admin").unwrap()
}

/// An error as EKS sends it.
fn refusal(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = serde_json::json!({ "message": message }).to_string();
    let mut response = HttpResponse::new(status.try_into().unwrap(), body.into());
    if !code.is_empty() {
        response.headers_mut().insert("x-amzn-ErrorType", code.to_owned());
    }
    response.headers_mut().insert("x-amzn-RequestId", "11111111-2222-3333-4444-555555555555");
    response
}

/// EKS's refusals as EKS words them: status, code, message, and what they are to this program and to the outside world.
const REFUSALS: [(u16, &str, &str, ApiErrorKind, ErrorName); 16] = [
    (
        404,
        "ResourceNotFoundException",
        "No cluster found for name: prod.",
        ApiErrorKind::ClusterNotFound,
        ErrorName::ClusterNotFound,
    ),
    (
        404,
        "ResourceNotFoundException",
        "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.",
        ApiErrorKind::EntryNotFound,
        ErrorName::VerificationFailed,
    ),
    (
        404,
        "ResourceNotFoundException",
        "The specified policyArn could not be found.",
        ApiErrorKind::PolicyNotFound,
        ErrorName::InvalidRequest,
    ),
    (
        409,
        "ResourceInUseException",
        "The specified access entry resource is already in use on this cluster.",
        ApiErrorKind::InUse,
        ErrorName::Conflict,
    ),
    (
        400,
        "InvalidRequestException",
        "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
        ApiErrorKind::ModeWithoutEntries,
        ErrorName::Conflict,
    ),
    (
        400,
        "InvalidParameterException",
        "The specified principalArn is invalid: invalid principal.",
        ApiErrorKind::InvalidPrincipal,
        ErrorName::PrincipalNotFound,
    ),
    (
        400,
        "InvalidParameterException",
        "Unsupported authentication mode update from API to API_AND_CONFIG_MAP",
        ApiErrorKind::ModeUnsupported,
        ErrorName::Conflict,
    ),
    (
        400,
        "InvalidParameterException",
        "This operation can only be performed on Access Entries with a type of \"STANDARD\".",
        ApiErrorKind::NotStandard,
        ErrorName::AccessEntryConflict,
    ),
    (
        400,
        "InvalidParameterException",
        "The policyArn parameter format is not valid",
        ApiErrorKind::Rejected,
        ErrorName::InvalidRequest,
    ),
    (400, "ResourceLimitExceededException", "too many access entries", ApiErrorKind::Quota, ErrorName::LimitExceeded),
    (
        403,
        "AccessDeniedException",
        "User: x is not authorized to perform: eks:CreateAccessEntry on resource: arn:aws:eks:eu-west-1:1:cluster/prod because no identity-based policy allows the eks:CreateAccessEntry action",
        ApiErrorKind::Denied,
        ErrorName::PermissionDenied,
    ),
    (
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        ApiErrorKind::BadCredentials,
        ErrorName::PermissionDenied,
    ),
    (429, "TooManyRequestsException", "Too Many Requests", ApiErrorKind::Throttled, ErrorName::Throttled),
    (400, "ThrottlingException", "Rate exceeded", ApiErrorKind::Throttled, ErrorName::Throttled),
    (500, "ServerException", "oops", ApiErrorKind::Unavailable, ErrorName::ServiceUnavailable),
    (503, "", "", ApiErrorKind::Unavailable, ErrorName::ServiceUnavailable),
];

#[tokio::test(start_paused = true)]
async fn every_refusal_of_eks_is_known_for_what_it_is() {
    for (status, code, message, kind, name) in REFUSALS {
        let rule = mock!(Client::create_access_entry).then_http_response(move || refusal(status, code, message));
        let error =
            aws(&[&rule]).create_access_entry("prod", &principal(), &NewEntry::default(), None).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status} {code} {message}");
        let failure = Failure::from(error.clone());
        assert_eq!(failure.name, name, "{error}");
        assert!(
            error.to_string().contains("11111111-2222-3333-4444-555555555555"),
            "AWS support asks for the request id: {error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_action_is_named_with_its_resource() {
    let message = "User: arn:aws:sts::1:assumed-role/f/f is not authorized to perform: eks:TagResource on resource: arn:aws:eks:eu-west-1:1:access-entry/prod/* because no identity-based policy allows the eks:TagResource action";
    let rule =
        mock!(Client::create_access_entry).then_http_response(move || refusal(403, "AccessDeniedException", message));
    let error = aws(&[&rule]).create_access_entry("prod", &principal(), &NewEntry::default(), None).await.unwrap_err();
    assert_eq!(error.denied_action(), "eks:TagResource");
    assert_eq!(error.denied_resource(), "`arn:aws:eks:eu-west-1:1:access-entry/prod/*`");
    let failure = Failure::from(error);
    assert!(
        failure.remedy.contains("`eks:TagResource` on `arn:aws:eks:eu-west-1:1:access-entry/prod/*`"),
        "{failure:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_is_a_service_that_is_not_available() {
    let garbage = mock!(Client::describe_cluster)
        .then_http_response(|| HttpResponse::new(200.try_into().unwrap(), "<html>captive portal</html>".into()));
    let error = aws(&[&garbage]).describe_cluster("prod").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unavailable);
    let hollow = mock!(Client::describe_cluster).then_output(|| DescribeClusterOutput::builder().build());
    assert_eq!(aws(&[&hollow]).describe_cluster("prod").await.unwrap_err().kind, ApiErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_there_is_no_empty_list() {
    let empty = || HttpResponse::new(200.try_into().unwrap(), "{}".into());
    let policies = mock!(Client::list_associated_access_policies).then_http_response(empty);
    assert_eq!(
        aws(&[&policies]).list_associated_access_policies("prod", &principal()).await.unwrap_err().kind,
        ApiErrorKind::Unavailable
    );
    let entries = mock!(Client::list_access_entries).then_http_response(empty);
    assert_eq!(aws(&[&entries]).list_access_entries("prod").await.unwrap_err().kind, ApiErrorKind::Unavailable);
    let created = mock!(Client::create_access_entry).then_http_response(empty);
    let error =
        aws(&[&created]).create_access_entry("prod", &principal(), &NewEntry::default(), None).await.unwrap_err();
    assert!(error.may_have_changed(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_aws_says_of_credentials_is_not_passed_on() {
    let message = "The request signature we calculated does not match ... ASIAEXAMPLE/20261124 ... x-amz-security-token:very-secret";
    for code in ["InvalidSignatureException", "IncompleteSignatureException"] {
        let rule = mock!(Client::describe_cluster).then_http_response(move || refusal(403, code, message));
        let error = aws(&[&rule]).describe_cluster("prod").await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::BadCredentials);
        assert!(error.to_string().contains(code), "{error}");
        assert!(!error.to_string().contains("ASIA") && !error.to_string().contains("very-secret"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_mode_that_eks_refuses_has_failed_and_says_why() {
    for (code, message) in [
        ("InvalidRequestException", "the cluster cannot be updated"),
        ("InvalidParameterException", "Unsupported authentication mode update from CONFIG_MAP to API_AND_CONFIG_MAP"),
    ] {
        let rule = mock!(Client::update_cluster_config).then_http_response(move || refusal(400, code, message));
        let failure = Failure::from(aws(&[&rule]).update_cluster_config("prod", None).await.unwrap_err());
        assert_eq!(failure.name, ErrorName::AuthenticationModeFailed);
        assert!(failure.detail.as_ref().is_some_and(|detail| detail.contains(message)), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_tried_again_by_the_sdk() {
    let rule = mock!(Client::delete_access_entry)
        .sequence()
        .http_response(|| refusal(429, "TooManyRequestsException", "Too Many Requests"))
        .times(2)
        .output(|| aws_sdk_eks::operation::delete_access_entry::DeleteAccessEntryOutput::builder().build())
        .build();
    aws(&[&rule]).delete_access_entry("prod", &principal()).await.unwrap();
    assert_eq!(rule.num_calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_asked_for_as_standard_and_with_nothing_empty() {
    let rule = mock!(Client::create_access_entry)
        .match_requests(|request| {
            request.r#type() == Some("STANDARD")
                && request.principal_arn() == Some("arn:aws:iam::111122223333:role/path/admin")
                && request.tags().is_none()
                && request.username().is_none()
                && request.kubernetes_groups.is_none()
                && request.client_request_token().is_some()
        })
        .then_output(|| CreateAccessEntryOutput::builder().access_entry(types::AccessEntry::builder().build()).build());
    aws(&[&rule]).create_access_entry("prod", &principal(), &NewEntry::default(), None).await.unwrap();
    assert_eq!(rule.num_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_mode_is_only_ever_changed_to_api_and_config_map() {
    let rule = mock!(Client::update_cluster_config)
        .match_requests(|request| {
            let access = request.access_config().unwrap();
            access.authentication_mode() == Some(&types::AuthenticationMode::ApiAndConfigMap)
                && request.logging().is_none()
                && request.resources_vpc_config().is_none()
        })
        .then_http_response(|| {
            let body = r#"{"update":{"id":"f710c23d","status":"InProgress","type":"AccessConfigUpdate","params":[{"type":"AuthenticationMode","value":"\"API_AND_CONFIG_MAP\""}],"createdAt":1703060401.088,"errors":[]}}"#;
            HttpResponse::new(200.try_into().unwrap(), body.into())
        });
    let id = aws(&[&rule]).update_cluster_config("prod", None).await.unwrap();
    assert_eq!(id.as_deref(), Some("f710c23d"));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_read_with_the_defaults_that_eks_leaves_out() {
    let cluster = |body: &'static str| async move {
        let rule = mock!(Client::describe_cluster)
            .then_http_response(move || HttpResponse::new(200.try_into().unwrap(), body.into()));
        aws(&[&rule]).describe_cluster("prod").await.unwrap()
    };
    let old =
        cluster(r#"{"cluster":{"name":"prod","arn":"arn:aws:eks:eu-west-1:1:cluster/prod","status":"ACTIVE"}}"#).await;
    assert_eq!(old.authentication_mode, AuthenticationMode::ConfigMap);
    assert_eq!((old.kind, old.public_endpoint), (ClusterKind::Regional, true));
    let outpost = cluster(r#"{"cluster":{"name":"prod","arn":"a","status":"ACTIVE","outpostConfig":{"outpostArns":["o"],"controlPlaneInstanceType":"m5.large"}}}"#).await;
    assert_eq!(outpost.kind, ClusterKind::OutpostsLocal);
    let connected =
        cluster(r#"{"cluster":{"name":"prod","arn":"a","status":"ACTIVE","connectorConfig":{"provider":"OTHER"}}}"#)
            .await;
    assert_eq!(connected.kind, ClusterKind::Connected);
    let sick = cluster(r#"{"cluster":{"name":"prod","arn":"a","status":"ACTIVE","accessConfig":{"authenticationMode":"API"},"health":{"issues":[{"code":"ClusterUnreachable","message":"no network"}]},"resourcesVpcConfig":{"endpointPublicAccess":false,"endpointPrivateAccess":true}}}"#).await;
    assert_eq!(sick.health, ["ClusterUnreachable: no network"]);
    assert!(!sick.public_endpoint);
}

#[tokio::test(start_paused = true)]
async fn policies_are_read_to_the_last_page() {
    let page = |names: &[&str], next: Option<&str>| {
        let policies: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"policyArn": format!("arn:aws:eks::aws:cluster-access-policy/{name}"), "accessScope": {"type": "namespace", "namespaces": ["a"]}, "associatedAt": 1_743_465_600.5, "modifiedAt": 1_743_465_600.5}))
            .collect();
        serde_json::json!({"clusterName": "prod", "associatedAccessPolicies": policies, "nextToken": next}).to_string()
    };
    let first = page(&["A", "B"], Some("more"));
    let last = page(&["C"], None);
    let rule = mock!(Client::list_associated_access_policies)
        .sequence()
        .http_response(move || HttpResponse::new(200.try_into().unwrap(), first.clone().into()))
        .http_response(move || HttpResponse::new(200.try_into().unwrap(), last.clone().into()))
        .build();
    let policies = aws(&[&rule]).list_associated_access_policies("prod", &principal()).await.unwrap().unwrap();
    let names: Vec<_> = policies.iter().map(|policy| policy.policy_arn.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["A", "B", "C"]);
    assert_eq!(policies[0].access_scope, AccessScope::Namespaces(vec!["a".to_owned()]));
    assert_eq!(policies[0].associated_at.unwrap().as_millisecond(), 1_743_465_600_500);
}

#[tokio::test(start_paused = true)]
async fn no_entry_and_no_entries_at_all_are_answers_and_not_errors() {
    let absent = mock!(Client::describe_access_entry).then_http_response(|| {
        refusal(404, "ResourceNotFoundException", "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
    });
    assert_eq!(aws(&[&absent]).describe_access_entry("prod", &principal()).await.unwrap(), EntryState::Absent);
    let unreadable = mock!(Client::describe_access_entry).then_http_response(|| {
        refusal(400, "InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
    });
    assert_eq!(aws(&[&unreadable]).describe_access_entry("prod", &principal()).await.unwrap(), EntryState::Unreadable);
}

#[tokio::test(start_paused = true)]
async fn no_call_outlasts_the_deadline() {
    let busy = mock!(Client::describe_cluster)
        .sequence()
        .http_response(|| refusal(429, "TooManyRequestsException", "Too Many Requests"))
        .repeatedly()
        .build();
    let mut late = aws(&[&busy]);
    late.deadline = Deadline::after(Duration::from_millis(10));
    let error = late.describe_cluster("prod").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unavailable);
    assert!(error.message.contains("time"), "{error}");
}
