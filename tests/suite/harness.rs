//! A harness: the whole function, from the event to the result, on a simulated AWS under simulated time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_sdk_eks::config::Credentials;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use eks_break_glass::aws::{ClusterConnectors, Connection};
use eks_break_glass::handler::{Failed, Function};
use eks_break_glass::input::settings::Settings;
use eks_break_glass::platform::clock::Clock;
use eks_break_glass::platform::log::Sink;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use serde_json::value::RawValue;
use simulator::Simulation;
use simulator::policy::Policy;

use crate::schema;

/// How long a Lambda function may run.
pub(crate) const LAMBDA_TIMEOUT: Duration = Duration::from_mins(15);

/// The cluster whose API server is there to be asked.
pub(crate) const CLUSTER: &str = "prod";
/// The function's own ARN, without a qualifier.
pub(crate) const FUNCTION: &str = "arn:aws:lambda:eu-west-1:111122223333:function:eks-break-glass";
/// The Lambda request id of every request, unless a test says otherwise.
pub(crate) const REQUEST_ID: &str = "8f507cfc-xmpl-4697-b07a-ac58fc914c95";
/// Its schedule group.
pub(crate) const GROUP: &str = "eks-break-glass";

/// A simulated AWS and the function in it.
pub(crate) struct Harness {
    /// The simulated AWS.
    pub(crate) aws: Simulation,
    settings: HashMap<String, String>,
    arn: String,
    access_key_id: String,
    function: OnceLock<Function>,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Harness {
    /// The function, with its default settings, in that AWS.
    pub(crate) fn new(aws: Simulation) -> Self {
        let settings = HashMap::from([("AWS_REGION".to_owned(), "eu-west-1".to_owned())]);
        Self {
            aws,
            settings,
            arn: FUNCTION.to_owned(),
            access_key_id: "ASIAEXAMPLE".to_owned(),
            function: OnceLock::new(),
            log: Arc::default(),
        }
    }

    /// The same as another installation: another function, with its own access key.
    pub(crate) fn installed_as(mut self, arn: &str, access_key_id: &str) -> Self {
        arn.clone_into(&mut self.arn);
        access_key_id.clone_into(&mut self.access_key_id);
        self
    }

    /// The same installation in that AWS: its log is shared.
    pub(crate) fn over(&self, aws: Simulation) -> Self {
        Self {
            aws,
            settings: self.settings.clone(),
            arn: self.arn.clone(),
            access_key_id: self.access_key_id.clone(),
            function: OnceLock::new(),
            log: Arc::clone(&self.log),
        }
    }

    /// The same with a setting.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self.function = OnceLock::new();
        self
    }

    /// The same, able to schedule revokes.
    pub(crate) fn with_schedules(self) -> Self {
        self.with("SCHEDULE_GROUP", GROUP)
            .with("SCHEDULE_ROLE_ARN", "arn:aws:iam::111122223333:role/eks-break-glass-schedules")
            .with("SCHEDULE_DLQ_ARN", "arn:aws:sqs:eu-west-1:111122223333:eks-break-glass-undelivered")
    }

    /// Lets time go by, and sends what Scheduler has to send by then: what the function answered to each.
    pub(crate) async fn after(&self, time: Duration) -> Vec<Result<Value, Failed>> {
        tokio::time::advance(time).await;
        let mut answers = Vec::new();
        for delivery in self.aws.due() {
            assert_eq!(delivery.target, format!("{FUNCTION}:revoke"), "the alias of Scheduler alone");
            answers.push(self.send_through("revoke", &serde_json::from_str(&delivery.input).unwrap()).await);
        }
        answers
    }

    /// Sends an event and waits for the answer, for as long as Lambda lets a function run.
    pub(crate) async fn send(&self, event: &Value) -> Result<Value, Failed> {
        self.send_for(event, LAMBDA_TIMEOUT).await
    }

    /// Sends an event to a function that Lambda lets run for so long. It stays warm from one event to the next.
    pub(crate) async fn send_for(&self, event: &Value, timeout: Duration) -> Result<Value, Failed> {
        self.send_text(&event.to_string(), timeout).await
    }

    /// Sends an event through an alias.
    pub(crate) async fn send_through(&self, alias: &str, event: &Value) -> Result<Value, Failed> {
        self.invoke(&format!("{}:{alias}", self.arn), REQUEST_ID, &event.to_string(), LAMBDA_TIMEOUT)
            .await
            .map(|result| read(&result))
    }

