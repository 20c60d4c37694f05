//! Who has started which research: one small file each, in the plugin's state folder.
//!
//! A file's name is made of whose it is and of the handle. So a handle opens nothing for anybody else, and another
//! caller's is as unknown as one that never was. Knows nothing of Tavily.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toolgate_plugin::{Caller, HostHandle, LogLevel};

use super::story::Content;
use crate::credits::{Hold, make_folder, sync_folder};

/// How long a research can be asked for after it was started.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How rarely old ones are looked for.
const SWEPT: Duration = Duration::from_secs(3600);

/// The folder of them.
#[derive(Debug, Clone)]
pub(crate) struct Handles {
    folder: PathBuf,
    host: HostHandle,
    /// When old ones were last looked for.
    swept: Arc<Mutex<Option<Instant>>>,
}

/// Whose a research is: the person or machine, through the client that it was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner(String);

/// What is known of a research.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u8,
    /// Its handle.
    pub(crate) id: String,
    /// Tavily's own name for it, if it can be asked for there; otherwise it is streamed to this server.
    pub(crate) task: Option<String>,
    /// When it was started, in milliseconds since 1970.
    pub(crate) started: u64,
    pub(crate) model: Option<String>,
    /// The most that it costs, in credits.
    pub(crate) most: u32,
    /// What is set aside for it.
    pub(crate) hold: Option<Hold>,
    /// Domains that its sources must not be of.
    pub(crate) exclude: Vec<String>,
    /// Whether an object was asked for.
    pub(crate) wants_object: bool,
    /// What a stream came to.
    pub(crate) outcome: Option<Outcome>,
    /// What a stream said that it cost, in credits.
    pub(crate) cost: Option<f64>,
}

/// What a stream came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Report(Content),
    Failed {
        said: Option<String>,
    },
    /// Its caller left.
    Stopped,
}

/// A stream that runs: as long as this lives, others see that it does, also from another process.
#[derive(Debug)]
pub(crate) struct Running {
    lock: PathBuf,
    _file: File,
}

impl Owner {
    /// The owner of what a caller starts.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self(digest(&[&caller.subject, caller.client_id.as_deref().unwrap_or_default()]))
    }
}

impl Record {
    /// One that begins now.
    pub(crate) fn new(id: String, task: Option<String>) -> Self {
        let started = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            version: 1,
            id,
            task,
            started: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
            model: None,
            most: 0,
            hold: None,
            exclude: Vec::new(),
            wants_object: false,
            outcome: None,
            cost: None,
        }
    }
}

impl Handles {
    /// Below a state folder; does no I/O.
    pub(crate) fn new(state: &Path, host: HostHandle) -> Self {
        Self { folder: state.join("research"), host, swept: Arc::default() }
    }

    /// Make sure that a record can be kept, before something is started that needs one.
    pub(crate) async fn prepare(&self) -> Result<(), ()> {
        let handles = self.clone();
        let prepared = run(move || {
            if !handles.folder.is_dir() {
                make_folder(&handles.folder)?;
            }
            handles.forget_old();
            let probe = handles.folder.join(format!("probe-{:016x}", rand::random::<u64>()));
            File::create(&probe)?;
            fs::remove_file(&probe)
        });
        prepared.await.map_err(|error| self.told(&format!("a research cannot be started: {error}")))
    }

    /// Keep a record, in place of the one before.
    pub(crate) async fn save(&self, owner: &Owner, record: &Record) -> Result<(), ()> {
        let (path, folder) = (self.path(owner, &record.id), self.folder.clone());
        let bytes = serde_json::to_vec(record).unwrap_or_default();
        let saved = run(move || write(&folder, &path, &bytes));
        saved.await.map_err(|error| self.told(&format!("a research that was started cannot be kept: {error}")))
    }

    /// A caller's research, by its handle or the latest; nothing if there is none, or it is somebody else's.
    pub(crate) async fn find(&self, owner: &Owner, id: Option<&str>) -> Option<Record> {
        let handles = self.clone();
        let (path, prefix) = (id.map(|id| self.path(owner, id)), format!("{}-", &owner.0[..32]));
        let found = run(move || match path {
            Some(path) => handles.read(&path).map(Some),
            None => handles.latest(&prefix),
        });
        match found.await {
            Ok(found) => found.filter(|record| id.is_none_or(|id| record.id == id)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.told(&format!("a research that was started cannot be found: {error}"));
                None
            }
        }
    }

    /// Say that a stream runs, as long as what comes back lives.
    pub(crate) async fn running(&self, owner: &Owner, id: &str) -> Result<Running, ()> {
        let lock = self.path(owner, id).with_extension("running");
        let locked = run(move || {
            let file = File::create(&lock)?;
            file.try_lock()?;
            Ok(Running { lock, _file: file })
        });
        locked.await.map_err(|error| self.told(&format!("a research cannot be followed: {error}")))
    }

