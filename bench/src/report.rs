//! The table that a measurement ends in: medians, and ratios to the function's own.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::samples::Samples;
use crate::{Result, lambda, process};

struct Row {
    name: &'static str,
    init: Option<Duration>,
    first: Option<Duration>,
    cpu: Option<Duration>,
    warm: Option<Duration>,
    warm_cpu: Option<Duration>,
    peak: Option<u64>,
    size: Option<u64>,
}

/// Prints the table, and the goals beside what was reached.
pub(crate) fn print(
    function: &Path,
    bare_binary: &Path,
    ours: &Samples<lambda::Sample>,
    bare: &Samples<lambda::Sample>,
    boto3: &Samples<lambda::Sample>,
    cli: &Samples<process::Sample>,
) -> Result<()> {
    let size = |path: &Path| std::fs::metadata(path).ok().map(|file| file.len());
    let rows = [
        row("eks-break-glass", ours, size(function)),
        row("bare lambda_runtime", bare, size(bare_binary)),
        row("boto3", boto3, None),
        Row {
            name: "AWS CLI, five commands",
            init: None,
            first: cli.median(|sample| sample.wall),
            cpu: cli.median(|sample| sample.cpu),
            warm: None,
            warm_cpu: None,
            peak: cli.median(|sample| sample.peak),
            size: None,
        },
    ];
    let [ours, bare, boto3, cli] = &rows;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| function | to first event | to first result | ratio | CPU | warm | warm CPU | peak memory | size |\n|---|---|---|---|---|---|---|---|---|"
    )?;
    for row in &rows {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            milliseconds(row.init),
            milliseconds(row.first),
            ratio(row.first, ours.first).map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            milliseconds(row.cpu),
            milliseconds(row.warm),
            milliseconds(row.warm_cpu),
            megabytes(row.peak.map(|kib| kib * 1024)),
            megabytes(row.size),
        )?;
    }
    writeln!(out, "\n| goal | wanted | reached |\n|---|---|---|")?;
    let goals = [
        ("first result, to the bare function's", "at most 4.5", ratio(ours.first, bare.first)),
        ("boto3's first result, to ours", "at least 40", ratio(boto3.first, ours.first)),
        ("the AWS CLI's commands, to our first result", "at least 300", ratio(cli.first, ours.first)),
        ("boto3's peak memory, to ours", "at least 6.5", quotient(boto3.peak, ours.peak)),
        ("size of the binary, in MB", "at most 6.5", quotient(ours.size, Some(1_000_000))),
    ];
    for (goal, wanted, reached) in goals {
        let reached = reached.map_or("not measured".to_owned(), |reached| format!("{reached:.2}"));
        writeln!(out, "| {goal} | {wanted} | {reached} |")?;
    }
    Ok(())
}

fn row(name: &'static str, samples: &Samples<lambda::Sample>, size: Option<u64>) -> Row {
    Row {
        name,
        init: samples.median(|sample| sample.init),
        first: samples.median(|sample| sample.first),
        cpu: samples.median(|sample| sample.cpu),
        warm: samples.median(|sample| sample.warm),
        warm_cpu: samples.median(|sample| sample.warm_cpu),
        peak: samples.median(|sample| sample.peak),
        size,
    }
}

fn ratio(of: Option<Duration>, to: Option<Duration>) -> Option<f64> {
    Some(of?.as_secs_f64() / to?.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files and processes are far below 2^52")]
fn quotient(of: Option<u64>, to: Option<u64>) -> Option<f64> {
    Some(of? as f64 / to? as f64)
}

pub(crate) fn milliseconds(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| format!("{:.2} ms", time.as_secs_f64() * 1000.0))
}

pub(crate) fn megabytes(bytes: Option<u64>) -> String {
    quotient(bytes, Some(1_000_000)).map_or("-".to_owned(), |size| format!("{size:.1} MB"))
}
