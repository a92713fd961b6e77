//! A simulated AWS at a loopback address, for people who try things out and for other processes.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use simulator::Simulation;
use simulator::interrupt::interrupted;
use simulator::kubectl;
use simulator::scenario::Scenario;
use simulator::server::{ApiServer, Server, TestAuthority};

/// Simulates the EKS access API, and what surrounds it, at a loopback address.
#[derive(Parser)]
#[command(name = "simulator")]
struct Arguments {
    /// The port to listen on; 0 is any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// What is there at the start.
    #[arg(long, value_name = "NAME", default_value = Scenario::default().name, value_parser = PossibleValuesParser::new(Scenario::ALL.iter().map(|scenario| scenario.name)))]
    scenario: String,
    /// How long a change of authentication mode takes; AWS needs a minute or some.
    #[arg(long, value_name = "SECONDS")]
    mode_change: Option<u64>,
    /// Speak TLS, with a certificate of an authority made for this run.
    #[arg(long, requires = "ca_out")]
    https: bool,
    /// Where to write the authority's certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "https")]
    ca_out: Option<PathBuf>,
    /// Serve the API of the scenario's cluster, too, over TLS: what kubectl asks.
    #[arg(long)]
    api_server: bool,
    /// A file to write, as JSON with `url`, `scenario`, `caFile` and `pid`, once requests are answered.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error + Send + Sync>> {
    let scenario = Scenario::named(&arguments.scenario).unwrap_or_default();
    let mode_change = arguments.mode_change.map(std::time::Duration::from_secs);
    let simulation = Simulation::new(scenario.world_with(mode_change)).in_real_time();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let server = match &arguments.ca_out {
        None => Server::http(simulation.clone(), address).await?,
        Some(path) => {
            let authority = TestAuthority::new()?;
            write(path, authority.pem())?;
            Server::https(simulation.clone(), address, &authority).await?
        }
    };
    let _api_server = if arguments.api_server {
        Some(ApiServer::start(simulation.clone(), scenario.cluster, &TestAuthority::new()?).await?)
    } else {
        None
    };
    introduce(scenario, &simulation, &server, arguments.ca_out.as_deref())?;
    if let Some(path) = &arguments.ready_file {
        announce(path, scenario, &server, arguments.ca_out.as_deref())?;
    }
    interrupted().await?;
    Ok(())
}

/// Tells a person what is there, and what to try.
fn introduce(scenario: Scenario, simulation: &Simulation, server: &Server, ca: Option<&Path>) -> io::Result<()> {
    let Scenario { name, summary, cluster, principal, region } = scenario;
    let url = server.url();
    let says = kubectl::can_do_everything(simulation, cluster, principal).words;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "Simulated AWS at {url}, scenario `{name}`

  {summary}

  cluster    {cluster} ({region})
  principal  {principal}
             $ {}
             {says}

In another shell:

  export AWS_ENDPOINT_URL={url}
  export AWS_REGION={region} AWS_DEFAULT_REGION={region}
  export AWS_ACCESS_KEY_ID=simulated AWS_SECRET_ACCESS_KEY=simulated",
        kubectl::COMMAND
    )?;
    if let Some(ca) = ca {
        writeln!(out, "  export AWS_CA_BUNDLE={}", ca.display())?;
    }
    let trust = ca.map_or_else(String::new, |ca| format!("--cacert {} ", ca.display()));
    let event = json!({ "clusterName": cluster, "principalArn": principal });
    writeln!(
        out,
        "
  aws eks describe-cluster --name {cluster}
  aws eks list-access-entries --cluster-name {cluster}
  cargo lambda watch
  cargo lambda invoke --data-ascii '{event}'
  curl {trust}'{url}/_simulator/access?cluster={cluster}&principalArn={principal}'
  curl {trust}{url}/_simulator/calls

Ctrl-C ends it."
    )
}

/// Tells a program that requests are answered: the file is there with all that it holds, or not at all.
fn announce(path: &Path, scenario: Scenario, server: &Server, ca: Option<&Path>) -> Result<(), String> {
    let ready = json!({
        "url": server.url(),
        "scenario": scenario.name,
        "caFile": ca,
        "pid": std::process::id(),
    });
    let unfinished = path.with_extension("unfinished");
    write(&unfinished, &format!("{ready}\n"))?;
    std::fs::rename(&unfinished, path).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

fn write(path: &Path, content: &str) -> Result<(), String> {
    std::fs::write(path, content).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}
