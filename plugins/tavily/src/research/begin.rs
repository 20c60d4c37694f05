//! A research is asked for once, and recorded before anything else happens to it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::Response;
use serde_json::Value;
use toolgate_plugin::{CallContext, JsonObject, ToolError};
use uuid::Uuid;

use super::{
    Outcome, Owner, Record, State, Steps, asking,
    handles::Running,
    listening::{self, Listener},
};
use crate::{
    credits::{Credits, Grant},
    report::Cost,
    shared::Shared,
    upstream::{Answer, Code, Failure, Opened, Question, answer},
};

/// How long Tavily may take to accept a research, or to begin a stream.
const ACCEPTED: Duration = Duration::from_secs(30);

/// How handles begin that are names of ours.
pub(crate) const OURS: &str = "here-";

/// A research to begin.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The request, without `stream`.
    pub(crate) request: JsonObject,
    pub(crate) model: Option<String>,
    pub(crate) most: u32,
    pub(crate) exclude: Vec<String>,
    pub(crate) wants_object: bool,
    /// Whether to ask for a stream at once; otherwise only if Tavily insists.
    pub(crate) stream: bool,
}

/// A research that has begun.
pub(crate) struct Begun {
    pub(crate) record: Record,
    way: Way,
}

enum Way {
    /// Tavily can be asked.
    Asking,
    /// Tavily has answered with the report at once.
    Done(State),
    /// It tells by itself.
    Listening(Listener),
}

/// Begin a research. What was sent is recorded even if the caller leaves meanwhile: it may have been billed.
pub(crate) async fn begin(shared: &Arc<Shared>, plan: Plan, cx: &CallContext) -> Result<Begun, ToolError> {
    if shared.handles.prepare().await.is_err() {
        let words = "this server cannot keep what it starts; tell its operator to look at the log";
        return Err(shared.fail(Failure::in_words(Code::StateUnavailable, words)));
    }
    let most = Credits::whole(plan.most);
    let reserved = shared.budget.reserve(&cx.caller.subject, most).await;
    let grant = reserved.map_err(|refusal| shared.refused(refusal, most))?;
    let asked = tokio::spawn(ask(Arc::clone(shared), plan, grant, cx.clone()));
    let begun = tokio::select! {
        biased;
        () = cx.cancelled.cancelled() => return Err(ToolError::Cancelled),
        begun = asked => begun.map_err(|error| ToolError::failed(format!("the research did not begin: {error}")))?,
    };
    begun.map_err(|failure| shared.fail(failure))
}

async fn ask(shared: Arc<Shared>, plan: Plan, mut grant: Grant, cx: CallContext) -> Result<Begun, Failure> {
    let cost = Cost::new(None, Credits::whole(plan.most));
    let mut opened = open(&shared, &plan, plan.stream, &mut grant, &cx).await;
    if let Err(failure) = &opened
        && failure.wants_stream()
        && !plan.stream
    {
        opened = open(&shared, &plan, true, &mut grant, &cx).await;
    }
    match opened {
        Ok(Opened::Stream(response)) => listen(shared, plan, grant, response, &cx).await,
        Ok(Opened::Answer(answer)) => accepted(&shared, plan, grant, answer, &cx).await,
        Err(failure) if failure.may_be_billed() => Err(failure.with_cost(cost)),
        Err(failure) => {
            grant.settle(Credits::default());
            Err(failure)
        }
    }
}

async fn open(
    shared: &Shared,
    plan: &Plan,
    stream: bool,
    grant: &mut Grant,
    cx: &CallContext,
) -> Result<Opened, Failure> {
    let mut request = plan.request.clone();
    if stream {
        request.insert("stream".into(), true.into());
    }
    let body: Bytes = Value::Object(request).to_string().into();
    let hosts = cx.deadline.unwrap_or_else(|| Instant::now() + ACCEPTED);
    let deadline = hosts.min(Instant::now() + ACCEPTED);
    let question = Question { endpoint: shared.offers.research(), body, deadline, grant: Some(grant) };
    shared.upstream.open(question, cx).await
}

