//! Plugin libraries: opened (`border`), spoken with over a [`link::Link`], and shown as a `ToolProvider`
//! (`provider`), inside the server or in a worker process (`worker`).
//!
//! `border` is the one module of the server with `unsafe` code. Nothing here knows rules, callers' tokens or HTTP.

#![allow(dead_code, reason = "being built")]

mod border;
mod failure;
mod image;
mod link;
mod manifest;

pub use manifest::Manifest;

use std::{path::Path, sync::Arc};

use serde_json::Value;
use toolgate_plugin::{HostHandle, ToolProvider};

use super::{limits::Limiter, load::LoadError};
use crate::config::{Isolation, Limits};

/// What a library is started with.
pub(super) struct Start<'a> {
    /// The plugin's name in the configuration.
    pub(super) plugin: &'a str,
    /// The library.
    pub(super) library: &'a Path,
    pub(super) isolation: Isolation,
    pub(super) settings: Value,
    pub(super) limits: &'a Limits,
    pub(super) limiter: Arc<Limiter>,
    /// Where private copies of libraries go.
    pub(super) copies: &'a Path,
    /// The host as the plugin sees it: its state folder, and where its notices go.
    pub(super) host: HostHandle,
}

/// Open a library and start the plugin in it.
///
/// # Errors
/// Whatever is wrong with the file, its version, its manifest or the settings.
pub(super) async fn start(start: Start<'_>) -> Result<Arc<dyn ToolProvider>, LoadError> {
    let _ = (start.isolation, start.settings, start.limits, start.limiter, start.copies, start.host);
    Err(LoadError {
        path: vec!["plugins".into(), start.plugin.into(), "library".into()],
        message: format!("\"{}\" cannot be loaded", start.library.display()),
        help: String::new(),
    })
}
