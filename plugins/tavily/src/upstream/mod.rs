//! Tavily's API as this plugin sees it: a question, answered or failed.
//!
//! Owns the connection pool, the key, deadlines, retries and the bound on what is read. Knows nothing of single
//! endpoints beyond what an [`Endpoint`] says: requests are bytes, answers are JSON objects.

pub(crate) mod answer;
mod failure;
mod headers;
mod redacted;
mod retry;

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime},
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
    redirect,
};
use serde_json::Value;
use sha2::Sha256;
use toolgate_plugin::{CallContext, Health, HostHandle, LogLevel, ProviderError};
use url::Url;

use self::retry::Backoff;
pub(crate) use self::{
    answer::Answer,
    failure::{Code, Failure, FailureDetails, Shortfall, said},
};
use crate::{
    credits::Grant,
    settings::{ApiKey, Settings, is_loopback},
};

/// What is left of the host's deadline for saying that time ran out.
const MARGIN: Duration = Duration::from_millis(250);
/// The most that is read of an error.
const LONGEST_ERROR: usize = 256 * 1024;
/// How long an error may take to say more than its status.
const SLOWEST_ERROR: Duration = Duration::from_secs(2);

/// Tavily's API.
pub(crate) struct Upstream {
    http: reqwest::Client,
    base: Url,
    /// Empty if there is none.
    key: ApiKey,
    /// What the ids of callers are hashed with, if they are sent at all.
    human_id_salt: Option<Sha256>,
    backoff: Backoff,
    key_refused: AtomicBool,
    host: HostHandle,
}

/// One endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    url: Url,
    method: Method,
    /// Whether asking twice does no harm.
    repeatable: bool,
    /// Whether it may answer with nothing at all.
    silent: bool,
    /// The most that is read of an answer, in bytes.
    longest: usize,
    /// What kinds of answers are understood.
    accept: &'static str,
}

/// A question to an endpoint.
pub(crate) struct Question<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// Nothing for a GET.
    pub(crate) body: Bytes,
    pub(crate) deadline: Instant,
    /// What was set aside for it.
    pub(crate) grant: Option<&'a mut Grant>,
}

/// What came of a question that may be answered with a stream.
pub(crate) enum Opened {
    Stream(Response),
    Answer(Answer),
}

/// An answer before it is read as JSON.
enum Reply {
    Whole(Bytes),
    Stream(Response),
}

impl Endpoint {
    /// One that the same question may be put to twice.
    pub(crate) fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }

    /// Whether asking twice does no harm.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// One that may answer with nothing at all.
    pub(crate) fn silent(self) -> Self {
        Self { silent: true, ..self }
    }

    /// One whose answers may be longer than 8 MiB.
    pub(crate) fn longest(self, mebibytes: usize) -> Self {
        Self { longest: mebibytes * 1024 * 1024, ..self }
    }

    /// One that may answer with a stream of events.
    pub(crate) fn streaming(self) -> Self {
        Self { accept: "text/event-stream, application/json", ..self }
    }

    /// One below this: `id` becomes a segment of the path, whatever it holds.
    pub(crate) fn below(&self, id: &str, query: &str) -> Self {
        let mut url = self.url.clone();
        // The base has a host, so its path has segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        url.set_query(Some(query));
        Self { url, ..self.clone() }
    }
}

impl Upstream {
    /// A client for the API that the settings name; connects to nothing yet.
    pub(crate) fn new(settings: &Settings, host: HostHandle) -> Result<Self, ProviderError> {
        let base = settings.base_url()?;
        let mut http = reqwest::Client::builder()
            .default_headers(headers::of(settings)?)
            .user_agent(concat!("toolgate-tavily/", env!("CARGO_PKG_VERSION")))
            // The key must not travel to wherever an answer points.
            .redirect(redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(90));
        // A stand-in on this machine is not behind the proxy that the environment names.
        http = if is_loopback(&base) { http.no_proxy() } else { http.https_only(true) };
        let http =
            http.build().map_err(|error| ProviderError::Unavailable(format!("no HTTP client: {}", cause(&error))))?;
        Ok(Self {
            http,
            base,
            key: settings.api_key.clone(),
            human_id_salt: headers::human_id_salt(settings),
            backoff: Backoff::default(),
            key_refused: AtomicBool::new(false),
            host,
        })
    }

