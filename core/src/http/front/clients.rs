//! How each well-known client is connected to an endpoint: one table, from which the front page and `examples/clients`
//! are made.
//!
//! Pure: knows an address and how it is guarded, and nothing of who asks. What clients want was looked up in their own
//! documentation in November 2026.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{
    programs,
    quoting::{self, shell},
    reach::{Reach, out_of_reach},
};

/// What a client is connected to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The endpoint's name, which clients know the server by.
    pub(super) name: String,
    /// Where the endpoint is.
    pub(super) address: String,
    /// The server's own address.
    pub(super) public_url: String,
    pub(super) access: Access,
    /// A tool to try.
    pub(super) sample: Option<Sample>,
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// None is asked for.
    Open,
    /// The development authorization server.
    Development {
        /// What a first token is for.
        scopes: Vec<String>,
    },
    /// An authorization server outside.
    Provider {
        /// Its issuer, or what people call it.
        server: String,
        /// What the token is for (RFC 8707).
        resource: String,
        scopes: Vec<String>,
    },
}

/// A call to try.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) tool: String,
    pub(super) arguments: Value,
}

/// How one client is connected.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// The kind of client, where it is the first of its kind.
    pub(super) kind: Option<&'static str>,
    pub(super) steps: Vec<Step>,
}

impl Client {
    /// Whether nothing is known that keeps it from the address.
    pub(super) fn reaches(&self) -> bool {
        !self.steps.iter().any(|step| matches!(step, Step::Warn(_)))
    }

    /// What a snippet is called where its place cannot be seen: its caption, and which of several it is.
    pub(super) fn spoken(&self, snippet: &Snippet) -> Cow<'static, str> {
        let alike = self.steps.iter().filter_map(|step| match step {
            Step::Copy(other) if other.caption == snippet.caption => Some(other.id),
            _ => None,
        });
        let alike: Vec<_> = alike.collect();
        match alike.iter().position(|id| *id == snippet.id) {
            Some(turn) if alike.len() > 1 => format!("{} {} of {}", snippet.caption, turn + 1, alike.len()).into(),
            _ => snippet.caption.into(),
        }
    }
}

