//! What the boundary of a plugin library costs. Run by hand, in release:
//!
//! `cargo run --release -p toolgate-tests --bin bench-plugins [CALLS] [--check]`
//!
//! One server offers the same tool three times: compiled in, as a library inside the server (`isolation = "none"`), and
//! as a library in a worker process (`isolation = "process"`). Calls go to each in turn, one after another over one
//! kept connection through the REST face, so that whatever slows this machine down slows all three. It prints the
//! quantiles of their times, and for both libraries the median of what a call took longer than the compiled-in one's
//! right before it.
//!
//! What is promised, and asked for with `--check`: at most 8 µs more inside the server and 60 µs more in a worker at
//! the median. A round whose figures are above is measured again, up to five times: machines that other things run on
//! are slow at times. With `SLACK=3` the bounds are three times as wide, for a machine that is shared.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use toolgate_tests::{
    library,
    server::{Launch, Server},
};

/// Calls of each kind before the clock starts.
const WARM_UP: usize = 1000;

/// What a call through a library may take longer than one of a compiled-in plugin, at the median, in µs.
const MOST_INSIDE: f64 = 8.0;
const MOST_ISOLATED: f64 = 60.0;
const ROUNDS: usize = 5;

/// The kinds, by the endpoints that offer them.
const KINDS: [(&str, &str); 3] =
    [("builtin", "compiled in"), ("inside", "library, none"), ("isolated", "library, process")];

/// Who calls is not what is measured, so everybody may.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[auth]
provider = "none"
[log]
level = "warn"
[endpoints.builtin]
path = "/builtin/mcp"
plugins = ["builtin"]
[endpoints.inside]
path = "/inside/mcp"
plugins = ["inside"]
[endpoints.isolated]
path = "/isolated/mcp"
plugins = ["isolated"]
[plugins.builtin]
builtin = "echo"
tools."*" = { scopes = [] }
[plugins.inside]
library = "${LIBRARY}"
isolation = "none"
required = true
tools."*" = { scopes = [] }
[plugins.isolated]
library = "${LIBRARY}"
isolation = "process"
required = true
tools."*" = { scopes = [] }
"#;

#[tokio::main]
async fn main() -> ExitCode {
    let (mut calls, mut check) = (20_000, false);
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            _ if argument == "--check" => check = true,
            Ok(number) if number > 0 => calls = number,
            _ => {
                let _ = writeln!(io::stderr(), "bench-plugins: the number of calls is a positive number");
                return ExitCode::from(2);
            }
        }
    }
    let slack: f64 = std::env::var("SLACK").ok().and_then(|slack| slack.parse().ok()).unwrap_or(1.0);
    for _ in 0..if check { ROUNDS } else { 1 } {
        match run(calls).await {
            Ok([inside, isolated]) => {
                if !check || (inside <= MOST_INSIDE * slack && isolated <= MOST_ISOLATED * slack) {
                    return ExitCode::SUCCESS;
                }
            }
            Err(error) => {
                let _ = writeln!(io::stderr(), "bench-plugins: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let (inside, isolated) = (MOST_INSIDE * slack, MOST_ISOLATED * slack);
    let _ = writeln!(io::stderr(), "bench-plugins: above {inside} µs or {isolated} µs in each of {ROUNDS} rounds");
    ExitCode::FAILURE
}

type Failure = Box<dyn std::error::Error>;

/// What the libraries' calls take longer, inside and isolated, in µs at the median.
async fn run(calls: usize) -> Result<[f64; 2], Failure> {
    let mut out = io::stdout();
    if cfg!(debug_assertions) {
        writeln!(out, "This is a debug build; its figures say little. Run it with --release.")?;
    }
    let library = library::of_crate("toolgate-echo-library");
    let server = Launch::new(CONFIG).env("LIBRARY", &library.to_string_lossy()).start().await;
    let http = Client::builder().no_proxy().pool_max_idle_per_host(1).tcp_nodelay(true).build()?;
    let mut spans = KINDS.map(|_| Vec::with_capacity(calls));
    for round in 0..WARM_UP + calls {
        for (kind, (endpoint, _)) in KINDS.iter().enumerate() {
            let span = timed(&http, &server, endpoint).await?;
            if round >= WARM_UP {
                spans[kind].push(span.as_secs_f64() * 1e6);
            }
        }
    }
    writeln!(out, "{calls} calls each, in turn, one after another, over one connection (µs)")?;
    writeln!(out, "                        p50       p90       p99     more than compiled in, p50")?;
    let mut more = [0.0; KINDS.len()];
    for (kind, (_, name)) in KINDS.iter().enumerate() {
        let differences = spans[kind].iter().zip(&spans[0]).map(|(span, compiled_in)| span - compiled_in).collect();
        more[kind] = quantile(differences, 0.5);
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| quantile(spans[kind].clone(), share));
        write!(out, "{name:<17}{p50:>10.1}{p90:>10.1}{p99:>10.1}")?;
        match kind {
            0 => writeln!(out)?,
            _ => writeln!(out, "{:>+10.1}", more[kind])?,
        }
    }
    Ok([more[1], more[2]])
}

/// One call, from the first byte out to the last byte in.
async fn timed(http: &Client, server: &Server, endpoint: &str) -> Result<Duration, Failure> {
    let request = http.post(format!("{}/api/tools/{endpoint}/echo", server.url())).json(&json!({ "text": "hello" }));
    let start = Instant::now();
    let response = request.send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    let span = start.elapsed();
    let answer: Value = serde_json::from_slice(&body)?;
    if !status.is_success() || answer["structuredContent"]["text"] != "hello" {
        return Err(format!("{endpoint}: {status} {answer}").into());
    }
    Ok(span)
}

fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(((values.len().saturating_sub(1)) as f64 * share).round() as usize).copied().unwrap_or_default()
}
