//! The plugin under test: one tool a situation.

use std::{future::pending, sync::Mutex};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::yield_now,
};
use toolgate_plugin::{
    CallContext, Health, HostHandle, JsonObject, LogLevel, Outcome, Plugin, ProviderError, Tool, ToolCall, ToolError,
    ToolProvider, ToolResult, async_trait, export_plugin, schemars, serde, serde_json,
};

export_plugin!(Sample, name = "sample");

pub(crate) struct Sample {
    host: HostHandle,
    settings: Settings,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// What `tools/list` and the health do: nothing, or "panic" or "fail".
    #[serde(default)]
    lists: String,
    /// What the start does: nothing, or "panic", "fail" or "refuse".
    #[serde(default)]
    start: String,
    #[serde(default)]
    limits: Limits,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limits {
    #[serde(default)]
    sizes: Vec<u8>,
}

/// Handles that outlive their instance, as a plugin's own threads may hold them.
pub(crate) static KEPT: Mutex<Vec<HostHandle>> = Mutex::new(Vec::new());

/// Says in the log that it is dropped; panics after it if told to.
struct Dropped {
    host: HostHandle,
    panics: bool,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.host.log(LogLevel::Debug, "dropped");
        assert!(!self.panics, "a secret in a drop");
    }
}

/// Thrown, it throws again when it is put away.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a secret in a payload");
    }
}

/// Throws one when it is dropped.
struct Thrown;

impl Drop for Thrown {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb);
    }
}

impl Plugin for Sample {
    type Settings = Settings;

    async fn start(settings: Settings, host: HostHandle) -> Result<Self, ProviderError> {
        yield_now().await;
        host.log(LogLevel::Info, format!("starts as {} in {}", host.plugin(), host.state_dir().display()));
        match settings.start.as_str() {
            "panic" => panic!("a secret at the start"),
            "bomb" => std::panic::panic_any(Bomb),
            "fail" => return Err(ProviderError::Unavailable("no upstream".into())),
            "refuse" => return Err(ProviderError::settings("start", "not this one")),
            _ => {}
        }
        assert!(settings.limits.sizes.len() < 100, "used");
        Ok(Self { host, settings })
    }
}

#[async_trait]
impl ToolProvider for Sample {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        match self.settings.lists.as_str() {
            "panic" => panic!("a secret in the list"),
            "fail" => Err(ProviderError::Unavailable("no list".into())),
            _ => Ok(vec![Tool::new("echo", "Give back", JsonObject::new())]),
        }
    }

    async fn health(&self) -> Health {
        match self.settings.lists.as_str() {
            "fail" => Health::Degraded("no list".into()),
            _ => Health::Ready,
        }
    }

    async fn shutdown(&self) {
        yield_now().await;
        self.host.log(LogLevel::Warn, "shut down");
    }

    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError> {
        let text = match call.name.as_str() {
            "echo" => serde_json::Value::Object(call.arguments).to_string(),
            "later" => {
                yield_now().await;
                std::thread::current().name().unwrap_or_default().to_owned()
            }
            "timer" => {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                "slept".into()
            }
            "socket" => talk().await.map_err(|error| ToolError::failed(error.to_string()))?,
            "spawn" => tokio::spawn(async { "spawned".to_owned() }).await.unwrap_or_default(),
            "context" => json!({
                "subject": &*cx.caller.subject,
                "client": cx.caller.client_id.as_deref(),
                "scopes": cx.caller.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(),
                "request": &*cx.request_id,
                "deadline": cx.deadline.is_some(),
                "progress": cx.progress.wanted(),
                "trace": [cx.trace.traceparent.as_deref(), cx.trace.tracestate.as_deref()],
            })
            .to_string(),
            "progress" => {
                cx.progress.report(1.0, Some(2.0), Some("half".to_owned()));
                cx.progress.report(2.0, None, None);
                "done".into()
            }
            "tell" => {
                self.host.tools_changed();
                self.host.resource_updated("file:///x");
                self.host.log(LogLevel::Error, "a \"line\"");
                "told".into()
            }
            "keep" => {
                KEPT.lock().expect("nobody panics with it").push(self.host.clone());
                "kept".into()
            }
            "wait" | "wait_and_panic" => {
                let _dropped = Dropped { host: self.host.clone(), panics: call.name == "wait_and_panic" };
                pending().await
            }
            "obey" => {
                cx.cancelled.cancelled().await;
                return Err(ToolError::Cancelled);
            }
            "panic" => panic!("a secret in a call"),
            "panic_later" => {
                yield_now().await;
                std::panic::panic_any(5)
            }
            "bomb" => std::panic::panic_any(Bomb),
            "bomb_later" => {
                yield_now().await;
                std::panic::panic_any(Bomb)
            }
            "wait_and_bomb" => {
                let _bomb = Thrown;
                pending().await
            }
            "fail" => return Err(ToolError::failed("no luck").with_details(json!({ "code": 7 }))),
            "invalid" => return Err(ToolError::invalid("/urls/3", "not a URL")),
            "cancelled" => return Err(ToolError::Cancelled),
            _ => return Err(ToolError::UnknownTool(call.name)),
        };
        Ok(Outcome::Complete(ToolResult::text(text)))
    }
}

async fn talk() -> std::io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut near = TcpStream::connect(listener.local_addr()?).await?;
    let (mut far, _) = listener.accept().await?;
    near.write_all(b"hi").await?;
    drop(near);
    let mut heard = String::new();
    far.read_to_string(&mut heard).await?;
    Ok(heard)
}
