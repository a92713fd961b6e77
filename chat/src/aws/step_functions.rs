//! Step Functions: starts executions, and answers tasks that wait for a user.

use eks_break_glass::aws::{CallError, CallPolicy, Service};
use eks_break_glass::platform::clock::Deadline;
use serde_json::Value;

use super::Aws;

/// The result of starting an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs.
    Now,
    /// It was started before, under this name.
    Before,
}

/// The result of answering a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The task has the answer.
    Now,
    /// It waits for none: it was answered before, or timed out.
    TooLate,
}

/// A user's answer to a task that waits for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The task ends with this output.
    Success(Value),
    /// The task fails.
    Failure {
        /// The error's name, for `Catch`.
        error: &'static str,
        /// Why.
        cause: String,
    },
}

impl Aws {
    /// Starts an execution of a state machine. The same name with the same input starts one at most, so that an attempt whose answer was
    /// lost can be repeated. Source: `StartExecution` in the Step Functions API reference.
    ///
    /// # Errors
    /// If it was refused, or not answered: then it may run nevertheless.
    pub async fn start_execution(
        &self,
        machine: &str,
        name: &str,
        input: &Value,
        deadline: Deadline,
    ) -> Result<Started, CallError> {
        let call = self.step_functions().start_execution();
        let call = call.state_machine_arn(machine).name(name).input(input.to_string()).send();
        match self.connection.within(Service::StepFunctions, call, deadline).await {
            Ok(_) => Ok(Started::Now),
            Err(error) if error.code() == Some("ExecutionAlreadyExists") => Ok(Started::Before),
            Err(error) => Err(error),
        }
    }

    /// Answers a task by its token (`SendTaskSuccess`, `SendTaskFailure`), in one attempt: the answer to a second one couldn't be
    /// distinguished from that to another user's.
    ///
    /// # Errors
    /// If it was refused, or not answered: then the task may have the answer nevertheless.
    pub async fn answer_task(
        &self,
        token: &str,
        decision: &Decision,
        deadline: Deadline,
    ) -> Result<Answered, CallError> {
        let policy = CallPolicy::INTERACTIVE.once();
        let once = aws_sdk_sfn::config::Builder::new().retry_config(policy.retries()).timeout_config(policy.timeouts());
        let client = self.step_functions();
        let answer = match decision {
            Decision::Success(output) => {
                let call = client.send_task_success().task_token(token).output(output.to_string());
                let call = call.customize().config_override(once).send();
                self.connection.within(Service::StepFunctions, call, deadline).await.map(drop)
            }
            Decision::Failure { error, cause } => {
                let call = client.send_task_failure().task_token(token).error(*error).cause(cause);
                let call = call.customize().config_override(once).send();
                self.connection.within(Service::StepFunctions, call, deadline).await.map(drop)
            }
        };
        match answer {
            Ok(()) => Ok(Answered::Now),
            Err(error) if matches!(error.code(), Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken")) => {
                Ok(Answered::TooLate)
            }
            Err(error) => Err(error),
        }
    }
}
