//! Tests of loading, in parts.

mod broken;
mod fresh;
mod loading;
mod plugins;
mod providers;
mod random;

use std::{fs, path::PathBuf};

use super::{Diagnostics, Environment, Loaded, load};

/// A folder of its own with a configuration in it, gone when dropped.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("config.toml"), config).expect("config.toml is written");
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("a file is written");
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }

    fn load(&self, environment: &Environment) -> Result<Loaded, Diagnostics> {
        load(&self.path(), environment)
    }

    /// A text without the folder's name, which differs from run to run.
    fn relative(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// The workspace's root.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The default configuration.
fn default_text() -> String {
    fs::read_to_string(root().join("config.toml")).expect("the default configuration is there")
}
