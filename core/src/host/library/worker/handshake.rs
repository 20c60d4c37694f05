//! What the server and a worker tell each other before the first call, as JSON.
//!
//! The server: [`Orders`], then, if an earlier worker has listed them, the plugin's tools, then the params of `create`.
//! The worker: [`Confined`], then [`Opened`], then [`Created`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::manifest::Manifest;

/// Both ends must be of one build.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a worker is to do and within which bounds. Travels over the socket, so that neither the command line nor the
/// environment shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) version: String,
    pub(super) plugin: String,
    pub(super) library: PathBuf,
    /// Most threads that wait for or work on requests.
    pub(super) threads: usize,
    /// Largest result, in bytes.
    pub(super) result: u64,
    pub(super) bounds: Bounds,
}

/// What confines the worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bounds {
    /// Bytes of data, heap and stacks.
    pub(super) memory: u64,
    /// Descriptors.
    pub(super) files: u64,
    pub(super) network: bool,
    pub(super) exec: bool,
    /// The plugin's own folder; it is there.
    pub(super) state_dir: PathBuf,
    pub(super) read: Vec<PathBuf>,
    pub(super) write: Vec<PathBuf>,
}

/// The worker has confined itself, as far as it can, and runs no code of the plugin yet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Confined {
    pub(super) version: String,
    /// What the sandbox lacks, a sentence each.
    pub(super) missing: Vec<String>,
}

/// The library is open, or not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) manifest: Result<Manifest, Refusal>,
}

/// The instance runs, or not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Created {
    pub(super) instance: Result<(), Refusal>,
}

/// Why the library cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(in super::super) struct Refusal {
    /// What is wrong, for people.
    pub(in super::super) message: String,
    /// What to do about it; may be empty.
    pub(in super::super) help: String,
    /// The setting that it is about, in dotted form.
    pub(in super::super) setting: Option<String>,
    /// The key in the configuration that it is about, if the worker itself found it wrong.
    #[serde(default)]
    pub(in super::super) place: Vec<String>,
}
