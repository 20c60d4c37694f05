//! `toolgate plugin run`: one plugin as an MCP server on standard input and output, for a desktop client that starts it.
//!
//! No configuration file, no token: the person who starts it is the only caller. The way of a call is the server's own,
//! through the same policy, limits and isolation; what goes to standard output is the protocol's alone.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use tokio::signal;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::print,
    alone::{Alone, Place},
};
use crate::{
    config::{Config, Diagnostic},
    host::{BuildError, Current, Rebuilt, Registry, Retired},
    mcp,
    policy::Principal,
    telemetry::{audit::Audit, log},
};

/// The one endpoint there is; nobody sees its name but the audit trail.
const ENDPOINT: &str = "stdio";

/// How often to look whether the library was built again.
const LOOK: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(super) struct Options {
    /// The plugin library, such as target/release/libhello.so; or a compiled-in plugin by its name, such as echo.
    file: PathBuf,
    /// The plugin's settings: a JSON object, or @FILE for one that others must not see in the list of processes.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    settings: String,
    /// What the plugin may do, as the keys of its limits in the configuration: a JSON object, or @FILE.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    limits: String,
    /// Where the library runs: in a worker process of its own, or inside this one.
    #[arg(long, value_enum, default_value = "process")]
    isolation: Place,
    /// Where the plugin may keep files; a temporary folder if none is named.
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// Write an audit record for each call to this file.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

pub(super) async fn run(options: Options) -> ExitCode {
    // Removed when this function ends.
    let temporary = match &options.state_dir {
        Some(_) => None,
        None => match TempDir::with_prefix("toolgate-") {
            Ok(folder) => Some(folder),
            Err(error) => return print::failure(&format!("cannot make a temporary folder: {error}; see --state-dir")),
        },
    };
    let state_dir =
        options.state_dir.as_deref().or_else(|| temporary.as_ref().map(TempDir::path)).unwrap_or(Path::new("."));
    let alone = Alone {
        endpoint: ENDPOINT,
        file: &options.file,
        settings: &options.settings,
        limits: &options.limits,
        isolation: options.isolation,
        state_dir,
        audit: options.audit.as_deref(),
    };
    let config = match alone.config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let _log = match log::start(&config.log) {
        Ok(guard) => guard,
        Err(error) => return print::failure(&error.to_string()),
    };
    let audit = match Audit::open(&config.audit) {
        Ok(audit) => audit,
        Err(error) => return print::failure(&error.to_string()),
    };
    let registry = match Registry::build(&config, TaskTracker::new()).await {
        Ok((registry, _)) => Current::new(registry),
        Err(error) => {
            refused(&options.file, &error);
            return ExitCode::from(1);
        }
    };
    let stop = CancellationToken::new();
    let live = Live { config: &config, current: &registry, retiring: TaskTracker::new(), at_once: stop.child_token() };
    let serving = mcp::serve_stdio(ENDPOINT, registry.clone(), Principal::local(), audit.clone(), stop.clone());
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        never = live.keep_up(&options.file) => match never {},
        () = stopped() => {
            stop.cancel();
            serving.await
        }
    };
    live.end().await;
    registry.load().shutdown().await;
    let _ = tokio::task::spawn_blocking(move || audit.close(Duration::from_secs(2))).await;
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print::failure(&error.to_string()),
    }
}

/// The plugin as it is now, while it serves.
struct Live<'a> {
    config: &'a Config,
    current: &'a Current,
    /// Plugins that were replaced and have calls in flight.
    retiring: TaskTracker,
    at_once: CancellationToken,
}

impl Live<'_> {
    /// Pick up a library that is built again, and tools that change, as the server does. Without end.
    async fn keep_up(&self, file: &Path) -> Infallible {
        let mut looks = tokio::time::interval(LOOK);
        let (mut last, mut tried) = (stamp(file), stamp(file));
        loop {
            let registry = self.current.load();
            let rebuilt = tokio::select! {
                () = registry.tools_due() => registry.relist(self.config).await,
                _ = looks.tick() => {
                    let now = stamp(file);
                    // What still changes is still being written.
                    let settled = now == std::mem::replace(&mut last, now);
                    if !settled || now.is_none() || now == tried {
                        continue;
                    }
                    tried = now;
                    if registry.suits(self.config).await {
                        continue;
                    }
                    Some(registry.rebuild(self.config).await)
                }
            };
            drop(registry);
            match rebuilt {
                Some(Ok(rebuilt)) => self.swap(file, rebuilt),
                Some(Err(error)) => {
                    refused(file, &error);
                    tracing::error!("nothing is reloaded; what served before serves on");
                }
                None => {}
            }
        }
    }

    fn swap(&self, file: &Path, rebuilt: Rebuilt) {
        for (_, error) in &rebuilt.changes.behind {
            print::note(Diagnostic::file_error(file, error.message.as_str(), error.help.as_str()));
            tracing::error!("nothing is reloaded; what served before serves on");
        }
        self.current.swap(rebuilt.registry);
        for plugin in rebuilt.retired {
            self.retiring.spawn(Retired::end(plugin, self.at_once.clone()));
        }
        // With the one plugin that there is kept as before, nothing was.
        if rebuilt.changes.behind.is_empty() {
            tracing::info!("reloaded: {}", rebuilt.changes);
        }
    }

    /// End what was replaced.
    async fn end(self) {
        self.at_once.cancel();
        self.retiring.close();
        self.retiring.wait().await;
    }
}

/// What changes when a file is written.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = file.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// What a client sends, or somebody who tries it in a terminal.
async fn stopped() {
    #[cfg(unix)]
    if let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = signal::ctrl_c().await;
}

/// Why the plugin is not served, with the file, or with the setting that is to blame.
fn refused(file: &Path, error: &BuildError) {
    let found: Vec<(&[String], &str, &str)> = match error {
        BuildError::Plugins(errors) => {
            errors.iter().map(|error| (error.path.as_slice(), error.message.as_str(), error.help.as_str())).collect()
        }
        BuildError::Rules(found) => found
            .iter()
            .map(|finding| (finding.path.as_slice(), finding.message.as_str(), finding.help.as_str()))
            .collect(),
    };
    for (path, message, help) in found {
        let mut diagnostic = Diagnostic::file_error(file, message, help);
        // plugins.NAME.settings.KEY…
        if let [_, _, section, key @ ..] = path
            && (section == "settings" || section == "limits")
        {
            diagnostic.variable = Some(format!("--{section}"));
            diagnostic.key = key.join(".");
        }
        print::note(diagnostic);
    }
}
