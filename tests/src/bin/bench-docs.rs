//! What the documents plugin holds: how long a large folder takes to index, the memory that this takes, and how long
//! searches take afterwards. Run by hand, in release:
//!
//! `cargo run --release -p toolgate-tests --bin bench-docs [FILES] [--check]`
//!
//! With `--check` it fails unless a search takes less than 10 ms at the median and the server never held more than
//! 300 MiB, as the kernel counts them (`VmHWM`, files that are mapped included).
//!
//! Writes a folder of documents of all kinds (100,000 unless told otherwise; the same ones each time), starts the real
//! server over it, searches while it reads them, and then sends searches one after another through the REST face. The
//! same searches are also made in the plugin alone, in this process, over the same index: the difference is what gate,
//! policy and HTTP take.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use toolgate_plugin::{CallContext, HostHandle, Outcome, ToolCall, ToolProvider};
use toolgate_tests::{
    authority::Authority,
    corpus::{self, Words},
    server::{Launch, Server},
};

/// The configuration: the authorization server is another one, as in production, and nothing is limited.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[auth]
provider = "oauth"
[auth.oauth]
issuer = "${ISSUER}"
[scopes."docs:read"]
description = "Search documents"
[endpoints.docs]
path = "/mcp"
plugins = ["docs"]
[plugins.docs]
builtin = "docs"
settings = { folders = [{ name = "corpus", path = "${CORPUS}" }], wait = "0s" }
[plugins.docs.tools]
"*" = { scopes = ["docs:read"] }
"#;

