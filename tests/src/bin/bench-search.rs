//! How long an authenticated call takes, and how much memory an idle server holds. Run by hand, in release:
//!
//! `cargo run --release -p toolgate-tests --bin bench-search [CALLS] [--check]`
//!
//! With `--check` it fails unless a search takes less than 1 ms at the median through both faces, the idle server holds
//! less than 30 MiB, and one with the configuration as shipped, documents and all, less than 60 MiB once it has read
//! them, in one of three rounds: machines that other things run on are slow at times.
//!
//! Starts the real binary against a stand-in for Tavily that answers at once, sends calls one after another over one
//! kept connection (MCP 2026-07-28 and the REST face; `tavily_search`, and `echo` for what is not Tavily's), and prints
//! the quantiles of their times and the server's resident memory. Everything runs on this machine: the figures hold the
//! client's time and the stand-in's, too; the line "stand-in alone" says how much of it is theirs.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use toolgate_tests::{
    authority::Authority,
    server::{Launch, Server},
    tavily::{self, StandIn},
};

/// Where the MCP endpoint is.
const PATH: &str = "/web-search/mcp";

/// Calls before the clock starts: connections, keys and pools are warm then, as they are in a server that runs.
const WARM_UP: usize = 200;

/// The configuration: the authorization server is another one, as in production, and nothing is limited.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[auth]
provider = "oauth"
[auth.oauth]
issuer = "${ISSUER}"
[scopes."web-search:read"]
description = "Search the web and read pages"
[endpoints.web-search]
path = "/web-search/mcp"
plugins = ["web-search", "echo"]
[plugins.web-search]
builtin = "tavily"
settings = { api_key = "tvly-stand-in", api_base_url = "${TAVILY}" }
[plugins.web-search.tools]
"*" = { scopes = ["web-search:read"] }
[plugins.echo]
builtin = "echo"
[plugins.echo.tools]
echo = { scopes = ["web-search:read"] }
"#;

