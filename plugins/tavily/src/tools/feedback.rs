//! `tavily_feedback`: `POST /feedback`. Never sent twice: there is nothing to tell a repetition by.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use toolgate_plugin::{CallContext, ToolError, ToolSet, ToolSpec};

use super::body;
use crate::{
    report::{Cost, Report},
    research::{OURS, Owner},
    safety::{address, text},
    shared::Shared,
    upstream::{Code, Failure, Question, answer, said},
};

const DESCRIPTION: &str = "\
Tell Tavily how good an earlier result was, by its request_id (every result has one). Uploads what you write, so leave \
out what is private. Only if the person wants feedback to be sent; it never helps the task at hand. Free, best effort: \
if it fails, go on without it.";

/// Add the tool.
pub(crate) fn add_to(tools: ToolSet<Shared>) -> ToolSet<Shared> {
    let spec = ToolSpec {
        name: "tavily_feedback".into(),
        title: Some("Rate a result".into()),
        description: DESCRIPTION.into(),
        annotations: Some(super::spends()),
    };
    tools.tool_with(spec, feedback)
}

/// Arguments of `tavily_feedback`: `request_id` or `session_id`, and what there is to say.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackArgs {
    /// The result that is rated. This or session_id is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    request_id: Option<String>,
    /// The session that is rated as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    session_id: Option<String>,
    /// Your score: 1 perfect, 0 irrelevant, -1 harmful; or a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "score_schema")]
    agent_score: Option<Score>,
    /// The person's score, in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "score_schema")]
    human_score: Option<Score>,
    /// Further scores, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    extra_scores: Option<Vec<LabelledScore>>,
    /// What there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10_000))]
    comment: Option<String>,
    /// The answer that the person got. It is uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100_000))]
    response_delivered: Option<String>,
    /// The sources that were used, by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 4096)))]
    used_urls: Option<Vec<String>>,
    /// The sources that were used, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 200)))]
    used_ids: Option<Vec<String>>,
    /// Passages that were cited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 4000)))]
    used_citations: Option<Vec<String>>,
    /// Scores of single sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    urls_scores: Option<Vec<SourceScore>>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
enum Score {
    Number(serde_json::Number),
    Word(String),
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
struct LabelledScore {
    /// What is scored.
    #[schemars(length(min = 1, max = 200))]
    label: String,
    /// The score.
    #[schemars(schema_with = "given_score_schema")]
    value: Score,
}

/// A score of one source, named by its id or its URL.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
struct SourceScore {
    /// The source's id. This or url is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    id: Option<String>,
    /// The source's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    url: Option<String>,
    /// Your score of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "score_schema")]
    agent_score: Option<Score>,
    /// Further scores, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    scores: Option<Vec<LabelledScore>>,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    comment: Option<String>,
}

fn score_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["number", "string", "null"], "minLength": 1, "maxLength": 100 })
}

fn given_score_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["number", "string"], "minLength": 1, "maxLength": 100 })
}

/// The result of `tavily_feedback`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Recorded {
    /// Whether Tavily has taken it.
    success: bool,
    /// Tavily's id of it.
    feedback_id: Option<String>,
    /// What it cost: nothing.
    cost: Cost,
    /// How long Tavily took, in seconds.
    response_time: Option<f64>,
}

impl FeedbackArgs {
    fn conflict(&self) -> Result<(), ToolError> {
        let blank = |id: &Option<String>| id.as_deref().is_none_or(|id| id.trim().is_empty());
        if blank(&self.request_id) && blank(&self.session_id) {
            return Err(ToolError::invalid("", "name the result by request_id, or the session by session_id"));
        }
        for (n, source) in self.urls_scores.iter().flatten().enumerate() {
            if blank(&source.id) && blank(&source.url) {
                return Err(ToolError::invalid(format!("/urls_scores/{n}"), "name the source by id or url"));
            }
        }
        // What points inside stays inside.
        let used = self.used_urls.iter().flatten().enumerate().map(|(n, url)| (format!("/used_urls/{n}"), url));
        let scored = self.urls_scores.iter().flatten().enumerate();
        let scored = scored.filter_map(|(n, source)| Some((format!("/urls_scores/{n}/url"), source.url.as_ref()?)));
        for (path, url) in used.chain(scored) {
            address::outward(url).map_err(|reason| ToolError::invalid(path, reason))?;
        }
        Ok(())
    }
}

/// A research's handle may be a name of ours, which Tavily does not know: its own goes in its place, if it has one.
async fn named_by_tavily(shared: &Shared, id: Option<String>, cx: &CallContext) -> Result<Option<String>, ToolError> {
    let Some(ours) = id.as_deref().map(str::trim).filter(|id| id.starts_with(OURS)) else { return Ok(id) };
    let known = shared.handles.find(&Owner::of(&cx.caller), Some(ours)).await;
    known.and_then(|record| record.task).map(Some).ok_or_else(|| {
        let message = "this research was streamed, so Tavily has no name for it and it cannot be rated; leave it out";
        ToolError::invalid("/request_id", message)
    })
}

async fn feedback(shared: Arc<Shared>, mut args: FeedbackArgs, cx: CallContext) -> Result<Report<Recorded>, ToolError> {
    shared.need_key()?;
    args.conflict()?;
    args.request_id = named_by_tavily(&shared, args.request_id, &cx).await?;
    let deadline = shared.upstream.deadline(shared.times.call, &cx);
    let question = Question { endpoint: &shared.offers.feedback, body: body(&args)?.into(), deadline, grant: None };
    let answer = tokio::select! {
        biased;
        () = cx.cancelled.cancelled() => return Err(ToolError::Cancelled),
        answer = shared.upstream.ask(question, &cx) => answer.map_err(|failure| {
            let failure = match failure.may_be_billed() {
                true => failure.with_words("tavily may have taken the feedback, or not; go on without it, and do not send it again"),
                false => failure,
            };
            shared.fail(failure)
        })?,
    };
    // A success that does not say otherwise is one.
    if ["error", "detail"].iter().any(|name| said(answer.get(name)).is_some_and(|said| !said.trim().is_empty())) {
        return Err(shared.fail(answer.unusable().unrepeatable()));
    }
    if answer.get("success").as_bool() == Some(false) {
        let failure = Failure::in_words(Code::Error, "tavily did not take the feedback; go on without it");
        return Err(shared.fail(failure.unrepeatable()));
    }
    let feedback_id = answer::id(answer.get("feedback_id")).map(|id| text::line(&id, 100));
    let value = Recorded { success: true, feedback_id, cost: Cost::FREE, response_time: answer.response_time() };
    Ok(Report { text: "Tavily has taken the feedback.".into(), value })
}
