//! Plugin libraries: opened (`border`), spoken with over a [`link::Link`], and shown as a `ToolProvider`
//! (`provider`), inside the server (`inside`) or in a worker process.
//!
//! The way of a library: examined (`image`) and copied (`copy`), opened, asked who it is (`manifest`), its settings
//! checked (`settings`), then created. What goes wrong on it has its words in `failure`. A request under way waits in
//! a `table`; what a plugin says of itself goes through `told`.
//!
//! `border` is the one module of the server with `unsafe` code. Nothing here knows rules, callers' tokens or HTTP.

mod border;
mod copy;
mod failure;
mod image;
mod inside;
mod link;
mod manifest;
#[cfg(not(unix))]
#[path = "no_process.rs"]
mod process;
#[cfg(unix)]
mod process;
mod provider;
mod settings;
mod shelf;
mod table;
#[cfg(test)]
mod tests;
mod threads;
mod told;
mod valve;
#[cfg(unix)]
mod worker;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{task::spawn_blocking, time::timeout};
use toolgate_plugin::{HostHandle, Tool, ToolProvider};

pub(super) use copy::fingerprint;
pub use manifest::Manifest;
#[cfg(unix)]
pub use worker::{NotAWorker, work};

use self::{
    failure::{CreateError, OpenError},
    inside::{Inside, Tenant},
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
    /// Set once the plugin has ended and is not started again by itself.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only a worker ends before the server"))]
    pub(super) down: Arc<AtomicBool>,
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
    place: Place,
    notices: Arc<Notices>,
}

/// Where it is open.
enum Place {
    Inside(Borrowed),
    Process(process::Opened),
}

impl Opened {
    async fn open(start: &Start<'_>) -> Result<Self, LoadError> {
        let notices = Notices::new(start.host.clone());
        let place = match start.isolation {
            Isolation::None => Place::Inside(inside(start).await?),
            Isolation::Process => Place::Process(process::open(start, notices.listener()).await?),
        };
        Ok(Self { place, notices })
    }

    fn manifest(&self) -> &Manifest {
        match &self.place {
            Place::Inside(library) => library.library().manifest(),
            Place::Process(worker) => worker.manifest(),
        }
    }

    async fn create(self, start: Start<'_>) -> Result<Arc<dyn ToolProvider>, LoadError> {
        let Start { plugin, settings, limits, limiter, host, .. } = start;
        let params = params(&host, &settings);
        let Self { place, notices } = self;
        let link = match place {
            // Checks the settings itself: the schema is the plugin's.
            Place::Process(worker) => worker.create(plugin, params).await?,
            Place::Inside(library) => {
                settings::check(plugin, library.library().manifest(), &settings)?;
                let table = Arc::new(Table::new(limiter.largest_answer(), notices.listener()));
                let tenant = create(plugin, library, params, Arc::clone(&table)).await?;
                Arc::new(Inside::new(plugin, tenant, table, limits.concurrency))
            }
        };
        Ok(Arc::new(Provider::new(plugin, link, limiter, notices)))
    }
}

/// Open a library in this process, off the runtime's threads.
async fn inside(start: &Start<'_>) -> Result<Borrowed, LoadError> {
    let (plugin, path, copies) = (start.plugin.to_owned(), start.library.to_owned(), start.copies.to_owned());
    match timeout(START, spawn_blocking(move || SHELF.open(&path, &copies, &plugin))).await {
        Ok(Ok(Ok(library))) => Ok(library),
        Ok(Ok(Err(error))) => Err(unopened(start.plugin, &error)),
        Ok(Err(_panic)) => Err(broken(start.plugin, "opening its library panicked")),
        Err(_elapsed) => Err(broken(start.plugin, &format!("opening its library took more than {START:?}"))),
    }
}

/// Start the plugin of a library in this process, off the runtime's threads.
async fn create(plugin: &str, library: Borrowed, params: Vec<u8>, table: Arc<Table>) -> Result<Tenant, LoadError> {
    match timeout(START, spawn_blocking(move || Tenant::create(library, &params, table))).await {
        Ok(Ok(Ok(tenant))) => Ok(tenant),
        Ok(Ok(Err(error))) => Err(uncreated(plugin, error)),
        Ok(Err(_panic)) => Err(broken(plugin, "starting it panicked")),
        Err(_elapsed) => Err(broken(plugin, &format!("starting it took more than {START:?}"))),
    }
}

/// The params of `toolgate_plugin_create`.
fn params(host: &HostHandle, settings: &Value) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let params = json!({
        "plugin": host.plugin(),
        "stateDir": host.state_dir().to_string_lossy(),
        "baseDir": host.base_dir().to_string_lossy(),
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

/// Look at a library: its manifest, and its tools if it starts with `settings` and within `limits`.
///
/// # Errors
/// The library cannot be opened.
pub async fn inspect(
    library: &Path,
    settings: Option<Value>,
    limits: &Limits,
    isolation: Isolation,
) -> Result<Inspection, LoadError> {
    let name = library.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy().into_owned());
    let room = tempfile::tempdir().map_err(|error| broken(&name, &format!("there is no temporary folder: {error}")))?;
    let start = Start {
        plugin: &name,
        library,
        isolation,
        settings: settings.unwrap_or_else(|| json!({})),
        limits,
        limiter: Arc::new(Limiter::new(&name, limits)),
        copies: &room.path().join("libraries"),
        host: HostHandle::new(name.as_str(), room.path().join("state"), |_| {}),
        down: Arc::default(),
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