/// What `--check` asks of the median of a search, and of the memory of an idle server.
const MOST_MICROS: f64 = 1000.0;
const MOST_MEBIBYTES: f64 = 30.0;
/// The same of the configuration as shipped, which reads documents: what that took is not all given back to the system.
const MOST_MEBIBYTES_SHIPPED: f64 = 60.0;
/// How long the reading may take.
const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let (mut calls, mut check) = (5000, false);
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            _ if argument == "--check" => check = true,
            Ok(number) if number > 0 => calls = number,
            _ => {
                let _ = writeln!(io::stderr(), "bench-search: the number of calls is a positive number");
                return ExitCode::from(2);
            }
        }
    }
    for _ in 0..if check { ROUNDS } else { 1 } {
        match run(calls).await {
            Ok(figures) if !check || figures.hold() => return ExitCode::SUCCESS,
            Ok(_) => {}
            Err(error) => {
                let _ = writeln!(io::stderr(), "bench-search: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let _ = writeln!(
        io::stderr(),
        "bench-search: above {MOST_MICROS} µs, {MOST_MEBIBYTES} MiB or {MOST_MEBIBYTES_SHIPPED} MiB in each of {ROUNDS} rounds"
    );
    ExitCode::FAILURE
}

type Failure = Box<dyn std::error::Error>;

/// What is asked something of.
struct Figures {
    /// Medians of a search, in µs.
    searches: Vec<f64>,
    /// Memory of the idle server, in MiB, where the system tells.
    idle: Vec<Option<f64>>,
    /// The same with the configuration as shipped.
    shipped: Option<f64>,
}

impl Figures {
    fn hold(&self) -> bool {
        self.searches.iter().all(|median| *median < MOST_MICROS)
            && self.idle.iter().flatten().all(|size| *size < MOST_MEBIBYTES)
            && self.shipped.is_none_or(|size| size < MOST_MEBIBYTES_SHIPPED)
    }
}

async fn run(calls: usize) -> Result<Figures, Failure> {
    let mut out = io::stdout();
    if cfg!(debug_assertions) {
        writeln!(out, "This is a debug build; its figures say little. Run it with --release.")?;
    }
    let tavily = StandIn::start().await?;
    let authority = Authority::generic("").await;
    let launch = Launch::new(CONFIG).env("ISSUER", &authority.issuer()).env("TAVILY", &tavily.url());
    let server = launch.start().await;
    let audience = json!(format!("{}{PATH}", server.public_url()));
    let token = authority.token(&audience, &json!({ "scope": "web-search:read" }));
    let http = Client::builder().no_proxy().pool_max_idle_per_host(1).tcp_nodelay(true).build()?;

    writeln!(out, "{calls} calls each, one after another, over one connection")?;
    let mut figures = Figures { searches: Vec::new(), idle: vec![memory(&server)], shipped: None };
    writeln!(out, "memory, just started        {}", shown(figures.idle[0]))?;
    writeln!(out, "                              p50       p90       p99       max   (µs)")?;
    let search = || json!({ "query": "model context protocol" });
    let alone = || {
        let url = format!("{}/search", tavily.url());
        http.post(url).bearer_auth(tavily::KEY).json(&search())
    };
    measure(&mut out, "stand-in alone", calls, &tavily, alone).await?;
    for (tool, arguments) in [("tavily_search", search()), ("echo", json!({ "text": "hello" }))] {
        let mcp = || mcp(&http, &server, &token, tool, &arguments);
        let rest = || {
            let url = format!("{}/api/tools/web-search/{tool}", server.url());
            http.post(url).bearer_auth(&token).json(&arguments)
        };
        let medians = [
            measure(&mut out, &format!("{tool}, MCP"), calls, &tavily, mcp).await?,
            measure(&mut out, &format!("{tool}, REST"), calls, &tavily, rest).await?,
        ];
        if tool == "tavily_search" {
            figures.searches.extend(medians);
        }
    }
    drop(http);
    figures.idle.push(memory(&server));
    writeln!(out, "memory, idle after it       {}", shown(figures.idle[1]))?;
    drop(server);
    figures.shipped = shipped().await?;
    writeln!(out, "memory, as shipped, idle    {}", shown(figures.shipped))?;
    Ok(figures)
}

/// What a server with the configuration as shipped holds once it has read its documents.
async fn shipped() -> Result<Option<f64>, Failure> {
    let server = Launch::shipped().with_documents().env("TOOLGATE_SERVER__LISTEN", "127.0.0.1:0").start().await;
    let http = Client::builder().no_proxy().build()?;
    let until = Instant::now() + PATIENCE;
    loop {
        let ready: Value = http.get(format!("{}/readyz", server.url())).send().await?.json().await?;
        if ready["plugins"]["docs"]["state"] == "ready" {
            return Ok(memory(&server));
        }
        if Instant::now() > until {
            return Err(format!("the documents are not read: {ready}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A call as a client of 2026-07-28 sends it.
fn mcp(http: &Client, server: &Server, token: &str, tool: &str, arguments: &Value) -> RequestBuilder {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool,
        "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    } });
    http.post(format!("{}{PATH}", server.url()))
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .json(&message)
}

/// Send calls, time each from the first byte out to the last byte in, and print their quantiles; the median, in µs.
async fn measure(
    out: &mut impl Write,
    name: &str,
    calls: usize,
    tavily: &StandIn,
    request: impl Fn() -> RequestBuilder,
) -> Result<f64, Failure> {
    let mut spans = Vec::with_capacity(calls);
    for call in 0..WARM_UP + calls {
        let request = request();
        let start = Instant::now();
        let response = request.send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        let span = start.elapsed();
        let failed = body.windows(14).any(|part| part == b"\"isError\":true");
        if !status.is_success() || failed {
            return Err(format!("{name}: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        if call >= WARM_UP {
            spans.push(span);
        }
    }
    // What the stand-in remembers is no part of the measurement.
    tavily.take_seen();
    spans.sort_unstable();
    let at = |share: f64| spans[((spans.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e6;
    writeln!(out, "{name:<24}{:>9.0}{:>10.0}{:>10.0}{:>10.0}", at(0.5), at(0.9), at(0.99), at(1.0))?;
    Ok(at(0.5))
}

/// What the server holds in memory, in MiB, as the kernel counts it.
fn memory(server: &Server) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

fn shown(mebibytes: Option<f64>) -> String {
    mebibytes.map_or_else(|| "unknown (there is no /proc here)".to_owned(), |size| format!("{size:.1} MiB"))
}
