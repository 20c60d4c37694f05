//! The audit trail: one JSON line for each call and each refusal.
//!
//! A [`Slot`] is leave to write one record, had before the decision is made, so that a decision can't be
//! without its record. There is none while `audit.queue` records wait for the sink; what happens then is
//! `audit.on_full`. A call keeps its slot until it ends, and only then adds to what waits: long calls do not
//! make the trail look full. A record never holds a token, and holds arguments only if `audit.arguments` says so.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::{Notify, mpsc};

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
    /// The organisation of the subject, where the authorization server names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Arc<str>>,
    /// `jti`: which token, for revoking it; not the token itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<Arc<str>>,
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

/// Leave to write one record. Filling it cannot fail.
#[must_use]
#[derive(Debug)]
pub struct Slot(Option<(mpsc::UnboundedSender<Record>, Arc<Backlog>)>);

impl Slot {
    /// Write the record.
    pub fn fill(self, record: Record) {
        if let Some((queue, backlog)) = self.0 {
            backlog.waiting.fetch_add(1, Ordering::AcqRel);
            // The writer outlives its senders, unless its thread died; then nobody gets a slot any more.
            let _ = queue.send(record);
        }
    }
}

/// The records that wait for the sink.
#[derive(Debug)]
struct Backlog {
    waiting: AtomicUsize,
    most: usize,
    freed: Notify,
}

/// The trail. Dropping the last clone lets the writer finish; [`Audit::close`] waits for it.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::UnboundedSender<Record>,
    backlog: Arc<Backlog>,
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
        Self::over(sink, section).map_err(|error| OpenError { path: section.sink.clone(), error })
    }

    /// Whether [`Audit::open`] would succeed, as far as can be told without making the file.
    ///
    /// # Errors
    /// When it would not.
    pub fn check(section: &AuditSection) -> Result<(), OpenError> {
        if section.sink == "stderr" {
            return Ok(());
        }
        let path = Path::new(&section.sink);
        let opened = match path.metadata() {
            // Opening a pipe waits for its reader.
            Ok(metadata) if metadata.is_file() || metadata.is_dir() => {
                OpenOptions::new().append(true).open(path).map(drop)
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                folder.metadata().map(drop)
            }
            Err(error) => Err(error),
        };
        opened.map_err(|error| OpenError { path: section.sink.clone(), error })
    }

    fn over(sink: Box<dyn Write + Send>, section: &AuditSection) -> io::Result<Self> {
        let (queue, records) = mpsc::unbounded_channel();
        let backlog =
            Arc::new(Backlog { waiting: AtomicUsize::new(0), most: section.queue.max(1), freed: Notify::new() });
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            sink,
            records,
            backlog: Arc::clone(&backlog),
            lost: Arc::clone(&lost),
            torn: false,
            drop_on_failure: section.on_full == OnFull::Drop,
        };
        let handle = std::thread::Builder::new().name("audit".into()).spawn(move || writer.run())?;
        Ok(Self {
            queue,
            backlog,
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
        loop {
            if self.queue.is_closed() {
                return Err(Full);
            }
            // Listening before looking, so that a place freed in between is not missed.
            let mut freed = pin!(self.backlog.freed.notified());
            freed.as_mut().enable();
            if self.backlog.waiting.load(Ordering::Acquire) < self.backlog.most {
                return Ok(Slot(Some((self.queue.clone(), Arc::clone(&self.backlog)))));
            }
            match self.on_full {
                OnFull::Wait => freed.await,
                OnFull::Refuse => return Err(Full),
                OnFull::Drop => {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    return Ok(Slot(None));
                }
            }
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

/// The same JSON, with the characters escaped that a terminal or a pager would act on: JSON itself leaves DEL, C1
/// controls and changes of writing direction as they are.
fn without_controls(json: String) -> String {
    let acts = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !json.contains(acts) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len() + 16), |mut text, c| {
        if acts(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)))
        } else {
            text.push(c)
        }
        text
    })
}

struct Writer {
    sink: Box<dyn Write + Send>,
    records: mpsc::UnboundedReceiver<Record>,
    backlog: Arc<Backlog>,
    lost: Arc<AtomicU64>,
    drop_on_failure: bool,
    /// The last line was given up half way.
    torn: bool,
}