/// One thing to read, to press or to copy.
#[derive(Debug)]
pub(super) enum Step {
    /// Words; what stands between backticks is to be shown as it is typed.
    Say(Cow<'static, str>),
    /// What does not work here and what would.
    Warn(String),
    /// An address that opens the client.
    Open {
        label: &'static str,
        link: String,
    },
    Copy(Snippet),
}

/// Something to copy.
#[derive(Debug)]
pub(super) struct Snippet {
    /// Tells it from all others of its endpoint.
    pub(super) id: &'static str,
    /// What it is, or the file that it goes into.
    pub(super) caption: &'static str,
    pub(super) text: String,
}

fn say(text: impl Into<Cow<'static, str>>) -> Step {
    Step::Say(text.into())
}

fn copy(id: &'static str, caption: &'static str, text: impl Into<String>) -> Step {
    Step::Copy(Snippet { id, caption, text: text.into() })
}

/// A component of a URL, as `encodeURIComponent` makes it.
fn component(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// All clients, in the order of the page.
pub(super) fn clients(to: &Target) -> Vec<Client> {
    let client = |id, name, kind, steps| Client { id, name, kind, steps };
    vec![
        client("claude", "Claude", Some("Assistants"), claude(to)),
        client("chatgpt", "ChatGPT", None, chatgpt(to)),
        client("claude-code", "Claude Code", Some("Editors and agents"), claude_code(to)),
        client("codex", "Codex", None, codex(to)),
        client("cursor", "Cursor", None, cursor(to)),
        client("vscode", "VS Code", None, vscode(to)),
        client("inspector", "MCP Inspector", Some("Tools"), inspector(to)),
        client("mcp-remote", "mcp-remote", None, mcp_remote(to)),
        client("curl", "curl", Some("Programs"), curl(to)),
        client("typescript", "TypeScript", None, typescript(to)),
        client("python", "Python", None, python(to)),
    ]
}

fn signs_in(to: &Target) -> bool {
    to.access != Access::Open
}

fn claude(to: &Target) -> Vec<Step> {
    let mut steps = Vec::new();
    match out_of_reach(&to.address, &to.access, "Claude, on the web, on the desktop and on the phone,", "Anthropic") {
        Some(warning) => {
            steps.push(Step::Warn(warning));
            steps.push(say(
                "On this machine Claude Code connects as it is, and Claude Desktop through mcp-remote; both are below.",
            ));
        }
        None => {
            let link = format!(
                "https://claude.ai/customize/connectors?modal=add-custom-connector&connectorName={}&connectorUrl={}",
                component(&to.name),
                component(&to.address)
            );
            steps.push(Step::Open { label: "Add to Claude", link });
            steps.push(say(
                "Or by hand: *Customize*, *Connectors*, the plus sign, *Add custom connector*, and this address. It is \
                 then there on the web, on the desktop and on the phone.",
            ));
            steps.push(copy("claude-address", "Remote MCP server URL", &to.address));
            if signs_in(to) {
                steps.push(say("Press *Connect* on the new connector to sign in."));
            }
            steps.push(say("In a team or an enterprise an owner adds it first."));
        }
    }
    steps
}

fn chatgpt(to: &Target) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(warning) = out_of_reach(&to.address, &to.access, "ChatGPT", "OpenAI") {
        steps.push(Step::Warn(warning));
        steps.push(say(
            "Or choose *Tunnel* as the connection below: OpenAI’s Secure MCP Tunnel reaches a server like this one \
             without a public address.",
        ));
    }
    steps.push(Step::Open { label: "Open ChatGPT Plugins", link: "https://chatgpt.com/plugins".to_owned() });
    steps.push(say("Press the plus sign, then *Add custom MCP server*, and give this as the *Server URL*:"));
    steps.push(copy("chatgpt-address", "Server URL", &to.address));
    steps.push(say(if signs_in(to) {
        "Choose *OAuth* as the authentication, then *Create as a plugin*, and sign in."
    } else {
        "Choose *No authentication*, then *Create as a plugin*."
    }));
    steps
}

fn claude_code(to: &Target) -> Vec<Step> {
    let (name, address) = (shell(&to.name), shell(&to.address));
    let mut steps =
        vec![copy("claude-code-add", "Terminal", format!("claude mcp add --transport http {name} {address}"))];
    if signs_in(to) {
        steps.push(say("Then sign in, here or with `/mcp` in a session:"));
        steps.push(copy("claude-code-login", "Terminal", format!("claude mcp login {name}")));
    }
    steps.push(say("It is added for the project in this folder; `--scope user` adds it for all of yours."));
    steps
}

fn codex(to: &Target) -> Vec<Step> {
    let (name, address) = (shell(&to.name), shell(&to.address));
    let mut steps = vec![copy("codex-add", "Terminal", format!("codex mcp add {name} --url {address}"))];
    if signs_in(to) {
        steps.push(say("Codex begins the sign-in by itself; if it does not:"));
        steps.push(copy("codex-login", "Terminal", format!("codex mcp login {name}")));
    }
    steps
}

fn cursor(to: &Target) -> Vec<Step> {
    let entry = json!({ "url": to.address });
    let link = format!(
        "cursor://anysphere.cursor-deeplink/mcp/install?name={}&config={}",
        component(&to.name),
        component(&STANDARD.encode(entry.to_string()))
    );
    let mut steps = vec![
        Step::Open { label: "Add to Cursor", link },
        say("Or into `.cursor/mcp.json` of a project, or `~/.cursor/mcp.json` for all:"),
        copy("cursor-file", "mcp.json", pretty(&json!({ "mcpServers": { to.name.as_str(): entry } }))),
    ];
    if signs_in(to) {
        steps.push(say("Cursor asks to sign in when it first connects."));
    }
    steps
}

fn vscode(to: &Target) -> Vec<Step> {
    let named = json!({ "name": to.name, "type": "http", "url": to.address });
    let entry = json!({ "type": "http", "url": to.address });
    let mut steps = vec![
        Step::Open {
            label: "Install in VS Code",
            link: format!("vscode:mcp/install?{}", component(&named.to_string())),
        },
        say("Or into `.vscode/mcp.json` of a workspace:"),
        copy("vscode-file", ".vscode/mcp.json", pretty(&json!({ "servers": { to.name.as_str(): entry } }))),
        say("Or from a terminal:"),
        copy("vscode-add", "Terminal", format!("code --add-mcp {}", shell(&named.to_string()))),
    ];
    if signs_in(to) {
        steps.push(say("VS Code asks to sign in when the server first starts."));
    }
    steps
}

fn inspector(to: &Target) -> Vec<Step> {
    let address = shell(&to.address);
    let run = "npx -y @modelcontextprotocol/inspector@latest";
    let mut steps = vec![
        say("Its page, with this server filled in (Node 22.19 or newer):"),
        copy("inspector-page", "Terminal", format!("{run} --server-url {address} --transport http")),
        say("Or without a page, for scripts:"),
    ];
    steps.extend(token(to, "inspector-token"));
    let header = if signs_in(to) { " \\\n  --header \"Authorization: Bearer $TOKEN\"" } else { "" };
    steps.push(copy(
        "inspector-list",
        "Terminal",
        format!("{run} --cli {address} --transport http \\\n  --method tools/list{header}"),
    ));
    steps
}

fn mcp_remote(to: &Target) -> Vec<Step> {
    let mut arguments = vec!["-y", "mcp-remote@latest", to.address.as_str()];
    if to.address.starts_with("http:") && Reach::of(&to.address) != Reach::Machine {
        arguments.push("--allow-http");
    }
    let entry = json!({ "command": "npx", "args": arguments });
    vec![
        say(
            "For clients that start servers as programs, such as Claude Desktop (`claude_desktop_config.json`). It needs \
             Node 18 or newer.",
        ),
        copy(
            "mcp-remote-file",
            "claude_desktop_config.json",
            pretty(&json!({ "mcpServers": { to.name.as_str(): entry } })),
        ),
        say(if signs_in(to) {
            "It opens the sign-in in your browser when the client starts it. To see it at work in a terminal:"
        } else {
            "To see it at work in a terminal:"
        }),
        copy(
            "mcp-remote-try",
            "Terminal",
            format!(
                "npx -y -p mcp-remote@latest mcp-remote-client {}",
                arguments[2..].iter().map(|word| shell(word)).collect::<Vec<_>>().join(" ")
            ),
        ),
    ]
}

/// How a program gets a token, where one is asked for.
fn token(to: &Target, id: &'static str) -> Vec<Step> {
    match &to.access {
        Access::Open => Vec::new(),
        Access::Development { scopes } => {
            let scope = match scopes.as_slice() {
                [] => String::new(),
                scopes => format!(" \\\n  --scope {}", shell(&scopes.join(" "))),
            };
            let line = format!(
                "export TOKEN=$(toolgate token \\\n  --url {} --endpoint {}{scope})",
                shell(&to.public_url),
                shell(&to.name)
            );
            vec![
                say(
                    "A token for a program from the development sign-in, in the folder with the server’s `config.toml` \
                     (`toolgate` is the server’s own program; in its source, `cargo run --release --` stands for it):",
                ),
                copy(id, "Terminal", line),
            ]
        }
        Access::Provider { server, resource, scopes } => {
            let scopes: Vec<String> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            let scopes = match scopes.as_slice() {
                [] => String::new(),
                [one] => format!(", with the scope {one}"),
                [first @ .., last] => format!(", with the scopes {} and {last}", first.join(", ")),
            };
            vec![
                say(format!("An access token from `{server}` for `{resource}`{scopes}:")),
                copy(id, "Terminal", "export TOKEN='…'"),
            ]
        }
    }
}

fn curl(to: &Target) -> Vec<Step> {
    let mut steps = token(to, "curl-token");
    let bearer = if signs_in(to) { " \\\n  -H \"Authorization: Bearer $TOKEN\"" } else { "" };
    if let Some(sample) = &to.sample {
        let address = format!("{}/api/tools/{}/{}", to.public_url, component(&to.name), component(&sample.tool));
        steps.push(say("A call over plain HTTP:"));
        steps.push(copy(
            "curl-call",
            "Terminal",
            format!(
                "curl {}{bearer} \\\n  -H 'Content-Type: application/json' \\\n  -d {}",
                shell(&address),
                shell(&quoting::json(&sample.arguments))
            ),
        ));
    }
    steps.push(say("The list of tools over MCP, in one request:"));
    steps.push(copy("curl-list", "Terminal", programs::one_request(to, bearer)));
    steps
}

fn typescript(to: &Target) -> Vec<Step> {
    let mut steps = vec![copy("typescript-install", "Terminal", "npm install @modelcontextprotocol/client")];
    steps.push(copy("typescript-file", "client.mts", programs::typescript(to)));
    steps.extend(token(to, "typescript-token"));
    steps.push(say("Node 22.18 or newer runs it as it is:"));
    steps.push(copy("typescript-run", "Terminal", "node client.mts"));
    steps
}

fn python(to: &Target) -> Vec<Step> {
    let mut steps = vec![copy("python-install", "Terminal", "pip install 'mcp>=2'")];
    steps.push(copy("python-file", "client.py", programs::python(to)));
    steps.extend(token(to, "python-token"));
    steps.push(copy("python-run", "Terminal", "python client.py"));
    steps
}
