//! Claims about libraries, made with small ones in C that `cc` compiles while the tests run.

mod abuse;
mod files;
mod settings;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use tempfile::TempDir;

/// A folder that is gone with the process' last use of it.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// A folder of this test's own.
fn folder() -> TempDir {
    tempfile::tempdir_in(FOLDER.path()).unwrap()
}

/// The plugin of `unruly.c`, compiled with these definitions into `folder`.
fn unruly(folder: &Path, definitions: &[&str]) -> PathBuf {
    let path = folder.join(format!("unruly{}", std::env::consts::DLL_SUFFIX));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-pthread", "-o"])
        .arg(&path)
        .args(definitions.iter().map(|definition| format!("-D{definition}")))
        .arg("-I")
        .arg(sources.join("../plugins/abi/include"))
        .arg(sources.join("src/host/library/tests/unruly.c"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}
