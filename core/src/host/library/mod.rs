//! Plugin libraries: opened (`border`), spoken with over a [`link::Link`], and shown as a `ToolProvider`
//! (`provider`), inside the server (`inside`) or in a worker process.
//!
//! The way of a library: examined (`image`) and copied (`copy`), opened, asked who it is (`manifest`), its settings
//! checked (`settings`), then created. What goes wrong on it has its words in `failure`. A request under way waits in
//! a `table`; what a plugin says of itself goes through `told`.
//!
//! `border` is the one module of the server with `unsafe` code. Nothing here knows rules, callers' tokens or HTTP.

#![allow(dead_code, unused_imports, reason = "being built")]

mod border;
mod copy;
mod failure;
mod image;
mod inside;
mod link;
mod manifest;
mod provider;
mod settings;
mod shelf;
mod table;
#[cfg(test)]
mod tests;
mod told;
#[cfg(unix)]
mod worker;

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{task::spawn_blocking, time::timeout};
use toolgate_plugin::{HostHandle, Tool, ToolProvider};

#[cfg(unix)]
use copy::Copy;
pub(super) use copy::fingerprint;
pub use manifest::Manifest;
#[cfg(unix)]
pub use worker::{NotAWorker, work};

use self::{
    failure::{CreateError, OpenError},
    inside::{Inside, Tenant},
    link::Link,
    provider::Provider,
    shelf::{Borrowed, SHELF},
    table::Table,
    told::Notices,
};
use super::{limits::Limiter, load::LoadError};
use crate::config::{Isolation, Limits};

/// How long a plugin may take to open, and again to start.
const START: Duration = Duration::from_secs(30);

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
    let opened = Opened::open(&start).await?;
    opened.create(start).await
}

/// A library that is open and has not been started.
struct Opened {
    library: Place,
    notices: Arc<Notices>,
}

/// Where it is open.
enum Place {
    Inside(Borrowed),
    #[cfg(unix)]
    Worker(worker::Opened),
}

impl Opened {
    async fn open(start: &Start<'_>) -> Result<Self, LoadError> {
        let notices = Notices::new(start.host.clone());
        let (plugin, path, copies) = (start.plugin.to_owned(), start.library.to_owned(), start.copies.to_owned());
        #[cfg(unix)]
        if start.isolation == Isolation::Process {
            let copying = spawn_blocking(move || Copy::make(&path, &copies, &plugin));
            let copy = match timeout(START, copying).await {
                Ok(Ok(Ok(copy))) => Arc::new(copy),
                Ok(Ok(Err(error))) => return Err(unopened(start.plugin, &error)),
                Ok(Err(_panic)) => return Err(broken(start.plugin, "copying its library panicked")),
                Err(_elapsed) => {
                    return Err(broken(start.plugin, &format!("copying its library took more than {START:?}")));
                }
            };
            let spec = worker::Spec {
                plugin: start.plugin.into(),
                library: copy.path().to_owned(),
                origin: start.library.to_owned(),
                kept: copy,
                state_dir: start.host.state_dir().to_owned(),
                limits: start.limits.clone(),
                patience: worker::Patience::default(),
                told: notices.listener(),
            };
            let refused = |refusal: worker::Refusal| LoadError {
                path: ["plugins", start.plugin, "library"].map(str::to_owned).into(),
                message: refusal.message,
                help: refusal.help,
            };
            let opened = worker::open(spec).await.map_err(refused)?;
            return Ok(Self { library: Place::Worker(opened), notices });
        }
        let opening = spawn_blocking(move || SHELF.open(&path, &copies, &plugin));
        match timeout(START, opening).await {
            Ok(Ok(Ok(library))) => Ok(Self { library: Place::Inside(library), notices }),
            Ok(Ok(Err(error))) => Err(unopened(start.plugin, &error)),
            Ok(Err(_panic)) => Err(broken(start.plugin, "opening its library panicked")),
            Err(_elapsed) => Err(broken(start.plugin, &format!("opening its library took more than {START:?}"))),
        }
    }

    fn manifest(&self) -> &Manifest {
        match &self.library {
            Place::Inside(library) => library.library().manifest(),
            #[cfg(unix)]
            Place::Worker(opened) => opened.manifest(),
        }
    }

