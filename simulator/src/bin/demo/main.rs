//! `make demo`: somebody is locked out of a cluster, sends one event, and is let in again.
//!
//! The function's real binary runs against the simulator, over HTTP, behind a Lambda Runtime API.
//! Nothing of it leaves this machine, and everything that it starts ends with it.

mod report;
mod terminal;

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use simulator::Simulation;
use simulator::interrupt::interrupted;
use simulator::kubectl::{self, Answer};
use simulator::lambda::{Function, Outcome};
use simulator::scenario::Scenario;
use simulator::server::{FREE_PORT, Server};
use tokio::sync::mpsc;
use tokio::time::Instant;

use terminal::{Step, Style, Terminal};

/// How long the function may take: ample here, where the template gives it 15 minutes.
const LAMBDA_TIMEOUT: Duration = Duration::from_mins(2);

/// How long EKS may take until what was granted has reached the cluster's API server, and how often
/// somebody would look.
const PROPAGATION: Duration = Duration::from_mins(1);
const GLANCE: Duration = Duration::from_millis(100);

/// Shows how the function lets a locked-out principal back into a simulated cluster.
#[derive(Parser)]
struct Arguments {
    /// The function's binary.
    #[arg(default_value = "target/debug/eks-break-glass")]
    function: PathBuf,
    /// The event to send.
    #[arg(long, default_value = "events/grant.json")]
    event: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let no_color = std::env::var_os("NO_COLOR");
    let terminal = Terminal::new(no_color.as_deref());
    // What runs in the branch that is not taken is dropped, and ends with that.
    let ended = tokio::select! {
        ended = run(&arguments, terminal) => ended,
        _ = interrupted() => return ExitCode::from(130),
    };
    let wrong = match ended {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => "the demo did not end as it should have".to_owned(),
        Err(error) => error.to_string(),
    };
    let _ = writeln!(std::io::stderr(), "error: {wrong}");
    ExitCode::FAILURE
}

/// The whole story. True: locked out before, granted, in after.
async fn run(arguments: &Arguments, terminal: Terminal) -> Result<bool, Box<dyn Error>> {
    if !arguments.function.is_file() {
        let path = arguments.function.display();
        return Err(format!("there is no function at `{path}`; `cargo build` makes it").into());
    }
    let event = Event::read(&arguments.event)?;
    let simulation = Simulation::new(Scenario::default().world());
    let server = Server::http(simulation.clone(), FREE_PORT).await?;
    terminal.heading("An SSO role was replaced, and nobody can get into the cluster any more")?;
    terminal.field("cluster", Style::Plain, &event.cluster)?;
    terminal.field("principal", Style::Plain, &event.principal)?;
    terminal.field("AWS", Style::Plain, &format!("simulated, at {}", server.url()))?;

    terminal.heading("Before")?;
    let before = ask(&simulation, &event);
    show_answer(terminal, &before)?;

    terminal.heading("The event that is sent to the function")?;
    terminal.text(Style::Plain, &report::pretty(&event.json))?;

    terminal.heading("What the function does")?;
    let outcome = invoke(arguments, &event, &server, terminal).await?;

    terminal.heading("Its result")?;
    let granted = match &outcome {
        Outcome::Response(result) => {
            report::show(terminal, result)?;
            report::is_granted(result)
        }
        Outcome::Error { error_type, error_message } => {
            terminal.field("errorType", Style::Bad, error_type)?;
            terminal.field("errorMessage", Style::Plain, error_message)?;
            false
        }
        Outcome::Exited(status) => {
            terminal.field("no answer", Style::Bad, &format!("the process ended: {status}"))?;
            false
        }
        Outcome::TimedOut => {
            terminal.field("no answer", Style::Bad, "the time was over")?;
            false
        }
    };

    terminal.heading("After")?;
    let after = if granted { await_access(&simulation, &event).await } else { ask(&simulation, &event) };
    show_answer(terminal, &after)?;
    Ok(!before.allowed && granted && after.allowed)
}

/// The event, and what the story needs to know of it.
struct Event {
    json: Value,
    cluster: String,
    principal: String,
}

impl Event {
    fn read(path: &std::path::Path) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the event `{}`: {error}", path.display()))?;
        let json: Value =
            serde_json::from_str(&text).map_err(|error| format!("`{}` is not JSON: {error}", path.display()))?;
        let field = |name: &str| {
            let value = json.get(name).and_then(Value::as_str).map(str::to_owned);
            value.ok_or_else(|| format!("`{}` has no `{name}`", path.display()))
        };
        Ok(Self { cluster: field("clusterName")?, principal: field("principalArn")?, json })
    }
}

/// Runs the function, sends it the event, and shows the steps as it logs them.
async fn invoke(
    arguments: &Arguments,
    event: &Event,
    server: &Server,
    terminal: Terminal,
) -> Result<Outcome, Box<dyn Error>> {
    let (sender, mut log) = mpsc::unbounded_channel();
    let mut function = Function::new(&arguments.function)
        .env("AWS_ENDPOINT_URL", server.url())
        .on_log(move |line| drop(sender.send(line.to_owned())))
        .start()
        .await?;
    let sent = Instant::now();
    let outcome = {
        let invoked = function.invoke(&event.json, LAMBDA_TIMEOUT);
        tokio::pin!(invoked);
        loop {
            tokio::select! {
                biased;
                Some(line) = log.recv() => show_log_line(terminal, sent, &line)?,
                outcome = &mut invoked => break outcome?,
            }
        }
    };
    function.stop().await?;
    while let Some(line) = log.recv().await {
        show_log_line(terminal, sent, &line)?;
    }
    Ok(outcome)
}

/// Shows a step. What else the function logs (audit, metrics, warnings) is in its result too.
fn show_log_line(terminal: Terminal, sent: Instant, line: &str) -> std::io::Result<()> {
    let Ok(entry) = serde_json::from_str::<Value>(line) else {
        return terminal.text(Style::Bad, line);
    };
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("message") != "step" {
        return Ok(());
    }
    let step = Step { operation: text("operation"), outcome: text("outcome"), detail: text("detail") };
    terminal.step(sent.elapsed().as_secs_f64(), &step)
}

fn ask(simulation: &Simulation, event: &Event) -> Answer {
    kubectl::can_do_everything(simulation, &event.cluster, &event.principal)
}

/// Asks until access is there, for as long as EKS may take.
async fn await_access(simulation: &Simulation, event: &Event) -> Answer {
    let end = Instant::now() + PROPAGATION;
    loop {
        let answer = ask(simulation, event);
        if answer.allowed || Instant::now() >= end {
            return answer;
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn show_answer(terminal: Terminal, answer: &Answer) -> std::io::Result<()> {
    let style = if answer.allowed { Style::Good } else { Style::Bad };
    terminal.command(kubectl::COMMAND, style, answer.words)
}
