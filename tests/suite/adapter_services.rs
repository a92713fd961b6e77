//! The adapter with other services than EKS: where requests go, what they hold, and what is made of canned answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_eks::config::Credentials;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use eks_break_glass::aws::{Aws, ClusterConnectors, Connection};
use eks_break_glass::domain::api_error::ApiErrorKind;
use eks_break_glass::domain::region::Region;
use eks_break_glass::domain::scheduled_revoke::{Schedule, ScheduleTarget};
use eks_break_glass::platform::clock::Deadline;
use eks_break_glass_chat::aws::{Answered, Decision};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A network that answers with what it was given, in order, and with a reset connection after that.
#[derive(Debug, Clone, Default)]
struct Network {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    requests: Arc<Mutex<Vec<Sent>>>,
}

#[derive(Debug, Clone)]
struct Sent {
    method: String,
    url: String,
    authorization: String,
    body: String,
}

impl Network {
    fn with(answers: &[(u16, &str)]) -> Self {
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        Self { answers: Arc::new(Mutex::new(answers)), requests: Arc::default() }
    }

    fn connection(&self, environment: &'static [(&str, &str)], region: &str) -> Connection {
        let lookup =
            |name: &str| environment.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let none = ClusterConnectors::new(|_| Err("there is no cluster".to_owned()));
        let connector = SharedHttpConnector::new(self.clone());
        Connection::configured(&Region::parse(region).unwrap(), lookup, connector, credentials, none)
    }

    fn aws(&self) -> Aws {
        self.connection(&[], "eu-west-1").aws(&Region::parse("us-west-2").unwrap(), deadline())
    }

    fn sent(&self) -> Vec<Sent> {
        self.requests.lock().unwrap().clone()
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        self.requests.lock().unwrap().push(Sent {
            method: request.method().to_owned(),
            url: request.uri().to_owned(),
            authorization: header("authorization"),
            body: String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap(),
        });
        HttpConnectorFuture::ready(match self.answers.lock().unwrap().pop_front() {
            Some((status, body)) => Ok(HttpResponse::new(status.try_into().unwrap(), body.into())),
            None => Err(ConnectorError::io("connection reset".into())),
        })
    }
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_mins(10))
}

fn slot() -> ScheduleTarget {
    ScheduleTarget {
        name: "prod-1-2".to_owned(),
        group: "break-glass".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/schedules".to_owned(),
        dead_letter_arn: Some("arn:aws:sqs:eu-west-1:111122223333:undelivered".to_owned()),
        target_arn: "arn:aws:lambda:eu-west-1:111122223333:function:f".to_owned(),
    }
}

/// One call of each service, which fails: where it went, by the service in its signature.
async fn endpoints(environment: &'static [(&str, &str)], region: &str) -> BTreeMap<String, String> {
    let network = Network::default();
    let connection = network.connection(environment, region);
    let aws = connection.aws(&Region::parse(region).unwrap(), deadline());
    aws.list_clusters().await.unwrap_err();
    aws.get_caller_identity().await.unwrap_err();
    aws.get_role("x").await.unwrap_err();
    aws.get_schedule(&slot()).await.unwrap_err();
    connection.put_events("default", "EKS access granted", "{}", deadline()).await.unwrap_err();
    let chat = eks_break_glass_chat::aws::Aws::new(connection);
    chat.get_secret_value("x", deadline()).await.unwrap_err();
    chat.start_execution("arn:aws:states:x", "x", &json!({}), deadline()).await.unwrap_err();
    let host = |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let service = |sent: &Sent| sent.authorization.split('/').nth(3).unwrap().to_owned();
    network.sent().iter().map(|sent| (service(sent), host(&sent.url))).collect()
}

