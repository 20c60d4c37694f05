//! A library in a worker process (`isolation = "process"`), as `mod.rs` wants it opened: copied, then opened there.
//!
//! Words what `worker` reports as errors of the configuration. Knows nothing of how a worker is kept.

use std::sync::Arc;

use tokio::{task::spawn_blocking, time::timeout};

use super::{
    START, Start, broken, copy::Copy, link::Link, manifest::Manifest, settings, table::Listener, unopened, worker,
};
use crate::host::LoadError;

/// A worker whose library is open and has not been started.
pub(super) struct Opened(worker::Opened);

/// Start a worker and have it open a private copy of the library.
///
/// # Errors
/// Whatever is wrong with the file.
pub(super) async fn open(start: &Start<'_>, told: Listener) -> Result<Opened, LoadError> {
    let (plugin, path, copies) = (start.plugin.to_owned(), start.library.to_owned(), start.copies.to_owned());
    let copy = match timeout(START, spawn_blocking(move || Copy::make(&path, &copies, &plugin))).await {
        Ok(Ok(Ok(copy))) => copy,
        Ok(Ok(Err(error))) => return Err(unopened(start.plugin, &error)),
        Ok(Err(_panic)) => return Err(broken(start.plugin, "copying its library panicked")),
        Err(_elapsed) => return Err(broken(start.plugin, &format!("copying its library took more than {START:?}"))),
    };
    let spec = worker::Spec {
        plugin: start.plugin.into(),
        library: copy.path().to_owned(),
        origin: start.library.to_owned(),
        kept: Arc::new(copy),
        state_dir: start.host.state_dir().to_owned(),
        limits: start.limits.clone(),
        patience: worker::Patience::default(),
        told,
    };
    let unopened = |refusal: worker::Refusal| LoadError {
        path: ["plugins", start.plugin, "library"].map(str::to_owned).into(),
        message: refusal.message,
        help: refusal.help,
    };
    worker::open(spec).await.map(Opened).map_err(unopened)
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
        match self.0.create(params).await {
            Ok(link) => Ok(link),
            Err(refusal) => Err(match refusal.setting {
                Some(setting) => settings::refused(plugin, &setting, &refusal.message),
                None => broken(plugin, &refusal.message),
            }),
        }
    }
}
