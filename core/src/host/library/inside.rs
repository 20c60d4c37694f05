//! A plugin inside the server (`isolation = "none"`): requests go straight across the border.
//!
//! Owns the end of an instance, and which `threads` a plugin that may block is called on: some for tool calls, a few of
//! its own for everything else, so that long calls do not hide how the plugin is. One that says it does not block is
//! called where the caller is: no queue, no other thread.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot, time::timeout};
use toolgate_abi::method;
use toolgate_plugin::Health;

use super::{
    border::Instance,
    failure::CreateError,
    link::{Link, Pending, Reply},
    shelf::Borrowed,
    table::Table,
    threads::{Refused, Threads},
};

/// How long a plugin may take to answer `toolgate/shutdown`, and then to be released.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many threads a plugin has beside those for tool calls: for its list, its health, its end, and notifications.
const SPARE: usize = 4;

/// How many of these may wait for such a thread.
const TALK: usize = 1024;

/// How often to look, while calls wait for a thread, whether they wait in vain.
const LOOK: Duration = Duration::from_secs(1);

/// An instance with the library that it runs in.
pub(super) struct Tenant {
    // Dropped, and so released, before its library goes back to the shelf.
    instance: Instance,
    library: Borrowed,
}

impl Tenant {
    /// Start the plugin of `library`; its answers go to `table`. Blocks.
    ///
    /// # Errors
    /// The plugin's refusal.
    pub(super) fn create(library: Borrowed, params: &[u8], table: Arc<Table>) -> Result<Self, CreateError> {
        let instance = library.library().create(params, table)?;
        Ok(Self { instance, library })
    }
}

/// A plugin in this process.
pub(super) struct Inside {
    plugin: Arc<str>,
    table: Arc<Table>,
    /// `None` once it is closing.
    tenant: RwLock<Option<Arc<Tenant>>>,
    /// `None`: it does not block.
    lanes: Option<Lanes>,
    runtime: Handle,
}

/// The threads of a plugin that may block.
struct Lanes {
    /// For tool calls.
    calls: Threads,
    /// For everything else.
    talk: Threads,
    /// Whether somebody looks after the calls that wait.
    watched: Arc<AtomicBool>,
}

impl Lanes {
    fn new(plugin: &str, calls: usize, table: &Arc<Table>) -> Self {
        let calls = calls.max(1);
        let threads = |most, room| Threads::new(format!("plugin-{plugin}"), most, room, Arc::clone(table));
        // No more than `calls` are waited for at a time; beyond them are those that are being given up.
        Self {
            calls: threads(calls, calls.saturating_mul(2).max(TALK)),
            talk: threads(SPARE, TALK),
            watched: Arc::default(),
        }
    }

    fn close(&self) {
        self.calls.close();
        self.talk.close();
    }
}

fn stuck(plugin: &str, threads: usize) -> String {
    format!(
        "the plugin \"{plugin}\" blocks {threads} threads with calls that do not end; restart the server, or set isolation = \"process\""
    )
}

impl Inside {
    /// The link to an instance; `threads` is how many calls it may block at a time, if it blocks. Must be called in a
    /// runtime.
    pub(super) fn new(plugin: &str, tenant: Tenant, table: Arc<Table>, threads: usize) -> Self {
        let blocks = tenant.library.library().manifest().blocking;
        Self {
            plugin: plugin.into(),
            lanes: blocks.then(|| Lanes::new(plugin, threads, &table)),
            table,
            tenant: RwLock::new(Some(Arc::new(tenant))),
            runtime: Handle::current(),
        }
    }

