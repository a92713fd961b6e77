//! `make demo`: an engineer is locked out of a cluster, asks why, gets access for an hour, and revokes it.
//!
//! The function's real binary runs against the simulator, over HTTP, behind a Lambda Runtime API.
//! Nothing of it leaves this machine, and everything that it starts ends with it.

mod report;
mod terminal;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use simulator::Simulation;
use simulator::interrupt::interrupted;
use simulator::kubectl::{self, Answer};
use simulator::lambda::{Environment, Function, Outcome};
use simulator::scenario::{SCHEDULE_GROUP, Scenario};
use simulator::server::{FREE_PORT, Server};
use simulator::world::EntrySnapshot;
use tokio::sync::mpsc;
use tokio::time::Instant;

use terminal::{Step, Style, Terminal};

/// How long the function may take: ample here, where the template gives it 15 minutes.
const LAMBDA_TIMEOUT: Duration = Duration::from_mins(2);

/// How long EKS may take until what was granted has reached the cluster's API server, and how often
/// an engineer would look.
const PROPAGATION: Duration = Duration::from_mins(1);
const GLANCE: Duration = Duration::from_millis(100);

/// The role that the simulated Scheduler takes on.
const SCHEDULE_ROLE: &str = "arn:aws:iam::111122223333:role/eks-break-glass-schedules";

/// Shows how the function lets a locked-out principal back into a simulated cluster.
#[derive(Parser)]
struct Arguments {
    /// The function's binary.
    #[arg(default_value = "target/debug/eks-break-glass")]
    function: PathBuf,
    /// The grant to send; where it has no `duration`, for an hour.
    #[arg(long, default_value = "events/grant.json")]
    event: PathBuf,
    /// The alias or version to invoke for each event; without it, the function itself.
    #[arg(long, value_name = "NAME")]
    qualifier: Option<String>,
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

/// The whole story. True: locked out before, in after the grant, and everything as it was after the revoke.
async fn run(arguments: &Arguments, terminal: Terminal) -> Result<bool, Box<dyn Error>> {
    if !arguments.function.is_file() {
        let path = arguments.function.display();
        return Err(format!("there is no function at `{path}`; `cargo build` makes it").into());
    }
    let event = Event::read(&arguments.event)?;
    let simulation = Simulation::new(Scenario::default().world()).in_real_time();
    let server = Server::http(simulation.clone(), FREE_PORT).await?;
    terminal.heading("An SSO role was replaced, and nobody can get into the cluster any more")?;
    terminal.field("cluster", Style::Plain, &event.cluster)?;
    terminal.field("principal", Style::Plain, &event.principal)?;
    terminal.field("AWS", Style::Plain, &format!("simulated, at {}", server.url()))?;
    let before = ask(&simulation, &event);
    let entries = simulation.world(|world| world.snapshot(&event.cluster));
    show_answer(terminal, &before)?;
    let mut function = Running::start(arguments, &server, terminal).await?;
    let inspect = json!({ "action": "inspect", "clusterName": event.cluster, "principalArn": event.principal });

    terminal.heading("Why? Ask the function")?;
    let Some(found) = function.send(&inspect).await? else { return Ok(false) };
    report::findings(terminal, &found)?;

    terminal.heading("Let it in, for an hour")?;
    let Some(granted) = function.send(&event.json).await? else { return Ok(false) };
    report::show(terminal, &granted)?;
    let after = await_answer(&simulation, &event, true).await;
    show_answer(terminal, &after)?;

    terminal.heading("What does it look like now?")?;
    let Some(found) = function.send(&inspect).await? else { return Ok(false) };
    report::findings(terminal, &found)?;

    terminal.heading("The incident is over: give it back, with the `undo` of the grant")?;
    let undo = granted.get("undo").cloned().unwrap_or_default();
    let Some(revoked) = function.send(&undo).await? else { return Ok(false) };
    report::revoked(terminal, &revoked)?;
    let over = await_answer(&simulation, &event, false).await;
    show_answer(terminal, &over)?;
    function.stop().await?;

    terminal.heading("Compared with the beginning")?;
    let restored = compare(terminal, &simulation, &event, &entries)?;
    Ok(!before.allowed && after.allowed && !over.allowed && restored)
}

/// Compares the cluster's access entries with what they were, but for those that EKS made itself when its authentication mode changed.
fn compare(
    terminal: Terminal,
    simulation: &Simulation,
    event: &Event,
    before: &BTreeMap<String, EntrySnapshot>,
) -> std::io::Result<bool> {
    let (now, pending) = simulation.world(|world| (world.snapshot(&event.cluster), world.schedules().len()));
    let own = |entries: &BTreeMap<String, EntrySnapshot>| {
        entries.get(&event.principal).map_or("none", |_| "there").to_owned()
    };
    let by_eks = now.keys().filter(|arn| !before.contains_key(*arn) && **arn != event.principal).count();
    terminal.field("access entry", Style::Plain, &format!("{} before, {} now", own(before), own(&now)))?;
    terminal.field("scheduled", Style::Plain, &format!("{pending} revokes are left"))?;
    terminal.field(
        "what stays",
        Style::Warning,
        &format!(
            "the authentication mode, which cannot be undone, and the entries that EKS made itself with it ({by_eks})"
        ),
    )?;
    let untouched = before.iter().all(|(arn, entry)| now.get(arn) == Some(entry));
    Ok(untouched && now.get(&event.principal) == before.get(&event.principal) && pending == 0)
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
        let mut json: Value =
            serde_json::from_str(&text).map_err(|error| format!("`{}` is not JSON: {error}", path.display()))?;
        let field = |name: &str| {
            let value = json.get(name).and_then(Value::as_str).map(str::to_owned);
            value.ok_or_else(|| format!("`{}` has no `{name}`", path.display()))
        };
        let (cluster, principal) = (field("clusterName")?, field("principalArn")?);
        if let Some(event) = json.as_object_mut() {
            event.entry("duration").or_insert_with(|| json!("1h"));
        }
        Ok(Self { json, cluster, principal })
    }
}

