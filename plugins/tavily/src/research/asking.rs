//! Asking Tavily how far a research is: often at first, then more rarely.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use toolgate_plugin::CallContext;

use super::{Content, Record, State, Steps};
use crate::{
    shared::Shared,
    upstream::{Answer, Code, Failure, Question},
};

/// When to ask first, and how rarely at last.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(10);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// So many failures in a row are more than bad weather.
const STORM: u32 = 3;

/// Ask until it is done, or the time is over.
pub(super) async fn wait(
    shared: &Shared,
    record: &Record,
    until: Instant,
    steps: &Steps,
    cx: &CallContext,
) -> Result<State, Failure> {
    let (mut pause, mut failures) = (FIRST, 0);
    let mut last = State::Pending;
    steps.step("the research has begun");
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok(last);
        }
        tokio::time::sleep_until((now + pause).min(until).into()).await;
        pause = (pause * 3 / 2).min(LAST);
        if Instant::now() >= until {
            return Ok(last);
        }
        match ask_once(shared, record, until, cx).await {
            Ok(done @ State::Completed { .. }) => return Ok(done),
            Ok(state) => {
                steps.pulse(if matches!(state, State::Pending) { "waiting for its turn" } else { "researching" });
                (last, failures) = (state, 0);
            }
            // Running out of time is no failure: the handle is the answer then.
            Err(failure) if failure.code() == Code::Timeout && Instant::now() >= until => return Ok(last),
            Err(failure) => {
                failures += 1;
                if failure.is_final() || failures >= STORM {
                    return Err(failure);
                }
                // Whoever is told to come back after its time is up has the handle for that.
                let wait = failure.retry_after().unwrap_or_default();
                if Instant::now().checked_add(wait).is_none_or(|then| then >= until) {
                    return Ok(last);
                }
                pause = pause.max(wait);
            }
        }
    }
}

/// Ask once.
pub(crate) async fn ask_once(
    shared: &Shared,
    record: &Record,
    until: Instant,
    cx: &CallContext,
) -> Result<State, Failure> {
    let task = record.task.as_deref().unwrap_or_default();
    let endpoint = shared.offers.research_of(task);
    let deadline = until.min(Instant::now() + ANSWER);
    let question = Question { endpoint: &endpoint, body: Bytes::new(), deadline, grant: None };
    let mut answer = shared.upstream.ask(question, cx).await.map_err(Failure::unbilled)?;
    let state = state(&mut answer)?;
    if let State::Completed { credits, .. } = &state {
        record.settle(shared, *credits);
    }
    Ok(state)
}

/// What an answer says of a research. A word that nobody knows means that it goes on.
pub(super) fn state(answer: &mut Answer) -> Result<State, Failure> {
    let status = answer.get("status").as_str().map(str::to_ascii_lowercase);
    let has_content = match answer.get("content") {
        Value::String(text) => !text.trim().is_empty(),
        content => content.is_object() || content.is_array(),
    };
    match status.as_deref() {
        Some("completed") if !has_content => Err(Failure::invalid_response("a report without content")),
        Some("completed") => Ok(completed(answer)),
        None if has_content => Ok(completed(answer)),
        Some("failed") => {
            let failure = Failure::new(Code::ResearchFailed).maybe_billed();
            let said = ["error", "detail", "message"].iter().find_map(|name| crate::upstream::said(answer.get(name)));
            Err(failure.with_text(&said.unwrap_or_default()))
        }
        Some("pending") => Ok(State::Pending),
        Some(_) => Ok(State::InProgress),
        None => Err(answer.unusable()),
    }
}

fn completed(answer: &mut Answer) -> State {
    let content = answer.take("content");
    let sources = match answer.take("sources") {
        Value::Array(sources) => sources,
        _ => Vec::new(),
    };
    let (credits, response_time) = (answer.credits(), answer.response_time());
    State::Completed { content: Content { content, sources }, credits, response_time }
}