fn expected(hosts: [&str; 7]) -> BTreeMap<String, String> {
    let services = ["eks", "sts", "iam", "scheduler", "events", "secretsmanager", "states"];
    services.iter().zip(hosts).map(|(service, host)| ((*service).to_owned(), host.to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn every_service_is_called_where_the_rules_of_the_sdk_say() {
    let plain = expected([
        "https://eks.eu-west-1.amazonaws.com",
        "https://sts.eu-west-1.amazonaws.com",
        "https://iam.amazonaws.com",
        "https://scheduler.eu-west-1.amazonaws.com",
        "https://events.eu-west-1.amazonaws.com",
        "https://secretsmanager.eu-west-1.amazonaws.com",
        "https://states.eu-west-1.amazonaws.com",
    ]);
    assert_eq!(endpoints(&[], "eu-west-1").await, plain);
    assert_eq!(endpoints(&[("AWS_ENDPOINT_URL", ""), ("AWS_USE_FIPS_ENDPOINT", "")], "eu-west-1").await, plain);
}

#[tokio::test(start_paused = true)]
async fn fips_and_dual_stack_endpoints_are_used_by_every_service() {
    let fips = endpoints(&[("AWS_USE_FIPS_ENDPOINT", "true")], "us-east-1").await;
    assert!(fips.len() == 7 && fips.values().all(|host| host.contains("fips")), "{fips:?}");
    let dual_stack = endpoints(&[("AWS_USE_DUALSTACK_ENDPOINT", "TRUE")], "eu-west-1").await;
    // Secrets Manager has an endpoint of its own, without the suffix.
    assert!(
        dual_stack.len() == 7 && dual_stack.values().filter(|host| host.ends_with("api.aws")).count() >= 6,
        "{dual_stack:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_the_service_overrides_that_of_all_services() {
    let all = "http://all:1";
    assert_eq!(endpoints(&[("AWS_ENDPOINT_URL", "http://all:1")], "eu-west-1").await, expected([all; 7]));
    let own = endpoints(
        &[
            ("AWS_ENDPOINT_URL", "http://all:1"),
            ("AWS_ENDPOINT_URL_EKS", "http://eks:1"),
            ("AWS_ENDPOINT_URL_STS", "http://sts:1"),
            ("AWS_ENDPOINT_URL_IAM", "http://iam:1/"),
            ("AWS_ENDPOINT_URL_SCHEDULER", "http://scheduler:1"),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://events:1"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secrets:1"),
            ("AWS_ENDPOINT_URL_SFN", "http://states:1"),
        ],
        "eu-west-1",
    );
    let urls = [
        "http://eks:1",
        "http://sts:1",
        "http://iam:1",
        "http://scheduler:1",
        "http://events:1",
        "http://secrets:1",
        "http://states:1",
    ];
    assert_eq!(own.await, expected(urls));
}

#[tokio::test(start_paused = true)]
async fn schedules_are_in_the_home_region_and_iam_is_signed_for_its_own() {
    let network = Network::default();
    let aws = network.aws();
    aws.get_schedule(&slot()).await.unwrap_err();
    aws.get_role("x").await.unwrap_err();
    let sent = network.sent();
    assert!(sent[0].authorization.contains("/eu-west-1/scheduler/"), "{sent:?}");
    assert!(sent.last().unwrap().authorization.contains("/us-east-1/iam/"), "{sent:?}");
}

const ROLES: &str = "<ListRolesResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListRolesResult>\
    <IsTruncated>false</IsTruncated><Roles>\
    <member><Path>/x/</Path><RoleName>one</RoleName><RoleId>AROA1</RoleId><Arn>arn:aws:iam::111122223333:role/x/one</Arn>\
    <CreateDate>2026-01-02T03:04:05Z</CreateDate>\
    <AssumeRolePolicyDocument>%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22ec2.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D</AssumeRolePolicyDocument></member>\
    <member><Path>/</Path><RoleName>two</RoleName><RoleId>AROA2</RoleId><Arn>arn:aws:iam::111122223333:role/two</Arn>\
    <CreateDate>2026-01-02T03:04:06Z</CreateDate></member>\
    <member><Path>/aws-service-role/eks.amazonaws.com/</Path><RoleName>AWSServiceRoleForAmazonEKS</RoleName><RoleId>AROA3</RoleId>\
    <Arn>arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS</Arn>\
    <CreateDate>2026-01-02T03:04:06Z</CreateDate></member>\
    </Roles></ListRolesResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></ListRolesResponse>";

#[tokio::test(start_paused = true)]
async fn roles_are_listed_with_the_services_that_they_trust() {
    let roles = Network::with(&[(200, ROLES)]).aws().list_roles().await.unwrap();
    assert_eq!(roles.keys().collect::<Vec<_>>(), ["one", "two"]);
    let one = &roles["one"];
    assert_eq!(one.arn.as_str(), "arn:aws:iam::111122223333:role/x/one");
    assert_eq!(one.created_at, "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap());
    assert_eq!(one.trusted_services, Some(BTreeSet::from(["ec2.amazonaws.com".to_owned()])));
    assert_eq!(roles["two"].trusted_services, None);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_roles_that_ends_too_early_is_no_shorter_list() {
    for end in 0..ROLES.len() {
        let error = Network::with(&[(200, ROLES.get(..end).unwrap())]).aws().list_roles().await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::Unavailable, "{end}");
    }
    for other in ["", "{}", "<html>captive portal</html>", "<ListUsersResponse></ListUsersResponse>"] {
        let error = Network::with(&[(200, other)]).aws().list_roles().await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::Unavailable, "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_truncated_list_of_roles_is_followed_by_its_marker() {
    let truncated = "<IsTruncated>true</IsTruncated><Marker>a&amp;b</Marker>";
    let first = ROLES.replace("<IsTruncated>false</IsTruncated>", truncated);
    let last = ROLES.replace("two", "three");
    let network = Network::with(&[(200, &first), (200, &last)]);
    let roles = network.aws().list_roles().await.unwrap();
    assert_eq!(roles.keys().collect::<Vec<_>>(), ["one", "three", "two"]);
    assert!(network.sent()[1].body.contains("Marker=a%26b"), "{:?}", network.sent()[1]);
    let unmarked = ROLES.replace("<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated>");
    let error = Network::with(&[(200, &unmarked)]).aws().list_roles().await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_role_without_a_date_is_unknown_and_one_that_is_gone_is_not_there() {
    let undated = "<GetRoleResponse><GetRoleResult><Role><Arn>arn:aws:iam::111122223333:role/one</Arn></Role></GetRoleResult></GetRoleResponse>";
    let error = Network::with(&[(200, undated)]).aws().get_role("one").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unavailable);
    let gone = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>";
    let error = Network::with(&[(404, gone)]).aws().get_role("one").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::PrincipalNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_is_written_whole_and_enabled() {
    let network = Network::with(&[(200, "{\"ScheduleArn\":\"arn\"}"), (200, "{\"ScheduleArn\":\"arn\"}")]);
    let (aws, at) = (network.aws(), "2026-01-31T13:05:00Z".parse().unwrap());
    aws.create_schedule(&slot(), at, "{}").await.unwrap();
    aws.update_schedule(&slot(), at, "{}").await.unwrap();
    let methods: Vec<_> = network.sent().into_iter().map(|sent| sent.method).collect();
    assert_eq!(methods, ["POST", "PUT"]);
    for sent in network.sent() {
        assert_eq!(sent.url, "https://scheduler.eu-west-1.amazonaws.com/schedules/prod-1-2");
        let mut body: Value = serde_json::from_str(&sent.body).unwrap();
        assert!(body.as_object_mut().unwrap().remove("ClientToken").is_some_and(|token| !token.is_null()));
        assert_eq!(
            body,
            json!({
                "GroupName": "break-glass",
                "ScheduleExpression": "at(2026-01-31T13:05:00)",
                "State": "ENABLED",
                "FlexibleTimeWindow": { "Mode": "OFF" },
                "ActionAfterCompletion": "DELETE",
                "Target": {
                    "Arn": "arn:aws:lambda:eu-west-1:111122223333:function:f",
                    "RoleArn": "arn:aws:iam::111122223333:role/schedules",
                    "Input": "{}",
                    "RetryPolicy": { "MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185 },
                    "DeadLetterConfig": { "Arn": "arn:aws:sqs:eu-west-1:111122223333:undelivered" },
                },
            })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_is_read_with_what_decides() {
    let body = json!({
        "Name": "prod-1-2", "State": "DISABLED", "ScheduleExpression": "at(2026-01-31T13:05:00)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "Target": { "Arn": "target", "RoleArn": "role", "Input": "{}" },
    });
    let schedule = Network::with(&[(200, &body.to_string())]).aws().get_schedule(&slot()).await.unwrap();
    let expected = Schedule {
        state: "DISABLED".to_owned(),
        expression: "at(2026-01-31T13:05:00)".to_owned(),
        timezone: Some("Europe/Berlin".to_owned()),
        target_arn: "target".to_owned(),
        role_arn: "role".to_owned(),
        input: "{}".to_owned(),
    };
    assert_eq!(schedule, Some(expected));
    let gone = r#"{"__type":"ResourceNotFoundException","Message":"no"}"#;
    assert_eq!(Network::with(&[(404, gone)]).aws().get_schedule(&slot()).await.unwrap(), None);
    let error = Network::with(&[(200, "{}")]).aws().get_schedule(&slot()).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_schedules_that_is_not_there_is_no_empty_list() {
    let error = Network::with(&[(200, "{}")]).aws().list_schedules("group", "prod").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unavailable);
    let schedule = |name: &str| json!({ "Name": name, "GroupName": "group" });
    let first = json!({ "Schedules": [schedule("prod-1")], "NextToken": "more" }).to_string();
    let last = json!({ "Schedules": [schedule("prod-2")] }).to_string();
    let network = Network::with(&[(200, &first), (200, &last)]);
    assert_eq!(network.aws().list_schedules("group", "prod").await.unwrap(), ["prod-1", "prod-2"]);
    assert!(network.sent()[1].url.contains("NextToken=more"));
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_first_answer_was_lost_is_unconfirmed() {
    let conflict = r#"{"__type":"ConflictException","Message":"exists"}"#;
    let at = "2026-01-31T13:05:00Z".parse().unwrap();
    let error =
        Network::with(&[(500, "{}"), (409, conflict)]).aws().create_schedule(&slot(), at, "{}").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::InUse);
    assert!(error.unconfirmed && error.may_have_changed(), "{error:?}");
    let error = Network::with(&[(409, conflict)]).aws().update_schedule(&slot(), at, "{}").await.unwrap_err();
    assert!(!error.unconfirmed && !error.may_have_changed(), "{error:?}");
    let denied = r#"{"__type":"AccessDeniedException","Message":"no"}"#;
    let error = Network::with(&[(503, ""), (403, denied)]).aws().delete_schedule(&slot()).await.unwrap_err();
    assert!(error.unconfirmed, "{error:?}");
    let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let error = Network::with(&[(500, "{}"), (403, denied)]).aws().tag_resource("arn", &tags).await.unwrap_err();
    assert!(error.may_have_changed(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn node_roles_are_read_to_the_last_page() {
    let network = Network::with(&[
        (200, r#"{"nodegroups":["a"],"nextToken":"more"}"#),
        (200, r#"{"nodegroups":["b"],"nextToken":null}"#),
        (200, r#"{"nodegroup":{"nodegroupName":"a","nodeRole":"arn:aws:iam::1:role/node"}}"#),
        (200, r#"{"fargateProfileNames":["f"]}"#),
        (200, r#"{"fargateProfile":{"podExecutionRoleArn":"arn:aws:iam::1:role/pod"}}"#),
        (404, r#"{"__type":"ResourceNotFoundException","message":"No node group found for name: c."}"#),
        (200, "{}"),
        (200, r#"{"clusters":["prod"]}"#),
    ]);
    let aws = network.aws();
    assert_eq!(aws.list_nodegroups("prod").await.unwrap(), ["a", "b"]);
    assert_eq!(aws.describe_nodegroup("prod", "a").await.unwrap().as_deref(), Some("arn:aws:iam::1:role/node"));
    assert_eq!(aws.list_fargate_profiles("prod").await.unwrap(), ["f"]);
    assert_eq!(aws.describe_fargate_profile("prod", "f").await.unwrap().as_deref(), Some("arn:aws:iam::1:role/pod"));
    assert_eq!(aws.describe_nodegroup("prod", "c").await.unwrap(), None);
    assert_eq!(aws.list_fargate_profiles("prod").await.unwrap_err().kind, ApiErrorKind::Unavailable);
    assert_eq!(aws.list_clusters().await.unwrap(), ["prod"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_bus_refuses_is_not_announced() {
    let put = async |body: &str| {
        let connection = Network::with(&[(200, body)]).connection(&[], "eu-west-1");
        connection.put_events("default", "EKS access granted", "{}", deadline()).await
    };
    assert_eq!(put(r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#).await, Ok(()));
    let refused = r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"NotAuthorized","ErrorMessage":"no"}]}"#;
    assert_eq!(put(refused).await, Err("EventBridge refused it: no (NotAuthorized)".to_owned()));
    put("{}").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_task_is_sent_once_only() {
    let network = Network::with(&[(500, "{}"), (200, "{}")]);
    let chat = eks_break_glass_chat::aws::Aws::new(network.connection(&[], "eu-west-1"));
    chat.answer_task("token", &Decision::Success(json!({})), deadline()).await.unwrap_err();
    assert_eq!(network.sent().len(), 1);
    let answered = chat.answer_task("token", &Decision::Success(json!({})), deadline()).await;
    assert_eq!(answered, Ok(Answered::Now));
}
