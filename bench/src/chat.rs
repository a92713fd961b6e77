//! How soon the chat function acknowledges a command, which Slack gives it three seconds for: the signature is checked, the secret read,
//! the execution started, over HTTPS.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use simulator::lambda::{Function, Outcome};
use simulator::server::{Stub, TestAuthority};

use crate::processors::Processors;
use crate::report::{megabytes, milliseconds};
use crate::samples::Samples;
use crate::{AuthorityFile, Result, process};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const DEADLINE: Duration = Duration::from_secs(30);
/// How many warm commands one sample is the mean of.
const WARM: u32 = 20;

/// One start of the function, and what came after.
struct Sample {
    /// From the start of the process until it asked for an event.
    init: Duration,
    /// From the start of the process until its first acknowledgement.
    cold: Duration,
    /// How long a later one took.
    warm: Duration,
    /// Processor time until the first.
    cpu: Duration,
    /// The most memory that it ever held, in KiB.
    peak: u64,
}

/// Measures and prints.
pub(crate) async fn measure(chat: &Path, rounds: usize, processors: &Processors) -> Result<()> {
    let authority = TestAuthority::new()?;
    let file = AuthorityFile::write(&authority)?;
    let mut samples = Samples::default();
    for _ in 0..rounds {
        samples.add(sample(chat, &authority, file.path(), processors).await?);
    }
    writeln!(
        io::stdout(),
        "\n| chat | to first event | cold acknowledgement | warm | CPU | peak memory | size |\n|---|---|---|---|---|---|---|\n| chat | {} | {} | {} | {} | {} | {} |",
        milliseconds(samples.median(|sample| sample.init)),
        milliseconds(samples.median(|sample| sample.cold)),
        milliseconds(samples.median(|sample| sample.warm)),
        milliseconds(samples.median(|sample| sample.cpu)),
        megabytes(samples.median(|sample| sample.peak * 1024)),
        megabytes(std::fs::metadata(chat).ok().map(|file| file.len())),
    )?;
    Ok(())
}

async fn sample(chat: &Path, authority: &TestAuthority, bundle: &Path, processors: &Processors) -> Result<Sample> {
    let aws = Stub::https(authority, |operation| match operation {
        "GetSecretValue" => Some(json!({ "SecretString": SECRET })),
        "StartExecution" => Some(json!({ "executionArn": "arn", "startDate": 1.0 })),
        _ => None,
    })
    .await?;
    let function = Function::new(chat)
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_CA_BUNDLE", bundle)
        .env("SLACK_SECRET_ARN", "slack")
        .env("RECOVER_STATE_MACHINE_ARN", "arn:aws:states:eu-west-1:111122223333:stateMachine:eks-break-glass-recover");
    let mut environment = processors.start_apart(function.start()).await?;
    acknowledged(environment.invoke(&command(0)?, DEADLINE).await?)?;
    let timings = environment.timings();
    let pid = environment.pid().ok_or("the chat function ended")?;
    let cpu = process::cpu(pid)?;
    let watch = Instant::now();
    for number in 1..=WARM {
        acknowledged(environment.invoke(&command(number)?, DEADLINE).await?)?;
    }
    let warm = watch.elapsed() / WARM;
    let sample = Sample {
        init: timings.first_next.ok_or("the chat function never asked for an event")?,
        cold: timings.first_answer.ok_or("the chat function never answered")?,
        warm,
        cpu,
        peak: process::peak(pid)?,
    };
    environment.stop().await?;
    Ok(sample)
}

/// A command as Slack sends one, signed now.
fn command(number: u32) -> Result<Value> {
    let body = format!(
        "command=%2Fbreak-glass&text=grant+prod+arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Foncall+for+1h+because+INC-1&team_id=T0TEAM&channel_id=C0CHANNEL&user_id=U0ASKER&trigger_id={number}&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F1"
    );
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(format!("v0:{time}:{body}").as_bytes());
    let mac = mac.finalize().into_bytes();
    let signature = mac.iter().fold("v0=".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    Ok(json!({
        "version": "2.0",
        "headers": { "x-slack-request-timestamp": time, "x-slack-signature": signature },
        "requestContext": { "http": { "method": "POST" } },
        "body": body,
        "isBase64Encoded": false,
    }))
}

fn acknowledged(outcome: Outcome) -> Result<()> {
    let started = |answer: &Value| {
        let body = answer.get("body").and_then(Value::as_str);
        body.is_some_and(|body| body.contains("Started"))
    };
    match outcome {
        Outcome::Response(answer) if started(&answer) => Ok(()),
        other => Err(format!("the chat function did not acknowledge: {other:?}").into()),
    }
}
