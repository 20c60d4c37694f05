//! A library in a worker process (`isolation = "process"`), as `mod.rs` wants it opened.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{
    Start, broken,
    copy::Copy,
    link::Link,
    manifest::Manifest,
    settings,
    table::Listener,
    unopened,
    worker::{self, Patience, Refusal, Spec},
};
use crate::host::LoadError;

/// A worker whose library is open and has not been started.
pub(super) struct Opened(Box<worker::Opened>);

/// Start a worker and have it open a private copy of the library.
///
/// # Errors
/// Whatever is wrong with the file.
pub(super) async fn open(start: &Start<'_>, told: Listener) -> Result<Opened, LoadError> {
    let plugin = start.plugin;
    let (library, copies, name) = (start.library.to_owned(), start.copies.to_owned(), plugin.to_owned());
    let copy = spawn_blocking(move || Copy::make(&library, &copies, &name))
        .await
        .map_err(|_panic| broken(plugin, "copying its library panicked"))?
        .map_err(|error| unopened(plugin, &error))?;
    let spec = Spec {
        plugin: plugin.into(),
        library: copy.path().to_owned(),
        origin: start.library.to_owned(),
        kept: Arc::new(copy),
        state_dir: start.host.state_dir().to_owned(),
        limits: start.limits.clone(),
        patience: Patience::default(),
        told,
        down: Arc::clone(&start.down),
    };
    worker::open(spec).await.map(|opened| Opened(Box::new(opened))).map_err(|refusal| refused(plugin, refusal))
}

impl Opened {
    /// Who the plugin is.
    pub(super) fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    /// Start the plugin.
    ///
    /// # Errors
    /// The plugin's refusal, or the worker's end.
    pub(super) async fn create(self, plugin: &str, params: Vec<u8>) -> Result<Arc<dyn Link>, LoadError> {
        self.0.create(params).await.map_err(|refusal| match &refusal.setting {
            Some(path) => settings::refused(plugin, path, &refusal.message),
            None if refusal.help.is_empty() => broken(plugin, &refusal.message),
            None => refused(plugin, refusal),
        })
    }
}

fn refused(plugin: &str, refusal: Refusal) -> LoadError {
    LoadError {
        path: ["plugins", plugin, "library"].map(str::to_owned).into(),
        message: refusal.message,
        help: refusal.help,
    }
}