/// Tavily has taken it, and given it a name; or has answered at once.
async fn accepted(
    shared: &Arc<Shared>,
    plan: Plan,
    grant: Grant,
    mut answer: Answer,
    cx: &CallContext,
) -> Result<Begun, Failure> {
    let cost = Cost::new(None, Credits::whole(plan.most));
    let task = answer::id(answer.get("request_id"));
    let content = answer.get("content");
    let done = (!content.is_null()).then(|| asking::state(shared, Credits::whole(plan.most), &mut answer));
    match (task, done) {
        (task, Some(state)) => {
            let state = match state {
                Ok(state) => state,
                Err(failure) => {
                    let Some(price) = failure.price() else { return Err(failure.of_deed().with_cost(cost)) };
                    grant.settle(price);
                    return Err(failure);
                }
            };
            let mut record = plan.record(handle(task.as_deref()), task, grant);
            if let State::Completed { content, credits, .. } = &state {
                record.settle(shared, *credits);
                // What has no name to ask by is kept here.
                if record.task.is_none() {
                    record.outcome = Some(Outcome::Report(content.clone()));
                    record.cost = credits.map(Credits::as_f64);
                }
            }
            // The report is in the caller's hands whether or not it can be asked for again.
            let _ = shared.handles.save(&Owner::of(&cx.caller), &record).await;
            Ok(Begun { record, way: Way::Done(state) })
        }
        (Some(task), None) => {
            let record = plan.record(handle(Some(&task)), Some(task), grant);
            let _ = shared.handles.save(&Owner::of(&cx.caller), &record).await;
            Ok(Begun { record, way: Way::Asking })
        }
        (None, None) => Err(answer.unusable().of_deed().with_cost(cost)),
    }
}

async fn listen(
    shared: Arc<Shared>,
    plan: Plan,
    grant: Grant,
    response: Response,
    cx: &CallContext,
) -> Result<Begun, Failure> {
    let owner = Owner::of(&cx.caller);
    let record = plan.record(handle(None), None, grant);
    // Without it the stream is followed all the same, as long as its caller waits.
    let running: Option<Running> = shared.handles.running(&owner, &record.id).await.ok();
    let _ = shared.handles.save(&owner, &record).await;
    let listener = listening::spawn(shared, owner, record.clone(), response, running);
    Ok(Begun { record, way: Way::Listening(listener) })
}

/// The handle of a research: Tavily's name for it if that can be passed on as it is.
fn handle(task: Option<&str>) -> String {
    let plain = |task: &&str| {
        (1..=128).contains(&task.len())
            && task.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    task.filter(plain).map_or_else(|| format!("{OURS}{}", Uuid::new_v4()), str::to_owned)
}

impl Plan {
    fn record(self, id: String, task: Option<String>, grant: Grant) -> Record {
        let Self { model, most, exclude, wants_object, .. } = self;
        let mut record = Record::new(id, task);
        record.model = model;
        record.most = most;
        record.exclude = exclude;
        record.wants_object = wants_object;
        record.hold = grant.into_hold();
        record
    }
}

impl Begun {
    /// Wait until it is done, or the caller's time is over. A stream that nobody waits for any more stops, unless the
    /// caller has had its time.
    pub(crate) async fn wait(self, shared: &Shared, until: Instant, cx: &CallContext) -> Result<State, ToolError> {
        let steps = Steps::new(cx);
        let record = self.record;
        let work = async {
            match self.way {
                Way::Done(state) => Ok(state),
                Way::Asking => asking::wait(shared, &record, until, &steps, cx)
                    .await
                    .map_err(|failure| record.out_of_sight(failure)),
                Way::Listening(listener) => {
                    listener.wait(until, &steps).await.map_err(|failure| record.failed(failure.of_deed()))
                }
            }
        };
        let state = tokio::select! {
            biased;
            () = cx.cancelled.cancelled() => return Err(ToolError::Cancelled),
            state = work => state,
        };
        state.map_err(|failure| shared.fail(failure))
    }

    /// Let it run; its handle is all that its caller wants now.
    pub(crate) fn leave(self) -> Result<State, ToolError> {
        match self.way {
            Way::Done(state) => Ok(state),
            Way::Asking => Ok(State::Pending),
            Way::Listening(listener) => {
                listener.leave();
                Ok(State::Pending)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_passed_on_gets_another() {
        assert_eq!(handle(Some("r-77_a.b:c")), "r-77_a.b:c");
        for name in ["", "a b", "x\nSYSTEM", "ü", &"a".repeat(200)] {
            assert!(handle(Some(name)).starts_with("here-"), "{name}");
        }
        assert_ne!(handle(None), handle(None));
    }
}
