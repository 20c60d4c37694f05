//! `[plugins.*]` as types: what kind a plugin is, where it runs, who may call its tools, and its bounds.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::units::{Duration, Rate, Scope, Size};

/// One plugin, of the kind that its one key of `builtin` and `library` says.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["builtin"] }, { "required": ["library"] }]))]
pub struct Plugin {
    /// A plugin that is compiled in.
    #[serde(default)]
    pub builtin: Option<Builtin>,
    /// A plugin library: a crate built as `cdylib`, or what else speaks `schemas/toolgate_plugin.h`. Relative to this file.
    #[serde(default)]
    #[schemars(example = "target/release/libhello.so")]
    pub library: Option<PathBuf>,
    /// Where a library runs: in a worker process of its own, or inside the server, which it can then take down.
    #[serde(default)]
    pub isolation: Isolation,
    /// Whether the server refuses to start without this plugin. A compiled-in one is always required.
    #[serde(default)]
    pub required: bool,
    /// Whether it is loaded at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The plugin's own settings.
    #[serde(default)]
    pub settings: Settings,
    /// Who may call which tool; `"*"` is the rule for the rest.
    #[serde(default)]
    pub tools: IndexMap<String, ToolRule>,
    /// Bounds on its calls and, for a library in a worker, on the worker.
    #[serde(default)]
    pub limits: Limits,
}

/// What kind of plugin a section is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginKind<'a> {
    /// Compiled in.
    Builtin(Builtin),
    /// A library, by its path.
    Library(&'a Path),
}

impl Plugin {
    /// The kind. A configuration that was loaded has one for each: a section with none or several is refused.
    pub fn kind(&self) -> Option<PluginKind<'_>> {
        match (self.builtin, &self.library) {
            (Some(builtin), None) => Some(PluginKind::Builtin(builtin)),
            (None, Some(library)) => Some(PluginKind::Library(library)),
            _ => None,
        }
    }
}

fn yes() -> bool {
    true
}

/// Where a plugin library runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// In a worker process of its own, bounded by `limits` and started again when it dies.
    #[default]
    Process,
    /// Inside the server: faster, and able to take it down.
    None,
}

/// The plugins that are compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Builtin {
    /// Web search through Tavily.
    Tavily,
    /// Search over folders of documents.
    Docs,
    /// One tool `echo`, for trying.
    Echo,
}

/// A plugin's own settings, which the plugin checks.
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Settings(pub serde_json::Map<String, Value>);

// They may hold secrets, so the keys alone are shown.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Who may call a tool.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolRule {
    /// Scopes that a caller's token must carry, all of them; `[]` means any valid token.
    pub scopes: Option<Vec<Scope>>,
    /// Whether the tool is offered.
    pub enabled: Option<bool>,
    /// Another name for it.
    pub name: Option<String>,
    /// How often one principal may call it.
    pub rate: Option<Rate>,
    /// How long a call may take.
    pub timeout: Option<Duration>,
}

/// Bounds on a plugin's calls and, from `memory` on, on the worker process of a library.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How long a call may take.
    pub timeout: Duration,
    /// Most calls at a time; others wait.
    #[schemars(range(min = 1))]
    pub concurrency: usize,
    /// How many calls may wait; others are told to try again.
    pub queue: usize,
    /// Largest result, as JSON.
    pub result: Size,
    /// Most memory of the worker (data, heap and stacks).
    pub memory: Size,
    /// Most processor time that the worker may use without finishing a call.
    pub cpu: Duration,
    /// Most open files and sockets of the worker.
    #[schemars(range(min = 16))]
    pub files: u64,
    /// Whether the worker may use the network.
    pub network: bool,
    /// Whether the worker may start programs.
    pub exec: bool,
    /// Files and folders that the worker may read, beside its library, the system's libraries and its state folder. Relative to this file.
    pub read: Vec<PathBuf>,
    /// Files and folders that the worker may read and write, beside its state folder. Relative to this file.
    pub write: Vec<PathBuf>,
    /// How many times in a row a worker that dies before it has answered a call is started again.
    pub restarts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::seconds(60),
            concurrency: 64,
            queue: 256,
            result: Size::mebibytes(4),
            memory: Size::mebibytes(256),
            cpu: Duration::seconds(60),
            files: 256,
            network: false,
            exec: false,
            read: Vec::new(),
            write: Vec::new(),
            restarts: 10,
        }
    }
}
