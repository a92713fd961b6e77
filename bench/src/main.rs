//! Measures the function in one run beside what people would use instead: a bare `lambda_runtime` function (the floor), a
//! boto3 handler, and the AWS CLI commands of the article, all over HTTPS against the same simulated EKS; then how soon the chat function
//! acknowledges a command, and an inspection of the largest cluster.
//!
//! Times wobble, so medians and ratios are printed and nothing is asserted about them. Instruction counts do not:
//! `--instructions` holds those against `bench/limits.json`.

mod chat;
mod inspect;
mod instructions;
mod lambda;
mod process;
mod processors;
mod report;
mod samples;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use processors::Processors;
use samples::Samples;
use simulator::Simulation;
use simulator::lambda::Function;
use simulator::scenario::Scenario;
use simulator::server::{FREE_PORT, Server, TestAuthority};

/// Measures the function beside its peers.
#[derive(Parser)]
struct Arguments {
    /// The function's release binary.
    #[arg(long, default_value = "target/release/eks-break-glass")]
    function: PathBuf,
    /// The chat function's release binary.
    #[arg(long, default_value = "target/release/chat")]
    chat: PathBuf,
    /// The bare function's release binary.
    #[arg(long, default_value = "target/release/bare")]
    bare: PathBuf,
    /// A Python that has boto3 and awslambdaric; without it, that peer is left out.
    #[arg(long)]
    python: Option<PathBuf>,
    /// The AWS CLI; without it, that peer is left out.
    #[arg(long)]
    aws: Option<PathBuf>,
    /// How often each is started.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Count instructions instead, and fail where they exceed the limits.
    #[arg(long)]
    instructions: bool,
}

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What signs the certificates here, as AWS's are signed: with RSA. It is no secret, for nothing else trusts it.
const ISSUER: &str = include_str!("issuer.pem");

/// A fresh simulated AWS over HTTPS: a cluster that has access entries, and a principal that has none.
struct World {
    server: Server,
    scenario: Scenario,
    authority: AuthorityFile,
}

/// The certificate of a test CA, in a file that is there as long as this is.
struct AuthorityFile(PathBuf);

impl AuthorityFile {
    fn write(authority: &TestAuthority) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("eks-break-glass-bench-{}.pem", std::process::id()));
        std::fs::write(&path, authority.pem())?;
        Ok(Self(path))
    }

    fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl World {
    async fn start() -> Result<Self> {
        let scenario = Scenario::named("api-mode").ok_or("there is no scenario `api-mode`")?;
        let authority = TestAuthority::with_key(ISSUER)?;
        let file = AuthorityFile::write(&authority)?;
        let simulation = Simulation::new(scenario.world_with(None));
        Ok(Self { server: Server::https(simulation, FREE_PORT, &authority).await?, scenario, authority: file })
    }

    /// What clients need to find it.
    fn variables(&self) -> [(&'static str, String); 2] {
        [("AWS_ENDPOINT_URL", self.server.url()), ("AWS_CA_BUNDLE", self.authority.path().display().to_string())]
    }

    fn event(&self) -> serde_json::Value {
        serde_json::json!({ "clusterName": self.scenario.cluster, "principalArn": self.scenario.principal })
    }
}

impl Drop for AuthorityFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome =
        if arguments.instructions { instructions::check(&arguments.function).await } else { measure(&arguments).await };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let processors = Processors::divide()?;
    let mut ours = Samples::default();
    let mut bare = Samples::default();
    let mut boto3 = Samples::default();
    let mut cli = Samples::default();
    for round in 1..=arguments.rounds {
        let _ = write!(io::stderr(), "\rround {round} of {}", arguments.rounds);
        ours.add(lambda::run(Function::new(&arguments.function), &processors).await?);
        bare.add(lambda::run(Function::new(&arguments.bare), &processors).await?);
        if let Some(python) = &arguments.python {
            boto3.add(lambda::run(lambda::boto3(python), &processors).await?);
        }
        if let Some(aws) = &arguments.aws {
            cli.add(process::article(aws, &processors).await?);
        }
    }
    let _ = writeln!(io::stderr());
    report::print(&arguments.function, &arguments.bare, &ours, &bare, &boto3, &cli)?;
    chat::measure(&arguments.chat, arguments.rounds, &processors).await?;
    inspect::measure(&arguments.function, &processors).await?;
    if arguments.python.is_none() || arguments.aws.is_none() {
        writeln!(io::stdout(), "\nleft out, for want of --python or --aws: boto3, the AWS CLI")?;
    }
    Ok(())
}