    fn tenant(&self) -> Option<Arc<Tenant>> {
        self.tenant.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Give an instance back; the last one to do so releases it, on a thread of its own: that may block for ever.
    fn give_back(&self, tenant: Arc<Tenant>) -> Option<oneshot::Receiver<()>> {
        let tenant = Arc::into_inner(tenant)?;
        let (done, released) = oneshot::channel();
        let release = move || {
            drop(tenant);
            let _ = done.send(());
        };
        // Without a thread it is released here and now: what was to run has been dropped.
        if let Err(error) = thread::Builder::new().name(format!("plugin-{}", self.plugin)).spawn(release) {
            tracing::warn!(plugin = %self.plugin, %error, "there is no thread to release the plugin on");
        }
        Some(released)
    }

    fn ask(&self, tenant: Arc<Tenant>, method: &'static str, params: Vec<u8>) -> Pending {
        let pending = self.table.open();
        let id = pending.id;
        let Some(lanes) = &self.lanes else {
            tenant.instance.request(id, method, &params);
            self.give_back(tenant);
            return pending;
        };
        let is_call = method == method::TOOLS_CALL;
        let threads = if is_call { &lanes.calls } else { &lanes.talk };
        let run = move || tenant.instance.request(id, method, &params);
        let asked = if threads.are_stuck() { Err(Refused::Full) } else { threads.run(Some(id), run) };
        match asked {
            Ok(()) if is_call && threads.are_awaited() => self.watch(lanes),
            Ok(()) => {}
            Err(Refused::Full) => self.table.answer(id, || Reply::Gone(stuck(&self.plugin, threads.most()))),
            Err(error @ Refused::NoThread(_)) => {
                self.table
                    .answer(id, || Reply::Gone(format!("the plugin \"{}\" cannot be asked: {error}", self.plugin)));
            }
        }
        pending
    }

    /// Answer the calls that wait for a thread when no thread will ever come.
    fn watch(&self, lanes: &Lanes) {
        if lanes.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let (threads, watched) = (lanes.calls.clone(), Arc::clone(&lanes.watched));
        let (plugin, table) = (Arc::clone(&self.plugin), Arc::clone(&self.table));
        drop(self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                if threads.are_stuck() {
                    for id in threads.take_back() {
                        table.answer(id, || Reply::Gone(stuck(&plugin, threads.most())));
                    }
                }
                if threads.are_awaited() {
                    continue;
                }
                watched.store(false, Ordering::Release);
                // One that came in between has seen somebody look.
                if !threads.are_awaited() || watched.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        }));
    }

    /// Everything is over: nobody waits, nobody asks.
    fn abandon(&self) {
        self.table.abandon(&format!("the plugin \"{}\" has been stopped", self.plugin));
        if let Some(lanes) = &self.lanes {
            lanes.close();
        }
    }
}

#[async_trait::async_trait]
impl Link for Inside {
    fn request(&self, method: &'static str, params: Vec<u8>) -> Pending {
        match self.tenant() {
            Some(tenant) => self.ask(tenant, method, params),
            None => {
                let pending = self.table.open();
                let why = format!("the plugin \"{}\" is being stopped", self.plugin);
                self.table.answer(pending.id, || Reply::Gone(why));
                pending
            }
        }
    }

    fn notify(&self, method: &'static str, params: Vec<u8>) {
        let Some(tenant) = self.tenant() else { return };
        let Some(lanes) = &self.lanes else {
            tenant.instance.notify(method, &params);
            self.give_back(tenant);
            return;
        };
        if let Err(error) = lanes.talk.run(None, move || tenant.instance.notify(method, &params)) {
            tracing::debug!(plugin = %self.plugin, method, %error, "the plugin does not listen");
        }
    }

    fn health(&self) -> Health {
        match self.tenant() {
            Some(_) => match &self.lanes {
                Some(lanes) if lanes.calls.are_stuck() => Health::Degraded(stuck(&self.plugin, lanes.calls.most())),
                _ => Health::Ready,
            },
            None => Health::Degraded("it has been stopped".into()),
        }
    }

    async fn close(&self) {
        let Some(tenant) = self.tenant.write().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let asked = self.ask(Arc::clone(&tenant), method::SHUTDOWN, b"{}".to_vec());
        if timeout(PATIENCE, asked.reply).await.is_err() {
            tracing::warn!(plugin = %self.plugin, "the plugin did not finish within {PATIENCE:?}; it is released as it is");
        }
        self.abandon();
        // Threads that are still in it keep it: it is released when the last one comes back.
        if let Some(released) = self.give_back(tenant)
            && timeout(PATIENCE, released).await.is_err()
        {
            tracing::warn!(plugin = %self.plugin, "the plugin does not let go; it is left behind");
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let tenant = self.tenant.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tenant) = tenant {
            self.abandon();
            self.give_back(tenant);
        }
    }
}
