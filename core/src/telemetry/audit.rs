//! The audit trail: one JSON line for each call and each refusal.
//!
//! A [`Slot`] is a place for one record, taken before the decision is made, so that a decision can't be
//! without its record: what happens when no place is free is `audit.on_full`. A record never holds a token,
//! and holds arguments only if `audit.arguments` says so.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::mpsc;

use crate::config::{Audit as AuditSection, OnFull};

/// One line of the trail.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// When the decision was made (RFC 3339, UTC).
    pub time: String,
    /// The request's id, as in `X-Request-Id`.
    pub request_id: Arc<str>,
    /// Who, if known: provider and subject.
    pub principal: Option<RecordedPrincipal>,
    /// The OAuth client, if known.
    pub client_id: Option<Arc<str>>,
    /// Through which face: `mcp`, `rest` or `cli`.
    pub face: &'static str,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// The tool as the caller named it, if it was a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Arc<str>>,
    /// `permit` or `refuse`.
    pub decision: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The scopes that the caller lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<Arc<str>>,
    /// How the call ended: `ok`, `error`, `invalid_arguments`, `timeout`, `cancelled`, `panic`, `rejected`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// How long the call took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// The arguments, with `audit.arguments = true` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Map<String, Value>>,
}

/// A principal as the trail names it.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedPrincipal {
    /// Which authorization server vouches.
    pub provider: Arc<str>,
    /// `sub`.
    pub subject: Arc<str>,
}

/// Now, as records write it.
pub fn now() -> String {
    OffsetDateTime::from(SystemTime::now()).format(&Rfc3339).unwrap_or_default()
}

/// No place for another record: the sink cannot keep up, and `audit.on_full = "refuse"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot keep up")]
pub struct Full;

/// The trail could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the audit log \"{path}\": {error}")]
pub struct OpenError {
    path: String,
    error: io::Error,
}

/// A place for one record. Filling it cannot fail.
#[must_use]
#[derive(Debug)]
pub struct Slot(Option<mpsc::OwnedPermit<Record>>);

impl Slot {
    /// Write the record.
    pub fn fill(self, record: Record) {
        if let Some(permit) = self.0 {
            permit.send(record);
        }
    }
}

/// The trail. Dropping the last clone lets the writer finish; [`Audit::close`] waits for it.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Record>,
    on_full: OnFull,
    arguments: bool,
    lost: Arc<AtomicU64>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Audit {
    /// Open the sink and start its writer, on a thread of its own: a slow disk must not stall the runtime.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(section: &AuditSection) -> Result<Self, OpenError> {
        let sink: Box<dyn Write + Send> = if section.sink == "stderr" {
            Box::new(io::stderr())
        } else {
            let open = || -> io::Result<File> { OpenOptions::new().create(true).append(true).open(&section.sink) };
            Box::new(open().map_err(|error| OpenError { path: section.sink.clone(), error })?)
        };
        let (queue, records) = mpsc::channel(section.queue.max(1));
        let lost = Arc::new(AtomicU64::new(0));
        let writer =
            Writer { sink, records, lost: Arc::clone(&lost), drop_on_failure: section.on_full == OnFull::Drop };
        let handle = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run())
            .map_err(|error| OpenError { path: section.sink.clone(), error })?;
        Ok(Self {
            queue,
            on_full: section.on_full,
            arguments: section.arguments,
            lost,
            writer: Arc::new(Mutex::new(Some(handle))),
        })
    }

    /// A place for one record; waits, fails or goes without, as `audit.on_full` says.
    ///
    /// # Errors
    /// [`Full`] with `on_full = "refuse"`, or when the writer has ended.
    pub async fn reserve(&self) -> Result<Slot, Full> {
        let queue = self.queue.clone();
        match self.on_full {
            OnFull::Wait => queue.reserve_owned().await.map(|permit| Slot(Some(permit))).map_err(|_| Full),
            OnFull::Refuse => queue.try_reserve_owned().map(|permit| Slot(Some(permit))).map_err(|_| Full),
            OnFull::Drop => Ok(match queue.try_reserve_owned() {
                Ok(permit) => Slot(Some(permit)),
                Err(_) => {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    Slot(None)
                }
            }),
        }
    }

    /// Whether records hold arguments.
    pub fn wants_arguments(&self) -> bool {
        self.arguments
    }

    /// Let the writer finish what is queued, and wait for it, at most `patience`.
    pub fn close(self, patience: Duration) {
        let Self { queue, writer, .. } = self;
        drop(queue);
        let handle = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(handle) = handle else { return };
        let end = std::time::Instant::now() + patience;
        while !handle.is_finished() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Writer {
    sink: Box<dyn Write + Send>,
    records: mpsc::Receiver<Record>,
    lost: Arc<AtomicU64>,
    drop_on_failure: bool,
}

impl Writer {
    fn run(mut self) {
        while let Some(record) = self.records.blocking_recv() {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                tracing::warn!(lost, "the audit log could not keep up; records were dropped");
            }
            let Ok(mut line) = serde_json::to_vec(&record) else { continue };
            line.push(b'\n');
            self.write(&line);
        }
    }

    /// A sink that fails (a full disk) is tried again: meanwhile the queue fills, and `on_full` decides. With
    /// `drop` the record is given up.
    fn write(&mut self, line: &[u8]) {
        let mut complained = false;
        while let Err(error) = self.sink.write_all(line).and_then(|()| self.sink.flush()) {
            if !complained {
                tracing::error!(%error, "cannot write to the audit log");
                complained = true;
            }
            if self.drop_on_failure || self.records.is_closed() {
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(on_full: OnFull, sink: &str) -> AuditSection {
        AuditSection { sink: sink.into(), on_full, queue: 1, arguments: false }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_or_drops_as_configured() {
        let refuse = Audit::open(&section(OnFull::Refuse, "/dev/null")).unwrap();
        let held = refuse.reserve().await.unwrap();
        assert_eq!(refuse.reserve().await.err(), Some(Full));
        drop(held);
        assert!(refuse.reserve().await.is_ok());

        let dropping = Audit::open(&section(OnFull::Drop, "/dev/null")).unwrap();
        let _held = dropping.reserve().await.unwrap();
        assert!(dropping.reserve().await.unwrap().0.is_none());
    }

    #[tokio::test]
    async fn a_sink_that_cannot_be_opened_is_named() {
        let error = Audit::open(&section(OnFull::Wait, "/nowhere/audit.log")).err().unwrap();
        assert!(error.to_string().starts_with("cannot open the audit log \"/nowhere/audit.log\": "), "{error}");
    }
}
