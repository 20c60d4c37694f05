//! From a registry to the next one: which plugins run on, which start, and when those that are replaced end.
//!
//! Builds beside what serves and touches none of it; who swaps, and why, is the server's matter.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future;
use tokio::{sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    load::{self, Behind, Identity, Instance, LoadError, Loaded},
    registry::{BuildError, Holder, Registry, Seat},
};
use crate::{
    config::{Config, Plugin},
    policy::{Finding, Misfits},
};

/// How long a replaced plugin is kept at least: who has just loaded the registry has no permit yet.
const GRACE: Duration = Duration::from_secs(2);
/// How much longer than its longest call a permit may be out: the face reads a body under it.
const MARGIN: Duration = Duration::from_secs(30);

/// A registry that is ready to serve.
pub struct Rebuilt {
    /// The registry.
    pub registry: Registry,
    /// What does not fit but stops nothing.
    pub findings: Vec<Finding>,
    /// What has become of each plugin.
    pub changes: Changes,
    /// To end once the new registry serves.
    pub retired: Vec<Retired>,
}

impl Rebuilt {
    /// End what was started for it: it is not going to serve in the place of `before`.
    pub async fn discard(self, before: &Registry) {
        let fresh = self.registry.plugins.iter().filter_map(|seat| fresh(seat, Some(before)));
        future::join_all(fresh.map(|plugin| plugin.instance.shutdown(&plugin.name))).await;
    }
}

/// What has become of each plugin, by name.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// New here.
    pub started: Vec<Arc<str>>,
    /// Another instance than before.
    pub replaced: Vec<Arc<str>>,
    /// The same instance as before.
    pub kept: Vec<Arc<str>>,
    /// The same instance as before, since the new one does not start.
    pub behind: Vec<(Arc<str>, LoadError)>,
    /// Not here any more.
    pub removed: Vec<Arc<str>>,
    /// Not served.
    pub failed: Vec<Arc<str>>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let behind: Vec<Arc<str>> = self.behind.iter().map(|(name, _)| Arc::clone(name)).collect();
        let lists = [
            ("started", &self.started),
            ("replaced", &self.replaced),
            ("kept", &self.kept),
            ("kept as before", &behind),
            ("removed", &self.removed),
            ("failed", &self.failed),
        ];
        let told: Vec<String> = lists
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| {
                let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                format!("{what} {}", names.join(", "))
            })
            .collect();
        f.write_str(if told.is_empty() { "no plugins" } else { "" })?;
        f.write_str(&told.join("; "))
    }
}

/// A plugin that serves no new calls.
pub struct Retired {
    name: Arc<str>,
    instance: Arc<Instance>,
    longest_call: Duration,
}

impl Retired {
    /// End it when its calls have ended, or when they have had time enough; with `at_once` now.
    pub async fn end(self, at_once: CancellationToken) {
        let calls = &self.instance.permits;
        let ended = async {
            tokio::time::sleep(GRACE).await;
            calls.close();
            if tokio::time::timeout(self.longest_call.saturating_add(MARGIN), calls.wait()).await.is_err() {
                tracing::warn!(plugin = %self.name, calls = calls.len(), "the replaced plugin is ended with calls in flight");
            }
        };
        tokio::select! {
            () = at_once.cancelled() => {}
            () = ended => {}
        }
        self.instance.shutdown(&self.name).await;
        tracing::debug!(plugin = %self.name, "the replaced plugin has ended");
    }
}

impl Registry {
    /// Start the plugins and compile their rules; `calls` will count the calls in flight. Findings that stop nothing
    /// come back beside the registry. A library that fails leaves its place empty: see [`Registry::failures`].
    ///
    /// # Errors
    /// Plugins that must run and do not start, or rules that do not fit their tools.
    pub async fn build(config: &Config, calls: TaskTracker) -> Result<(Self, Vec<Finding>), BuildError> {
        let built = build(config, None, calls, Arc::default()).await?;
        Ok((built.registry, built.findings))
    }

    /// The registry of another configuration. Plugins that stay the same run on in it.
    ///
    /// # Errors
    /// As [`Registry::build`]; this registry then serves on.
    pub async fn rebuild(&self, config: &Config) -> Result<Rebuilt, BuildError> {
        build(config, Some(self), self.calls.clone(), Arc::clone(&self.bell)).await
    }