/// The function, waiting for events.
struct Running {
    environment: Environment,
    log: mpsc::UnboundedReceiver<String>,
    terminal: Terminal,
    qualifier: Option<String>,
}

impl Running {
    async fn start(arguments: &Arguments, server: &Server, terminal: Terminal) -> Result<Self, Box<dyn Error>> {
        let (sender, log) = mpsc::unbounded_channel();
        let environment = Function::new(&arguments.function)
            .env("AWS_ENDPOINT_URL", server.url())
            .env("SCHEDULE_GROUP", SCHEDULE_GROUP)
            .env("SCHEDULE_ROLE_ARN", SCHEDULE_ROLE)
            .on_log(move |line| drop(sender.send(line.to_owned())))
            .start()
            .await?;
        Ok(Self { environment, log, terminal, qualifier: arguments.qualifier.clone() })
    }

    /// Sends an event and shows the steps as they are logged; the result, or `None`, and why, where there is none.
    async fn send(&mut self, event: &Value) -> Result<Option<Value>, Box<dyn Error>> {
        self.terminal.text(Style::Plain, &report::pretty(event))?;
        let sent = Instant::now();
        let outcome = {
            let invoked = async {
                match &self.qualifier {
                    Some(qualifier) => self.environment.invoke_qualified(qualifier, event, LAMBDA_TIMEOUT).await,
                    None => self.environment.invoke(event, LAMBDA_TIMEOUT).await,
                }
            };
            tokio::pin!(invoked);
            loop {
                tokio::select! {
                    biased;
                    Some(line) = self.log.recv() => show_log_line(self.terminal, sent, &line)?,
                    outcome = &mut invoked => break outcome?,
                }
            }
        };
        while let Ok(line) = self.log.try_recv() {
            show_log_line(self.terminal, sent, &line)?;
        }
        match outcome {
            Outcome::Response(result) => return Ok(Some(result)),
            Outcome::Error { error_type, error_message } => {
                self.terminal.field("errorType", Style::Bad, &error_type)?;
                self.terminal.field("errorMessage", Style::Plain, &error_message)?;
            }
            Outcome::Exited(status) => {
                self.terminal.field("no answer", Style::Bad, &format!("the process ended: {status}"))?;
            }
            Outcome::TimedOut => self.terminal.field("no answer", Style::Bad, "the time was over")?,
        }
        Ok(None)
    }

    async fn stop(self) -> std::io::Result<()> {
        self.environment.stop().await
    }
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

/// Asks until the answer is the wanted one, for as long as EKS may take.
async fn await_answer(simulation: &Simulation, event: &Event, wanted: bool) -> Answer {
    let end = Instant::now() + PROPAGATION;
    loop {
        let answer = ask(simulation, event);
        if answer.allowed == wanted || Instant::now() >= end {
            return answer;
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn show_answer(terminal: Terminal, answer: &Answer) -> std::io::Result<()> {
    let style = if answer.allowed { Style::Good } else { Style::Bad };
    terminal.command(kubectl::COMMAND, style, answer.words)
}
