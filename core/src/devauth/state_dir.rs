//! The state folder: the signing key, the clients and the grants as files that only their owner reads.
//!
//! Owns names, formats and permissions. Every write goes to a new file that then takes the old one's name, so that
//! a crash leaves one or the other. Codes and half-finished sign-ins are never written.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
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
struct Clients {
    clients: HashMap<String, Client>,
}

#[derive(Serialize, Deserialize, Default)]
struct Grants {
    grants: HashMap<String, Grant>,
    revoked: HashMap<String, u64>,
}

/// An existing folder.
pub(super) struct StateDir(PathBuf);

impl StateDir {
    /// The folder, created for its owner alone if it is not there.
    pub(super) fn open(path: PathBuf) -> Result<Self, OpenError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(OpenError::StateFile { path, source }),
        }
    }

    /// The key in the folder, made at the first start.
    pub(super) fn signing_key(&self) -> Result<SigningKey, OpenError> {
        let path = self.0.join(KEY_FILE);
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

    pub(super) fn save_clients(&self, clients: &HashMap<String, Client>) -> io::Result<()> {
        #[derive(Serialize)]
        struct View<'a> {
            clients: &'a HashMap<String, Client>,
        }
        self.write(CLIENTS_FILE, &serde_json::to_vec_pretty(&View { clients })?)
    }

    pub(super) fn save_grants(&self, grants: &HashMap<String, Grant>, revocations: &Revocations) -> io::Result<()> {
        #[derive(Serialize)]
        struct View<'a> {
            grants: &'a HashMap<String, Grant>,
            revoked: HashMap<String, u64>,
        }
        self.write(GRANTS_FILE, &serde_json::to_vec_pretty(&View { grants, revoked: revocations.entries() })?)
    }

    fn parse<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, OpenError> {
        let path = self.0.join(name);
        let Some(content) = read(&path)? else { return Ok(T::default()) };
        serde_json::from_slice(&content).map_err(|error| OpenError::Damaged {
            // The position alone: serde's own message may quote what it read.
            reason: format!("unreadable at line {}, column {}", error.line(), error.column()),
            path,
        })
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.0.join(name);
        let fresh = self.0.join(format!("{name}.new"));
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
