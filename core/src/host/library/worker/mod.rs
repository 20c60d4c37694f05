//! A library in a process of its own (`isolation = "process"`): whatever it does there, the server outlives it.
//!
//! The server's side: [`supervisor`] keeps a worker running and is the [`Link`](super::link::Link) to it, [`life`] is
//! one [`process`] from its start to its end, [`voice`] what is spoken over with it; [`output`] logs what it prints,
//! [`gauge`] measures it, [`grants`] says what it may do, [`obituary`] how it ended; [`nursery`] is the thread that
//! starts them. The worker's side: [`inside`], confined by [`sandbox`] before it opens the library, and under a [`guard`]
//! where it may start programs. Between them: [`wire`] and [`handshake`].
//! Knows nothing of tools, settings or callers: methods and bytes.

mod gauge;
mod grants;
mod guard;
mod handshake;
mod inside;
mod life;
mod nursery;
mod obituary;
mod output;
mod pauses;
mod process;
mod sandbox;
mod supervisor;
#[cfg(test)]
mod tests;
mod voice;
mod wire;

use std::{
    any::Any,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

pub(super) use handshake::Refusal;
pub use inside::{NotAWorker, work};
pub(super) use supervisor::{Opened, open};

use crate::config::Limits;

/// Takes a method and its params.
pub(super) type Told = dyn Fn(&str, &[u8]) + Send + Sync;

/// What a worker is started with, each time.
pub(super) struct Spec {
    /// The plugin's name in the configuration.
    pub(super) plugin: Arc<str>,
    /// The private copy of the library.
    pub(super) library: PathBuf,
    /// The library as the operator knows it, for messages.
    pub(super) origin: PathBuf,
    /// Whatever must live as long as the worker: the private copy.
    #[expect(dead_code, reason = "held, not read")]
    pub(super) kept: Arc<dyn Any + Send + Sync>,
    /// The plugin's own folder; made if it is not there.
    pub(super) state_dir: PathBuf,
    pub(super) limits: Limits,
    pub(super) patience: Patience,
    /// Takes the plugin's notifications. Must not block.
    pub(super) told: Arc<Told>,
    /// Set once no worker is started any more.
    pub(super) down: Arc<AtomicBool>,
}

/// How long a worker may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the end of a given-up call's time to its end, and from a full socket to one that takes more.
    pub(super) grace: Duration,
    /// To open the library, and again to create the instance.
    pub(super) start: Duration,
    /// To answer `toolgate/shutdown`.
    pub(super) shutdown: Duration,
    /// To exit once the socket is closed.
    pub(super) exit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            start: Duration::from_secs(30),
            shutdown: Duration::from_secs(5),
            exit: Duration::from_secs(2),
        }
    }
}
