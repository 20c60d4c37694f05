//! Claims about the next registry: which plugins run on in it, and when those before it end.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use toolgate_plugin::{
    CallContext, JsonObject, Outcome, Progress, ProviderError, Tool, ToolCall, ToolError, ToolProvider, ToolResult,
    TraceContext,
};

use super::*;
use crate::{
    config::Audit as AuditSection,
    host::{CallEnd, Condition, Current, Surroundings, limits::Limiter},
    policy::{Face, Permit, Principal, Request},
    telemetry::audit::Audit,
};

/// A plugin whose tools can change, and whose calls last until they are let go.
#[derive(Default)]
struct Slow {
    tools: Mutex<Vec<&'static str>>,
    /// Listings that fail before one succeeds.
    failing: AtomicUsize,
    listings: AtomicUsize,
    go: Notify,
    is_down: AtomicBool,
}

#[async_trait]
impl ToolProvider for Slow {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        self.listings.fetch_add(1, Ordering::SeqCst);
        if self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(ProviderError::Unavailable("not now".into()));
        }
        let tools = self.tools.lock().unwrap();
        Ok(tools.iter().map(|name| Tool::new(*name, "", JsonObject::new())).collect())
    }

    async fn call(&self, _: ToolCall, _: CallContext) -> Result<Outcome, ToolError> {
        self.go.notified().await;
        assert!(!self.is_down.load(Ordering::SeqCst), "ended under a call");
        Ok(Outcome::Complete(ToolResult::text("done")))
    }

    async fn shutdown(&self) {
        self.is_down.store(true, Ordering::SeqCst);
    }
}

fn config(plugin: &str) -> Config {
    let text = format!("[endpoints.e]\npath = \"/e\"\nplugins = [\"slow\", \"echo\"]\n{plugin}");
    toml_edit::de::from_str(&text).unwrap()
}

const SLOW: &str = "[plugins.slow]\nlibrary = \"slow\"\n[plugins.slow.tools]\none = { scopes = [] }\n";
const ECHO: &str = "[plugins.echo]\nbuiltin = \"echo\"\n[plugins.echo.tools]\n\"*\" = { scopes = [] }\n";

async fn serving(slow: &Arc<Slow>) -> Current {
    *slow.tools.lock().unwrap() = vec!["one"];
    let config = config(SLOW);
    let limiter = Arc::new(Limiter::new("slow", &config.plugins["slow"].limits));
    let loaded = Loaded::list("slow", Arc::clone(slow) as Arc<dyn ToolProvider>, limiter).await.unwrap();
    let (registry, findings) = Registry::assemble(&config, vec![loaded], TaskTracker::new()).unwrap();
    assert_eq!(findings, []);
    Current::new(registry)
}

async fn permit(registry: &Registry, audit: &Audit, tool: &str) -> Permit {
    let request_id = Arc::from("r");
    let request = Request { face: Face::Cli, request_id: &request_id, endpoint: "e", tool, arguments: None };
    registry.policy().decide(&Arc::new(Principal::local()), request, audit.reserve().await.unwrap()).unwrap()
}

fn audit() -> (Audit, tempfile::TempPath) {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let sink = path.to_str().unwrap().to_owned();
    (Audit::open(&AuditSection { sink, ..AuditSection::default() }).unwrap(), path)
}

fn surroundings() -> Surroundings {
    Surroundings {
        request_id: "r".into(),
        progress: Progress::none(),
        cancelled: CancellationToken::new(),
        trace: TraceContext::default(),
    }
}

