//! A stand-in for Tavily's API: a real HTTP server, driven by `contracts/tavily-contract.json`.
//!
//! It checks keys and requests as the contract says, answers the same to the same question, meters credits,
//! remembers what it was sent, and goes wrong on demand: for everybody ([`StandIn::fail`]), or for one key whose name
//! says how ([`FAULT_KEY`]).

mod account;
mod answers;
pub mod contract;
pub mod faults;
pub mod research;
mod server;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use self::{
    account::Account,
    faults::{Act, Script},
    research::Tasks,
};

/// A key that the stand-in takes, as it takes any that begins with `tvly-` …
pub const KEY: &str = "tvly-stand-in";
/// … except this one.
pub const UNKNOWN_KEY: &str = "tvly-unknown";
/// How a key begins for which all goes wrong in the way that the rest of it names, such as `tvly-fault-432`.
/// What stands behind a dot tells keys of the same fault apart.
pub const FAULT_KEY: &str = "tvly-fault-";

/// Where clients that are not written in Rust learn what the stand-in was sent since they last asked.
pub const REQUESTS: &str = "/stand-in/requests";

/// How many requests are remembered: what was seen holds its read buffer, and a bench sends millions.
const REMEMBERED: usize = 256;

/// How the stand-in runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// What goes wrong from the start.
    pub fault: Option<Script>,
    /// How long every answer takes.
    pub latency: Duration,
    /// Whether the documented requests per minute are enforced (keys that begin with `tvly-dev-` have fewer).
    pub enforce_rates: bool,
    /// The status of an accepted research: 201 as documented, or 200 as the official clients expect.
    pub created: u16,
    /// How often a research is looked at before it is done.
    pub looks: u32,
    /// The most credits that a key may use.
    pub plan_limit: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            fault: None,
            latency: Duration::ZERO,
            enforce_rates: false,
            created: 201,
            looks: 2,
            plan_limit: None,
        }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, empty if it has none.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When it came.
    pub at: Instant,
}

impl Seen {
    /// Its body as JSON, null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn shown(&self) -> Value {
        let header = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let key = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        json!({ "key": key, "method": self.method, "path": self.path, "query": self.query, "body": self.json() })
    }
}

/// A running stand-in; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    streams: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    options: Options,
    script: Playing,
    /// Of keys whose name says what goes wrong.
    scripts: HashMap<String, Playing>,
    seen: VecDeque<Seen>,
    accounts: HashMap<String, Account>,
    tasks: Tasks,
    requests: u64,
}

/// What is played, as far as it is.
#[derive(Debug)]
struct Playing {
    next: VecDeque<Act>,
    then: Act,
}

impl From<Script> for Playing {
    fn from(script: Script) -> Self {
        Self { next: script.first.into(), then: script.then }
    }
}

impl Playing {
    fn act(&mut self) -> Act {
        self.next.pop_front().unwrap_or_else(|| self.then.clone())
    }
}

impl StandIn {
    /// Start on a free port.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Start with options.
    pub async fn start_with(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let address = listener.local_addr()?;
        let script = options.fault.clone().unwrap_or_else(|| Act::Serve.into());
        let state = Arc::new(Mutex::new(State {
            options,
            script: script.into(),
            scripts: HashMap::new(),
            seen: VecDeque::new(),
            accounts: HashMap::new(),
            tasks: Tasks::default(),
            requests: 0,
        }));
        let streams = Arc::<AtomicUsize>::default();
        let server = tokio::spawn(server::serve(listener, Arc::clone(&state), Arc::clone(&streams)));
        Ok(Self { address, state, streams, server })
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What to do with the requests to come.
    pub fn play(&self, script: impl Into<Script>) {
        lock(&self.state).script = script.into().into();
    }

    /// Go wrong in a named way ([`faults::named`]).
    ///
    /// # Panics
    ///
    /// If there is no such fault.
    pub fn fail(&self, fault: &str) {
        self.play(faults::named(fault).unwrap_or_else(|| panic!("there is no fault {fault:?}")));
    }

    /// The requests since the last call, the latest 256 of them.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.state).seen).into()
    }

    /// How many credits a key has used so far.
    pub fn used(&self, key: &str) -> u64 {
        lock(&self.state).accounts.get(key).map_or(0, Account::total)
    }

    /// How many streams are being told at this moment.
    pub fn open_streams(&self) -> usize {
        self.streams.load(Ordering::Acquire)
    }
}

impl StandIn {
    /// Stop, and return when the port is closed.
    pub async fn stop(mut self) {
        self.server.abort();
        // Cancelled, as asked.
        let _ = (&mut self.server).await;
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
