//! Between Lambda and the domain: JSON in, JSON or a named error out. The only file of this function that knows `lambda_runtime`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::aws::Connection;
use crate::decide::expiry::ScheduleConfig;
use crate::decide::guardrails;
use crate::decide::ownership::Installation;
use crate::domain::arn::{Alias, FunctionArn, PolicyArn};
use crate::domain::codes::WarningCode;
use crate::domain::failure::{ErrorName, Failure};
use crate::domain::sanitize;
use crate::input::event::{Action, Request};
use crate::input::settings::{Misconfigured, Settings};
use crate::platform::clock::{Clock, Deadline, Stopwatch};
use crate::platform::log::{Level, Log, Sink};
use crate::report::announcement::announcement;
use crate::report::outcome::Outcome;
use crate::workflow::context::Context;
use crate::workflow::recorder::Recorder;
use crate::workflow::{accounts, grant, inspect, revoke};

/// What is kept back of an invocation's time to answer in.
const TIME_TO_ANSWER: Duration = Duration::from_secs(3);
/// What is kept back to write the audit line and hand the answer over.
const TIME_TO_CLOSE: Duration = Duration::from_millis(300);
/// The longest that Lambda lets a function run.
const LONGEST_INVOCATION: Duration = Duration::from_mins(15);

/// The function: what is read once, and serves every invocation.
#[derive(Debug, Clone)]
pub struct Function {
    ready: Arc<Result<Ready, Misconfigured>>,
    log: Sink,
    clock: Clock,
}

#[derive(Debug)]
struct Ready {
    settings: Settings,
    connection: Connection,
}

/// A failed request, as Lambda reports it. `Debug` reaches CloudWatch, and shows what `errorMessage` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The name to catch it by.
    pub name: ErrorName,
    /// What failed, what was changed, what to do.
    pub message: String,
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self { error_type: failed.name.to_string(), error_message: failed.message }
    }
}

impl Function {
    /// The function with its settings. Wrong ones are no reason to crash, which would show an operator only
    /// `Runtime.ExitError`: every call is answered with what is wrong with them.
    #[must_use]
    pub fn new(settings: Result<(Settings, Connection), Misconfigured>, log: Sink, clock: Clock) -> Self {
        let ready = settings.map(|(settings, connection)| Ready { settings, connection });
        Self { ready: Arc::new(ready), log, clock }
    }

    /// Answers one event.
    ///
    /// # Errors
    /// If the request was not carried out to its end.
    pub async fn handle(self, event: LambdaEvent<Box<RawValue>>) -> Result<Box<RawValue>, Failed> {
        let LambdaEvent { payload, context } = event;
        let threshold = self.ready.as_ref().as_ref().map_or(Level::Info, |ready| ready.settings.log_level);
        let mut invocation = Invocation {
            watch: Stopwatch::start(),
            deadline: deadline(&context, &self.clock, TIME_TO_ANSWER),
            end: deadline(&context, &self.clock, TIME_TO_CLOSE),
            request: None,
            recorder: Recorder::new(Log::new(self.log, self.clock.clone(), threshold, &context.request_id)),
            function: FunctionArn::parse(&context.invoked_function_arn).ok(),
            clock: self.clock,
            request_id: context.request_id,
        };
        // A panic is a defect of this program, and it, too, has a name that a workflow can catch.
        let answer = AssertUnwindSafe(invocation.answer(&self.ready, payload.get())).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| {
            Err(Failure::new(
                ErrorName::Internal,
                "This program has a defect.",
                "Look at the function's log, which has the steps so far, and report the defect.",
            ))
        });
        let answer = invocation.announce(&self.ready, answer).await;
        invocation.close(answer)
    }
}

/// One event under way.
struct Invocation {
    request_id: String,
    function: Option<FunctionArn>,
    clock: Clock,
    watch: Stopwatch,
    /// When the request has to be carried out.
    deadline: Deadline,
    /// When all has to be over, the announcement included.
    end: Deadline,
    request: Option<Request>,
    recorder: Recorder,
}

impl Invocation {
    async fn answer(&mut self, function: &Result<Ready, Misconfigured>, event: &str) -> Result<Outcome, Failure> {
        let ready = function.as_ref().map_err(|wrong| Failure::from(wrong.clone()))?;
        let request = self.request.insert(Request::parse(event, &ready.settings.region)?);
        guardrails::request(&ready.settings, self.function.as_ref(), request)?;
        let aws = ready.connection.aws(&request.cluster.region, self.deadline);
        let (settings, function) = (&ready.settings, self.function.as_ref());
        let aws = accounts::assume_target_role(aws, settings, function, request, self.clock.now(), &mut self.recorder)
            .await?;
        let context = Context {
            aws: &aws,
            settings,
            schedules: ScheduleConfig::new(settings, function),
            installation: Installation::of(function),
            function,
            alias: function.map_or(Alias::None, FunctionArn::alias),
            request_id: &self.request_id,
            clock: &self.clock,
        };
        let recorder = &mut self.recorder;
        match &request.action {
            Action::Grant(grant) => grant::run(&context, request, grant, recorder).await,
            Action::Revoke(revoke) => revoke::run(&context, request, revoke, recorder).await,
            Action::Inspect(inspect) => inspect::run(&context, request, inspect, recorder).await,
        }
    }

