//! Step Functions: executions started, and tasks that wait for a person answered.

use serde_json::{Value, json};

use super::call::{Call, CallError, Patience};
use super::endpoint::Service;
use super::{Connection, SOMEBODY_WAITS};
use crate::clock::Deadline;

/// What came of starting an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs.
    Now,
    /// It was started before, under this name.
    Before,
}

/// What came of answering a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The task has the answer.
    Now,
    /// It waits for none: somebody has answered it, or its time is over.
    TooLate,
}

/// A person's answer to a task that waits for it.
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

impl Connection {
    /// Starts an execution of a state machine. The same name with the same input starts one at most, so that an attempt whose answer was
    /// lost can be made again. Source: `StartExecution` in the Step Functions API reference.
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
        let body = json!({ "stateMachineArn": machine, "name": name, "input": input.to_string() });
        match self.home_call(call("StartExecution", &body), SOMEBODY_WAITS, deadline).await {
            Ok(_) => Ok(Started::Now),
            Err(error) if error.code() == Some("ExecutionAlreadyExists") => Ok(Started::Before),
            Err(error) => Err(error),
        }
    }

    /// Answers a task by its token, once: a second attempt could not be told from somebody else's answer.
    ///
    /// # Errors
    /// If it was refused, or not answered: then the task may have the answer nevertheless.
    pub async fn answer_task(
        &self,
        token: &str,
        decision: &Decision,
        deadline: Deadline,
    ) -> Result<Answered, CallError> {
        let (operation, body) = match decision {
            Decision::Success(output) => {
                ("SendTaskSuccess", json!({ "taskToken": token, "output": output.to_string() }))
            }
            Decision::Failure { error, cause } => {
                ("SendTaskFailure", json!({ "taskToken": token, "error": error, "cause": cause }))
            }
        };
        let once = Patience { tries: 1, one: SOMEBODY_WAITS.all, ..SOMEBODY_WAITS };
        match self.home_call(call(operation, &body), once, deadline).await {
            Ok(_) => Ok(Answered::Now),
            Err(error) if matches!(error.code(), Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken")) => {
                Ok(Answered::TooLate)
            }
            Err(error) => Err(error),
        }
    }
}

fn call(operation: &str, body: &Value) -> Call {
    Call::json(Service::StepFunctions, "AWSStepFunctions", "1.0", operation, body)
}
