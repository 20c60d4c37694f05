//! Keeps the index what the folders are: looks through them, follows their changes, and reads what is new.
//!
//! One thread, on which everything that waits for files happens. Of several processes with one state folder, one keeps
//! the index (`lock`); the others read it, and one of them takes over when that one ends.

mod catalog;
mod desk;
mod follow;
mod inbox;
mod lock;
mod look;
mod own;
mod round;
mod state;
mod watch;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use toolgate_plugin::{HostHandle, LogLevel};

pub(crate) use self::state::{Progress, Searchable, State};
use self::{
    inbox::Inbox,
    lock::{Lock, LockError},
};
use crate::{
    index::{IndexError, VERSION},
    settings::Settings,
};

/// How long after the start the work begins if nobody calls: commands that only list the tools leave no trace.
const REST: Duration = Duration::from_millis(250);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// How often a folder that is not there is looked for, and one that is there is compared with what was there before.
const LOOK_FOR_FOLDERS: Duration = Duration::from_secs(2);

/// The keeper's thread. It ends when this is dropped.
pub(crate) struct Keeper {
    inbox: Arc<Inbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Begin to keep the index in the host's state folder.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(state: &Arc<State>, settings: Settings, host: HostHandle) -> std::io::Result<Self> {
        let inbox = Arc::new(Inbox::default());
        let own = Own { state: Arc::clone(state), settings, host, inbox: Arc::clone(&inbox) };
        let thread = std::thread::Builder::new().name("docs-keeper".into()).spawn(move || own.run())?;
        Ok(Self { inbox, thread: Mutex::new(Some(thread)) })
    }

    /// Somebody waits for the index.
    pub(crate) fn call(&self) {
        self.inbox.call();
    }

    /// The index has answered in a way that only damage explains.
    pub(crate) fn suspect(&self, why: String) {
        self.inbox.suspect(why);
    }

    /// Let the thread end; what is given back waits until it has. What was read is kept.
    pub(crate) fn ended(&self) -> impl FnOnce() + Send + 'static {
        self.inbox.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It has told of its own failures.
        move || drop(thread.map(JoinHandle::join))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

/// What the thread has.
struct Own {
    state: Arc<State>,
    settings: Settings,
    host: HostHandle,
    inbox: Arc<Inbox>,
}

impl Own {
    fn run(self) {
        self.inbox.wait_for_call(REST);
        while !self.inbox.is_stopped() {
            let kept = catch_unwind(AssertUnwindSafe(|| self.keep_or_follow()));
            let why = match kept {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_panic) => "keeping the index failed inside; this is a fault of the plugin".to_owned(),
            };
            self.log(LogLevel::Error, format!("{why}; trying again in {} s", AFTER_FAILURE.as_secs()));
            self.state.set_broken(why);
            self.rest(AFTER_FAILURE);
        }
    }

    /// Keep the index, or follow another process that does, until the end or until that changes.
    fn keep_or_follow(&self) -> Result<(), IndexError> {
        let folder = self.host.state_dir();
        match Lock::take(folder) {
            Ok(Some(_lock)) => own::keep(self, Some(&self.index_folder())),
            Ok(None) => follow::follow(self, &self.index_folder()),
            Err(LockError(why)) => {
                let why =
                    format!("the state folder {} cannot be written: {why}; the index is in memory", folder.display());
                self.log(LogLevel::Warn, why.clone());
                self.state.set_homeless(why);
                own::keep(self, None)
            }
        }
    }

    /// Where the index is. Another version and another language have another one.
    fn index_folder(&self) -> PathBuf {
        let language = serde_json::to_value(self.settings.language).unwrap_or_default();
        self.host.state_dir().join(format!("index-{VERSION}-{}", language.as_str().unwrap_or_default()))
    }

    fn log(&self, level: LogLevel, message: impl Into<String>) {
        self.host.log(level, message);
    }

    /// Do nothing for so long, or until the end.
    fn rest(&self, most: Duration) {
        let until = Instant::now() + most;
        while !self.inbox.is_stopped() && Instant::now() < until {
            // Changes and suspicions are no matter now: a look at everything follows.
            drop((self.inbox.wait(until), self.inbox.suspicion()));
        }
    }
}
