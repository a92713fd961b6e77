//! What the operating system knows about processes, and peers that are plain commands.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::processors::Processors;
use crate::{Result, World};

/// Processor time of a process, all its threads together, to the nanosecond.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// The most memory that a process ever held, in KiB.
pub(crate) fn peak(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("the system does not tell a process's peak memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// One run of the article's commands.
pub(crate) struct Sample {
    /// From the first command's start to the last one's end.
    pub(crate) wall: Duration,
    /// Their processor time.
    pub(crate) cpu: Duration,
    /// The most memory that any of them held, in KiB.
    pub(crate) peak: u64,
}

/// Runs the article's commands against a world of their own.
pub(crate) async fn article(aws: &Path, processors: &Processors) -> Result<Sample> {
    let world = World::start().await?;
    let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let watch = Instant::now();
    let mut commands = tokio::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/article.sh"));
    commands.arg(aws).arg(world.scenario.cluster).arg(world.scenario.principal).envs(world.variables()).envs([
        ("AWS_ACCESS_KEY_ID", "simulated"),
        ("AWS_SECRET_ACCESS_KEY", "simulated"),
        ("AWS_REGION", world.scenario.region),
        ("AWS_DEFAULT_REGION", world.scenario.region),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]);
    let mut commands = processors.start_apart(async { commands.spawn() }).await?;
    if !commands.wait().await?.success() {
        return Err("the article's commands failed".into());
    }
    let wall = watch.elapsed();
    let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let used = |usage: &nix::sys::resource::Usage| duration(usage.user_time()) + duration(usage.system_time());
    Ok(Sample { wall, cpu: used(&after).saturating_sub(used(&before)), peak: u64::try_from(after.max_rss())? })
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
