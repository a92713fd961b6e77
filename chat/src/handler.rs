//! Between Lambda and the actions: requests of Slack's through a Function URL, and the workflow's own, distinguished by their shape; the audit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_types::base64;
use eks_break_glass::aws::Connection;
use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::handler::Failed;
use eks_break_glass::input::settings::Misconfigured;
use eks_break_glass::platform::clock::{Clock, Deadline, Stopwatch};
use eks_break_glass::platform::log::{Level, Log, Sink};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::actions::{Actions, Call, Reply};
use crate::audit::Audit;
use crate::aws::Aws;
use crate::message::ephemeral;
use crate::secret::{Secret, SecretCache};
use crate::settings::Settings;
use crate::slack::client::Slack;
use crate::slack::mrkdwn::escape;
use crate::slack::payload::{Incoming, LARGEST_BODY};
use crate::slack::replay::ReplayCache;
use crate::slack::signature::{SIGNATURE_HEADER, SignatureHeaders, TIME_HEADER, Unsigned};

/// Slack waits for three seconds. The rest is for the way here and back, and for a cold start.
const TIME_FOR_SLACK: Duration = Duration::from_millis(2300);
/// Less than the `Timeout` of the template: what cannot be posted in time fails in words, and with an audit line.
pub const TIME_FOR_RUNBOOK: Duration = Duration::from_secs(8);

/// The chat function: what is read once, and serves every request.
#[derive(Debug, Clone)]
pub struct Function {
    ready: Arc<Result<Ready, Misconfigured>>,
    log: Sink,
    clock: Clock,
}

#[derive(Debug)]
struct Ready {
    settings: Settings,
    aws: Aws,
    slack: Slack,
    secret: SecretCache,
    seen: ReplayCache,
}

/// A request to a Function URL, or to an HTTP API of API Gateway. Source: "Payload format version 2.0" in Lambda's and API Gateway's guides.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpEvent {
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    is_base64_encoded: bool,
}

impl HttpEvent {
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        let value = values.next().and_then(|(_, value)| value.as_str());
        // Which of two would be meant?
        if values.next().is_some() { None } else { value }
    }

    /// The bytes that were sent, which are the ones that are signed.
    fn bytes(&self) -> Option<Vec<u8>> {
        // Base64 is a third longer.
        if self.body.len() > LARGEST_BODY / 3 * 4 + 4 {
            return None;
        }
        let bytes =
            if self.is_base64_encoded { base64::decode(&self.body).ok()? } else { self.body.as_bytes().to_vec() };
        (bytes.len() <= LARGEST_BODY).then_some(bytes)
    }
}

/// What is not worth an answer, for the audit.
enum AuthError {
    /// Nobody knows who sent it: 401.
    Unsigned(String),
    /// Nobody can know now: 503.
    Unknowable(String),
}

impl Function {
    /// The function with its settings. Wrong ones are no reason to crash: every call is answered, and the log says what is wrong.
    #[must_use]
    pub fn new(settings: Result<(Settings, Connection), Misconfigured>, slack: Slack, log: Sink, clock: Clock) -> Self {
        let ready = settings.map(|(settings, connection)| Ready {
            settings,
            aws: Aws::new(connection),
            slack,
            secret: SecretCache::default(),
            seen: ReplayCache::default(),
        });
        Self { ready: Arc::new(ready), log, clock }
    }

    /// Answers one event.
    ///
    /// # Errors
    /// If the workflow asked for something that could not be done. Slack is always answered.
    pub async fn handle(self, event: LambdaEvent<Box<RawValue>>) -> Result<Value, Failed> {
        let LambdaEvent { payload, context } = event;
        let watch = Stopwatch::start();
        let ready = self.ready.as_ref().as_ref();
        let threshold = ready.map_or(Level::Info, |ready| ready.settings.log_level);
        let log = Log::new(self.log.clone(), self.clock.clone(), threshold, &context.request_id);
        let now = self.clock.now();
        let answer = AssertUnwindSafe(self.answer(payload.get(), now)).catch_unwind().await;
        let (answer, mut audit) = answer.unwrap_or_else(|_| {
            let message = "this program has a defect; look at the function's log and report it".to_owned();
            let audit = Audit::new(Level::Error, "INTERNAL", json!({ "errorMessage": message }));
            (Answer::Failed(Failed { name: ErrorName::Internal, message }), audit)
        });
        if let Answer::Failed(failed) = &answer {
            audit.set("errorMessage", json!(failed.message));
        }
        audit.set("durationMs", json!(u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX)));
        audit.write(&log);
        match answer {
            Answer::Http(status, body) => Ok(http(status, body.as_ref())),
            Answer::Posted => Ok(json!({ "posted": true })),
            Answer::Failed(failed) => Err(failed),
        }
    }

    async fn answer(&self, event: &str, now: Timestamp) -> (Answer, Audit) {
        let fields: Map<String, Value> = serde_json::from_str(event).unwrap_or_default();
        let ready = self.ready.as_ref().as_ref();
        let call = ["ask", "tell"].into_iter().find(|name| fields.len() == 1 && fields.contains_key(*name));
        match (call, ready) {
            (Some(_), Err(wrong)) => misconfigured(wrong),
            (Some(name), Ok(ready)) => ready.workflow(name, fields.get(name).unwrap_or(&Value::Null), now).await,
            (None, _) if !fields.contains_key("requestContext") => {
                let message = "the event is neither a request of Slack's nor one of the runbook's (`ask`, `tell`); nothing was done; call the main function instead";
                let failed = Failed { name: ErrorName::InvalidRequest, message: message.to_owned() };
                (Answer::Failed(failed), Audit::new(Level::Error, "INVALID_REQUEST", json!({ "action": "unknown" })))
            }
            (None, Err(wrong)) => {
                let audit = Audit::new(Level::Error, "MISCONFIGURED", json!({ "errorMessage": wrong.to_string() }));
                (Answer::Http(500, None), audit)
            }
            (None, Ok(ready)) => ready.slack_request(fields, now).await,
        }
    }
}

