//! What a function is configured with before it runs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::net::unix::pipe;
use tokio::process::Command;

use super::Environment;

/// What is called with each line of the function's log, standard output and error alike.
pub(super) type LogSink = Box<dyn FnMut(&str) + Send>;

/// A function to be run: a program and its configuration.
pub struct Function {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    log: Option<LogSink>,
}

impl Function {
    /// A function that is the program at this path. It runs with nothing of this process's environment:
    /// with what Lambda sets, region `eu-west-1`, credentials that no AWS account knows, and what
    /// [`env`](Self::env) adds.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let variables = [
            ("_HANDLER", "bootstrap"),
            ("TZ", ":UTC"),
            ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("AWS_SESSION_TOKEN", "simulated-session"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_FUNCTION_NAME", "eks-break-glass"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/eks-break-glass"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "simulated"),
        ];
        Self {
            program: program.into(),
            arguments: Vec::new(),
            variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            log: None,
        }
    }

    /// Adds an argument to the command line (a handler's name for runtimes that take one).
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of the function's environment, or replaces one.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.as_ref().into(), value.as_ref().into());
        self
    }

    /// Removes a variable of the function's environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.variables.remove(name.as_ref());
        self
    }

    /// Calls `sink` with each line of the log as it is written. Without it, the log is thrown away.
    #[must_use]
    pub fn on_log(mut self, sink: impl FnMut(&str) + Send + 'static) -> Self {
        self.log = Some(Box::new(sink));
        self
    }

    /// Starts a Runtime API on a free loopback port and the program against it.
    ///
    /// # Errors
    /// Where no port can be bound, or the program can't be run; the message names it.
    pub async fn start(self) -> io::Result<Environment> {
        Environment::start(self).await
    }

    /// The command to spawn and, if it is wanted, its log: one pipe for both outputs, so that
    /// their order is kept.
    pub(super) fn command(self, runtime_api: SocketAddr) -> io::Result<(Command, Option<(pipe::Receiver, LogSink)>)> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let Some(sink) = self.log else {
            return Ok((command, None));
        };
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        let log = pipe::Receiver::from_owned_fd(reader.into())?;
        Ok((command, Some((log, sink))))
    }

    pub(super) fn arn(&self) -> String {
        let variable = |name: &str| {
            let value = self.variables.get(OsStr::new(name));
            value.map_or_else(String::new, |value| value.to_string_lossy().into_owned())
        };
        format!(
            "arn:aws:lambda:{}:111122223333:function:{}",
            variable("AWS_REGION"),
            variable("AWS_LAMBDA_FUNCTION_NAME")
        )
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Function")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}
