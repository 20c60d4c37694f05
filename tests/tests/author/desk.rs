//! Where an author works: a folder, a shell, and a server that serves it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use reqwest::{Client, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use toolgate_tests::server::{PATIENCE, binary, workspace};

/// The protocol revision without sessions.
const MODERN: &str = "2026-07-28";

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Its standard output, if it went well.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// The environment of an author's shell: `toolgate` in the path, cargo as it is set up here, and no network.
pub(crate) fn environment() -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "TMPDIR"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect();
    let own = binary().parent().expect("the binary's folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(own.to_path_buf()).chain(std::env::split_paths(&path)));
    let path = path.expect("a path").into_string().expect("a path of text");
    // What is between sources and libraries is kept from run to run; the libraries go where an author finds them.
    let between = own.parent().expect("the target folder").join("author");
    let between = between.to_str().expect("a path of text").to_owned();
    variables.push(("PATH".into(), path));
    variables.push(("CARGO_BUILD_BUILD_DIR".into(), between));
    variables.push(("CARGO_NET_OFFLINE".into(), "true".into()));
    variables
}

/// Run `toolgate` in a folder.
pub(crate) fn toolgate(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder).env_clear().envs(environment());
    command.output().expect("toolgate runs").into()
}

/// Run a line in a shell, in a folder. Blocks as long as it takes.
pub(crate) fn shell(folder: &Path, line: &str) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env_clear().envs(environment());
    command.output().expect("a shell").into()
}

/// Give a new crate the versions that are at hand: a machine with a network would fetch what it lacks.
pub(crate) fn pin(folder: &Path) {
    let lock = folder.join("Cargo.lock");
    if folder.join("Cargo.toml").exists() && !lock.exists() {
        fs::copy(workspace().join("Cargo.lock"), lock).expect("the versions that are at hand");
    }
}

/// The file's name of a library, as a linker has it here.
pub(crate) fn library_name(name: &str) -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    format!("{DLL_PREFIX}{}{DLL_SUFFIX}", name.replace('-', "_"))
}

/// A plugin that `toolgate plugin new` has written.
pub(crate) struct Written {
    pub(crate) folder: PathBuf,
    /// What it said.
    pub(crate) told: String,
}

/// Write a new plugin into a folder.
#[track_caller]
pub(crate) fn new(folder: &Path, name: &str, options: &[&str]) -> Written {
    let told = toolgate(folder, &[&["plugin", "new", name], options].concat()).well();
    let folder = folder.join(name);
    pin(&folder);
    Written { folder, told }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.expect("the whole answer") }
    }

    /// The JSON of the body, or of the one event of a stream.
    pub(crate) fn json(&self) -> Value {
        let data = self.body.lines().find_map(|line| line.strip_prefix("data: {"));
        let text = data.map_or_else(|| self.body.clone(), |rest| format!("{{{rest}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// A client with one token.
pub(crate) struct Caller {
    http: Client,
    url: String,
    token: String,
}

impl Caller {
    /// A client of the server at `url`, with a token for `scope` that `toolgate token` got: as soon as the server knows
    /// the scope, which may stand in a configuration that it has not read yet.
    pub(crate) async fn with(folder: &Path, url: &str, scope: &str) -> Self {
        let what = format!("a token for {scope}");
        let token = eventually(&what, async || {
            let asked = toolgate(folder, &["token", "--url", url, "--scope", scope]);
            if asked.code == Some(0) { Ok(asked.stdout) } else { Err(asked.stderr) }
        });
        let token = token.await;
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().expect("an HTTP client");
        Self { http, url: url.to_owned(), token: token.trim_end().to_owned() }
    }

    /// Call a tool of the endpoint `tools` over plain HTTP.
    pub(crate) async fn rest(&self, tool: &str, arguments: &Value) -> Answer {
        let request = self.http.post(format!("{}/api/tools/tools/{tool}", self.url));
        Answer::to(request.bearer_auth(&self.token).json(arguments)).await
    }

    /// The same over MCP.
    pub(crate) async fn mcp(&self, tool: &str, arguments: &Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": tool, "arguments": arguments, "_meta": {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        } });
        let request = self.http.post(format!("{}/tools/mcp", self.url)).bearer_auth(&self.token).json(&body);
        let request = request.header("accept", "application/json, text/event-stream");
        let request = request.header("mcp-protocol-version", MODERN).header("mcp-method", "tools/call");
        Answer::to(request.header("mcp-name", tool)).await
    }

    /// Call a tool over plain HTTP until it answers with this text.
    pub(crate) async fn rest_until(&self, tool: &str, arguments: &Value, text: &str) {
        let search = async || {
            let answer = self.rest(tool, arguments).await;
            let there = answer.status == 200 && answer.json()["content"][0]["text"] == text;
            if there { Ok(()) } else { Err(format!("{answer:?}")) }
        };
        eventually(text, search).await;
    }
}

/// Look again until there is something; otherwise say what there was instead.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut last = String::new();
    let search = async {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(other) => last = other,
            }
            // Nothing tells a client of plain HTTP that something has changed.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("in vain: {what}; the last was {last}"))
}