    /// Sends an event under another request id, as Lambda gives every invocation.
    pub(crate) async fn send_as(&self, request_id: &str, event: &Value) -> Result<Value, Failed> {
        self.invoke(&self.arn, request_id, &event.to_string(), LAMBDA_TIMEOUT).await.map(|result| read(&result))
    }

    /// Sends the text of an event, which `serde_json` might write otherwise.
    pub(crate) async fn send_text(&self, event: &str, timeout: Duration) -> Result<Value, Failed> {
        self.answer_text(event, timeout).await.map(|result| read(&result))
    }

    /// The same, and the text of the answer.
    pub(crate) async fn answer_text(&self, event: &str, timeout: Duration) -> Result<String, Failed> {
        self.invoke(&format!("{}:live", self.arn), REQUEST_ID, event, timeout).await
    }

    /// Whatever is answered or announced has to be as the schemas say.
    async fn invoke(&self, arn: &str, request_id: &str, event: &str, timeout: Duration) -> Result<String, Failed> {
        let mut context = Context::default();
        request_id.clone_into(&mut context.request_id);
        arn.clone_into(&mut context.invoked_function_arn);
        let now = self.aws.world(|world| world.now());
        let end = now.as_millisecond() + i64::try_from(timeout.as_millis()).unwrap();
        context.deadline = u64::try_from(end).unwrap();
        let payload = RawValue::from_string(event.to_owned()).unwrap();
        let function = self.function.get_or_init(|| self.start()).clone();
        let answer =
            Box::pin(function.handle(LambdaEvent::new(payload, context))).await.map(|result| result.get().to_owned());
        if let Ok(result) = &answer {
            schema::assert_result(&read(result));
        }
        self.aws.world(|world| {
            world.bus_events().last().into_iter().for_each(|event| schema::assert_announcement(&event.detail));
        });
        answer
    }

    fn start(&self) -> Function {
        let settings = Settings::read(|name| self.settings.get(name).cloned()).map(|settings| {
            let token = Some("token-of-the-session".to_owned());
            let credentials = Credentials::new(self.access_key_id.clone(), "very-secret", token, None, "test");
            let cluster = SharedHttpConnector::new(Door::ApiServer(self.aws.clone()));
            let clusters = ClusterConnectors::new(move |_| Ok(cluster.clone()));
            let connector = SharedHttpConnector::new(Door::Aws(self.aws.clone()));
            let connection = Connection::over(&settings.region, connector, credentials, clusters);
            (settings, connection)
        });
        let (log, aws) = (Arc::clone(&self.log), self.aws.clone());
        Function::new(
            settings,
            Sink::new(move |line| {
                let line = serde_json::from_str(line).expect("every line of the log is one JSON object");
                log.lock().unwrap().push(line);
            }),
            Clock::new(move || aws.world(|world| world.now())),
        )
    }

    /// What was logged so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// The lines of the log with that message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let mut lines = self.log();
        lines.retain(|line| line["message"] == message);
        lines
    }
}

fn read(result: &str) -> Value {
    serde_json::from_str(result).unwrap()
}

/// A door of the simulation, as the SDK's connector.
#[derive(Clone)]
enum Door {
    Aws(Simulation),
    /// That of the cluster's API server.
    ApiServer(Simulation),
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
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?
                .map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
            let response = match door {
                Self::Aws(aws) => aws.serve(request).await,
                Self::ApiServer(aws) => aws.api_server(CLUSTER, &request).await,
            };
            let response = response.map_err(|_| ConnectorError::io("connection reset".into()))?;
            HttpResponse::try_from(response.map(SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// How many cases a property is tried with: all of them with `make properties`, a tenth of them in every other run.
#[expect(clippy::disallowed_methods, reason = "`make properties` asks for all cases")]
pub(crate) fn cases(all: u32) -> u32 {
    if std::env::var_os("ALL_CASES").is_some() { all } else { all / 10 }
}

/// What a result's steps say, as `Operation OUTCOME`.
pub(crate) fn steps(result: &Value) -> Vec<String> {
    result["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("{} {}", step["operation"].as_str().unwrap(), step["outcome"].as_str().unwrap()))
        .collect()
}

/// The codes of a result's warnings.
pub(crate) fn warnings(result: &Value) -> Vec<String> {
    result["warnings"].as_array().unwrap().iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
}

/// A policy that allows everything but those actions: they are missing, not denied.
pub(crate) fn lacking(actions: &[&str]) -> Policy {
    let statement = serde_json::json!({ "Effect": "Allow", "NotAction": actions, "Resource": "*" });
    Policy::parse(&serde_json::json!({ "Version": "2012-10-17", "Statement": statement }).to_string()).unwrap()
}