    async fn create(self, start: Start<'_>) -> Result<Arc<dyn ToolProvider>, LoadError> {
        let Start { plugin, settings, limits, limiter, host, .. } = start;
        settings::check(plugin, self.manifest(), &settings)?;
        let params = params(&host, &settings);
        let library = match self.library {
            Place::Inside(library) => library,
            #[cfg(unix)]
            Place::Worker(opened) => {
                let link = opened.create(params).await.map_err(|refusal| refused(plugin, refusal))?;
                return Ok(Arc::new(Provider::new(plugin, link, limiter, self.notices)));
            }
        };
        let table = Arc::new(Table::new(limiter.largest(), self.notices.listener()));
        let creating = spawn_blocking({
            let table = Arc::clone(&table);
            move || Tenant::create(library, &params, table)
        });
        let tenant = match timeout(START, creating).await {
            Ok(Ok(Ok(created))) => created,
            Ok(Ok(Err(error))) => return Err(uncreated(plugin, error)),
            Ok(Err(_panic)) => return Err(broken(plugin, "starting it panicked")),
            Err(_elapsed) => return Err(broken(plugin, &format!("starting it took more than {START:?}"))),
        };
        let link: Arc<dyn Link> = Arc::new(Inside::new(plugin, tenant, table, limits.concurrency));
        Ok(Arc::new(Provider::new(plugin, link, limiter, self.notices)))
    }
}

/// The params of `toolgate_plugin_create`.
fn params(host: &HostHandle, settings: &Value) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let params = json!({
        "plugin": host.plugin(),
        "stateDir": host.state_dir().to_string_lossy(),
        "settings": settings,
        "host": { "name": "toolgate", "version": version },
    });
    params.to_string().into_bytes()
}

fn unopened(plugin: &str, error: &OpenError) -> LoadError {
    let key = if matches!(error, OpenError::TooMany(_)) { "isolation" } else { "library" };
    LoadError {
        path: ["plugins", plugin, key].map(str::to_owned).into(),
        message: error.to_string(),
        help: error.help(),
    }
}

fn uncreated(plugin: &str, error: CreateError) -> LoadError {
    match error {
        CreateError::Refused { message, path: Some(path) } => settings::refused(plugin, &path, &message),
        CreateError::Refused { message, path: None } => broken(plugin, &message),
        other => broken(plugin, &other.to_string()),
    }
}

#[cfg(unix)]
fn refused(plugin: &str, refusal: worker::Refusal) -> LoadError {
    match refusal.setting {
        Some(setting) => settings::refused(plugin, &setting, &refusal.message),
        None => broken(plugin, &refusal.message),
    }
}

fn broken(plugin: &str, why: &str) -> LoadError {
    LoadError {
        path: vec!["plugins".into(), plugin.into()],
        message: format!("the plugin \"{plugin}\" cannot start: {why}"),
        help: "mend the cause, or set `enabled = false`".into(),
    }
}

/// What a library says of itself.
#[derive(Debug)]
pub struct Inspection {
    /// Who the plugin is.
    pub manifest: Manifest,
    /// Its tools, or why they cannot be told: a plugin may want settings first.
    pub tools: Result<Vec<Tool>, LoadError>,
}

/// Look at a library: its manifest, and its tools if it starts with `settings`.
///
/// # Errors
/// The library cannot be opened.
pub async fn inspect(library: &Path, settings: Option<Value>, isolation: Isolation) -> Result<Inspection, LoadError> {
    let name = library.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy().into_owned());
    let room = tempfile::tempdir().map_err(|error| broken(&name, &format!("there is no temporary folder: {error}")))?;
    let limits = Limits::default();
    let start = Start {
        plugin: &name,
        library,
        isolation,
        settings: settings.unwrap_or_else(|| json!({})),
        limits: &limits,
        limiter: Arc::new(Limiter::new(&name, &limits)),
        copies: &room.path().join("libraries"),
        host: HostHandle::new(name.as_str(), room.path().join("state"), |_| {}),
    };
    let opened = Opened::open(&start).await?;
    let manifest = opened.manifest().clone();
    let tools = match opened.create(start).await {
        Err(error) => Err(error),
        Ok(provider) => {
            let tools = provider.tools().await.map_err(|error| broken(&name, &format!("listing its tools: {error}")));
            provider.shutdown().await;
            tools
        }
    };
    Ok(Inspection { manifest, tools })
}
