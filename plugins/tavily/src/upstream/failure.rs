//! How a call fails, and how a model and a program are told.
//!
//! Tavily's errors come as `{"detail":{"error":"…"}}`, with `detail` also seen as a string or a list, as
//! `{"error":{"code","message","retry_after_seconds"}}` in keyless mode, or not as JSON at all.

mod words;

use std::{fmt, time::Duration};

use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use toolgate_plugin::ToolError;

use super::answer;
use crate::{
    credits::{Ceiling, Credits},
    report::{Cost, FailedUrl},
    safety::{
        envelope::{Marks, take_apart},
        text,
    },
};

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
    #[serde(rename = "needs_api_key")]
    NeedsKey,
    #[serde(rename = "credit_ceiling")]
    CreditCeiling,
    #[serde(rename = "state_unavailable")]
    StateUnavailable,
    #[serde(rename = "research_failed")]
    ResearchFailed,
}

/// Why a call failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct FailureDetails {
    /// What went wrong. `upstream_unauthorized`, `plan_limit`, `paygo_limit`, `needs_api_key` and `state_unavailable`
    /// are for the server's operator.
    code: Code,
    /// Tavily's HTTP status, if it answered.
    http_status: Option<u16>,
    /// Whether the same call may succeed later.
    retryable: bool,
    /// How many seconds to wait first, if known.
    retry_after_s: Option<u64>,
    /// Tavily's id of the request; of a research its handle.
    request_id: Option<String>,
    /// What Tavily said, shortened; untrusted text.
    upstream_message: Option<String>,
    /// What the call cost all the same.
    cost: Cost,
    /// The ceiling that the call would have gone over.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Shortfall>,
    /// What was wrong with single URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    failed: Vec<FailedUrl>,
}

/// A ceiling that a call would have gone over.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Shortfall {
    /// Which: on a call, on a caller's calls of today, on all calls of today.
    pub(crate) ceiling: Ceiling,
    /// The ceiling, in credits.
    pub(crate) most: Credits,
    /// What is used of it.
    pub(crate) used: Credits,
    /// The most that this call can cost.
    pub(crate) needed: Credits,
}

