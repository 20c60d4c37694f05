//! Reloading: what makes the server look at its configuration again, one look at a time, and the swap.
//!
//! All that can fail is done beside what serves; then registry and app are swapped, and neither can fail.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    app::App,
    changes::{self, Standing},
    live::Live,
    outlook::Prospect,
    standing::Ground,
    state::State,
    watch::Watch,
};
use crate::{
    config::{self, Config, Diagnostic, Diagnostics, Environment, Loaded, PluginKind},
    host::{BuildError, Changes, Rebuilt, Retired},
};

/// Why the server looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody asked, and wants an answer in the log.
    Signal,
    /// A file may have changed.
    Files,
}

/// Reloads the server.
pub(super) struct Reloader {
    path: PathBuf,
    /// As it was stated at the start.
    started: Config,
    ground: Ground,
    live: Arc<Live>,
    watch: Option<Watch>,
    stirred: Arc<Notify>,
    /// Until the reloader runs.
    hangup: Option<Hangup>,
    /// What was wrong at the last look, so that it is told once.
    refused: Option<Vec<Diagnostic>>,
    /// Whether files changed while they were loaded: what was looked at may not be what was loaded.
    unsure: bool,
    /// Replaced plugins that have calls in flight.
    retiring: TaskTracker,
    at_once: CancellationToken,
}

