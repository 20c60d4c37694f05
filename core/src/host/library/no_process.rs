//! Systems without worker processes: `isolation = "process"` is refused, and never quietly weakened.

use std::{convert::Infallible, sync::Arc};

use super::{Start, broken, link::Link, manifest::Manifest, table::Listener};
use crate::host::LoadError;

/// A worker whose library is open and has not been started.
pub(super) struct Opened(Infallible);

/// Start a worker and have it open a private copy of the library.
///
/// # Errors
/// Whatever is wrong with the file.
pub(super) async fn open(start: &Start<'_>, told: Listener) -> Result<Opened, LoadError> {
    drop(told);
    let error = broken(start.plugin, "this system has no worker processes");
    Err(LoadError { help: "set isolation = \"none\"".into(), ..error })
}

impl Opened {
    /// Who the plugin is.
    pub(super) fn manifest(&self) -> &Manifest {
        match self.0 {}
    }

    /// Start the plugin.
    ///
    /// # Errors
    /// The plugin's refusal, or the worker's end.
    pub(super) async fn create(self, _plugin: &str, _params: Vec<u8>) -> Result<Arc<dyn Link>, LoadError> {
        match self.0 {}
    }
}
