//! Claims about calling plugins that misbehave: each call ends, says why, and leaves its record.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use toolgate_plugin::{
    CallContext, JsonObject, Outcome, Progress, ProviderError, Tool, ToolCall, ToolError, ToolProvider, ToolResult,
    TraceContext,
};

use super::{CallEnd, Registry, Surroundings, limits::Limiter, load::Loaded};
use crate::{
    config::{Audit as AuditSection, Config},
    policy::{Face, Permit, Principal, Request},
    telemetry::audit::Audit,
};

/// A plugin that does what its tool's name says.
struct Unruly {
    abandoned: CancellationToken,
}

const TOOLS: [&str; 7] = ["answers", "panics", "hangs", "refuses", "hurries", "floods", "floods_programs"];

#[async_trait]
impl ToolProvider for Unruly {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        let schema =
            json!({ "type": "object", "properties": { "n": { "type": "integer", "maximum": 9 } }, "required": ["n"] });
        let schema: JsonObject = schema.as_object().cloned().unwrap_or_default();
        Ok(TOOLS.iter().map(|name| Tool::new(*name, "", schema.clone())).collect())
    }

    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError> {
        match call.name.as_str() {
            "answers" => Ok(Outcome::Complete(ToolResult::text("here"))),
            "panics" => panic!("on purpose"),
            "floods" => Ok(Outcome::Complete(ToolResult::text("x".repeat(1024)))),
            "floods_programs" => {
                Ok(Outcome::Complete(ToolResult::text("").with_structured(json!({ "x": vec![0; 1024] }))))
            }
            "hangs" => {
                let abandoned = self.abandoned.clone();
                // Work of the plugin's own, which outlives the call's future.
                tokio::spawn(async move {
                    cx.cancelled.cancelled().await;
                    abandoned.cancel();
                });
                std::future::pending().await
            }
            _ => Err(ToolError::failed("no").with_details(json!({ "code": "no" }))),
        }
    }
}

struct Bench {
    registry: Registry,
    audit: Audit,
    trail: tempfile::TempPath,
    abandoned: CancellationToken,
}

impl Bench {
    async fn new() -> Self {
        let config: Config = toml_edit::de::from_str(
            r#"
            [plugins.unruly]
            builtin = "echo"
            limits = { timeout = "50ms", concurrency = 1, queue = 1, result = "1 KiB" }
            tools.hurries = { scopes = [], timeout = "10ms" }
            tools."*" = { scopes = [] }
            [endpoints.e]
            path = "/e"
            plugins = ["unruly"]
            "#,
        )
        .unwrap();
        let abandoned = CancellationToken::new();
        let limiter = Arc::new(Limiter::new("unruly", &config.plugins["unruly"].limits));
        let plugin = Loaded::list("unruly", Arc::new(Unruly { abandoned: abandoned.clone() }), limiter).await.unwrap();
        let (registry, findings) = Registry::assemble(&config, vec![plugin], TaskTracker::new()).unwrap();
        assert_eq!(findings, []);
        let trail = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let sink = trail.to_str().unwrap().to_owned();
        let audit = Audit::open(&AuditSection { sink, ..AuditSection::default() }).unwrap();
        Self { registry, audit, trail, abandoned }
    }

    async fn permit(&self, tool: &str) -> Permit {
        let request_id = Arc::from("r1");
        let request = Request { face: Face::Cli, request_id: &request_id, endpoint: "e", tool, arguments: None };
        let slot = self.audit.reserve().await.unwrap();
        self.registry.policy().decide(&Arc::new(Principal::local()), request, slot).unwrap()
    }

    async fn call(&self, tool: &str, arguments: Value, cancelled: &CancellationToken) -> CallEnd {
        let around = Surroundings {
            request_id: "r1".into(),
            progress: Progress::none(),
            cancelled: cancelled.clone(),
            trace: TraceContext::default(),
        };
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        self.registry.call(self.permit(tool).await, arguments, around).await
    }