impl Reloader {
    /// From here on, a hangup is heard.
    pub(super) fn new(path: &Path, started: Config, ground: Ground, live: Arc<Live>) -> Self {
        let stirred = Arc::new(Notify::new());
        Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            started,
            ground,
            live,
            watch: Some(Watch::new(Arc::clone(&stirred))),
            stirred,
            hangup: Some(Hangup::new()),
            refused: None,
            unsure: false,
            retiring: TaskTracker::new(),
            at_once: CancellationToken::new(),
        }
    }

    /// Reload whenever there is reason to, until `stop`; then end the plugins that were replaced.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        // What was edited while the server started is seen by a first look.
        self.aim();
        self.stirred.notify_one();
        let stirred = Arc::clone(&self.stirred);
        let mut hangup = self.hangup.take();
        loop {
            let registry = self.ground.registry.load();
            let cause = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = heard(&mut hangup) => Cause::Signal,
                () = stirred.notified() => Cause::Files,
                // A plugin may take its time to list its tools: nobody's edit waits for that.
                () = async { registry.tools_due().await; self.relist().await } => continue,
            };
            drop(registry);
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.look(cause) => {}
            }
        }
        self.at_once.cancel();
        self.retiring.close();
        self.retiring.wait().await;
    }

    async fn look(&mut self, cause: Cause) {
        // Before the files are read: what changes in between is looked at again. What was refused is loaded again at
        // any stir: it may have stood there for less than a look.
        let unsure = std::mem::take(&mut self.unsure) || self.refused.is_some();
        if self.files_have_changed().await || unsure || cause == Cause::Signal {
            self.reload(cause).await;
        }
    }

    /// What was loaded is not what the files hold.
    fn look_again(&mut self) {
        self.unsure = true;
        self.stirred.notify_one();
    }

    /// Watch the files that the server runs with now.
    fn aim(&mut self) {
        let state = self.live.state();
        let plugins = state.config.plugins.values().filter(|section| section.enabled);
        let libraries = plugins.filter_map(|section| match section.kind()? {
            PluginKind::Library(path) => Some(path.to_owned()),
            PluginKind::Builtin(_) => None,
        });
        let mut files: BTreeSet<PathBuf> = libraries.collect();
        files.insert(self.path.clone());
        files.insert(self.path.with_file_name(".env"));
        if self.watch.as_mut().is_some_and(|watch| watch.aim(&files)) {
            self.stirred.notify_one();
        }
    }

    async fn files_have_changed(&mut self) -> bool {
        let Some(mut watch) = self.watch.take() else { return true };
        let looked = tokio::task::spawn_blocking(move || {
            let changed = watch.has_changed();
            (watch, changed)
        });
        let Ok((watch, changed)) = looked.await else { return true };
        self.watch = Some(watch);
        changed
    }

    async fn reload(&mut self, cause: Cause) {
        let begun = Instant::now();
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&path, &Environment::from_process())).await;
        // Before anybody hears of it, who might write the former content back. A look watches anew, and may leave
        // unheard what it has seen.
        // Without a watch all counts as changed: looking again would never end.
        if self.files_have_changed().await && self.watch.is_some() {
            self.look_again();
        }
        let loaded = match loaded {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(Diagnostics(wrong))) => return self.refuse(wrong, cause),
            Err(error) => return tracing::error!(%error, "the configuration could not be loaded"),
        };
        let Loaded { mut config, source, warnings } = loaded;
        if self.watch.as_ref().is_some_and(|watch| !watch.has_seen(&self.path, source.text())) {
            self.look_again();
        }
        let state = self.live.state();
        let standing = Standing { started: &self.started, running: &state.config, dev: self.ground.dev.is_some() };
        let held = changes::hold_back(&standing, &mut config, &source);
        // What is held back may not meet what is not: an address for all with the anonymous callers of the edit.
        if let Err(Diagnostics(wrong)) = config::check_again(&config, &source) {
            return self.refuse(wrong.into_iter().map(at_the_next_start).collect(), cause);
        }
        let registry = self.ground.registry.load();
        let tries_again = cause == Cause::Signal && !registry.is_whole();
        if !tries_again && changes::is_same(&config, &state.config) && registry.suits(&config).await {
            self.ground.outlook.set(Prospect::but_for(&held));
            tell(&held);
            if self.refused.take().is_some() || cause == Cause::Signal || !held.is_empty() {
                let now = if held.is_empty() { "" } else { " that takes effect now" };
                tracing::info!("nothing has changed{now}");
            }
            return;
        }
        tell(&warnings);
        tell(&held);
        if let Err(error) = self.ground.check(&config) {
            tracing::error!("{error}");
            self.ground.outlook.set(Prospect::Refused(error.to_string()));
            return self.refuse(Vec::new(), Cause::Signal);
        }
        let rebuilt = match registry.rebuild(&config).await {
            Ok(rebuilt) => rebuilt,
            Err(error) => return self.refuse(error.diagnostics(&source), cause),
        };
        let profiles = match self.ground.profiles(&config) {
            Ok(profiles) => profiles,
            Err(error) => {
                rebuilt.discard(&registry).await;
                tracing::error!("{error}");
                return self.refuse(Vec::new(), Cause::Signal);
            }
        };
        drop(registry);
        for finding in &rebuilt.findings {
            tell(&[finding.diagnostic(&source)]);
        }
        for (_, errors) in rebuilt.registry.failures() {
            errors.iter().for_each(|error| tell(&[error.diagnostic(&source)]));
        }
        for (plugin, error) in &rebuilt.changes.behind {
            tell(&[error.diagnostic(&source)]);
            tracing::error!(%plugin, "the new plugin does not start; the one before stays");
        }
        self.refused = None;
        self.ground.outlook.set(Prospect::but_for(&held));
        let changes = self.swap_registry(rebuilt);
        self.swap_app(self.ground.state(config, profiles, Some(&state)), &state);
        self.aim();
        tracing::info!("reloaded in {}: {changes}", humantime::format_duration(whole_millis(begun)));
    }

    /// What the files say cannot be served. Said again only to who asks again.
    fn refuse(&mut self, wrong: Vec<Diagnostic>, cause: Cause) {
        if let Some(refused) = Prospect::refused(&wrong) {
            self.ground.outlook.set(refused);
        }
        if cause == Cause::Signal || self.refused.as_ref() != Some(&wrong) {
            tell(&wrong);
            tracing::error!("nothing is reloaded; what served before serves on");
        }
        self.refused = Some(wrong);
    }

    /// The tools of some plugins have changed.
    async fn relist(&self) {
        let state = self.live.state();
        match self.ground.registry.load().relist(&state.config).await {
            None => {}
            Some(Ok(rebuilt)) => {
                for finding in &rebuilt.findings {
                    let plugin = finding.plugin.as_deref().unwrap_or_default();
                    tracing::warn!(plugin, "{}; {}", finding.message, finding.help);
                }
                self.swap_registry(rebuilt);
                tracing::info!("tools were listed again");
            }
            Some(Err(BuildError::Rules(findings))) => {
                let told: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
                tracing::error!("the tools have changed but cannot be served: {}", told.join("; "));
            }
            Some(Err(BuildError::Plugins(errors))) => {
                errors.iter().for_each(|error| tracing::error!(%error, "the tools have changed but cannot be served"));
            }
        }
    }

    fn swap_registry(&self, rebuilt: Rebuilt) -> Changes {
        self.ground.registry.swap(rebuilt.registry);
        for plugin in rebuilt.retired {
            self.retiring.spawn(Retired::end(plugin, self.at_once.clone()));
        }
        rebuilt.changes
    }

    fn swap_app(&self, next: State, before: &State) {
        let gone: Vec<CancellationToken> = before
            .endpoints
            .iter()
            .filter(|(name, _)| !next.endpoints.contains_key(*name))
            .map(|(_, mounted)| mounted.stop.clone())
            .collect();
        self.live.swap(App::new(Arc::new(next)));
        if gone.is_empty() {
            return;
        }
        // An endpoint that is gone takes its sessions along, once their calls have had the time that others have when the
        // server stops.
        let (drain, at_once) = (before.config.server.drain.0, self.at_once.clone());
        self.retiring.spawn(async move {
            tokio::select! {
                () = at_once.cancelled() => {}
                () = tokio::time::sleep(drain) => {}
            }
            gone.iter().for_each(CancellationToken::cancel);
        });
    }
}

/// An error of what would run, where some of it is not what the file says now.
fn at_the_next_start(wrong: Diagnostic) -> Diagnostic {
    let message = format!("does not go with what stays as it is while the server runs: {}", wrong.message);
    let help = Some("restart the server to let all of it take effect, or take the edit back".to_owned());
    Diagnostic { message, help, ..wrong }
}

fn whole_millis(begun: Instant) -> std::time::Duration {
    std::time::Duration::from_millis(begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX))
}

/// Findings go to the log as the commands print them.
fn tell(findings: &[Diagnostic]) {
    for finding in findings {
        match finding.severity {
            config::Severity::Error => tracing::error!("{finding}"),
            config::Severity::Warning => tracing::warn!("{finding}"),
        }
    }
}

async fn heard(hangup: &mut Option<Hangup>) {
    match hangup {
        Some(hangup) => hangup.heard().await,
        None => std::future::pending().await,
    }
}

/// What a terminal or an operator sends: SIGHUP, where there is one.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    #[cfg(unix)]
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self { signal: signal(SignalKind::hangup()).ok() }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }

    #[cfg(unix)]
    async fn heard(&mut self) {
        match &mut self.signal {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }

    #[cfg(not(unix))]
    async fn heard(&mut self) {
        std::future::pending().await
    }
}
