//! The function's result, for a person.

use std::io;

use serde_json::Value;

use crate::terminal::{Style, Terminal};

/// Shows a grant's result, part by part.
pub(crate) fn show(terminal: Terminal, result: &Value) -> io::Result<()> {
    let cluster = at(result, "/cluster");
    let entry = at(result, "/accessEntry");
    let status = text(result, "/status");
    let good = if status == "GRANTED" { Style::Good } else { Style::Warning };
    terminal.field("status", good, &status)?;
    terminal.field(
        "cluster",
        Style::Plain,
        &format!(
            "{} in {}, {}, Kubernetes {}",
            text(cluster, "/name"),
            text(cluster, "/region"),
            text(cluster, "/status"),
            text(cluster, "/version")
        ),
    )?;
    terminal.field(
        "mode",
        Style::Plain,
        &format!(
            "{} before, {} now",
            text(cluster, "/authenticationMode/before"),
            text(cluster, "/authenticationMode/after")
        ),
    )?;
    terminal.field("principal", Style::Plain, &text(result, "/principal/arn"))?;
    terminal.field("access entry", Style::Plain, &format!("{}, {}", text(entry, "/type"), text(entry, "/username")))?;
    each(result, "/accessPolicies", "access policies", |label, policy| {
        terminal.field(label, Style::Plain, &policy_line(policy))
    })?;
    terminal.field(
        "verification",
        Style::Plain,
        &format!("{}: {}", text(result, "/verification/controlPlane"), text(result, "/verification/detail")),
    )?;
    terminal.field("expires", Style::Plain, &expiry(result))?;
    warnings(terminal, result)?;
    next_steps(terminal, result)?;
    terminal.verbatim("undo", Style::Plain, &pretty(at(result, "/undo")))?;
    terminal.verbatim("kubeconfig", Style::Plain, text(result, "/kubeconfig").trim_end())
}

/// Shows what an inspection has found.
pub(crate) fn findings(terminal: Terminal, result: &Value) -> io::Result<()> {
    terminal.field("status", Style::Good, &text(result, "/status"))?;
    for finding in at(result, "/findings").as_array().into_iter().flatten() {
        let severity = text(finding, "/severity");
        let style = match severity.as_str() {
            "ERROR" => Style::Bad,
            "WARNING" => Style::Warning,
            _ => Style::Good,
        };
        terminal.field(&severity, style, &format!("{}: {}", text(finding, "/code"), text(finding, "/message")))?;
        if !at(finding, "/remedy").is_null() {
            terminal.field("", Style::Plain, &format!("remedy: {}", at(finding, "/remedy")))?;
        }
    }
    warnings(terminal, result)
}

/// Shows a revoke's result.
pub(crate) fn revoked(terminal: Terminal, result: &Value) -> io::Result<()> {
    let status = text(result, "/status");
    let style = if status == "REVOKED" { Style::Good } else { Style::Warning };
    terminal.field("status", style, &status)?;
    warnings(terminal, result)?;
    next_steps(terminal, result)
}

fn warnings(terminal: Terminal, result: &Value) -> io::Result<()> {
    each(result, "/warnings", "warnings", |label, warning| {
        let warning = format!("{}: {}", text(warning, "/code"), text(warning, "/message"));
        terminal.field(label, Style::Warning, &warning)
    })
}

fn next_steps(terminal: Terminal, result: &Value) -> io::Result<()> {
    each(result, "/nextSteps", "next steps", |label, step| {
        terminal.field(label, Style::Plain, step.as_str().unwrap_or_default())
    })
}

/// JSON over several lines.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn each(
    result: &Value,
    pointer: &str,
    label: &str,
    mut show: impl FnMut(&str, &Value) -> io::Result<()>,
) -> io::Result<()> {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let items = at(result, pointer).as_array().into_iter().flatten();
    items.zip(labels).try_for_each(|(item, label)| show(label, item))
}

fn policy_line(policy: &Value) -> String {
    let arn = text(policy, "/policyArn");
    let name = arn.rsplit('/').next().unwrap_or(&arn);
    if at(policy, "/accessScope/type") == "cluster" {
        return format!("{name}, on the whole cluster");
    }
    let namespaces = at(policy, "/accessScope/namespaces").as_array();
    let namespaces: Vec<_> = namespaces.into_iter().flatten().filter_map(Value::as_str).collect();
    format!("{name}, in {}", namespaces.join(", "))
}

fn expiry(result: &Value) -> String {
    match at(result, "/expiresAt") {
        Value::String(time) => time.clone(),
        _ => "when it is revoked".to_owned(),
    }
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn text(value: &Value, pointer: &str) -> String {
    match at(value, pointer) {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_owned(),
        other => other.to_string(),
    }
}