impl Writer {
    fn run(mut self) {
        while let Some(record) = self.records.blocking_recv() {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                tracing::warn!(lost, "the audit log could not keep up; records were dropped");
            }
            if let Ok(line) = serde_json::to_string(&record) {
                self.write(format!("{}\n", without_controls(line)).as_bytes());
            }
            self.backlog.waiting.fetch_sub(1, Ordering::AcqRel);
            self.backlog.freed.notify_waiters();
        }
    }

    /// A sink that fails (a full disk) is tried again: meanwhile the queue fills, and `on_full` decides. With
    /// `drop` the record is given up.
    fn write(&mut self, line: &[u8]) {
        // A line that was given up half way must not run into the next one.
        let line = if std::mem::take(&mut self.torn) { &[b"\n", line].concat() } else { line };
        let mut rest = line;
        let mut complained = false;
        while !rest.is_empty() {
            let error = match self.sink.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    rest = &rest[written..];
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            if !complained {
                tracing::error!(%error, "cannot write to the audit log");
                complained = true;
            }
            if self.drop_on_failure || self.records.is_closed() {
                self.torn = rest.len() < line.len();
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        let _ = self.sink.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(on_full: OnFull, sink: &str) -> AuditSection {
        AuditSection { sink: sink.into(), on_full, queue: 1, arguments: false }
    }

    #[test]
    fn controls_that_json_leaves_alone_are_escaped() {
        let json = serde_json::to_string("a\u{9b}31m\u{7f}\u{202e}é").unwrap();
        let safe = without_controls(json);
        assert_eq!(safe, "\"a\\u009b31m\\u007f\\u202eé\"");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "a\u{9b}31m\u{7f}\u{202e}é");
    }

    /// A disk that is full in the middle of the first line, and then is not.
    struct FullOnce {
        disk: Arc<Mutex<Vec<u8>>>,
        asked: usize,
        told: std::sync::mpsc::Sender<()>,
    }

    impl Write for FullOnce {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.asked += 1;
            self.told.send(()).unwrap();
            let most = match self.asked {
                1 => 10,
                2 => return Err(io::ErrorKind::StorageFull.into()),
                _ => line.len(),
            };
            self.disk.lock().unwrap().extend_from_slice(&line[..most]);
            Ok(most)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_disk_that_was_full_leaves_no_torn_record() {
        for (on_full, whole, writes) in [(OnFull::Wait, 2, 4), (OnFull::Drop, 1, 3)] {
            let disk = Arc::default();
            let (told, asked) = std::sync::mpsc::channel();
            let sink = Box::new(FullOnce { disk: Arc::clone(&disk), asked: 0, told });
            let audit = Audit::over(sink, &AuditSection { queue: 8, ..section(on_full, "disk") }).unwrap();
            for _ in 0..2 {
                audit.reserve().await.unwrap().fill(Record::default());
            }
            // Closing gives up what cannot be written, so it waits for the disk to have room again.
            assert_eq!(asked.iter().take(writes).count(), writes);
            audit.close(Duration::from_secs(5));
            let text = String::from_utf8(disk.lock().unwrap().clone()).unwrap();
            let records = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count();
            assert_eq!(records, whole, "{on_full:?}: {text}");
        }
    }

    /// A sink that takes a line when it is told to.
    struct Slow(std::sync::mpsc::Receiver<()>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(line.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow(on_full: OnFull) -> (std::sync::mpsc::Sender<()>, Audit) {
        let (go, told) = std::sync::mpsc::channel();
        (go, Audit::over(Box::new(Slow(told)), &section(on_full, "slow")).unwrap())
    }

    #[tokio::test]
    async fn a_sink_that_cannot_keep_up_refuses_or_drops_as_configured() {
        let (go, refuse) = slow(OnFull::Refuse);
        refuse.reserve().await.unwrap().fill(Record::default());
        assert_eq!(refuse.reserve().await.err(), Some(Full));
        drop(go);

        let (_go, dropping) = slow(OnFull::Drop);
        dropping.reserve().await.unwrap().fill(Record::default());
        assert!(dropping.reserve().await.unwrap().0.is_none());
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_the_sink_has_caught_up() {
        let (go, wait) = slow(OnFull::Wait);
        wait.reserve().await.unwrap().fill(Record::default());
        let waiting = tokio::spawn({
            let wait = wait.clone();
            async move { wait.reserve().await.is_ok() }
        });
        go.send(()).unwrap();
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn calls_under_way_do_not_fill_the_trail() {
        let refuse = Audit::open(&section(OnFull::Refuse, "/dev/null")).unwrap();
        let _first = refuse.reserve().await.unwrap();
        assert!(refuse.reserve().await.is_ok());
    }

    #[tokio::test]
    async fn a_sink_that_cannot_be_opened_is_named() {
        let error = Audit::open(&section(OnFull::Wait, "/nowhere/audit.log")).err().unwrap();
        assert!(error.to_string().starts_with("cannot open the audit log \"/nowhere/audit.log\": "), "{error}");
    }
}
