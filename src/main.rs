//! The command `bpftally`.

use std::io::Write;
use std::process::ExitCode;

use bpftally::{app, cli};

fn main() -> ExitCode {
    let outcome = match cli::parse(std::env::args_os().skip(1)) {
        Ok(cli::Request::Serve(options)) => app::run(&options),
        Ok(cli::Request::Check(options)) => app::check(&options),
        Ok(cli::Request::Inspect(options)) => return app::inspect(&options),
        Ok(cli::Request::Init(options)) => return app::init(&options),
        Ok(cli::Request::Schema) => app::print_schema(),
        Err(refusal) => return refuse(&refusal),
    };
    outcome.unwrap_or_else(|error| {
        if tracing::dispatcher::has_been_set() {
            tracing::error!("{error:#}");
        } else {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
        }
        ExitCode::FAILURE
    })
}

/// Prints help, the version or a mistake; whoever closed the pipe wants to see no more of it.
fn refuse(refusal: &cli::Refusal) -> ExitCode {
    if refusal.is_mistake {
        let _ = write!(std::io::stderr(), "{}", refusal.text);
        return ExitCode::from(2);
    }
    let _ = write!(std::io::stdout(), "{}", refusal.text);
    ExitCode::SUCCESS
}
