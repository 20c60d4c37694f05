//! Programs that connect to an endpoint, whole files to copy: from templates beside the pages'.

use askama::Template;
use serde_json::json;

use super::{
    clients::{Access, Target},
    quoting::{javascript, python as in_python, shell, string},
};

/// What the programs are made from: expressions of their language.
struct Call {
    tool: String,
    arguments: String,
}

#[derive(Template)]
#[template(path = "clients/client.mts", escape = "none")]
struct TypeScript {
    address: String,
    guarded: bool,
    sample: Option<Call>,
}

#[derive(Template)]
#[template(path = "clients/client.py", escape = "none")]
struct Python {
    address: String,
    guarded: bool,
    sample: Option<Call>,
}

/// With version 2 of the official TypeScript SDK.
pub(super) fn typescript(to: &Target) -> String {
    let sample =
        to.sample.as_ref().map(|sample| Call { tool: string(&sample.tool), arguments: javascript(&sample.arguments) });
    let program = TypeScript { address: string(&to.address), guarded: to.access != Access::Open, sample };
    program.render().unwrap_or_default()
}

/// With version 2 of the official Python SDK.
pub(super) fn python(to: &Target) -> String {
    let sample =
        to.sample.as_ref().map(|sample| Call { tool: string(&sample.tool), arguments: in_python(&sample.arguments) });
    let program = Python { address: string(&to.address), guarded: to.access != Access::Open, sample };
    program.render().unwrap_or_default()
}

/// With curl and nothing else: one request of the revision without sessions.
pub(super) fn one_request(to: &Target, bearer: &str) -> String {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "curl", "version": "8" },
        "io.modelcontextprotocol/clientCapabilities": {},
    } } });
    format!(
        "curl {}{bearer} \\\n  -H 'Content-Type: application/json' \\\n  \
         -H 'Accept: application/json, text/event-stream' \\\n  \
         -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list' \\\n  -d {}",
        shell(&to.address),
        shell(&serde_json::to_string_pretty(&message).unwrap_or_default())
    )
}