    /// Whether the plugins are those that a configuration asks for, as their files are now, or were tried and failed. One
    /// that has ended is worth another try.
    pub async fn suits(&self, config: &Config) -> bool {
        for (name, section) in config.plugins.iter().filter(|(_, section)| section.enabled) {
            let Some(seat) = self.plugins.iter().find(|seat| *seat.name == **name) else { return false };
            let tried = match &seat.holder {
                Holder::Plugin(loaded) if loaded.instance.is_down() => return false,
                Holder::Plugin(loaded) => match &loaded.behind {
                    Some(behind) => &behind.wanted,
                    None => &loaded.instance.identity,
                },
                Holder::Nobody { wanted, .. } => wanted,
            };
            if *tried != Identity::of(section).await {
                return false;
            }
        }
        true
    }

    /// Whether each plugin is the one that the configuration asks for.
    pub fn is_whole(&self) -> bool {
        self.plugins.iter().all(|seat| seat.loaded().is_some_and(|loaded| loaded.behind.is_none()))
    }

    /// Waits until the tools of a plugin that says that they have changed are to be listed.
    pub async fn tools_due(&self) {
        loop {
            match self.plugins.iter().filter_map(|seat| seat.loaded()?.instance.due()).min() {
                None => self.bell.notified().await,
                Some(due) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due) => return,
                        // Of another plugin, which may be due earlier.
                        () = self.bell.notified() => {}
                    }
                }
            }
        }
    }

    /// The same registry with the tools that its plugins have now; `None` if none has others than before.
    pub async fn relist(&self, config: &Config) -> Option<Result<Rebuilt, BuildError>> {
        let is_due = |plugin: &Loaded| plugin.instance.due().is_some_and(|due| due <= Instant::now());
        let seats = future::join_all(self.plugins.iter().filter_map(|seat| {
            let section = config.plugins.get(&*seat.name)?;
            Some(async move {
                let holder = match &seat.holder {
                    Holder::Plugin(plugin) if is_due(plugin) => Holder::Plugin(relisted(plugin).await.into()),
                    holder => holder.clone(),
                };
                Seat::new(&seat.name, section, holder)
            })
        }));
        let seats = seats.await;
        let others = with_others(&seats, self);
        if others.is_empty() {
            return None;
        }
        let next = self.next(config, seats, |_| Misfits::Hide);
        if next.is_err() {
            others.iter().for_each(|instance| instance.put_off());
        }
        Some(next)
    }

    fn next(
        &self,
        config: &Config,
        seats: Vec<Seat>,
        misfits: impl Fn(&Seat) -> Misfits,
    ) -> Result<Rebuilt, BuildError> {
        let built =
            Registry::seated(config, seats, misfits, self.calls.clone(), Arc::clone(&self.bell), Some(self.policy()));
        let (registry, findings) = built.map_err(BuildError::Rules)?;
        let (changes, retired) = compare(self, &registry);
        Ok(Rebuilt { registry, findings, changes, retired })
    }
}

async fn relisted(plugin: &Loaded) -> Loaded {
    plugin.again().await.unwrap_or_else(|error| {
        tracing::warn!(plugin = %plugin.name, %error, "the tools have changed but cannot be listed; those before stay");
        plugin.clone()
    })
}

async fn build(
    config: &Config,
    before: Option<&Registry>,
    calls: TaskTracker,
    bell: Arc<Notify>,
) -> Result<Rebuilt, BuildError> {
    let enabled = config.plugins.iter().filter(|(_, section)| section.enabled);
    let seated = future::join_all(enabled.map(|(name, section)| seat(config, name, section, before, &bell))).await;
    let started: Vec<Loaded> = seated.iter().filter_map(|seat| fresh(seat, before)).cloned().collect();
    let others = before.map(|before| with_others(&seated, before)).unwrap_or_default();
    let missing: Vec<LoadError> = seated
        .iter()
        .filter(|seat| seat.required)
        .flat_map(|seat| match &seat.holder {
            Holder::Plugin(_) => Vec::new(),
            Holder::Nobody { errors, .. } => errors.clone(),
        })
        .collect();
    let served = |seat: &Seat| before.is_some_and(|before| before.plugin(&seat.name).is_some());
    let misfits = |seat: &Seat| match config.plugins.get(&*seat.name) {
        Some(section) if section.builtin.is_some() => Misfits::Refuse,
        _ if served(seat) => Misfits::Hide,
        _ if seat.required => Misfits::Refuse,
        _ => Misfits::KeepOut,
    };
    let built = if missing.is_empty() {
        Registry::seated(config, seated, misfits, calls, bell, before.map(Registry::policy)).map_err(BuildError::Rules)
    } else {
        Err(BuildError::Plugins(missing))
    };
    // What has been started for nothing ends again.
    let in_use = |plugin: &&Loaded| {
        let registry = built.as_ref().ok().map(|(registry, _)| registry);
        registry.and_then(|registry| registry.plugin(&plugin.name)).is_some_and(|used| is_same(used, plugin))
    };
    future::join_all(
        started.iter().filter(|plugin| !in_use(plugin)).map(|plugin| plugin.instance.shutdown(&plugin.name)),
    )
    .await;
    let (registry, findings) = built.inspect_err(|_| others.iter().for_each(|instance| instance.put_off()))?;
    let (changes, retired) = before.map(|before| compare(before, &registry)).unwrap_or_default();
    Ok(Rebuilt { registry, findings, changes, retired })
}