#[tokio::test]
async fn calls_finish_where_they_began_and_the_plugin_ends_after_them() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    let (audit, _path) = audit();
    let old = current.load();
    let out = permit(&old, &audit, "one").await;
    let Rebuilt { registry, changes, mut retired, .. } = old.rebuild(&config(ECHO)).await.unwrap();
    assert_eq!(changes.to_string(), "started \"echo\"; removed \"slow\"");
    let mut swaps = current.subscribe();
    drop(current.swap(registry));
    assert!(swaps.has_changed().unwrap() && *swaps.borrow_and_update() == 1);
    let end = tokio::spawn(retired.remove(0).end(CancellationToken::new()));
    // The permit was given before the swap; the call begins after it.
    let call = tokio::spawn(async move { old.call(out, JsonObject::new(), surroundings()).await });
    slow.go.notify_one();
    assert_eq!(call.await.unwrap(), CallEnd::Result(ToolResult::text("done")));
    end.await.unwrap();
    assert!(slow.is_down.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_the_calls_of_a_replaced_plugin() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    let (audit, _path) = audit();
    let _out = permit(&current.load(), &audit, "one").await;
    let mut rebuilt = current.load().rebuild(&config(ECHO)).await.unwrap();
    let at_once = CancellationToken::new();
    at_once.cancel();
    rebuilt.retired.remove(0).end(at_once).await;
    assert!(slow.is_down.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_new_library_that_does_not_load_leaves_the_one_before_serving_under_the_new_rules() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    let edited = config(&SLOW.replace("one = { scopes = [] }", "one = { scopes = [], name = \"uno\" }"));
    let rebuilt = current.load().rebuild(&edited).await.unwrap();
    assert_eq!(rebuilt.changes.to_string(), "kept as before \"slow\"");
    assert!(rebuilt.retired.is_empty() && !rebuilt.registry.is_whole());
    assert!(rebuilt.registry.tool("e", "uno").is_some() && rebuilt.registry.tool("e", "one").is_none());
    let state = rebuilt.registry.states().await.remove(0);
    assert_eq!((state.condition, state.required), (Condition::Degraded, false));
    assert!(state.reason.is_some_and(|reason| reason.ends_with("; the one before serves on")));
    assert!(rebuilt.registry.suits(&edited).await, "what was tried in vain is not tried without a reason");
}

#[tokio::test]
async fn a_plugin_that_stays_the_same_runs_on() {
    let (registry, _) = Registry::build(&config(ECHO), TaskTracker::new()).await.unwrap();
    assert!(registry.suits(&config(ECHO)).await);
    let edited = config(&ECHO.replace("scopes = []", "scopes = [], rate = \"1/h\""));
    let rebuilt = registry.rebuild(&edited).await.unwrap();
    assert_eq!(rebuilt.changes.to_string(), "kept \"echo\"");
    let instance = |registry: &Registry| Arc::clone(&registry.plugin("echo").unwrap().instance);
    assert!(Arc::ptr_eq(&instance(&registry), &instance(&rebuilt.registry)));
    let limited = config(&ECHO.replace("[plugins.echo.tools]", "limits = { concurrency = 1 }\n[plugins.echo.tools]"));
    let relimited = rebuilt.registry.rebuild(&limited).await.unwrap();
    assert_eq!(relimited.changes.to_string(), "kept \"echo\"", "other bounds need no other instance");
    let limiter = |registry: &Registry| Arc::clone(&registry.plugin("echo").unwrap().limiter);
    assert!(!Arc::ptr_eq(&limiter(&rebuilt.registry), &limiter(&relimited.registry)));
}

#[tokio::test]
async fn a_tool_that_appears_while_running_stays_hidden_until_a_rule_maps_it() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    let config = config(SLOW);
    assert!(current.load().relist(&config).await.is_none(), "nothing has changed");
    *slow.tools.lock().unwrap() = vec!["two", "one"];
    current.load().plugin("slow").unwrap().instance.change();
    let rebuilt = current.load().relist(&config).await.unwrap().unwrap();
    assert!(rebuilt.registry.tool("e", "one").is_some() && rebuilt.registry.tool("e", "two").is_none());
    let state = rebuilt.registry.states().await.remove(0);
    assert_eq!((state.condition, state.tools), (Condition::Ready, 2));
    assert!(state.warnings.len() == 1 && state.warnings[0].contains("\"two\""), "{:?}", state.warnings);
    assert!(rebuilt.retired.is_empty());
}

#[tokio::test]
async fn tools_that_cannot_be_listed_are_tried_again_ever_later() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    let registry = current.load();
    let plugin = registry.plugin("slow").unwrap();
    slow.failing.store(8, Ordering::SeqCst);
    plugin.instance.change();
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert!(relisted(plugin).await.lists_as(plugin), "those before stay");
        let wait = plugin.instance.due().expect("it is tried again") - Instant::now();
        assert_eq!(wait.as_secs_f64().round() as u64, seconds);
    }
    *slow.tools.lock().unwrap() = vec!["one", "two"];
    assert!(!relisted(plugin).await.lists_as(plugin));
    assert!(plugin.instance.due().is_none(), "listed");
}

