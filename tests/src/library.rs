//! Plugin libraries for tests, built as authors build them: with cargo from a crate of this workspace, or with `cc`
//! from C source.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::server::{profile, workspace};

/// The library of a crate of the workspace, built if it is missing or older than its sources.
///
/// # Panics
///
/// If it does not build.
pub fn of_crate(package: &str) -> PathBuf {
    // One build after another: cargo would queue them anyway.
    static BUILT: Mutex<Vec<(String, PathBuf)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, library)) = built.iter().find(|(name, _)| name == package) {
        return library.clone();
    }
    let (folder, profile) = profile().expect("tests run from a target folder");
    let status = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["build", "--quiet", "--package", package, "--lib", "--profile", &profile, "--target-dir"])
        .arg(folder.parent().expect("a profile's folder is in the target folder"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{package} builds; what keeps it from that is said above");
    let library = folder.join(format!("{DLL_PREFIX}{}{DLL_SUFFIX}", package.replace('-', "_")));
    built.push((package.to_owned(), library.clone()));
    library
}

/// Compile C source to a library at `to`, with these definitions, such as `("GREETING", "\"hello\"")`.
///
/// # Panics
///
/// If it does not compile.
pub fn of_c(source: &Path, definitions: &[(&str, &str)], to: &Path) {
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"])
        .args(definitions.iter().map(|(name, value)| format!("-D{name}={value}")))
        .arg("-I")
        .arg(workspace().join("plugins/abi/include"))
        .arg(source)
        .arg("-o")
        .arg(to)
        .output()
        .expect("cc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