/// A failed request.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    details: Box<FailureDetails>,
    retry_after: Option<Duration>,
    retried: bool,
    billed: bool,
    stream_required: bool,
    /// What Tavily says that it cost all the same.
    price: Option<Credits>,
    /// What a model reads in place of the words that its code has.
    words: Option<String>,
    /// What a model reads besides.
    hint: Option<String>,
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
    pub(crate) fn new(code: Code) -> Self {
        let details = FailureDetails {
            code,
            http_status: None,
            retryable: code.passes(),
            retry_after_s: None,
            request_id: None,
            upstream_message: None,
            cost: Cost::FREE,
            budget: None,
            failed: Vec::new(),
        };
        Self {
            details: Box::new(details),
            retry_after: None,
            retried: false,
            billed: false,
            stream_required: false,
            price: None,
            words: None,
            hint: None,
        }
    }

    /// A failure with words of its own.
    pub(crate) fn in_words(code: Code, words: impl Into<String>) -> Self {
        Self::new(code).with_words(words)
    }

    /// The same in words of our own.
    pub(crate) fn with_words(mut self, words: impl Into<String>) -> Self {
        self.words = Some(words.into());
        self
    }

    /// The same with something to add to its words.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// An answer that is none; the work behind it may well have been done.
    pub(crate) fn invalid_response(what: &str) -> Self {
        Self::new(Code::InvalidResponse).with_text(what).maybe_billed()
    }

    /// Too little is left of a ceiling.
    pub(crate) fn over(shortfall: Shortfall, retry_after_s: Option<u64>) -> Self {
        let mut failure = Self::new(Code::CreditCeiling);
        failure.details.budget = Some(shortfall);
        failure.details.retry_after_s = retry_after_s;
        failure.details.retryable = retry_after_s.is_some();
        failure
    }

    pub(crate) fn with_text(mut self, said: &str) -> Self {
        let said = take_apart(&text::line(said, 300));
        self.details.upstream_message = (!said.is_empty()).then_some(said);
        self
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.details.http_status = Some(status.as_u16());
        self
    }

    pub(crate) fn with_request_id(mut self, id: &str) -> Self {
        self.details.request_id = Some(text::line(id, 100));
        self
    }

    pub(crate) fn with_cost(mut self, cost: Cost) -> Self {
        self.details.cost = cost;
        self
    }

    /// The same, known to have cost this.
    pub(crate) fn with_price(mut self, credits: Credits) -> Self {
        self.price = Some(credits);
        self.billed = false;
        self.with_cost(Cost::new(Some(credits), credits))
    }

    /// What it is known to have cost.
    pub(crate) fn price(&self) -> Option<Credits> {
        self.price
    }

    /// The same with all that Tavily wrote edited.
    pub(crate) fn edited(mut self, edit: impl Fn(&str) -> String) -> Self {
        let details = &mut *self.details;
        let failed = details.failed.iter_mut().flat_map(|failed| [&mut failed.url, &mut failed.error]);
        for said in details.upstream_message.iter_mut().chain(&mut details.request_id).chain(failed) {
            *said = edit(said);
        }
        self
    }

    /// Asking again would do it again.
    pub(crate) fn unrepeatable(mut self) -> Self {
        self.details.retryable = false;
        self
    }

    /// The same of what is done anew each time: asking again makes sense only if it was surely not done.
    pub(crate) fn of_deed(self) -> Self {
        let failure = if self.details.code == Code::Error { self.maybe_billed() } else { self };
        if failure.billed { failure.unrepeatable() } else { failure }
    }

    /// Asking again at once, or nearly, makes sense.
    pub(super) fn retryable(mut self) -> Self {
        self.retried = true;
        self
    }

    /// Nobody knows whether the work was done, and billed.
    pub(crate) fn maybe_billed(mut self) -> Self {
        self.billed = true;
        self
    }

    /// The same of a question that is free.
    pub(crate) fn unbilled(mut self) -> Self {
        self.billed = false;
        self
    }

    /// Whether asking again is of no use, now or soon.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self.details.code,
            Code::Unauthorized | Code::Forbidden | Code::PlanLimit | Code::PaygoLimit | Code::ResearchFailed
        )
    }

    /// What an answer that is no success says; `has_key` says whether this server has a key.
    pub(super) fn read(status: StatusCode, retry_after: Option<Duration>, body: &Value, has_key: bool) -> Self {
        let detail = &body["detail"];
        let keyless = is_keyless_limit(status, &body["error"], has_key);
        let code = if keyless { Code::KeylessLimit } else { Code::of(status) };
        let mut failure = Self::new(code).with_status(status);
        if let Some(said) = said(detail).or_else(|| said(&body["error"])).or_else(|| said(&body["message"])) {
            failure = failure.with_text(&said);
        }
        let hint = answer::number(&body["error"]["retry_after_seconds"]).filter(|hint| keyless && *hint >= 0.0);
        failure.retry_after =
            retry_after.or_else(|| hint.map(|hint| Duration::from_secs(hint.ceil().min(2_592_000.0) as u64)));
        failure.details.retry_after_s = failure.retry_after.map(|wait| wait.as_secs());
        failure.retried = match status.as_u16() {
            429 => !keyless,
            500 | 502 | 503 | 504 => true,
            _ => false,
        };
        let request_id = answer::id(&body["request_id"]).or_else(|| answer::id(&detail["request_id"]));
        failure.details.request_id = request_id.map(|id| text::line(&id, 100));
        let failed = detail["failed_results"].as_array().map_or(&[][..], Vec::as_slice);
        failure.details.failed = failed.iter().take(20).map(FailedUrl::read).collect();
        let codes = [&detail["error_code"], &body["error_code"], &body["error"]["code"]];
        failure.stream_required = codes.iter().any(|code| **code == "research_stream_required");
        failure
    }

    pub(crate) fn code(&self) -> Code {
        self.details.code
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.details.upstream_message.as_deref()
    }

    pub(super) fn may_be_retried(&self) -> bool {
        self.retried
    }

    /// Whether the failure came before anything was sent.
    pub(super) fn is_unsent(&self) -> bool {
        self.details.code == Code::Unreachable && self.retried
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the work may have been done, and billed.
    pub(crate) fn may_be_billed(&self) -> bool {
        self.billed
    }

    /// Whether Tavily wants this research to be followed as a stream.
    pub(crate) fn wants_stream(&self) -> bool {
        self.stream_required
    }

    /// The same for the model, with the details for programs; what others said stands between marks.
    pub(crate) fn into_error(self, keyless: bool, marks: &Marks) -> ToolError {
        let said = if self.words.is_none() { words::foreign(&self.details) } else { None };
        let mut message = self.words.unwrap_or_else(|| words::of(&self.details, keyless));
        if let Some(hint) = self.hint {
            message.push_str("; ");
            message.push_str(&hint);
        }
        let failed = &self.details.failed;
        let line = |FailedUrl { url, error }: &FailedUrl| format!("- {}: {error}", text::line(url, 300));
        let lines: Vec<String> = said.map(str::to_owned).into_iter().chain(failed.iter().map(line)).collect();
        if !lines.is_empty() {
            message = marks.around(|envelope| {
                let mut out = format!("{message}\n{}\n", envelope.notice_of_words());
                envelope.wrap(&mut out, &lines.join("\n"));
                out.truncate(out.trim_end().len());
                out
            });
        }
        let error = ToolError::failed(message);
        match serde_json::to_value(&self.details) {
            Ok(details) => error.with_details(details),
            Err(_) => error,
        }
    }
}

/// Whether an error is that of the keyless mode. Others have codes as well: with a key, what only that mode says must be
/// there; a status that says which limit it is, or that it is none, is believed.
pub(super) fn is_keyless_limit(status: StatusCode, error: &Value, has_key: bool) -> bool {
    let Some(code) = error["code"].as_str() else { return false };
    let status = status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 432 | 433) || status.is_success();
    let members = ["window", "retry_after_seconds", "next_actions"];
    status && (members.iter().any(|name| !error[*name].is_null()) || !has_key && code.starts_with("keyless"))
}

/// The text of an error in any of the forms it comes in.
pub(crate) fn said(value: &Value) -> Option<String> {
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