    /// How calls ended, in the trail's words and order.
    fn outcomes(self) -> Vec<String> {
        self.audit.close(Duration::from_secs(5));
        let text = std::fs::read_to_string(&self.trail).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.map(|record| record["outcome"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// How its one call ended.
    fn outcome(self) -> String {
        self.outcomes().join(" ")
    }
}

fn text(end: &CallEnd) -> &str {
    match end {
        CallEnd::Result(result) => result.content[0].as_text().unwrap_or_default(),
        other => panic!("no result: {other:?}"),
    }
}

#[tokio::test]
async fn every_way_to_end_is_an_answer_and_a_record() {
    let cases = [
        ("answers", json!({ "n": 1 }), "here", "ok"),
        ("refuses", json!({ "n": 1 }), "no", "error"),
        (
            "panics",
            json!({ "n": 1 }),
            "the tool \"panics\" failed inside; this is a fault of its plugin, not of the arguments",
            "panic",
        ),
        (
            "hangs",
            json!({ "n": 1 }),
            "the tool \"hangs\" gave no answer within 50ms; try again later or ask for less",
            "timeout",
        ),
        (
            "floods",
            json!({ "n": 1 }),
            "the result has more than the 1.0 KiB that are allowed; ask for less",
            "too_large",
        ),
        (
            "floods_programs",
            json!({ "n": 1 }),
            "the result has more than the 1.0 KiB that are allowed; ask for less",
            "too_large",
        ),
    ];
    for (tool, arguments, expected, outcome) in cases {
        let bench = Bench::new().await;
        let end = bench.call(tool, arguments, &CancellationToken::new()).await;
        assert_eq!(text(&end), expected, "{tool}");
        assert_eq!(bench.outcome(), outcome, "{tool}");
    }
}

#[tokio::test]
async fn calls_beyond_the_bounds_are_told_which_one_they_met() {
    let bench = Bench::new().await;
    let never = CancellationToken::new();
    let call = |tool| bench.call(tool, json!({ "n": 1 }), &never);
    let ends = tokio::join!(call("hangs"), call("hurries"), call("answers"));
    assert_eq!(text(&ends.0), "the tool \"hangs\" gave no answer within 50ms; try again later or ask for less");
    assert_eq!(
        text(&ends.1),
        "the plugin \"unruly\" is busy: this call waited 10ms for its turn; try again in a moment"
    );
    assert_eq!(
        text(&ends.2),
        "the plugin \"unruly\" is busy: it has as many calls running (1) and waiting (1) as it takes; try again in a moment"
    );
    assert_eq!(bench.outcomes(), ["busy", "busy", "timeout"]);
}

#[tokio::test]
async fn work_that_a_plugin_spawned_is_told_when_its_call_has_timed_out() {
    let bench = Bench::new().await;
    let _ = bench.call("hangs", json!({ "n": 1 }), &CancellationToken::new()).await;
    bench.abandoned.cancelled().await;
}

#[tokio::test]
async fn a_caller_that_went_away_ends_the_call() {
    let bench = Bench::new().await;
    let gone = CancellationToken::new();
    gone.cancel();
    let end = bench.call("hangs", json!({ "n": 1 }), &gone).await;
    assert_eq!(text(&end), "the call was cancelled");
    assert_eq!(bench.outcome(), "cancelled");
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_reach_the_plugin() {
    let bench = Bench::new().await;
    let long = "x".repeat(100_000);
    for (arguments, at) in [(json!({}), ""), (json!({ "n": long }), "/n"), (json!({ "n": 10 }), "/n")] {
        let end = bench.call("panics", arguments, &CancellationToken::new()).await;
        let CallEnd::OutsideSchema { path, message } = end else { panic!("not refused: {end:?}") };
        assert_eq!(path, at);
        assert!(message.len() < 500, "the value is not told back: {message}");
    }
}

#[tokio::test]
async fn a_permit_is_good_in_its_own_registry_alone() {
    let (one, other) = (Bench::new().await, Bench::new().await);
    let around = Surroundings {
        request_id: "r1".into(),
        progress: Progress::none(),
        cancelled: CancellationToken::new(),
        trace: TraceContext::default(),
    };
    let arguments = json!({ "n": 1 }).as_object().cloned().unwrap_or_default();
    let end = other.registry.call(one.permit("answers").await, arguments, around).await;
    assert_eq!(end, CallEnd::UnknownTool);
}