#[tokio::test]
async fn tools_are_listed_once_a_second_however_often_they_change_and_equal_ones_swap_nothing() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    let config = config(SLOW);
    let registry = current.load();
    let instance = &registry.plugin("slow").unwrap().instance;
    for listings in [2, 2, 2] {
        instance.change();
        assert!(registry.relist(&config).await.is_none(), "the same tools, or not yet");
        assert_eq!(slow.listings.load(Ordering::SeqCst), listings);
    }
    *slow.tools.lock().unwrap() = vec![];
    let begun = Instant::now();
    registry.tools_due().await;
    assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    let rebuilt = registry.relist(&config).await.expect("the last change is not forgotten").unwrap();
    assert!(rebuilt.registry.tool("e", "one").is_none());
}

#[tokio::test]
async fn tools_that_an_edit_was_refused_with_are_not_forgotten() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    let registry = current.load();
    *slow.tools.lock().unwrap() = vec!["one", "two"];
    registry.plugin("slow").unwrap().instance.change();
    let refused = config(&SLOW.replace("one =", "two = {}\none ="));
    assert!(registry.relist(&refused).await.is_some_and(|relisted| relisted.is_err()));
    let due = registry.plugin("slow").unwrap().instance.due().expect("it is tried again");
    assert!(due > Instant::now() + Duration::from_secs(30), "at leisure: nothing but an edit mends it");
}

#[tokio::test]
async fn a_plugin_that_has_ended_is_not_ready_and_is_started_anew() {
    let (registry, _) = Registry::build(&config(ECHO), TaskTracker::new()).await.unwrap();
    registry.plugin("echo").unwrap().instance.end();
    assert_eq!(registry.states().await[0].condition, Condition::Failed);
    assert!(!registry.suits(&config(ECHO)).await, "another try is worth it");
    let rebuilt = registry.rebuild(&config(ECHO)).await.unwrap();
    assert_eq!((rebuilt.changes.to_string().as_str(), rebuilt.retired.len()), ("replaced \"echo\"", 1));
    assert_eq!(rebuilt.registry.states().await[0].condition, Condition::Ready);
}

#[tokio::test]
async fn a_plugin_that_has_ended_and_does_not_start_stays_with_both_reasons() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    current.load().plugin("slow").unwrap().instance.end();
    let rebuilt = current.load().rebuild(&config(SLOW)).await.unwrap();
    assert_eq!(rebuilt.changes.to_string(), "kept as before \"slow\"");
    let state = rebuilt.registry.states().await.remove(0);
    assert_eq!(state.condition, Condition::Failed);
    assert!(state.reason.is_some_and(|reason| !reason.contains("serves on")));
}

#[tokio::test]
async fn a_registry_that_nobody_uses_is_dropped() {
    let (registry, _) = Registry::build(&config(ECHO), TaskTracker::new()).await.unwrap();
    let current = Current::new(registry);
    let mut before = Vec::new();
    for _ in 0..20 {
        let next = current.load().rebuild(&config(ECHO)).await.unwrap();
        before.push(Arc::downgrade(&current.swap(next.registry)));
    }
    assert_eq!(before.iter().filter(|registry| registry.strong_count() > 0).count(), 0);
}

#[tokio::test]
async fn what_was_started_for_a_registry_that_is_refused_ends_and_the_one_before_serves_on() {
    let slow = Arc::new(Slow::default());
    let current = serving(&slow).await;
    let refused = config(&format!("{SLOW}{}", ECHO.replace("\"*\" = { scopes = [] }", "")));
    let Err(BuildError::Rules(findings)) = current.load().rebuild(&refused).await else { panic!("refused") };
    assert!(findings.iter().any(|finding| finding.message.contains("\"echo\" has no rule")), "{findings:?}");
    assert!(!slow.is_down.load(Ordering::SeqCst));
}

#[tokio::test]
async fn other_settings_make_another_instance_and_retire_the_one_before() {
    let tavily = |key: &str| {
        config(&format!(
            "[plugins.slow]\nbuiltin = \"tavily\"\nsettings = {{ api_key = \"{key}\" }}\ntools.\"*\" = {{ scopes = [] }}\n"
        ))
    };
    let (registry, _) = Registry::build(&tavily("tvly-one"), TaskTracker::new()).await.unwrap();
    let rebuilt = registry.rebuild(&tavily("tvly-two")).await.unwrap();
    assert_eq!((rebuilt.changes.to_string().as_str(), rebuilt.retired.len()), ("replaced \"slow\"", 1));
    let rebuilt = registry.rebuild(&tavily("tvly-one")).await.unwrap();
    assert_eq!((rebuilt.changes.to_string().as_str(), rebuilt.retired.len()), ("kept \"slow\"", 0));
}