    /// Announces the end of the request on the event bus, if there is one. A failed announcement is a warning, and denies no access.
    async fn announce(
        &mut self,
        function: &Result<Ready, Misconfigured>,
        answer: Result<Outcome, Failure>,
    ) -> Result<Outcome, Failed> {
        let mut answer = answer
            .map(|outcome| outcome.recorded(&self.request_id, &self.recorder.record).within_limit())
            .map_err(|failure| {
                let message = failure.message(&self.recorder.record.describe_changes());
                Failed { name: failure.name, message: sanitize::one_line(&message) }
            });
        let (Some(request), Ok(Ready { settings: Settings { event_bus: Some(bus), .. }, connection })) =
            (&self.request, function)
        else {
            return answer;
        };
        let ending = answer.as_ref().map_err(|failed| (failed.name, failed.message.as_str()));
        let Some(announcement) = announcement(request, &self.request_id, ending, &self.recorder.record) else {
            return answer;
        };
        if let Err(why) = connection
            .put_events(bus, announcement.detail_type.as_str(), &announcement.detail.to_string(), self.end)
            .await
        {
            let message = format!("`{}` could not be announced on the bus `{bus}`. [{why}]", announcement.detail_type);
            self.recorder.warn(WarningCode::AnnouncementFailed, message);
            if let Ok(outcome) = &mut answer {
                // What was cut from the result is warned of in the result alone.
                outcome.warnings.extend(self.recorder.record.warnings.last().cloned());
            }
        }
        answer
    }

    /// Writes the audit line and the metrics, and answers Lambda.
    fn close(self, answer: Result<Outcome, Failed>) -> Result<Box<RawValue>, Failed> {
        let duration = u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, level) = match &answer {
            Ok(outcome) => (json!(outcome.status), Level::Info),
            Err(failed) => (json!(failed.name.to_string()), Level::Error),
        };
        let warnings = &self.recorder.record.warnings;
        let unannounced =
            warnings.iter().filter(|warning| warning.code == WarningCode::AnnouncementFailed).count() as u64;
        let request = self.request.as_ref();
        let action = request.map_or("unknown", |request| request.action.name());
        self.recorder.log.record(
            level,
            "audit",
            json!({
                "action": action,
                "status": status,
                "clusterName": request.map(|request| &request.cluster.name),
                "region": request.map(|request| request.cluster.region.as_str()),
                "principalArn": request.and_then(Request::principal).map(|principal| &principal.text),
                "policyArn": request.and_then(Request::policy).map(PolicyArn::as_str),
                "emergency": request.is_some_and(Request::is_emergency),
                "reason": request.and_then(|request| request.reason.as_ref()),
                "requestedBy": request.and_then(|request| request.requested_by.as_ref()),
                "changes": self.recorder.record.describe_changes(),
                "errorMessage": answer.as_ref().err().map(|failed| &failed.message),
                "durationMs": duration,
                "steps": self.recorder.record.steps,
                "warnings": warnings,
            }),
        );
        self.recorder.log.metrics(
            &[
                self.function.as_ref().map_or("unknown", FunctionArn::name),
                action,
                status.as_str().unwrap_or("unknown"),
            ],
            &[1, u64::from(answer.is_err()), duration, self.recorder.record.failed_steps(), unannounced],
        );
        // Serialised as it is, so that the fields keep their order.
        answer.and_then(|outcome| {
            to_raw_value(&outcome).map_err(|error| Failed {
                name: ErrorName::Internal,
                message: format!("The result can't be written as JSON. Look at the function's log. [{error}]"),
            })
        })
    }
}

/// Until when to have answered: a little before Lambda ends the invocation. A deadline that has passed before anything
/// began is none; `cargo lambda watch` sends such a one.
fn deadline(context: &lambda_runtime::Context, clock: &Clock, kept_back: Duration) -> Deadline {
    let end = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    let left = u64::try_from(end.saturating_sub(clock.now().as_millisecond())).unwrap_or(0);
    let left = if left == 0 { LONGEST_INVOCATION } else { Duration::from_millis(left) };
    Deadline::after(left.saturating_sub(kept_back.min(left / 10)))
}
