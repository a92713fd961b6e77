//! AWS, as far as the chat function calls it: one service per file, methods named like the API's operations.

mod secrets_manager;
mod step_functions;

use std::sync::OnceLock;

use eks_break_glass::aws::{CallPolicy, Connection, Service};

pub use step_functions::{Answered, Decision, Started};

/// The clients. Each is built when it is first used, because building one parses a partition table.
#[derive(Debug)]
pub struct Aws {
    connection: Connection,
    secrets_manager: OnceLock<aws_sdk_secretsmanager::Client>,
    step_functions: OnceLock<aws_sdk_sfn::Client>,
}

impl Aws {
    /// The services of the function's own account and region.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection, secrets_manager: OnceLock::new(), step_functions: OnceLock::new() }
    }

    fn secrets_manager(&self) -> &aws_sdk_secretsmanager::Client {
        let config = || self.connection.service_config(Service::SecretsManager, CallPolicy::INTERACTIVE);
        self.secrets_manager.get_or_init(|| aws_sdk_secretsmanager::Client::new(&config()))
    }

    fn step_functions(&self) -> &aws_sdk_sfn::Client {
        let config = || self.connection.service_config(Service::StepFunctions, CallPolicy::INTERACTIVE);
        self.step_functions.get_or_init(|| aws_sdk_sfn::Client::new(&config()))
    }
}