    /// Whether a stream runs, here or in another process.
    pub(crate) async fn is_running(&self, owner: &Owner, id: &str) -> bool {
        let lock = self.path(owner, id).with_extension("running");
        let runs = run(move || match File::open(&lock)?.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Ok(true),
            _ => Ok(false),
        });
        runs.await.unwrap_or(false)
    }

    fn path(&self, owner: &Owner, id: &str) -> PathBuf {
        let name = digest(&[&owner.0, id]);
        self.folder.join(format!("{}-{}.json", &owner.0[..32], &name[..32]))
    }

    fn read(&self, path: &Path) -> io::Result<Record> {
        let record: Record = serde_json::from_slice(&fs::read(path)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("\"{}\": {error}", path.display())))?;
        if record.version != 1 {
            let text = format!("\"{}\" is of another version", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(record)
    }

    fn latest(&self, prefix: &str) -> io::Result<Option<Record>> {
        let own = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(prefix) && name.ends_with(".json")
        };
        let paths = fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path()).filter(own);
        // A damaged one is not the latest.
        Ok(paths.filter_map(|path| self.read(&path).ok()).max_by_key(|record| record.started))
    }

    /// What nobody can ask for any more; a file that stays does no harm.
    fn forget_old(&self) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_some_and(|then| then.elapsed() < SWEPT) {
            return;
        }
        *swept = Some(Instant::now());
        drop(swept);
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|then| then.elapsed().ok());
            if age.is_some_and(|age| age > KEPT) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn told(&self, message: &str) {
        self.host.log(LogLevel::Error, format!("{message}; let the server's user write in server.state_dir"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that stays is not locked, which says the same.
        let _ = fs::remove_file(&self.lock);
    }
}

/// Whole or not at all, also if the power goes.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{:016x}", rand::random::<u64>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_folder(folder);
    Ok(())
}

fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(subject: &str, client: Option<&str>) -> Caller {
        Caller::new(subject, client.map(Into::into), [].into())
    }

    #[tokio::test]
    async fn a_handle_is_known_to_its_owner_alone_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let handles = || Handles::new(folder.path(), HostHandle::for_tests());
        let ann = Owner::of(&caller("ann", Some("desk")));
        let record =
            Record { most: 250, exclude: vec!["a.example".into()], ..Record::new("r-1".into(), Some("r-1".into())) };
        handles().prepare().await.unwrap();
        handles().save(&ann, &record).await.unwrap();
        assert_eq!(handles().find(&ann, Some("r-1")).await, Some(record));
        for (other, client) in
            [("bob", Some("desk")), ("ann", Some("phone")), ("ann", None), ("anndesk", None), ("", None)]
        {
            let other = Owner::of(&caller(other, client));
            assert_eq!(handles().find(&other, Some("r-1")).await, None);
            assert_eq!(handles().find(&other, None).await, None);
        }
        assert_eq!(handles().find(&ann, Some("r-2")).await, None);
        assert_eq!(handles().find(&ann, Some("../r-1")).await, None);
    }

    #[tokio::test]
    async fn the_latest_is_the_one_that_was_started_last() {
        let folder = tempfile::tempdir().unwrap();
        let handles = Handles::new(folder.path(), HostHandle::for_tests());
        let ann = Owner::of(&caller("ann", None));
        assert_eq!(handles.find(&ann, None).await, None, "no folder yet");
        handles.prepare().await.unwrap();
        for (id, started) in [("one", 1), ("three", 3), ("two", 2)] {
            handles.save(&ann, &Record { started, ..Record::new(id.into(), None) }).await.unwrap();
        }
        assert_eq!(handles.find(&ann, None).await.unwrap().id, "three");
    }

    #[tokio::test]
    async fn a_damaged_record_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let handles = Handles::new(folder.path(), HostHandle::for_tests());
        let ann = Owner::of(&caller("ann", None));
        handles.prepare().await.unwrap();
        handles.save(&ann, &Record::new("r".into(), None)).await.unwrap();
        let path = handles.path(&ann, "r");
        for text in ["", "{", "[]", "{\"version\":1}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(handles.find(&ann, Some("r")).await, None, "{text}");
            assert_eq!(handles.find(&ann, None).await, None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_stream_is_seen_to_run_as_long_as_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let handles = Handles::new(folder.path(), HostHandle::for_tests());
        let ann = Owner::of(&caller("ann", None));
        handles.prepare().await.unwrap();
        assert!(!handles.is_running(&ann, "r").await);
        let running = handles.running(&ann, "r").await.unwrap();
        assert!(handles.is_running(&ann, "r").await);
        drop(running);
        assert!(!handles.is_running(&ann, "r").await);
    }
}
