//! The Lambda function's process: settings, connection, runtime. Nothing is decided here.

use eks_break_glass::aws::Connection;
use eks_break_glass::handler::Function;
use eks_break_glass::input::settings::{Misconfigured, Settings};
use eks_break_glass::platform::clock::Clock;
use eks_break_glass::platform::log::Sink;
use eks_break_glass::platform::sdk_log;
use lambda_runtime::{Error, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (sink, clock) = (Sink::stdout(), Clock::system());
    let settings = Settings::read(variable).and_then(|settings| {
        sdk_log::install(settings.log_level, &sink, &clock);
        let connection = Connection::open(&settings.region, variable).map_err(|wrong| Misconfigured(vec![wrong]))?;
        Ok((settings, connection))
    });
    let function = Function::new(settings, sink, clock);
    // Boxed, or the runtime moves it about on the stack: it is large.
    lambda_runtime::run(service_fn(move |event| Box::pin(function.clone().handle(event)))).await
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
