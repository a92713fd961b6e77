//! Peers that are Lambda functions: started, asked once, then asked again while warm.

use std::path::Path;
use std::time::{Duration, Instant};

use simulator::lambda::{Function, Outcome};

use crate::processors::Processors;
use crate::{Result, World, process};

const DEADLINE: Duration = Duration::from_mins(1);
/// How many warm invocations one sample is the mean of.
const WARM: u32 = 20;

/// One start of a function, and what came after.
pub(crate) struct Sample {
    /// From the start of the process until it asked for an event.
    pub(crate) init: Duration,
    /// From the start of the process until its first result.
    pub(crate) first: Duration,
    /// Processor time until its first result.
    pub(crate) cpu: Duration,
    /// Processor time of a warm invocation.
    pub(crate) warm_cpu: Duration,
    /// How long a warm invocation took.
    pub(crate) warm: Duration,
    /// The most memory that it ever held, in KiB.
    pub(crate) peak: u64,
}

/// A function in Python, on AWS's own runtime interface client.
pub(crate) fn boto3(python: &Path) -> Function {
    Function::new(python)
        .arg("-m")
        .arg("awslambdaric")
        .arg("boto3_handler.handler")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))
        .env("LAMBDA_TASK_ROOT", concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))
        .env("PYTHONDONTWRITEBYTECODE", "")
}

/// Starts a function against a world of its own and takes one sample.
pub(crate) async fn run(function: Function, processors: &Processors) -> Result<Sample> {
    let world = World::start().await?;
    let function = world.variables().into_iter().fold(function, |function, (name, value)| function.env(name, value));
    let mut environment = processors.start_apart(function.start()).await?;
    let event = world.event();
    succeed(environment.invoke(&event, DEADLINE).await?)?;
    let timings = environment.timings();
    let pid = environment.pid().ok_or("the function ended")?;
    let cpu = process::cpu(pid)?;
    let watch = Instant::now();
    for _ in 0..WARM {
        succeed(environment.invoke(&event, DEADLINE).await?)?;
    }
    let warm = watch.elapsed() / WARM;
    let sample = Sample {
        init: timings.first_next.ok_or("the function never asked for an event")?,
        first: timings.first_answer.ok_or("the function never answered")?,
        cpu,
        warm_cpu: process::cpu(pid)?.saturating_sub(cpu) / WARM,
        warm,
        peak: process::peak(pid)?,
    };
    environment.stop().await?;
    Ok(sample)
}

fn succeed(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Response(_) => Ok(()),
        other => Err(format!("a function did not answer as it should: {other:?}").into()),
    }
}