    /// An endpoint, such as `search`.
    pub(crate) fn endpoint(&self, method: Method, name: &str) -> Result<Endpoint, ProviderError> {
        let url = self.base.join(name).map_err(|error| ProviderError::settings("api_base_url", error.to_string()))?;
        Ok(Endpoint {
            url,
            method,
            repeatable: false,
            silent: false,
            longest: 8 * 1024 * 1024,
            accept: "application/json",
        })
    }

    /// Whether there is no key.
    pub(crate) fn is_keyless(&self) -> bool {
        self.key.expose().is_empty()
    }

    /// What Tavily says of a failure, without our key: some say which key they refuse.
    pub(crate) fn without_key<'a>(&self, said: &'a str) -> Cow<'a, str> {
        redacted::text(said, self.key.expose())
    }

    /// The same of a value.
    pub(crate) fn redact(&self, value: &mut Value) {
        redacted::value(value, self.key.expose());
    }

    /// When a call that starts now must be done: by the host's deadline or our own, whichever comes first.
    pub(crate) fn deadline(&self, ours: Duration, cx: &CallContext) -> Instant {
        let now = Instant::now();
        let hosts = cx.deadline.map(|deadline| deadline.checked_sub(MARGIN).unwrap_or(now));
        hosts.map_or(now + ours, |hosts| hosts.min(now + ours))
    }

    /// Whether the key was refused last time.
    pub(crate) fn health(&self) -> Health {
        if self.key_refused.load(Ordering::Relaxed) {
            return Health::Degraded("tavily refuses the API key; set a valid `api_key`".into());
        }
        Health::Ready
    }

    /// Ask, and ask again what may pass and may be asked again.
    pub(crate) async fn ask(&self, question: Question<'_>, cx: &CallContext) -> Result<Answer, Failure> {
        let endpoint = question.endpoint;
        let answered = self.attempts(question, false, cx).await;
        self.note(&answered);
        match answered? {
            Reply::Whole(bytes) => self.answer(&bytes, endpoint),
            Reply::Stream(_) => Err(Failure::invalid_response("a stream that was not asked for")),
        }
    }

    /// Ask for a stream of events. The answer's head must be there by the question's deadline; the stream is the caller's
    /// to read, and to bound.
    pub(crate) async fn open(&self, question: Question<'_>, cx: &CallContext) -> Result<Opened, Failure> {
        let endpoint = question.endpoint;
        let answered = self.attempts(question, true, cx).await;
        self.note(&answered);
        match answered? {
            Reply::Whole(bytes) => Ok(Opened::Answer(self.answer(&bytes, endpoint)?)),
            Reply::Stream(response) => Ok(Opened::Stream(response)),
        }
    }

    /// A success, if it is one: the limit of the keyless mode is told with any status.
    fn answer(&self, bytes: &[u8], endpoint: &Endpoint) -> Result<Answer, Failure> {
        if endpoint.silent && bytes.trim_ascii().is_empty() {
            return Ok(Answer::empty());
        }
        let read = Answer::read(bytes, self.key.expose());
        let answer = read.map_err(|failure| if endpoint.repeatable { failure } else { failure.of_deed() })?;
        let is_result = ["results", "content"].iter().any(|name| !answer.get(name).is_null());
        if !is_result && failure::is_keyless_limit(StatusCode::OK, answer.get("error"), !self.is_keyless()) {
            let body = Value::Object(answer.members().clone());
            return Err(Failure::read(StatusCode::OK, None, &body, !self.is_keyless()));
        }
        Ok(answer)
    }

    /// The next part of a stream; nothing at its end.
    pub(crate) async fn next(&self, stream: &mut Response) -> Result<Option<Bytes>, Failure> {
        stream.chunk().await.map_err(|error| self.lost(&error))
    }

    async fn attempts(&self, mut question: Question<'_>, streams: bool, cx: &CallContext) -> Result<Reply, Failure> {
        let mut failed = 0;
        loop {
            if let Some(grant) = &mut question.grant {
                grant.sent();
            }
            let attempt = self.attempt(&question, streams, cx);
            let failure = match tokio::time::timeout_at(question.deadline.into(), attempt).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new(Code::Timeout).maybe_billed(),
            };
            failed += 1;
            tracing::debug!(target: "toolgate_tavily", code = %failure.code(), failed, "tavily did not answer");
            let again = failure.may_be_retried() && (question.endpoint.repeatable || failure.is_unsent());
            // What failed may have been done before it did; only what may be done twice is known to cost nothing then.
            let failure = if question.endpoint.repeatable { failure } else { failure.of_deed() };
            if failed > self.backoff.retries || !again {
                return Err(failure);
            }
            let wait = self.backoff.wait(failed).max(failure.retry_after().unwrap_or_default());
            // Waiting beyond the deadline helps nobody: fail now and say when to come back.
            if Instant::now().checked_add(wait).is_none_or(|then| then >= question.deadline) {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// One request, to the end of its answer, which is a success; of a stream to its beginning.
    async fn attempt(&self, question: &Question<'_>, streams: bool, cx: &CallContext) -> Result<Reply, Failure> {
        let endpoint = question.endpoint;
        let mut request = self.http.request(endpoint.method.clone(), endpoint.url.clone());
        if endpoint.method != Method::GET {
            request = request.header(CONTENT_TYPE, "application/json").body(question.body.clone());
        }
        request = request.header(ACCEPT, endpoint.accept);
        if let Some(salt) = &self.human_id_salt {
            request = request.header("x-human-id", headers::human_id(salt, &cx.caller.subject));
        }
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        if status.is_success() {
            if streams && is_stream(&response) {
                return Ok(Reply::Stream(response));
            }
            return self.read(response, endpoint.longest).await.map(Reply::Whole);
        }
        if status.is_redirection() {
            let failure = Failure::new(Code::InvalidResponse).with_text("a redirect, which is not followed");
            return Err(failure.with_status(status));
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| retry::retry_after(value, SystemTime::now()));
        // Its status says enough where its words cannot be read, or take their time.
        let body = tokio::time::timeout(SLOWEST_ERROR, self.read(response, LONGEST_ERROR)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let mut body = serde_json::from_str(&String::from_utf8_lossy(&body)).unwrap_or_default();
        self.redact(&mut body);
        Err(Failure::read(status, retry_after, &body, !self.is_keyless()))
    }

    async fn read(&self, mut response: Response, longest: usize) -> Result<Bytes, Failure> {
        let status = response.status();
        let too_long = || {
            let most = longest / (1024 * 1024);
            Failure::invalid_response(&format!("more than {most} MiB; ask for less")).with_status(status)
        };
        let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > longest {
            return Err(too_long());
        }
        let mut read = BytesMut::with_capacity(announced);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if read.len() + chunk.len() > longest {
                return Err(too_long());
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.freeze())
    }

    /// No answer, or half of one.
    fn lost(&self, error: &reqwest::Error) -> Failure {
        let host = self.base.host_str().unwrap_or_default();
        if error.is_connect() {
            return Failure::new(Code::Unreachable).with_text(&format!("{host}: {}", cause(error))).retryable();
        }
        // The request may have been served and billed: not sent again.
        let text = format!("{host}: the connection was lost ({})", cause(error));
        Failure::new(Code::Unreachable).with_text(&text).maybe_billed()
    }

    /// A refused key concerns the operator, who is told once until a key is taken again.
    fn note<T>(&self, answer: &Result<T, Failure>) {
        match answer {
            Ok(_) => self.key_refused.store(false, Ordering::Relaxed),
            Err(failure) if failure.code() == Code::Unauthorized => {
                if self.key_refused.swap(true, Ordering::Relaxed) {
                    return;
                }
                let said = failure.text().unwrap_or("no reason given");
                let remedy = match self.is_keyless() {
                    true => "keyless mode is not offered; set `api_key`",
                    false if said.to_ascii_lowercase().contains("deactivated") => {
                        "the account of this key is deactivated: ask Tavily why, or set the `api_key` of another"
                    }
                    false => "set a valid `api_key`",
                };
                let message = format!("tavily refuses this server (HTTP 401: \"{said}\"); {remedy}");
                self.host.log(LogLevel::Error, message);
            }
            Err(_) => {}
        }
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}

/// The innermost reason of an error, which names no URL.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
