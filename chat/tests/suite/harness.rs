//! A harness: the whole chat function, between a Slack and an AWS that record what they receive.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_eks::config::Credentials;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use eks_break_glass::aws::{ClusterConnectors, Connection};
use eks_break_glass::handler::Failed;
use eks_break_glass::platform::clock::Clock;
use eks_break_glass::platform::log::Sink;
use eks_break_glass_chat::handler::Function;
use eks_break_glass_chat::settings::Settings;
use eks_break_glass_chat::slack::client::Slack;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::Sha256;

pub(super) const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub(super) const RUNBOOK: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:eks-break-glass-recover";
pub(super) const ADMIN: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";
pub(super) const HOOK: &str = "https://hooks.slack.com/commands/T0TEAM/1/secret-part-of-the-url";
pub(super) const CLICK_HOOK: &str = "https://hooks.slack.com/actions/T0TEAM/2/secret-part-of-the-click";

/// What an AWS or a Slack does instead of answering.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    Answer(u16, Value),
    Silence,
    /// It is carried out, and the answer is lost.
    LostAnswer,
}

/// Everything outside of the function.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) secret: String,
    pub(super) executions: BTreeMap<String, Value>,
    /// The tasks that wait.
    pub(super) tasks: HashSet<String>,
    /// The answers that they got.
    pub(super) answers: Vec<(String, Value)>,
    pub(super) posts: Vec<(String, Value)>,
    pub(super) groups: HashMap<String, Vec<String>>,
    /// Every operation that was called.
    pub(super) calls: Vec<String>,
    /// Troubles to come, by operation.
    pub(super) troubles: HashMap<&'static str, VecDeque<Trouble>>,
}

impl Outside {
    fn aws(&mut self, operation: &str, body: &Value) -> (u16, Value) {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        match operation {
            "GetSecretValue" => (200, json!({ "SecretString": self.secret, "VersionId": "1" })),
            "StartExecution" => {
                assert_eq!(body["stateMachineArn"], RUNBOOK);
                let input: Value = serde_json::from_str(&text("input")).unwrap();
                match self.executions.get(&text("name")) {
                    Some(before) if *before != input => (
                        400,
                        json!({ "__type": "com.amazonaws.swf.service.v2.model#ExecutionAlreadyExists", "message": "Execution Already Exists" }),
                    ),
                    _ => {
                        self.executions.insert(text("name"), input);
                        (200, json!({ "executionArn": "arn", "startDate": 1.0 }))
                    }
                }
            }
            "SendTaskSuccess" | "SendTaskFailure" => {
                if self.tasks.remove(&text("taskToken")) {
                    self.answers.push((operation.to_owned(), body.clone()));
                    (200, json!({}))
                } else {
                    (400, json!({ "__type": "com.amazonaws.stepfunctions#TaskTimedOut", "message": "Task Timed Out" }))
                }
            }
            other => panic!("{other} is called"),
        }
    }

    fn slack(&mut self, url: &str, body: &str) -> (u16, Value) {
        if let Some(api) = url.strip_prefix("https://slack.com/api/") {
            assert_eq!(api, "usergroups.users.list");
            let group = body.strip_prefix("usergroup=").unwrap();
            return match self.groups.get(group) {
                Some(users) => (200, json!({ "ok": true, "users": users })),
                None => (200, json!({ "ok": false, "error": "no_such_subteam" })),
            };
        }
        self.posts.push((url.to_owned(), serde_json::from_str(body).unwrap()));
        (200, json!("ok"))
    }
}

pub(super) struct Harness {
    pub(super) outside: Arc<Mutex<Outside>>,
    settings: HashMap<String, String>,
    begun: tokio::time::Instant,
    log: Arc<Mutex<Vec<Value>>>,
    function: std::sync::OnceLock<Function>,
}

