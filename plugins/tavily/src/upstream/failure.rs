//! How Tavily fails, and how a model and a program are told.
//!
//! Tavily's errors come as `{"detail":{"error":"…"}}`, with `detail` also seen as a string or a list, as
//! `{"error":{"code","message","retry_after_seconds"}}` in keyless mode, or not as JSON at all.

use std::{fmt, time::Duration};

use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use toolgate_plugin::ToolError;

use crate::{report::FailedUrl, safety::text};

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum Code {
    #[serde(rename = "upstream_bad_request")]
    BadRequest,
    #[serde(rename = "upstream_unauthorized")]
    Unauthorized,
    #[serde(rename = "forbidden")]
    Forbidden,
    #[serde(rename = "not_found")]
    NotFound,
    #[serde(rename = "rate_limited")]
    RateLimited,
    #[serde(rename = "plan_limit")]
    PlanLimit,
    #[serde(rename = "paygo_limit")]
    PaygoLimit,
    #[serde(rename = "keyless_limit")]
    KeylessLimit,
    #[serde(rename = "upstream_error")]
    Error,
    #[serde(rename = "upstream_unreachable")]
    Unreachable,
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "upstream_invalid_response")]
    InvalidResponse,
}

/// Why a call failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct FailureDetails {
    /// What went wrong. `upstream_unauthorized`, `plan_limit` and `paygo_limit` are for the server's operator.
    code: Code,
    /// Tavily's HTTP status, if it answered.
    http_status: Option<u16>,
    /// Whether the same call may succeed later.
    retryable: bool,
    /// How many seconds to wait first, if Tavily said so.
    retry_after_s: Option<u64>,
    /// Tavily's id of the request.
    request_id: Option<String>,
    /// What Tavily said, shortened; untrusted text.
    upstream_message: Option<String>,
    /// What was wrong with single URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    failed: Vec<FailedUrl>,
}

/// A failed request.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    details: FailureDetails,
    retry_after: Option<Duration>,
    retried: bool,
}

// === impl Code ===

impl Code {
    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            429 => Self::RateLimited,
            432 => Self::PlanLimit,
            433 => Self::PaygoLimit,
            400..=499 => Self::BadRequest,
            _ => Self::Error,
        }
    }

    /// Whether the same call may succeed later.
    fn passes(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::KeylessLimit
                | Self::Error
                | Self::Unreachable
                | Self::Timeout
                | Self::InvalidResponse
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

// === impl Failure ===

impl Failure {
    pub(super) fn new(code: Code) -> Self {
        let details = FailureDetails {
            code,
            http_status: None,
            retryable: code.passes(),
            retry_after_s: None,
            request_id: None,
            upstream_message: None,
            failed: Vec::new(),
        };
        Self { details, retry_after: None, retried: false }
    }

    pub(super) fn invalid_response(what: &str) -> Self {
        Self::new(Code::InvalidResponse).with_text(what)
    }

    pub(super) fn with_text(mut self, said: &str) -> Self {
        let said = text::line(said, 300);
        self.details.upstream_message = (!said.is_empty()).then_some(said);
        self
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.details.http_status = Some(status.as_u16());
        self
    }

    /// Asking again at once, or nearly, makes sense.
    pub(super) fn retryable(mut self) -> Self {
        self.retried = true;
        self
    }

    /// What an answer that is no success says.
    pub(super) fn read(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let detail = &body["detail"];
        let keyless = status.is_client_error() && body["error"]["code"].is_string();
        let code = if keyless { Code::KeylessLimit } else { Code::of(status) };
        let mut failure = Self::new(code).with_status(status);
        if let Some(said) = said(detail).or_else(|| said(&body["error"])).or_else(|| said(&body["message"])) {
            failure = failure.with_text(&said);
        }
        let hint = body["error"]["retry_after_seconds"].as_u64().filter(|_| keyless);
        failure.retry_after = retry_after.or_else(|| hint.map(|hint| Duration::from_secs(hint.min(30 * 24 * 3600))));
        failure.details.retry_after_s = failure.retry_after.map(|wait| wait.as_secs());
        failure.retried = match status.as_u16() {
            429 => !keyless,
            500 | 502 | 503 | 504 => true,
            _ => false,
        };
        let request_id = body["request_id"].as_str().or_else(|| detail["request_id"].as_str());
        failure.details.request_id = request_id.map(|id| text::line(id, 100));
        let failed = detail["failed_results"].as_array().map_or(&[][..], Vec::as_slice);
        failure.details.failed = failed.iter().take(20).map(FailedUrl::read).collect();
        failure
    }

    pub(super) fn code(&self) -> Code {
        self.details.code
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.details.upstream_message.as_deref()
    }

    pub(super) fn may_be_retried(&self) -> bool {
        self.retried
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The same for the model, with the details for programs.
    pub(super) fn into_error(self, keyless: bool) -> ToolError {
        let details = self.details;
        let status = details.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
        let said = details.upstream_message.as_deref().map(|said| format!(": \"{}\"", said.replace('"', "'")));
        let said = format!("{status}{}", said.unwrap_or_default());
        let wait = match details.retry_after_s {
            Some(seconds) => format!("try again after {seconds} s"),
            None => "wait a little and try again".to_owned(),
        };
        let mut message = match details.code {
            Code::BadRequest => format!("tavily refuses the request{said}; correct the arguments"),
            Code::Unauthorized if keyless => format!(
                "tavily refuses requests without a key{said}; tell the operator of this server to set an API key"
            ),
            Code::Unauthorized => format!(
                "tavily refuses this server's API key{said}; tell the operator of this server, trying again will not help"
            ),
            Code::Forbidden => format!("tavily does not allow this request{said}; leave out what it names"),
            Code::NotFound => {
                format!("tavily knows no such endpoint or object{said}; the operator should check `api_base_url`")
            }
            Code::RateLimited => format!("tavily limits the rate of requests{said}; {wait}"),
            Code::PlanLimit => {
                format!(
                    "the limit of this server's Tavily key or plan is used up{said}; tell the operator of this server"
                )
            }
            Code::PaygoLimit => format!(
                "the pay-as-you-go limit of this server's Tavily account is used up{said}; tell the operator of this server"
            ),
            Code::KeylessLimit => format!(
                "the limit of Tavily's keyless mode is used up{said}; {wait}, or have the operator set an API key"
            ),
            Code::Error => format!("tavily failed{said}; {wait}"),
            Code::Unreachable => format!("tavily cannot be reached over the network{said}; {wait}"),
            Code::Timeout => "tavily did not answer in time; try again with fewer results or pages".to_owned(),
            Code::InvalidResponse => format!("tavily's answer cannot be used{said}; {wait}"),
        };
        for FailedUrl { url, error } in &details.failed {
            message.push_str(&format!("\n- {url}: {error}"));
        }
        let error = ToolError::failed(message);
        match serde_json::to_value(&details) {
            Ok(details) => error.with_details(details),
            Err(_) => error,
        }
    }
}

/// The text of an error in any of the forms it comes in.
fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(object) => {
            ["error", "message", "msg", "error_code"].iter().find_map(|key| said(object.get(*key)?))
        }
        Value::Array(items) => {
            let items: Vec<String> = items
                .iter()
                .take(5)
                .filter_map(|item| {
                    let place = item["loc"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    let place = place.collect::<Vec<_>>().join(".");
                    said(item).map(|text| if place.is_empty() { text } else { format!("{place}: {text}") })
                })
                .collect();
            (!items.is_empty()).then(|| items.join("; "))
        }
        _ => None,
    }
}
