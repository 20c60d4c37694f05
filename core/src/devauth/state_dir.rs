//! The state folder: the signing key, the clients and the grants as files that only their owner reads.
//!
//! Owns names, formats, permissions, and that changes which come together are written together. Every write goes to a new
//! file that then takes the old one's name, so that a crash leaves one or the other. Codes and half-finished sign-ins are
//! never written.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    OpenError,
    client::Client,
    keys::SigningKey,
    ledger::{Grant, Ledger, Revocations},
};

/// PKCS #8, DER.
const KEY_FILE: &str = "signing-key.der";
const CLIENTS_FILE: &str = "clients.json";
const GRANTS_FILE: &str = "grants.json";

#[derive(Serialize, Deserialize, Default)]
pub(super) struct Clients {
    pub(super) clients: HashMap<String, Client>,
}

#[derive(Serialize, Deserialize, Default)]
pub(super) struct Grants {
    pub(super) grants: HashMap<String, Grant>,
    pub(super) revoked: HashMap<String, u64>,
}

/// An existing folder.
pub(super) struct StateDir {
    path: PathBuf,
    clients: Written,
    grants: Written,
}

/// Up to which change a file holds what there is. Held while it is written, so that whoever comes meanwhile waits for one
/// more writing, and all of them for the same.
#[derive(Default)]
struct Written(Mutex<u64>);

impl Written {
    /// Writes what `snapshot` gives, with its own count, unless the change that is `due` was written already. Nothing waits
    /// if nothing is due, which is 0.
    fn up_to<T>(
        &self,
        due: u64,
        snapshot: impl FnOnce() -> (T, u64),
        write: impl FnOnce(&T) -> io::Result<()>,
    ) -> io::Result<()> {
        if due == 0 {
            return Ok(());
        }
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *written < due {
            let (content, changes) = snapshot();
            write(&content)?;
            *written = changes;
        }
        Ok(())
    }
}

impl StateDir {
    /// The folder, created for its owner alone if it is not there.
    pub(super) fn open(path: PathBuf) -> Result<Self, OpenError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Ok(()) => Ok(Self { path, clients: Written::default(), grants: Written::default() }),
            Err(source) => Err(OpenError::StateFile { path, source }),
        }
    }

    /// The key in the folder, made at the first start.
    pub(super) fn signing_key(&self) -> Result<SigningKey, OpenError> {
        let path = self.path.join(KEY_FILE);
        if let Some(pkcs8) = read(&path)? {
            let reason = "it holds no P-256 key in PKCS #8".to_owned();
            return SigningKey::from_pkcs8(&pkcs8).ok_or(OpenError::Damaged { path, reason });
        }
        let (key, pkcs8) = SigningKey::generate().ok_or(OpenError::Key)?;
        self.write(KEY_FILE, &pkcs8).map_err(|source| OpenError::StateFile { path, source })?;
        Ok(key)
    }

    /// The clients, grants and revocations in the folder.
    pub(super) fn ledger(&self) -> Result<(Ledger, Revocations), OpenError> {
        let Clients { clients } = self.parse(CLIENTS_FILE)?;
        let Grants { grants, revoked } = self.parse(GRANTS_FILE)?;
        Ok((Ledger { clients, grants, ..Ledger::default() }, Revocations::restore(revoked)))
    }

    /// Has the clients written, at least up to the change that is `due`.
    pub(super) fn save_clients(&self, due: u64, now: impl FnOnce() -> (Clients, u64)) -> io::Result<()> {
        self.clients.up_to(due, now, |clients| self.write(CLIENTS_FILE, &serde_json::to_vec_pretty(clients)?))
    }

    /// Has the grants and revocations written, at least up to the change that is `due`.
    pub(super) fn save_grants(&self, due: u64, now: impl FnOnce() -> (Grants, u64)) -> io::Result<()> {
        self.grants.up_to(due, now, |grants| self.write(GRANTS_FILE, &serde_json::to_vec_pretty(grants)?))
    }

    /// Keeps the grants from being written, as a slow disk would.
    #[cfg(test)]
    pub(super) fn hold_grants(&self) -> std::sync::MutexGuard<'_, u64> {
        self.grants.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parse<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, OpenError> {
        let path = self.path.join(name);
        let Some(content) = read(&path)? else { return Ok(T::default()) };
        serde_json::from_slice(&content).map_err(|error| OpenError::Damaged {
            // The position alone: serde's own message may quote what it read.
            reason: format!("unreadable at line {}, column {}", error.line(), error.column()),
            path,
        })
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        let fresh = self.path.join(format!("{name}.new"));
        // One left by a crash may have been made by another hand, with other permissions.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, OpenError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::StateFile { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    };

    use super::*;

    #[test]
    fn changes_that_come_while_a_file_is_written_are_written_together() {
        let (written, changes, writings) = (Written::default(), AtomicU64::new(1), AtomicU64::new(0));
        let save = |due, during: &dyn Fn()| {
            let snapshot = || ((), changes.load(Ordering::SeqCst));
            let write = |(): &()| {
                writings.fetch_add(1, Ordering::SeqCst);
                during();
                Ok(())
            };
            written.up_to(due, snapshot, write).unwrap();
        };
        let (begun, has_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let save = &save;
            scope.spawn(move || {
                save(1, &|| {
                    begun.send(()).unwrap();
                    may_go_on.recv().unwrap();
                });
            });
            has_begun.recv().unwrap();
            changes.store(4, Ordering::SeqCst);
            for due in 2..=4 {
                scope.spawn(move || save(due, &|| {}));
            }
            go_on.send(()).unwrap();
        });
        assert_eq!(writings.load(Ordering::SeqCst), 2);
        save(0, &|| {});
        assert_eq!(writings.load(Ordering::SeqCst), 2, "nothing was due");
    }

    #[test]
    fn what_could_not_be_written_is_due_again() {
        let written = Written::default();
        let outcomes = [Err(io::Error::other("full")), Ok(())];
        let tried = outcomes.map(|outcome| written.up_to(1, || ((), 1), |(): &()| outcome).is_ok());
        assert_eq!(tried, [false, true]);
    }
}
