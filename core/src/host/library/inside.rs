//! A plugin inside the server (`isolation = "none"`): requests go straight across the border.
//!
//! Owns how often this process may open a library, on which threads a plugin runs, and the end of an instance. A plugin
//! that says it does not block is called where the caller is: no queue, no other thread.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::timeout};
use toolgate_abi::method;
use toolgate_plugin::Health;

use super::{
    border::{Instance, Library},
    copy::Copy,
    failure::{CreateError, OpenError},
    link::{Link, Pending, Reply},
    table::Table,
};

/// How many libraries one process opens. None is ever closed, so each further one stays in memory.
const MOST: usize = 16;

/// How long a plugin may take to answer `toolgate/shutdown`, and then to be released.
const PATIENCE: Duration = Duration::from_secs(5);

static OPENED: AtomicUsize = AtomicUsize::new(0);

/// Libraries that were opened and not started, since the settings were wrong: the next attempt takes them.
static UNUSED: Mutex<Vec<(String, Library)>> = Mutex::new(Vec::new());

/// A library of this process, with what it was copied from.
pub(super) struct Opened {
    fingerprint: String,
    library: Library,
}

impl Opened {
    /// Open a private copy of the library at `path`. Blocks.
    ///
    /// # Errors
    /// Whatever is wrong with the file, or too many libraries.
    pub(super) fn open(path: &Path, copies: &Path, plugin: &str) -> Result<Self, OpenError> {
        let copy = Copy::make(path, copies, plugin)?;
        let fingerprint = copy.fingerprint().to_owned();
        {
            let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = unused.iter().position(|(found, _)| *found == fingerprint) {
                let (fingerprint, library) = unused.swap_remove(index);
                return Ok(Self { fingerprint, library });
            }
        }
        let room = |opened| if opened < MOST { Some(opened + 1) } else { None };
        if OPENED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err() {
            return Err(OpenError::TooMany(MOST));
        }
        match Library::open(copy.path()) {
            Ok(library) => Ok(Self { fingerprint, library }),
            Err(error) => {
                // What the linker refused has left nothing behind.
                if matches!(error, OpenError::Unlinkable { .. }) {
                    OPENED.fetch_sub(1, Ordering::Relaxed);
                }
                Err(error.about(path))
            }
        }
    }

    /// The library.
    pub(super) fn library(&self) -> &Library {
        &self.library
    }

    /// It was not started after all.
    pub(super) fn put_back(self) {
        UNUSED.lock().unwrap_or_else(PoisonError::into_inner).push((self.fingerprint, self.library));
    }

    /// Start the plugin. Blocks.
    pub(super) fn create(self, params: &[u8], table: &Arc<Table>) -> Result<(Instance, bool), CreateError> {
        let blocking = self.library.manifest().blocking;
        let table: Arc<Table> = Arc::clone(table);
        self.library.create(params, table).map(|instance| (instance, blocking))
    }
}

/// A plugin in this process.
pub(super) struct Inside {
    plugin: Arc<str>,
    table: Arc<Table>,
    /// `None` once it is closing.
    instance: RwLock<Option<Arc<Instance>>>,
    /// `None`: it does not block.
    threads: Option<Arc<Threads>>,
    runtime: Handle,
}

/// How many threads a plugin that blocks is in, and may be in.
struct Threads {
    busy: AtomicUsize,
    most: usize,
}

impl Inside {
    /// The link to an instance; `threads` is how many it may block at a time, if it blocks. Must be called in a
    /// runtime.
    pub(super) fn new(plugin: &str, instance: Instance, table: Arc<Table>, threads: Option<usize>) -> Self {
        Self {
            plugin: plugin.into(),
            table,
            instance: RwLock::new(Some(Arc::new(instance))),
            threads: threads.map(|most| Arc::new(Threads { busy: AtomicUsize::new(0), most: most.max(1) })),
            runtime: Handle::current(),
        }
    }

    fn instance(&self) -> Option<Arc<Instance>> {
        self.instance.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Run `what` where the plugin may block; false if it blocks too many threads already.
    fn aside(&self, threads: &Arc<Threads>, what: impl FnOnce() + Send + 'static) -> bool {
        struct Busy(Arc<Threads>);
        impl Drop for Busy {
            fn drop(&mut self) {
                self.0.busy.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let busy = Busy(Arc::clone(threads));
        if busy.0.busy.fetch_add(1, Ordering::Relaxed) >= threads.most {
            return false;
        }
        drop(self.runtime.spawn_blocking(move || {
            let _busy = busy;
            what();
        }));
        true
    }

    /// Give an instance back; the last one to do so releases it, where that may block.
    fn give_back(runtime: &Handle, instance: Arc<Instance>) {
        if let Some(instance) = Arc::into_inner(instance) {
            drop(runtime.spawn_blocking(move || instance.release()));
        }
    }

    fn ask(&self, instance: Arc<Instance>, method: &'static str, params: Vec<u8>) -> Pending {
        let pending = self.table.open();
        let id = pending.id;
        match &self.threads {
            None => {
                instance.request(id, method, &params);
                Self::give_back(&self.runtime, instance);
            }
            Some(threads) => {
                let asked = self.aside(threads, move || instance.request(id, method, &params));
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
    fn request(&self, method: &'static str, params: Vec<u8>) -> Pending {
        match self.instance() {
            Some(instance) => self.ask(instance, method, params),
            None => {
                let pending = self.table.open();
                let why = format!("the plugin \"{}\" is being stopped", self.plugin);
                self.table.answer(pending.id, || Reply::Gone(why));
                pending
            }
        }
    }

    fn notify(&self, method: &'static str, params: Vec<u8>) {
        let Some(instance) = self.instance() else { return };
        match &self.threads {
            None => {
                instance.notify(method, &params);
                Self::give_back(&self.runtime, instance);
            }
            // Where all threads are taken, nobody would listen either.
            Some(threads) => drop(self.aside(threads, move || instance.notify(method, &params))),
        }
    }

    fn health(&self) -> Health {
        match self.instance() {
            Some(_) => Health::Ready,
            None => Health::Degraded("it has been stopped".into()),
        }
    }

    async fn close(&self) {
        let Some(instance) = self.instance.write().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let asked = self.ask(Arc::clone(&instance), method::SHUTDOWN, b"{}".to_vec());
        if timeout(PATIENCE, asked.reply).await.is_err() {
            tracing::warn!(plugin = %self.plugin, "the plugin did not finish within {PATIENCE:?}; it is released as it is");
        }
        self.abandon();
        // Threads that are still in it keep it: it is released when the last one comes back.
        if let Some(instance) = Arc::into_inner(instance) {
            let released = self.runtime.spawn_blocking(move || instance.release());
            if timeout(PATIENCE, released).await.is_err() {
                tracing::warn!(plugin = %self.plugin, "the plugin does not let go; it is left behind");
            }
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let instance = self.instance.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(instance) = instance {
            self.abandon();
            Self::give_back(&self.runtime, instance);
        }
    }
}
