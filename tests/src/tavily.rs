//! A stand-in for Tavily's API: a real HTTP server, driven by `contracts/tavily-contract.json`.
//!
//! It checks keys and requests as the contract says, answers the same to the same question, meters credits,
//! remembers what it was sent, and goes wrong on demand. It serves `/search` and `/extract`.

mod answers;
pub mod contract;
pub mod faults;

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use self::{
    contract::{Endpoint, contract},
    faults::{Act, Script},
};

/// A key that the stand-in takes, as it takes any that begins with `tvly-` …
pub const KEY: &str = "tvly-stand-in";
/// … except this one.
pub const UNKNOWN_KEY: &str = "tvly-unknown";

/// How many requests are remembered: what was seen holds its read buffer, and a bench sends millions.
const REMEMBERED: usize = 256;

/// How the stand-in runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// What goes wrong from the start.
    pub fault: Option<Script>,
    /// How long every answer takes.
    pub latency: Duration,
    /// Whether the documented requests per minute are enforced (keys that begin with `tvly-dev-` have fewer).
    pub enforce_rates: bool,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its path.
    pub path: String,
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
}

/// A running stand-in; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    next: VecDeque<Act>,
    then: Act,
    latency: Duration,
    enforce_rates: bool,
    seen: VecDeque<Seen>,
    accounts: HashMap<String, Account>,
}

/// What one key has used.
#[derive(Debug, Default)]
struct Account {
    minute: VecDeque<Instant>,
    pages: u64,
    requests: u64,
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
        let script = options.fault.unwrap_or(Script { first: Vec::new(), then: Act::Serve });
        let state = Arc::new(Mutex::new(State {
            next: script.first.into(),
            then: script.then,
            latency: options.latency,
            enforce_rates: options.enforce_rates,
            seen: VecDeque::new(),
            accounts: HashMap::new(),
        }));
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, server })
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What to do with the requests to come.
    pub fn play(&self, script: impl Into<Script>) {
        let script = script.into();
        let mut state = lock(&self.state);
        state.next = script.first.into();
        state.then = script.then;
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

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
            Some(_) = connections.join_next() => continue,
        };
        // Without it an answer could wait for the acknowledgement of its head.
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| respond(request, Arc::clone(&state)));
            // A connection that breaks is the client's affair, or a fault played on purpose.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An answer's body, whole or cut.
struct Answer {
    bytes: Option<Bytes>,
    cut: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(match self.bytes.take() {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None if self.cut => Some(Err(io::ErrorKind::BrokenPipe.into())),
            None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        let sent = self.bytes.as_ref().map_or(0, Bytes::len) as u64;
        SizeHint::with_exact(if self.cut { 2 * sent } else { sent })
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.cut
    }
}

type Refusal = (u16, Value);

async fn respond(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Answer>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = parts.uri.path().to_owned();
    let (act, latency, served) = {
        let mut state = lock(&state);
        let seen = Seen { path, headers: parts.headers, body, at: Instant::now() };
        let act = state.next.pop_front().unwrap_or_else(|| state.then.clone());
        let served = state.serve(parts.method.as_str(), &seen);
        if state.seen.len() == REMEMBERED {
            state.seen.pop_front();
        }
        state.seen.push_back(seen);
        (act, state.latency, served)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let json = |(status, body): (u16, Value)| answer(status, Vec::new(), body.to_string());
    match act {
        Act::Serve => Ok(json(served)),
        Act::Alter(alter) => {
            let (status, mut body) = served;
            if status == 200 {
                alter(&mut body);
            }
            Ok(json((status, body)))
        }
        Act::Answer { status, headers, body } => Ok(answer(status, headers, body)),
        Act::Hang => match std::future::pending::<Infallible>().await {},
        Act::Cut => {
            let mut response = json(served);
            response.body_mut().cut = true;
            Ok(response)
        }
        Act::Close => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn answer(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Response<Answer> {
    let mut response = Response::new(Answer { bytes: Some(body.into()), cut: false });
    *response.status_mut() = http::StatusCode::from_u16(status).expect("statuses have three digits");
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("headers of faults are valid"));
    }
    response
}

impl State {
    fn serve(&mut self, method: &str, seen: &Seen) -> (u16, Value) {
        match self.try_serve(method, seen) {
            Ok(body) => (200, body),
            Err(refusal) => refusal,
        }
    }

    fn try_serve(&mut self, method: &str, seen: &Seen) -> Result<Value, Refusal> {
        let said = |text: &str| json!({ "detail": { "error": text } });
        let endpoint = Endpoint::at(method, &seen.path).ok_or_else(|| (404, said("Not Found")))?;
        let key = key(endpoint, &seen.headers).ok_or_else(|| (401, endpoint.error(401)))?;
        self.count(endpoint, &key)?;
        let body: Map<String, Value> =
            serde_json::from_slice(&seen.body).map_err(|_| (400, said("The body is no JSON object.")))?;
        if let Some(refusal) = endpoint.refusal(&body) {
            return Err((400, refusal));
        }
        let mut answer = match endpoint.id() {
            "search" => answers::search(&body),
            "extract" => answers::extract(endpoint, &body).map_err(|refusal| (400, refusal))?,
            _ => return Err((501, said("Not served by this stand-in."))),
        };
        let account = self.accounts.entry(key).or_default();
        account.requests += 1;
        answer["request_id"] = format!("stand-in-{}", account.requests).into();
        let credits = account.bill(endpoint, &body, &answer);
        if body.get("include_usage").is_some_and(|wanted| wanted == true) {
            answer["usage"] = json!({ "credits": credits });
        }
        Ok(answer)
    }

    fn count(&mut self, endpoint: Endpoint, key: &str) -> Result<(), Refusal> {
        if !self.enforce_rates {
            return Ok(());
        }
        let kind = if key.starts_with("tvly-dev-") { "development_rpm" } else { "production_rpm" };
        let most = contract()["rate_limits"]["default"][kind].as_u64().unwrap_or(u64::MAX);
        let minute = &mut self.accounts.entry(key.to_owned()).or_default().minute;
        minute.retain(|at| at.elapsed() < Duration::from_secs(60));
        if minute.len() as u64 >= most {
            return Err((429, endpoint.error(429)));
        }
        minute.push_back(Instant::now());
        Ok(())
    }
}

impl Account {
    /// What this request costs; pages are billed when a block of them is full.
    fn bill(&mut self, endpoint: Endpoint, body: &Map<String, Value>, answer: &Value) -> u64 {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let depth = text("search_depth").or_else(|| text("extract_depth")).unwrap_or("basic");
        let (credits, pages) = endpoint.price(depth);
        if pages <= 1 {
            return credits;
        }
        self.pages += answer["results"].as_array().map_or(0, Vec::len) as u64;
        let blocks = self.pages / pages;
        self.pages %= pages;
        blocks * credits
    }
}

/// Whose request it is, if it may be served.
fn key(endpoint: Endpoint, headers: &HeaderMap) -> Option<String> {
    let Some(credentials) = headers.get(header::AUTHORIZATION) else {
        let keyless = headers.get("x-tavily-access-mode").is_some_and(|mode| mode == "keyless");
        return (keyless && endpoint.keyless()).then(|| "keyless".to_owned());
    };
    let key = credentials.to_str().ok()?.strip_prefix("Bearer ")?;
    let prefix = contract()["auth"]["key_prefix"].as_str().unwrap_or_default();
    (key.len() > prefix.len() && key.starts_with(prefix) && key != UNKNOWN_KEY).then(|| key.to_owned())
}
