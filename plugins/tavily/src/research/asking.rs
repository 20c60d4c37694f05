//! Asking Tavily how far a research is: often at first, then more rarely.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use toolgate_plugin::CallContext;

use super::{Content, Record, State, Steps};
use crate::{
    credits::Credits,
    shared::Shared,
    upstream::{Answer, Code, Failure, Question},
};

/// When to ask first, and how rarely at last.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(10);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// So often in a row Tavily may know no such research, since it may not have heard of what it has just accepted, or answer
/// what nobody understands.
const UNKNOWN: u32 = 3;

/// Ask until it is done, or the time is over. That Tavily cannot be asked for a while ends nothing: it goes on there.
pub(super) async fn wait(
    shared: &Shared,
    record: &Record,
    until: Instant,
    steps: &Steps,
    cx: &CallContext,
) -> Result<State, Failure> {
    let (mut pause, mut unknown) = (FIRST, 0);
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
                (last, unknown) = (state, 0);
            }
            // Running out of time is no failure: the handle is the answer then.
            Err(failure) if failure.code() == Code::Timeout && Instant::now() >= until => return Ok(last),
            Err(failure) => {
                let answered = matches!(failure.code(), Code::NotFound | Code::InvalidResponse);
                unknown = if answered { unknown + 1 } else { 0 };
                if failure.is_final() || unknown >= UNKNOWN {
                    return Err(failure);
                }
                steps.pulse("Tavily does not say how far it is");
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
    let state = state(shared, Credits::whole(record.most), &mut answer);
    match &state {
        Ok(State::Completed { credits, .. }) => record.settle(shared, *credits),
        // What failed has its price as well.
        Err(failure) => record.settle(shared, failure.price()),
        Ok(_) => {}
    }
    state
}

/// What an answer says of a research that costs `most` at most. A word that nobody knows means that it goes on.
pub(super) fn state(shared: &Shared, most: Credits, answer: &mut Answer) -> Result<State, Failure> {
    let credits = shared.believed(answer.credits(), most);
    let status = answer.get("status").as_str().map(str::to_ascii_lowercase);
    let has_content = match answer.get("content") {
        Value::String(text) => !text.trim().is_empty(),
        content => content.is_object() || content.is_array(),
    };
    match status.as_deref() {
        Some("completed") if !has_content => Err(Failure::invalid_response("a report without content")),
        Some("completed") => Ok(completed(answer, credits)),
        None if has_content => Ok(completed(answer, credits)),
        Some("failed") => {
            let failure = Failure::new(Code::ResearchFailed).maybe_billed();
            let said = ["error", "detail", "message"].iter().find_map(|name| crate::upstream::said(answer.get(name)));
            let failure = failure.with_text(&said.unwrap_or_default());
            Err(match credits {
                Some(credits) => failure.with_price(credits),
                None => failure,
            })
        }
        Some("pending") => Ok(State::Pending),
        Some(_) => Ok(State::InProgress),
        None => Err(answer.unusable()),
    }
}

fn completed(answer: &mut Answer, credits: Option<Credits>) -> State {
    let content = answer.take("content");
    let sources = match answer.take("sources") {
        Value::Array(sources) => sources,
        _ => Vec::new(),
    };
    State::Completed { content: Content { content, sources }, credits, response_time: answer.response_time() }
}
