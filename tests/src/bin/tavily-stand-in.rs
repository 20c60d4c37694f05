//! Runs the stand-in for Tavily's API by hand, and for clients that are not written in Rust.
//!
//! `tavily-stand-in [--port N] [--fault NAME] [--latency MILLISECONDS] [--enforce-rates] [--created STATUS]
//! [--looks N] [--plan-limit CREDITS]` prints its URL and runs until it is stopped. A key such as `tvly-fault-432` has
//! the fault of its name, whatever the others have. `GET /stand-in/requests` tells what was sent since the last time.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use toolgate_tests::tavily::{Options, StandIn, contract, faults};

#[tokio::main]
async fn main() -> ExitCode {
    let run = async {
        let stand_in = StandIn::start_with(options()?).await.map_err(|error| error.to_string())?;
        writeln!(io::stdout(), "{}", stand_in.url()).map_err(|error| error.to_string())?;
        std::future::pending::<Result<(), String>>().await
    };
    let Err(error) = run.await else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "tavily-stand-in: {error}");
    ExitCode::from(2)
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{flag} wants a value"));
        match flag.as_str() {
            "--port" => options.port = value()?.parse().map_err(|_| "--port wants a number")?,
            "--latency" => {
                options.latency = Duration::from_millis(value()?.parse().map_err(|_| "--latency wants milliseconds")?);
            }
            "--fault" => {
                let name = value()?;
                let known = || {
                    let own = contract::list("fault_cases").iter().filter_map(|case| case["id"].as_str());
                    own.chain(faults::FURTHER.iter().copied()).collect::<Vec<_>>().join(", ")
                };
                let fault = faults::named(&name);
                options.fault = Some(fault.ok_or_else(|| format!("unknown fault {name:?}; known: {}", known()))?);
            }
            "--enforce-rates" => options.enforce_rates = true,
            "--created" => options.created = value()?.parse().map_err(|_| "--created wants a status")?,
            "--looks" => options.looks = value()?.parse().map_err(|_| "--looks wants a number")?,
            "--plan-limit" => {
                options.plan_limit = Some(value()?.parse().map_err(|_| "--plan-limit wants a number of credits")?);
            }
            other => return Err(format!("unknown flag {other:?}; see the head of tavily-stand-in.rs")),
        }
    }
    Ok(options)
}
