//! The tools, one file each, and what they share: waiting for the first look, answers, failures.

mod answer;
pub(crate) mod fetch;
pub(crate) mod search;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use toolgate_plugin::{CallContext, JsonObject, Tool, ToolError};

use self::answer::{Code, failure};
use crate::{
    index::IndexError,
    keeper::{Keeper, Progress, Searchable, State},
    settings::Settings,
};

/// What all tools work with; made once, when the plugin starts.
pub(crate) struct Shared {
    pub(crate) state: Arc<State>,
    pub(crate) keeper: Keeper,
    pub(crate) settings: Settings,
}

/// How much of a call's time is kept for the answer itself.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// How long a call waits before it says how far the keeper is.
const MOMENT: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 500 });

impl Shared {
    /// What to search, once the folders have been looked through or the settings' wait is over; and how far the keeper
    /// is.
    async fn ready(&self, cx: &CallContext) -> (Option<Searchable>, Progress) {
        self.keeper.call();
        let progress = self.looked_through(cx).await;
        (self.state.searchable(), progress)
    }

    /// There is no index.
    fn not_ready(&self) -> ToolError {
        let troubles = self.state.troubles().join("; ");
        failure(Code::NotReady, format!("there is no index to search yet: {troubles}; try again in a moment"))
    }

    async fn looked_through(&self, cx: &CallContext) -> Progress {
        let mut progress = self.state.progress();
        let begun = Instant::now();
        let until = cx
            .deadline
            .and_then(|deadline| deadline.checked_sub(FOR_THE_ANSWER))
            .unwrap_or(begun + self.settings.wait.0);
        let until = until.min(begun + self.settings.wait.0);
        loop {
            let now = *progress.borrow_and_update();
            if now.looked || self.state.is_broken() {
                return now;
            }
            // Who has waited for a moment wants to know why.
            if begun.elapsed() > MOMENT
                && let Some((done, total)) = now.indexing
            {
                #[expect(clippy::cast_precision_loss, reason = "for a bar on a screen")]
                cx.progress.report(done as f64, Some(total as f64), format!("indexing: {done} of {total} documents"));
            }
            tokio::select! {
                () = cx.cancelled.cancelled() => return now,
                changed = tokio::time::timeout_at(until.into(), progress.changed()) => {
                    if !matches!(changed, Ok(Ok(()))) {
                        return now;
                    }
                }
            }
        }
    }

    /// Do what reads the index, off the runtime's threads.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, ToolError> {
        let why = match tokio::task::spawn_blocking(work).await {
            Ok(Ok(read)) => return Ok(read),
            Ok(Err(IndexError::Failed(why))) => why,
            Ok(Err(IndexError::Damaged(why))) => {
                self.keeper.suspect(why.clone());
                why
            }
            // Whatever tantivy makes of damaged files, or of a query that it cannot bear.
            Err(_panic) => {
                let why = "it failed inside".to_owned();
                self.keeper.suspect(why.clone());
                why
            }
        };
        Err(failure(Code::IndexFailed, format!("the index cannot be read: {why}; try again in a moment")))
    }
}

/// The tool as these folders make it: an argument `folder` can name those that there are.
pub(crate) fn with_folders(mut tool: Tool, state: &State) -> Tool {
    let names: Vec<Value> = state.folders().iter().map(|folder| folder.name().into()).collect();
    let mut schema: JsonObject = (*tool.input_schema).clone();
    let choices = schema.get_mut("properties").and_then(|all| all.get_mut("folder")?.get_mut("anyOf")?.as_array_mut());
    for choice in choices.into_iter().flatten() {
        let name = if choice.get("items").is_some() { choice.get_mut("items") } else { Some(choice) };
        if let Some(Value::Object(name)) = name
            && name.get("type").is_some_and(|kind| kind == "string")
        {
            name.insert("enum".into(), Value::Array(names.clone()));
        }
    }
    tool.input_schema = Arc::new(schema);
    tool
}
