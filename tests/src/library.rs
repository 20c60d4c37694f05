//! Plugin libraries for tests, built as authors build them: with cargo from a crate of this workspace, or with `cc`
//! from C source.

use std::{
    env::consts::DLL_SUFFIX,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

use crate::server::{profile, workspace};

/// The library of a crate of the workspace, built if it is missing or older than its sources.
///
/// # Panics
///
/// If it does not build.
pub fn of_crate(package: &str) -> PathBuf {
    // One build after another: cargo would queue them anyway.
    static BUILT: Mutex<Vec<(String, PathBuf)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, library)) = built.iter().find(|(name, _)| name == package) {
        return library.clone();
    }
    let (folder, profile) = profile().expect("tests run from a target folder");
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["build", "--quiet", "--message-format=json-render-diagnostics", "--package", package, "--lib"])
        .args(["--profile", &profile, "--target-dir"])
        .arg(folder.parent().expect("a profile's folder is in the target folder"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{package} builds; what keeps it from that is said above");
    // The crate itself comes last, and a library may have another name than its package.
    let artifacts = output.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let files: Vec<PathBuf> = artifacts
        .filter(|artifact: &Value| {
            artifact["target"]["crate_types"].as_array().is_some_and(|c| c.contains(&"cdylib".into()))
        })
        .flat_map(|artifact| artifact["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().filter(|file| file.ends_with(DLL_SUFFIX)).map(PathBuf::from))
        .collect();
    let library = files.last().cloned().expect("the crate is a cdylib");
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
