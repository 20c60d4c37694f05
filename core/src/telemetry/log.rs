//! The server's own log, on standard error.

use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// How many lines may wait for a slow standard error. The place for them is taken at start.
const QUEUE: usize = 4096;

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directives are not understood.
    #[error(
        "{name}: \"{directives}\" is no log level; write error, warn, info, debug or trace, or directives such as \"info,toolgate::tokens=debug\""
    )]
    Level {
        /// Where it stands: a variable or a key.
        name: &'static str,
        /// What it says.
        directives: String,
    },
}

/// Whether a start would understand the level.
///
/// # Errors
/// When it would not.
pub fn check(log: &Log) -> Result<(), LogError> {
    filter(log).map(drop)
}

fn filter(log: &Log) -> Result<EnvFilter, LogError> {
    let set = std::env::var("RUST_LOG").ok().filter(|value| !value.is_empty());
    let name = if set.is_some() { "RUST_LOG" } else { "log.level" };
    let directives = set.unwrap_or_else(|| log.level.clone());
    // rmcp writes several lines a request at `info`, and whole results at `debug`; tantivy a dozen lines a commit; notify one
    // for each watched folder that has gone.
    EnvFilter::try_new(format!("rmcp=error,h2=warn,hyper_util=warn,tantivy=warn,notify=warn,{directives}"))
        .map_err(|_| LogError::Level { name, directives })
}

/// Start logging. `RUST_LOG` wins over `log.level`. What is logged is written until the guard is dropped, by a thread
/// of its own: a standard error that nobody reads must not hold up a request. Lines beyond its queue are lost.
///
/// # Errors
/// When the level is not understood.
pub fn start(log: &Log) -> Result<WorkerGuard, LogError> {
    let filter = filter(log)?;
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(QUEUE).finish(std::io::stderr());
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(std::io::stderr().is_terminal());
    // A second start in one process (tests) keeps the first subscriber.
    let _ = match log.format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    Ok(guard)
}
