//! A server with plugins on endpoints of their own, open to everybody: who calls is not what these tests are about.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use toolgate_tests::{
    library,
    server::{Launch, PATIENCE, Server, workspace},
};

/// How often to look again where nothing tells that something has come.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A configuration of plugins, each on the endpoint of its name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Plan(String);

impl Plan {
    /// With the compiled-in `echo`.
    pub(crate) fn new() -> Self {
        let head = "[server]\nlisten = \"127.0.0.1:0\"\n[auth]\nprovider = \"none\"\n";
        Self(head.to_owned()).plugin("echo", "builtin = \"echo\"")
    }

    /// And with this one.
    pub(crate) fn plugin(mut self, name: &str, section: &str) -> Self {
        let _ = write!(
            self.0,
            "[endpoints.{name}]\npath = \"/{name}/mcp\"\nplugins = [\"{name}\"]\n\
             [plugins.{name}]\n{section}\n[plugins.{name}.tools]\n\"*\" = {{ scopes = [] }}\n"
        );
        self
    }

    /// And with a library.
    pub(crate) fn library(self, name: &str, library: &Path, section: &str) -> Self {
        self.plugin(name, &format!("library = {:?}\n{section}", library.display().to_string()))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn launch(&self) -> Launch {
        Launch::new(&self.0)
    }

    /// Serve it.
    pub(crate) async fn open(&self) -> House {
        House { server: self.launch().start().await, http: http() }
    }
}

/// The plugin that misbehaves on request.
pub(crate) fn crashing() -> PathBuf {
    library::of_crate("crashing-plugin")
}

/// The plugin in C that behaves, compiled with these definitions, at `to`.
pub(crate) fn contrary(definitions: &[(&str, &str)], to: &Path) {
    library::of_c(&workspace().join("tests/tests/plugins/contrary.c"), definitions, to);
}

/// A client that gives up on a server that hangs.
pub(crate) fn http() -> Client {
    Client::builder().no_proxy().timeout(PATIENCE).build().expect("an HTTP client")
}

/// A server that runs.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) http: Client,
}

/// An answer through the REST face.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    /// Whether it is a result, good or bad.
    pub(crate) fn is_result(&self) -> bool {
        self.status == StatusCode::OK && self.body["content"].is_array()
    }

    pub(crate) fn is_error(&self) -> bool {
        self.is_result() && self.body["isError"] == true
    }

    pub(crate) fn is_good(&self) -> bool {
        self.is_result() && self.body["isError"] != true
    }

    /// What a model reads.
    pub(crate) fn text(&self) -> &str {
        self.body["content"][0]["text"].as_str().unwrap_or_default()
    }
}

impl House {
    /// Call a tool; a call that has no answer at all is an error.
    pub(crate) async fn call(&self, plugin: &str, tool: &str, arguments: Value) -> Result<Answer, reqwest::Error> {
        let url = format!("{}/api/tools/{plugin}/{tool}", self.server.url());
        let response = self.http.post(url).json(&arguments).send().await?;
        Ok(Answer { status: response.status(), body: response.json().await? })
    }

    /// Call a tool that gives a text.
    pub(crate) async fn text(&self, plugin: &str, tool: &str, arguments: Value) -> String {
        let answer = self.call(plugin, tool, arguments).await.expect("an answer");
        assert!(answer.is_good(), "{tool}: {answer:?}");
        answer.text().to_owned()
    }

    /// Whether `echo` works.
    pub(crate) async fn echoes(&self) -> bool {
        let answer = self.call("echo", "echo", json!({ "text": "hi" })).await;
        answer.is_ok_and(|answer| answer.is_good() && answer.text() == "hi")
    }

    /// What `/readyz` says of a plugin.
    pub(crate) async fn readiness(&self, plugin: &str) -> Value {
        let response = self.http.get(format!("{}/readyz", self.server.url())).send().await.expect("an answer");
        let body: Value = response.json().await.expect("JSON");
        body["plugins"][plugin].clone()
    }

    /// Wait until this holds.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(found) = look(self).await {
                    return found;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("{what} does not come; the server says:\n{}", self.server.stderr()))
    }

    /// The process of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.server.process().expect("it runs")
    }

    /// Wait until a plugin answers again, and give the process that it runs in.
    pub(crate) async fn worker(&self, plugin: &str) -> u32 {
        self.until("an answer of the worker", async |house| {
            let answer = house.call(plugin, "pid", json!({})).await.expect("an answer");
            answer.text().parse().ok()
        })
        .await
    }
}

/// How many rounds a long test makes: `TOOLGATE_ROUNDS`, or what fits a gate.
pub(crate) fn rounds(default: usize) -> usize {
    std::env::var("TOOLGATE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(default)
}
