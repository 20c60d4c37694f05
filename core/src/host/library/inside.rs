//! A plugin inside the server (`isolation = "none"`): requests go straight across the border.
//!
//! Owns on which threads a plugin runs, and the end of an instance. A plugin that says it does not block is called where the caller is: no queue, no other thread.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, time::timeout};
use toolgate_abi::method;
use toolgate_plugin::Health;

use super::{
    border::Instance,
    failure::CreateError,
    link::{Link, Pending, Reply},
    shelf::Borrowed,
    table::Table,
};

/// How long a plugin may take to answer `toolgate/shutdown`, and then to be released.
const PATIENCE: Duration = Duration::from_secs(5);

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
    threads: Option<Arc<Threads>>,
    runtime: Handle,
}

/// How many threads a plugin that blocks is in, and may be in.
struct Threads {
    asking: AtomicUsize,
    /// Apart from those that ask: a plugin that blocks them all must hear that nobody waits.
    telling: AtomicUsize,
    most: usize,
}

impl Inside {
    /// The link to an instance; `threads` is how many it may block at a time, if it blocks. Must be called in a
    /// runtime.
    pub(super) fn new(plugin: &str, tenant: Tenant, table: Arc<Table>, threads: usize) -> Self {
        let threads = tenant.library.library().manifest().blocking.then_some(threads);
        Self {
            plugin: plugin.into(),
            table,
            tenant: RwLock::new(Some(Arc::new(tenant))),
            threads: threads.map(|most| {
                Arc::new(Threads { asking: AtomicUsize::new(0), telling: AtomicUsize::new(0), most: most.max(1) })
            }),
            runtime: Handle::current(),
        }
    }

    fn tenant(&self) -> Option<Arc<Tenant>> {
        self.tenant.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Run `what` where the plugin may block, counted by `count`; false if it blocks too many threads already.
    fn aside(
        &self,
        threads: &Arc<Threads>,
        count: fn(&Threads) -> &AtomicUsize,
        what: impl FnOnce() + Send + 'static,
    ) -> bool {
        struct Busy(Arc<Threads>, fn(&Threads) -> &AtomicUsize);
        impl Drop for Busy {
            fn drop(&mut self) {
                self.1(&self.0).fetch_sub(1, Ordering::Relaxed);
            }
        }
        let busy = Busy(Arc::clone(threads), count);
        if count(threads).fetch_add(1, Ordering::Relaxed) >= threads.most {
            return false;
        }
        drop(self.runtime.spawn_blocking(move || {
            let _busy = busy;
            what();
        }));
        true
    }

    /// Give an instance back; the last one to do so releases it, where that may block.
    fn give_back(runtime: &Handle, tenant: Arc<Tenant>) {
        if let Some(tenant) = Arc::into_inner(tenant) {
            drop(runtime.spawn_blocking(move || drop(tenant)));
        }
    }

    fn ask(&self, tenant: Arc<Tenant>, method: &'static str, params: Vec<u8>) -> Pending {
        let pending = self.table.open();
        let id = pending.id;
        match &self.threads {
            None => {
                tenant.instance.request(id, method, &params);
                Self::give_back(&self.runtime, tenant);
            }
            Some(threads) => {
                let asked = self.aside(
                    threads,
                    |threads| &threads.asking,
                    move || tenant.instance.request(id, method, &params),
                );
                if !asked {
                    let why = format!(
                        "the plugin \"{}\" blocks {} threads with calls that do not end; restart the server, or set isolation = \"process\"",
                        self.plugin, threads.most
                    );
                    self.table.answer(id, || Reply::Gone(why));
                }
            }
        }
        pending
    }

    /// Everything is over: nobody waits, nobody asks.
    fn abandon(&self) {
        self.table.abandon(&format!("the plugin \"{}\" has been stopped", self.plugin));
    }
}

#[async_trait::async_trait]
impl Link for Inside {
    // Nothing in this process can end a call by force, whatever its deadline.
    fn request(&self, method: &'static str, params: Vec<u8>, _deadline: Option<Instant>) -> Pending {
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
        match &self.threads {
            None => {
                tenant.instance.notify(method, &params);
                Self::give_back(&self.runtime, tenant);
            }
            // A plugin that takes that many threads without listening would not listen to one more.
            Some(threads) => {
                let _ =
                    self.aside(threads, |threads| &threads.telling, move || tenant.instance.notify(method, &params));
            }
        }
    }

    fn health(&self) -> Health {
        match self.tenant() {
            Some(_) => Health::Ready,
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
        if let Some(tenant) = Arc::into_inner(tenant) {
            let released = self.runtime.spawn_blocking(move || drop(tenant));
            if timeout(PATIENCE, released).await.is_err() {
                tracing::warn!(plugin = %self.plugin, "the plugin does not let go; it is left behind");
            }
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let tenant = self.tenant.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tenant) = tenant {
            self.abandon();
            Self::give_back(&self.runtime, tenant);
        }
    }
}