impl Harness {
    pub(super) fn new() -> Self {
        let settings = [
            ("AWS_REGION", "eu-west-1"),
            ("RECOVER_STATE_MACHINE_ARN", RUNBOOK),
            ("SLACK_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:slack-AbCdEf"),
            ("CHAT_APPROVERS", "U0APPROVER,U0OTHER"),
        ];
        let aliases = json!({ "clusters": { "p": "prod" }, "principals": { "oncall": ADMIN, "U0ASKER": ADMIN } });
        let outside = Outside { secret: SECRET.to_owned(), ..Outside::default() };
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self {
            outside: Arc::new(Mutex::new(outside)),
            settings,
            begun: eks_break_glass::platform::clock::instant(),
            log: Arc::default(),
            function: std::sync::OnceLock::new(),
        }
        .with("CHAT_ALIASES", &aliases.to_string())
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn trouble(&self, operation: &'static str, trouble: Trouble) {
        self.outside.lock().unwrap().troubles.entry(operation).or_default().push_back(trouble);
    }

    pub(super) fn now(&self) -> Timestamp {
        now(self.begun)
    }

    /// What was called so far.
    pub(super) fn calls(&self) -> Vec<String> {
        self.outside.lock().unwrap().calls.clone()
    }

    pub(super) fn posts(&self) -> Vec<(String, Value)> {
        self.outside.lock().unwrap().posts.clone()
    }

    pub(super) fn executions(&self) -> Vec<(String, Value)> {
        self.outside.lock().unwrap().executions.clone().into_iter().collect()
    }

    pub(super) fn answers(&self) -> Vec<(String, Value)> {
        self.outside.lock().unwrap().answers.clone()
    }

    pub(super) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// The last audit line's status.
    pub(super) fn status(&self) -> String {
        let log = self.log();
        let audit = log.iter().rev().find(|line| line["message"] == "audit").unwrap();
        audit["status"].as_str().unwrap().to_owned()
    }

    pub(super) async fn invoke(&self, event: &Value) -> Result<Value, Failed> {
        let mut context = Context::default();
        "8f507cfc-xmpl-4697-b07a-ac58fc914c95".clone_into(&mut context.request_id);
        let payload = RawValue::from_string(event.to_string()).unwrap();
        let function = self.function.get_or_init(|| self.start()).clone();
        function.handle(LambdaEvent::new(payload, context)).await
    }

    /// Another instance of the same function: it has the same settings and remembers nothing.
    pub(super) fn another_instance(self) -> Self {
        Self { function: std::sync::OnceLock::new(), ..self }
    }

    fn start(&self) -> Function {
        let settings = Settings::read(|name| self.settings.get(name).cloned()).map(|settings| {
            let credentials = Credentials::new("ASIAEXAMPLE", "very-secret", Some("session".to_owned()), None, "test");
            let clusters = ClusterConnectors::new(|_| Err("chat asks no cluster".to_owned()));
            let aws = SharedHttpConnector::new(Door { outside: Arc::clone(&self.outside), aws: true });
            let connection = Connection::over(&settings.region, aws, credentials, clusters);
            (settings, connection)
        });
        let slack = SharedHttpConnector::new(Door { outside: Arc::clone(&self.outside), aws: false });
        let (log, begun) = (Arc::clone(&self.log), self.begun);
        Function::new(
            settings,
            Slack::new(move || Ok(slack.clone())),
            Sink::new(move |line| {
                let line = serde_json::from_str(line).expect("every line of the log is one JSON object");
                log.lock().unwrap().push(line);
            }),
            Clock::new(move || now(begun)),
        )
    }

    /// A command, signed now.
    pub(super) fn typed(&self, text: &str) -> Value {
        self.typed_by("U0ASKER", text, "trigger-1")
    }

    pub(super) fn typed_by(&self, user: &str, text: &str, trigger: &str) -> Value {
        self.signed(&form(&[
            ("token", "deprecated"),
            ("team_id", "T0TEAM"),
            ("channel_id", "C0CHANNEL"),
            ("user_id", user),
            ("user_name", "not.an.identity"),
            ("command", "/break-glass"),
            ("text", text),
            ("response_url", HOOK),
            ("trigger_id", trigger),
        ]))
    }

    /// A body, signed now.
    pub(super) fn signed(&self, body: &str) -> Value {
        request(SECRET, self.now(), body)
    }

    /// A click, signed now.
    pub(super) fn clicked(&self, user: &str, button: &str, value: &str, message: &Value) -> Value {
        let payload = json!({
            "type": "block_actions",
            "user": { "id": user, "username": "not.an.identity", "team_id": "T0TEAM" },
            "team": { "id": "T0TEAM", "domain": "example" },
            "channel": { "id": "C0CHANNEL", "name": "incidents" },
            "container": { "type": "message", "message_ts": "1700000000.000100" },
            "message": { "ts": "1700000000.000100", "blocks": message["blocks"] },
            "trigger_id": format!("click-{user}-{}", self.calls().len()),
            "response_url": CLICK_HOOK,
            "actions": [{ "type": "button", "action_id": button, "value": value }],
        });
        self.signed(&form(&[("payload", &payload.to_string())]))
    }
}

fn now(begun: tokio::time::Instant) -> Timestamp {
    let start = Timestamp::from_second(1_795_000_000).unwrap();
    start + SignedDuration::try_from(begun.elapsed()).unwrap()
}

/// As a browser encodes a form.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A request to a Function URL, signed at that time.
pub(super) fn request(secret: &str, sent: Timestamp, body: &str) -> Value {
    let time = sent.as_second().to_string();
    let signature = sign(secret, &time, body.as_bytes());
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": time,
            "x-slack-signature": signature,
        },
        "requestContext": { "http": { "method": "POST", "path": "/" } },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// The same request as Lambda hands on what it takes for binary.
pub(super) fn in_base64(mut request: Value) -> Value {
    request["body"] = json!(base64::encode(request["body"].as_str().unwrap()));
    request["isBase64Encoded"] = json!(true);
    request
}

/// Slack's signature.
pub(super) fn sign(secret: &str, time: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&[b"v0:", time.as_bytes(), b":", body].concat());
    mac.finalize().into_bytes().iter().fold("v0=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The JSON that Slack is answered with.
pub(super) fn reply(answer: &Value) -> Value {
    assert_eq!(answer["statusCode"], 200, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

/// The way out, to AWS or to Slack.
#[derive(Clone)]
struct Door {
    outside: Arc<Mutex<Outside>>,
    aws: bool,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl HttpConnector for Door {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let door = self.clone();
        HttpConnectorFuture::new(async move {
            let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
            let url = request.uri().to_owned();
            let operation = if door.aws {
                assert!(request.headers().get("authorization").unwrap().contains("Credential=ASIAEXAMPLE/"));
                let target = request.headers().get("x-amz-target").unwrap();
                target.split('.').nth(1).unwrap().to_owned()
            } else if url.contains("/api/") {
                assert_eq!(request.headers().get("authorization"), Some("Bearer xoxb-token"));
                "usergroups.users.list".to_owned()
            } else {
                "post".to_owned()
            };
            let trouble = {
                let mut outside = door.outside.lock().unwrap();
                outside.calls.push(operation.clone());
                outside.troubles.get_mut(operation.as_str()).and_then(VecDeque::pop_front)
            };
            let carry_out = || {
                let mut outside = door.outside.lock().unwrap();
                if door.aws {
                    outside.aws(&operation, &serde_json::from_str(&body).unwrap())
                } else {
                    outside.slack(&url, &body)
                }
            };
            let (status, answer) = match trouble {
                None => carry_out(),
                Some(Trouble::Answer(status, answer)) => (status, answer),
                Some(Trouble::Silence) => {
                    tokio::time::sleep(Duration::from_hours(1)).await;
                    return Err(ConnectorError::timeout("no answer".into()));
                }
                Some(Trouble::LostAnswer) => {
                    carry_out();
                    return Err(ConnectorError::io("connection reset".into()));
                }
            };
            Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(answer.to_string())))
        })
    }
}
