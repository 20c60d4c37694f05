//! Tavily's API as this plugin sees it: one POST, answered or failed.
//!
//! Owns the connection pool, the key, deadlines, retries and the bound on what is read. Knows nothing of single
//! endpoints: requests are bytes, answers are whatever deserialises.

mod failure;
mod retry;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime},
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use toolgate_plugin::{CallContext, Health, HostHandle, LogLevel, ProviderError, ToolError};
use url::Url;

pub(crate) use self::failure::FailureDetails;
use self::{
    failure::{Code, Failure},
    retry::Backoff,
};
use crate::settings::{Settings, is_loopback};

/// The most that is read of one answer.
const MAX_RESPONSE: usize = 8 * 1024 * 1024;
/// What is left of the host's deadline for saying that time ran out.
const MARGIN: Duration = Duration::from_millis(250);

/// Tavily's API.
pub(crate) struct Upstream {
    http: reqwest::Client,
    base: Url,
    keyless: bool,
    /// What the ids of callers are hashed with, if they are sent at all.
    human_id_salt: Option<Sha256>,
    timeout: Duration,
    backoff: Backoff,
    key_refused: AtomicBool,
    host: HostHandle,
}

impl Upstream {
    /// A client for the API that the settings name; connects to nothing yet.
    pub(crate) fn new(settings: &Settings, host: HostHandle) -> Result<Self, ProviderError> {
        let base = settings.base_url()?;
        let mut http = reqwest::Client::builder()
            .default_headers(headers(settings)?)
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
        let human_id_salt = settings.human_id.then(|| {
            // The key in the hash keeps others from testing a list of subjects against the ids.
            let key = settings.api_key.expose();
            Sha256::new_with_prefix("toolgate human id\0").chain_update(key).chain_update(b"\0")
        });
        Ok(Self {
            http,
            base,
            keyless: settings.keyless(),
            human_id_salt,
            timeout: settings.timeout.0,
            backoff: Backoff::default(),
            key_refused: AtomicBool::new(false),
            host,
        })
    }

    /// The URL of an endpoint, such as `search`.
    pub(crate) fn endpoint(&self, name: &str) -> Result<Url, ProviderError> {
        self.base.join(name).map_err(|error| ProviderError::settings("api_base_url", error.to_string()))
    }

    /// When a call that starts now must be done: by the host's deadline or our own, whichever comes first.
    pub(crate) fn deadline(&self, cx: &CallContext) -> Instant {
        let now = Instant::now();
        let ours = now + self.timeout;
        let hosts = cx.deadline.map(|deadline| deadline.checked_sub(MARGIN).unwrap_or(now));
        hosts.map_or(ours, |hosts| hosts.min(ours))
    }

    /// Whether the key was refused last time.
    pub(crate) fn health(&self) -> Health {
        if self.key_refused.load(Ordering::Relaxed) {
            return Health::Degraded("tavily refuses the API key; set a valid `api_key`".into());
        }
        Health::Ready
    }

    /// Ask an endpoint that may be asked again, and retry what may pass.
    pub(crate) async fn ask<B: Serialize, R: DeserializeOwned>(
        &self,
        endpoint: &Url,
        body: &B,
        deadline: Instant,
        cx: &CallContext,
    ) -> Result<R, ToolError> {
        let body = serde_json::to_vec(body).map_err(|error| ToolError::failed(format!("no request: {error}")))?;
        let answer = tokio::select! {
            biased;
            () = cx.cancelled.cancelled() => return Err(ToolError::Cancelled),
            answer = self.attempts(endpoint, body.into(), deadline, cx) => answer,
        };
        self.note(&answer);
        let answer = answer.and_then(|bytes| {
            serde_json::from_slice(&bytes).map_err(|_| Failure::invalid_response("an answer in an unknown form"))
        });
        answer.map_err(|failure| failure.into_error(self.keyless))
    }

    async fn attempts(
        &self,
        endpoint: &Url,
        body: Bytes,
        deadline: Instant,
        cx: &CallContext,
    ) -> Result<Bytes, Failure> {
        let mut failed = 0;
        loop {
            let attempt = self.attempt(endpoint, body.clone(), cx);
            let failure = match tokio::time::timeout_at(deadline.into(), attempt).await {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new(Code::Timeout),
            };
            failed += 1;
            tracing::debug!(target: "toolgate_tavily", code = %failure.code(), failed, "tavily did not answer");
            if failed > self.backoff.retries || !failure.may_be_retried() {
                return Err(failure);
            }
            let wait = self.backoff.wait(failed).max(failure.retry_after().unwrap_or_default());
            // Waiting beyond the deadline helps nobody: fail now and say when to come back.
            if Instant::now().checked_add(wait).is_none_or(|then| then >= deadline) {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, endpoint: &Url, body: Bytes, cx: &CallContext) -> Result<Bytes, Failure> {
        let mut request = self.http.post(endpoint.clone()).body(body);
        if let Some(salt) = &self.human_id_salt {
            let digest = salt.clone().chain_update(cx.caller.subject.as_bytes()).finalize();
            request = request.header("x-human-id", hex(&digest));
        }
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| retry::retry_after(value, SystemTime::now()));
        if status.is_redirection() {
            return Err(Failure::invalid_response("a redirect, which is not followed").with_status(status));
        }
        let bytes = self.read(response, status).await?;
        if status.is_success() { Ok(bytes) } else { Err(Failure::read(status, retry_after, &bytes)) }
    }

    async fn read(&self, mut response: reqwest::Response, status: StatusCode) -> Result<Bytes, Failure> {
        let too_long = || Failure::invalid_response("more than 8 MiB").with_status(status);
        let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > MAX_RESPONSE {
            return Err(too_long());
        }
        let mut read = BytesMut::with_capacity(announced);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if read.len() + chunk.len() > MAX_RESPONSE {
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
        Failure::new(Code::Unreachable).with_text(&format!("{host}: the connection was lost ({})", cause(error)))
    }

    /// A refused key concerns the operator, who is told once until a key is taken again.
    fn note(&self, answer: &Result<Bytes, Failure>) {
        match answer {
            Ok(_) => self.key_refused.store(false, Ordering::Relaxed),
            Err(failure) if failure.code() == Code::Unauthorized => {
                if !self.key_refused.swap(true, Ordering::Relaxed) {
                    let said = failure.text().unwrap_or("no reason given");
                    let remedy = if self.keyless { "keyless mode is not offered; set" } else { "set a valid" };
                    self.host.log(
                        LogLevel::Error,
                        format!("tavily refuses this server (HTTP 401: \"{said}\"); {remedy} `api_key`"),
                    );
                }
            }
            Err(_) => {}
        }
    }
}

fn headers(settings: &Settings) -> Result<HeaderMap, ProviderError> {
    let value = |path: &str, text: &str| {
        HeaderValue::from_str(text).map_err(|_| ProviderError::settings(path, "cannot be sent in a header"))
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("x-client-source"), value("client_source", &settings.client_source)?);
    if let Some(id) = &settings.project_id {
        headers.insert(HeaderName::from_static("x-project-id"), value("project_id", id)?);
    }
    if let Some(id) = &settings.org_id {
        headers.insert(HeaderName::from_static("x-tavily-orgid"), value("org_id", id)?);
    }
    if settings.keyless() {
        headers.insert(HeaderName::from_static("x-tavily-access-mode"), HeaderValue::from_static("keyless"));
    } else {
        let mut bearer = value("api_key", &format!("Bearer {}", settings.api_key.expose()))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

/// The innermost reason of an error, which names no URL.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
