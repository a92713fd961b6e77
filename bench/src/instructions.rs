//! Instruction counts by callgrind: the same for the same binary, whatever else the machine is doing, and so
//! fit to be held against a limit.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use simulator::lambda::{Function, Outcome};

use crate::{Result, World};

/// Under callgrind everything takes fifty times as long.
const DEADLINE: Duration = Duration::from_mins(5);
/// How many warm invocations the count of one is the mean of.
const WARM: u64 = 10;

/// The most instructions that each may take: what was counted when they were last set, and 9 % for other environments and processors.
#[derive(Deserialize)]
struct Limits {
    init: u64,
    first: u64,
    warm: u64,
}

/// Counts, prints, and compares with the limits.
pub(crate) async fn check(function: &Path) -> Result<()> {
    let limits: Limits = serde_json::from_str(include_str!("../limits.json"))?;
    let init = count(function, 0).await?;
    let first = count(function, 1).await?;
    let many = count(function, 1 + WARM).await?;
    let counted = [
        ("init", init, limits.init),
        ("first invocation", first.saturating_sub(init), limits.first),
        ("warm invocation", many.saturating_sub(first) / WARM, limits.warm),
    ];
    let mut out = io::stdout().lock();
    writeln!(out, "| instructions | counted | limit |\n|---|---|---|")?;
    for (what, counted, limit) in counted {
        writeln!(out, "| {what} | {counted} | {limit} |")?;
    }
    match counted.iter().find(|(_, counted, limit)| counted > limit) {
        None => Ok(()),
        Some((what, ..)) => Err(format!(
            "{what}: more instructions than `bench/limits.json` allows; find out why, or raise the limit in a commit that says why"
        )
        .into()),
    }
}

/// Instructions of a process that answers so many events.
async fn count(function: &Path, invocations: u64) -> Result<u64> {
    let world = World::start().await?;
    let collected = Arc::new(Mutex::new(None));
    let sink = Arc::clone(&collected);
    let function = Function::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--callgrind-out-file=/dev/null")
        .arg(function)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .on_log(move |line| {
            if let Some((_, figure)) = line.split_once("Collected :") {
                *sink.lock().unwrap_or_else(PoisonError::into_inner) = figure.trim().parse().ok();
            }
        });
    let function = world.variables().into_iter().fold(function, |function, (name, value)| function.env(name, value));
    let mut environment = function.start().await?;
    if !environment.ready().await? {
        return Err("the function ended under valgrind; is valgrind installed?".into());
    }
    for _ in 0..invocations {
        match environment.invoke(&world.event(), DEADLINE).await? {
            Outcome::Response(_) => {}
            other => {
                return Err(format!("the function did not answer as it should: {other:?}").into());
            }
        }
    }
    let pid = environment.pid().ok_or("the function ended")?;
    // Not killed outright: callgrind prints its count on the way out.
    let status = tokio::process::Command::new("kill").arg(pid.to_string()).status().await?;
    if !status.success() {
        return Err("the function could not be ended".into());
    }
    // Waits for the process, and for the last line of its log.
    let _ = environment.invoke(&world.event(), DEADLINE).await?;
    environment.stop().await?;
    let collected = collected.lock().unwrap_or_else(PoisonError::into_inner).take();
    collected.ok_or_else(|| "callgrind printed no count".into())
}