/// What `--check` asks of the median of all searches, and of the most memory that the server held.
const MOST_MILLIS: f64 = 10.0;
const MOST_MEBIBYTES: f64 = 300.0;
/// How often each search is made.
const ROUNDS: usize = 5;
/// How long the reading may take.
const PATIENCE: Duration = Duration::from_secs(1800);

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let (mut files, mut check) = (100_000, false);
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            _ if argument == "--check" => check = true,
            Ok(number) if number > 0 => files = number,
            _ => {
                let _ = writeln!(io::stderr(), "bench-docs: the number of files is a positive number");
                return ExitCode::from(2);
            }
        }
    }
    match run(files).await {
        Ok(figures) if !check || figures.hold() => ExitCode::SUCCESS,
        Ok(_) => {
            let bounds = format!("{MOST_MILLIS} ms or {MOST_MEBIBYTES} MiB");
            let _ = writeln!(io::stderr(), "bench-docs: above {bounds}");
            ExitCode::FAILURE
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench-docs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is asked something of.
struct Figures {
    /// Median of a search, in ms.
    search: f64,
    /// The most memory that the server held, in MiB, where the system tells.
    memory: Option<f64>,
}

impl Figures {
    fn hold(&self) -> bool {
        self.search < MOST_MILLIS && self.memory.is_none_or(|memory| memory < MOST_MEBIBYTES)
    }
}

async fn run(files: usize) -> Result<Figures, Failure> {
    let mut out = io::stdout();
    if cfg!(debug_assertions) {
        writeln!(out, "This is a debug build; its figures say little. Run it with --release.")?;
    }
    let folder = TempDir::with_prefix("bench-docs-")?;
    let begun = Instant::now();
    let bytes = corpus::write(folder.path(), files)?;
    let mebibytes = bytes as f64 / 1048576.0;
    writeln!(out, "{files} files, {mebibytes:.0} MiB, written in {:.1} s", begun.elapsed().as_secs_f64())?;

    let authority = Authority::generic("").await;
    // Built before the clock starts.
    toolgate_tests::server::binary();
    let corpus = folder.path().to_string_lossy().into_owned();
    let launch = Launch::new(CONFIG).env("ISSUER", &authority.issuer()).env("CORPUS", &corpus);
    let begun = Instant::now();
    let server = launch.start().await;
    let audience = json!(format!("{}/mcp", server.public_url()));
    let client = Searches {
        http: Client::builder().no_proxy().pool_max_idle_per_host(1).tcp_nodelay(true).build()?,
        url: format!("{}/api/tools/docs/docs_search", server.url()),
        token: authority.token(&audience, &json!({ "scope": "docs:read" })),
    };

    let (mut meanwhile, mut most_own) = (Vec::new(), None::<f64>);
    loop {
        let asked = Instant::now();
        let answer = client.ask(&json!({ "query": Words::common() })).await?;
        meanwhile.push(asked.elapsed());
        most_own = memory(&server, "RssAnon").map(|own| own.max(most_own.unwrap_or(0.0)));
        if answer["indexing"].is_null() {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("not indexed in time: {}", answer["indexing"]).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    writeln!(out, "indexed in                {:>8.1} s", begun.elapsed().as_secs_f64())?;
    let peak = memory(&server, "VmHWM");
    writeln!(out, "memory at most            {}  (its own, as sampled: {})", shown(peak), shown(most_own))?;
    writeln!(
        out,
        "memory now                {}  (its own: {})",
        shown(memory(&server, "VmRSS")),
        shown(memory(&server, "RssAnon"))
    )?;
    let index = size(&server.folder().join("state/plugins/docs"))? as f64 / 1048576.0;
    writeln!(out, "index                     {index:>8.1} MiB")?;
    writeln!(out, "                               p50       p95       max   (ms)")?;
    quantiles(&mut out, "while indexing, REST", &mut meanwhile)?;

    let searches = searches();
    let mut all = Vec::new();
    for (class, asked) in &searches {
        let mut spans = Vec::new();
        for _ in 0..ROUNDS {
            for arguments in asked {
                let begun = Instant::now();
                client.ask(arguments).await?;
                spans.push(begun.elapsed());
            }
        }
        all.extend_from_slice(&spans);
        quantiles(&mut out, &format!("{class}, REST"), &mut spans)?;
    }
    let search = quantiles(&mut out, "all, REST", &mut all)?;
    alone(&mut out, folder.path(), &server, &searches).await?;
    let memory = memory(&server, "VmHWM");
    writeln!(out, "memory at most, searches included: {}", shown(memory))?;
    Ok(Figures { search, memory })
}

/// The same searches in the plugin, as a second process over the server's index.
async fn alone(
    out: &mut impl Write,
    corpus: &Path,
    server: &Server,
    searches: &BTreeMap<&'static str, Vec<Value>>,
) -> Result<(), Failure> {
    let settings = json!({ "folders": [{ "name": "corpus", "path": corpus }] });
    let host = HostHandle::new("docs", server.folder().join("state/plugins/docs"), |_| {});
    let plugin = toolgate_docs::provider(settings, host)?;
    let mut spans = Vec::new();
    for asked in std::iter::repeat_n(searches.values().flatten(), ROUNDS).flatten() {
        let arguments = asked.as_object().cloned().unwrap_or_default();
        let call = ToolCall { name: "docs_search".into(), arguments };
        let begun = Instant::now();
        let Outcome::Complete(result) = plugin.call(call, CallContext::for_tests()).await? else {
            return Err("no result".into());
        };
        spans.push(begun.elapsed());
        if result.is_error || !result.structured_content.is_some_and(|found| found["indexing"].is_null()) {
            return Err("the plugin alone does not find the index".into());
        }
    }
    quantiles(out, "all, plugin alone", &mut spans)?;
    plugin.shutdown().await;
    Ok(())
}

struct Searches {
    http: Client,
    url: String,
    token: String,
}

impl Searches {
    async fn ask(&self, arguments: &Value) -> Result<Value, Failure> {
        let response = self.http.post(&self.url).bearer_auth(&self.token).json(arguments).send().await?;
        let status = response.status();
        let mut answer: Value = response.json().await?;
        if !status.is_success() || answer["isError"] == true {
            return Err(format!("{status}: {answer}").into());
        }
        Ok(answer["structuredContent"].take())
    }
}

/// What is searched for, by class.
fn searches() -> BTreeMap<&'static str, Vec<Value>> {
    let mut words = Words::seeded(7);
    let mut asked: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    for _ in 0..40 {
        let mut some = |count: usize| (0..count).map(|_| words.next()).collect::<Vec<_>>().join(" ");
        let (two, three, eight) = (some(2), some(3), some(8));
        let mut ask = |class, arguments| asked.entry(class).or_default().push(arguments);
        ask("one word", json!({ "query": some(1) }));
        ask("three words", json!({ "query": three }));
        ask("eight words", json!({ "query": eight }));
        ask("a phrase", json!({ "query": format!("\"{two}\"") }));
        ask("by type", json!({ "query": three, "type": "html" }));
        ask("by path", json!({ "query": three, "path": "a/*" }));
        ask("without a word", json!({ "query": format!("{three} -{}", some(1)) }));
    }
    asked
}

/// Print the quantiles of some spans; the median, in ms.
fn quantiles(out: &mut impl Write, name: &str, spans: &mut [Duration]) -> Result<f64, Failure> {
    spans.sort_unstable();
    let at = |share: f64| spans[((spans.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    writeln!(out, "{name:<26}{:>8.2}{:>10.2}{:>10.2}", at(0.5), at(0.95), at(1.0))?;
    Ok(at(0.5))
}

/// A figure of the server's memory, in MiB, as the kernel counts it.
fn memory(server: &Server, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

fn shown(mebibytes: Option<f64>) -> String {
    mebibytes.map_or_else(|| "unknown (there is no /proc here)".to_owned(), |size| format!("{size:>8.1} MiB"))
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}
