//! A Lambda Runtime API (2018-06-01), and real function binaries run against it as Lambda runs them.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use simulator::lambda::{Function, Outcome};
//!
//! let mut environment = Function::new("target/debug/eks-break-glass")
//!     .env("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
//!     .on_log(|line| drop(line.len()))
//!     .start()
//!     .await?;
//! let event = serde_json::json!({ "clusterName": "prod" });
//! match environment.invoke(&event, std::time::Duration::from_secs(60)).await? {
//!     Outcome::Response(result) => drop(result),
//!     other => drop(other),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It measures real time and runs real processes: not for tests under paused time.

mod environment;
mod function;
mod runtime_api;

pub use environment::{Environment, Timings};
pub use function::Function;
pub use runtime_api::Outcome;
