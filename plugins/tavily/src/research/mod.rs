//! Research: begun once, followed by asking or as a stream, remembered for whoever began it.
//!
//! The way of one: [`begin`] asks Tavily for it and keeps a record under its handle; [`Begun::wait`] follows it until it
//! is done or the time that the caller has is over. Asking how far it is (`asking`) needs nothing but Tavily's own name
//! for it. A stream (`listening`) has no such name, so it runs in a task of its own: if the caller's time is over it runs
//! on, and what it comes to goes into the record; if the caller leaves, it stops.

mod asking;
mod begin;
mod handles;
mod listening;
mod sse;
mod story;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use toolgate_plugin::{CallContext, Progress};

pub(crate) use self::{
    asking::ask_once,
    begin::{OURS, Plan, begin},
    handles::{Handles, Outcome, Owner, Record},
    story::Content,
};
use crate::{
    credits::Credits,
    report::Cost,
    safety::text,
    shared::Shared,
    upstream::{Code, Failure},
};

/// How far a research is.
#[derive(Debug)]
pub(crate) enum State {
    /// Accepted.
    Pending,
    /// Under way.
    InProgress,
    /// Done: the report, what it cost if Tavily said so, and how long Tavily took.
    Completed { content: Content, credits: Option<Credits>, response_time: Option<f64> },
}

/// Steps as progress reports, which must grow.
pub(crate) struct Steps {
    progress: Progress,
    begun: Instant,
    count: AtomicU32,
}

impl Steps {
    pub(crate) fn new(cx: &CallContext) -> Self {
        Self { progress: cx.progress.clone(), begun: Instant::now(), count: AtomicU32::new(0) }
    }

    /// Report a step.
    fn step(&self, message: &str) {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        self.progress.report(f64::from(count), None, text::line(message, 300));
    }

    /// Report that it goes on.
    fn pulse(&self, message: &str) {
        self.step(&format!("{message}, {} s", self.begun.elapsed().as_secs()));
    }
}

/// Until when a caller waits: by the settings, and before its host gives up on the call.
pub(crate) fn until(shared: &Shared, cx: &CallContext) -> Instant {
    let now = Instant::now();
    let times = shared.times.research;
    let patience = if cx.progress.wanted() { times.wait } else { times.wait_without_progress };
    let hosts = cx.deadline.map(|deadline| {
        let left = deadline.saturating_duration_since(now);
        deadline.checked_sub((left / 10).clamp(Duration::from_millis(250), Duration::from_secs(2))).unwrap_or(now)
    });
    hosts.map_or(now + patience.0, |hosts| hosts.min(now + patience.0))
}

impl Record {
    /// What Tavily has said that it cost is settled.
    pub(crate) fn settle(&self, shared: &Shared, credits: Option<Credits>) {
        if let Some((hold, credits)) = self.hold.clone().zip(credits) {
            shared.budget.settle(hold, credits);
        }
    }

    /// A failure of it, with its handle and what it may have cost.
    pub(crate) fn failed(&self, failure: Failure) -> Failure {
        let cost = Cost::new(None, Credits::whole(self.most));
        let failure = failure.with_request_id(&self.id);
        if failure.may_be_billed() { failure.with_cost(cost) } else { failure }
    }

    /// A failure to learn how far it is, while it goes on.
    fn out_of_sight(&self, failure: Failure) -> Failure {
        let hint = format!(
            "the research may well go on: ask tavily_get_research for \"{}\" later, and do not start it anew",
            self.id
        );
        self.failed(if failure.code() == Code::ResearchFailed {
            failure
        } else {
            failure.maybe_billed().unrepeatable().with_hint(&hint)
        })
    }
}
