//! An inspection of the largest cluster that there can be: 3,000 access entries.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use simulator::Simulation;
use simulator::lambda::{Function, Outcome};
use simulator::operation::Scope;
use simulator::scenario::Scenario;
use simulator::server::{FREE_PORT, Server, TestAuthority};
use simulator::world::{Entry, Principal};

use crate::processors::Processors;
use crate::{AuthorityFile, Result, process};

/// EKS's quota of entries for each cluster.
const ENTRIES: usize = 3000;
/// How long each call takes, as AWS's do.
const LATENCY: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_mins(5);

/// Measures one inspection and prints it.
pub(crate) async fn measure(function: &Path, processors: &Processors) -> Result<()> {
    let scenario = Scenario::named("api-mode").ok_or("there is no scenario `api-mode`")?;
    let mut world = scenario.world();
    for number in 0..ENTRIES {
        let arn = format!("arn:aws:iam::111122223333:role/team-{number:04}");
        let entry = Entry::new(&arn).with_policy("AmazonEKSViewPolicy", Scope::cluster());
        world = world.with_principal(Principal::new(&arn)).with_entry(scenario.cluster, entry);
    }
    let simulation = Simulation::new(world).with_latency(LATENCY);
    let authority = TestAuthority::new()?;
    let file = AuthorityFile::write(&authority)?;
    let server = Server::https(simulation.clone(), FREE_PORT, &authority).await?;
    let function = Function::new(function).env("AWS_ENDPOINT_URL", server.url()).env("AWS_CA_BUNDLE", file.path());
    let mut environment = processors.start_apart(function.start()).await?;
    let event = json!({ "action": "inspect", "clusterName": scenario.cluster, "principalArn": scenario.principal });
    let watch = Instant::now();
    let outcome = environment.invoke(&event, DEADLINE).await?;
    let taken = watch.elapsed();
    let Outcome::Response(result) = outcome else {
        return Err(format!("the inspection did not succeed: {outcome:?}").into());
    };
    let seen = |pointer: &str| result.pointer(pointer).cloned().unwrap_or_default();
    if seen("/findings/0/code") != "NO_ACCESS_ENTRY" || seen("/warnings") != json!([]) {
        return Err(format!("the inspection did not see everything: {}", seen("/warnings")).into());
    }
    let pid = environment.pid().ok_or("the function ended")?;
    let (cpu, peak, calls) = (process::cpu(pid)?, process::peak(pid)?, simulation.calls().len());
    environment.stop().await?;
    let one_by_one = LATENCY * u32::try_from(calls)?;
    writeln!(
        io::stdout(),
        "\n| inspection of {ENTRIES} access entries, {} ms a call | |\n|---|---|\n| calls | {calls} |\n| time | {:.2} s, {:.1} times faster than one call after another |\n| CPU | {:.2} s |\n| peak memory | {:.1} MB |",
        LATENCY.as_millis(),
        taken.as_secs_f64(),
        one_by_one.as_secs_f64() / taken.as_secs_f64(),
        cpu.as_secs_f64(),
        f64::from(u32::try_from(peak)?) * 1024.0 / 1_000_000.0,
    )?;
    Ok(())
}