/// The plugin of a section: the one that runs, if it does and is still the right one; otherwise a new one, or if that
/// fails the one before.
async fn seat(config: &Config, name: &str, section: &Plugin, before: Option<&Registry>, bell: &Arc<Notify>) -> Seat {
    let running = before.and_then(|before| before.plugin(name));
    let wanted = Identity::of(section).await;
    let runs_on = |running: &&Loaded| running.instance.identity == wanted && !running.instance.is_down();
    if let Some(running) = running.filter(runs_on) {
        // With the tools that it had: if they have changed they are listed again after this, which may take its time.
        let loaded = running.under(section, None);
        return Seat::new(name, section, Holder::Plugin(loaded.into()));
    }
    let holder = match (load::start(config, name, section, wanted.clone(), bell).await, running) {
        (Ok(started), _) => Holder::Plugin(started.into()),
        (Err(error), Some(running)) => Holder::Plugin(running.under(section, Some(Behind { wanted, error })).into()),
        (Err(error), None) => Holder::Nobody { wanted, errors: vec![error] },
    };
    Seat::new(name, section, holder)
}

/// The plugin of a place, if it was started for it.
fn fresh<'a>(seat: &'a Seat, before: Option<&Registry>) -> Option<&'a Loaded> {
    let loaded = seat.loaded()?;
    let running = before.and_then(|before| before.plugin(&seat.name));
    (!running.is_some_and(|running| is_same(running, loaded))).then_some(loaded)
}

/// The plugins that run on, with other tools than before.
fn with_others(seats: &[Seat], before: &Registry) -> Vec<Arc<Instance>> {
    let running = seats.iter().filter_map(|seat| Some((seat.loaded()?, before.plugin(&seat.name)?)));
    let others = running.filter(|(now, before)| is_same(now, before) && !now.lists_as(before));
    others.map(|(now, _)| Arc::clone(&now.instance)).collect()
}

fn is_same(one: &Loaded, other: &Loaded) -> bool {
    Arc::ptr_eq(&one.instance, &other.instance)
}

fn compare(before: &Registry, after: &Registry) -> (Changes, Vec<Retired>) {
    let mut changes = Changes::default();
    for seat in &after.plugins {
        let name = Arc::clone(&seat.name);
        match (before.plugin(&seat.name), seat.loaded()) {
            (_, None) => changes.failed.push(name),
            (None, Some(_)) => changes.started.push(name),
            (Some(one), Some(other)) => match &other.behind {
                Some(behind) => changes.behind.push((name, behind.error.clone())),
                None if is_same(one, other) => changes.kept.push(name),
                None => changes.replaced.push(name),
            },
        }
    }
    let mut retired = Vec::new();
    for seat in &before.plugins {
        if !after.plugins.iter().any(|other| other.name == seat.name) {
            changes.removed.push(Arc::clone(&seat.name));
        }
        let Some(loaded) = seat.loaded() else { continue };
        if !after.plugin(&seat.name).is_some_and(|other| is_same(loaded, other)) {
            let (name, instance) = (Arc::clone(&seat.name), Arc::clone(&loaded.instance));
            retired.push(Retired { name, instance, longest_call: longest_call(before, &seat.name) });
        }
    }
    (changes, retired)
}

fn longest_call(registry: &Registry, plugin: &str) -> Duration {
    let endpoints = registry.endpoints().filter_map(|name| registry.policy().endpoint(name));
    let tools = endpoints.flat_map(|rules| rules.tools.values()).filter(|tool| *tool.plugin == *plugin);
    tools.map(|tool| tool.timeout).max().unwrap_or_default()
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