impl Ready {
    /// A request by HTTP. Who does not show that they are Slack learns nothing, not even why.
    async fn slack_request(&self, event: Map<String, Value>, now: Timestamp) -> (Answer, Audit) {
        let deadline = Deadline::after(TIME_FOR_SLACK);
        let (claim, secret, body) = match self.vouched(event, now, deadline).await {
            Ok(vouched) => vouched,
            Err(AuthError::Unsigned(why)) => {
                return (Answer::Http(401, None), Audit::new(Level::Warn, "UNSIGNED", json!({ "errorMessage": why })));
            }
            Err(AuthError::Unknowable(why)) => {
                let audit = Audit::new(Level::Error, "SECRET_UNAVAILABLE", json!({ "errorMessage": why }));
                return (Answer::Http(503, None), audit);
            }
        };
        let incoming = match Incoming::read(&body) {
            Ok(incoming) => incoming,
            Err(why) => {
                let audit = Audit::new(Level::Warn, "UNREADABLE", json!({ "errorMessage": why }));
                return (Answer::Http(400, None), audit);
            }
        };
        let call = Call { secret: &secret, now, sent: claim.sent, deadline };
        match &self.settings.rules {
            Ok(rules) => {
                let desk = Actions { settings: &self.settings, rules, aws: &self.aws, slack: &self.slack };
                let Reply { body, audit } = desk.serve(&incoming, &call).await;
                (Answer::Http(200, body), audit)
            }
            // The user is known, and can ask the platform team to fix it.
            Err(wrong) => {
                let words =
                    format!("The settings of this app are wrong: {}. Nothing was done.", escape(&wrong.to_string()));
                let audit = Audit::new(Level::Error, "MISCONFIGURED", json!({ "errorMessage": wrong.to_string() }));
                (Answer::Http(200, Some(ephemeral(&words))), audit)
            }
        }
    }

    /// The body of a request that Slack has signed, now, and for the first time.
    async fn vouched(
        &self,
        event: Map<String, Value>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(SignatureHeaders, Arc<Secret>, Vec<u8>), AuthError> {
        let unsigned = |why: Unsigned| AuthError::Unsigned(why.to_string());
        let event: HttpEvent = serde_json::from_value(Value::Object(event))
            .map_err(|_| AuthError::Unsigned("the event is no HTTP request".to_owned()))?;
        let claim =
            SignatureHeaders::read(event.header(TIME_HEADER), event.header(SIGNATURE_HEADER), now).map_err(unsigned)?;
        let body =
            event.bytes().ok_or_else(|| AuthError::Unsigned("the body is too large, or no base64".to_owned()))?;
        let id = &self.settings.secret;
        let unknowable = |error: eks_break_glass::aws::CallError| AuthError::Unknowable(error.to_string());
        let mut secret = self.secret.current(&self.aws, id, now, deadline).await.map_err(unknowable)?;
        if let Err(why) = claim.check(&secret.signing_secret, &body) {
            let renewed = self.secret.renewed(&self.aws, id, now, deadline).await.map_err(unknowable)?;
            secret = renewed.ok_or_else(|| unsigned(why))?;
            claim.check(&secret.signing_secret, &body).map_err(unsigned)?;
        }
        if self.seen.is_new(&claim, now) {
            Ok((claim, secret, body))
        } else {
            Err(AuthError::Unsigned("it was sent before".to_owned()))
        }
    }

    /// A request of the workflow.
    async fn workflow(&self, name: &'static str, request: &Value, now: Timestamp) -> (Answer, Audit) {
        let rules = match &self.settings.rules {
            Ok(rules) => rules,
            Err(wrong) => return misconfigured(wrong),
        };
        let deadline = Deadline::after(TIME_FOR_RUNBOOK);
        let desk = Actions { settings: &self.settings, rules, aws: &self.aws, slack: &self.slack };
        let secret = match self.secret.current(&self.aws, &self.settings.secret, now, deadline).await {
            Ok(secret) => secret,
            Err(error) => {
                let message = format!(
                    "the signing secret cannot be read: {error}; nothing was posted; look at `SLACK_SECRET_ARN`"
                );
                let audit = Audit::new(Level::Error, "SECRET_UNAVAILABLE", json!({ "action": name }));
                return (Answer::Failed(Failed { name: ErrorName::ServiceUnavailable, message }), audit);
            }
        };
        let call = Call { secret: &secret, now, sent: now, deadline };
        let (answer, audit) = match name {
            "ask" => desk.ask(request, &call).await,
            _ => desk.tell(request, &call).await,
        };
        (answer.map_or_else(Answer::Failed, |()| Answer::Posted), audit)
    }
}

/// What Lambda is answered.
enum Answer {
    Http(u16, Option<Value>),
    Posted,
    Failed(Failed),
}

fn misconfigured(wrong: &Misconfigured) -> (Answer, Audit) {
    let message = format!("the settings are wrong: {wrong}; nothing was posted; correct them");
    let audit = Audit::new(Level::Error, "MISCONFIGURED", json!({}));
    (Answer::Failed(Failed { name: ErrorName::Misconfigured, message }), audit)
}

fn http(status: u16, body: Option<&Value>) -> Value {
    match body {
        Some(body) => json!({
            "statusCode": status,
            "headers": { "content-type": "application/json; charset=utf-8" },
            "body": body.to_string(),
        }),
        None => json!({ "statusCode": status, "headers": {}, "body": "" }),
    }
}
