//! Why a library cannot be used, in words for the operator.
//!
//! Owns every message about a file, its version and its manifest, and what to do about each. Knows nothing of how
//! they are found out.

use std::path::Path;

use toolgate_abi::{VERSION, code};

use super::{image::Format, link::ErrorObject};

/// A library cannot be opened as a plugin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpenError {
    #[error("there is no file \"{0}\"")]
    Missing(String),
    #[error("\"{0}\" is a folder")]
    Folder(String),
    #[error("\"{path}\" cannot be read: {why}")]
    Unreadable { path: String, why: String },
    #[error("\"{0}\" is an empty file")]
    Empty(String),
    #[error("\"{path}\" ends after {found} bytes, where its own header speaks of {expected}")]
    Truncated { path: String, found: u64, expected: u64 },
    #[error("\"{path}\" is {what}, not a library")]
    NotALibrary { path: String, what: &'static str },
    #[error("\"{path}\" is a library for {found}, and this server runs on {}", std::env::consts::OS)]
    OtherSystem { path: String, found: Format },
    #[error("\"{path}\" is built for {found}, and this server runs on {}", std::env::consts::ARCH)]
    OtherArchitecture { path: String, found: String },
    #[error("\"{path}\" cannot be linked: {why}")]
    Unlinkable { path: String, why: String },
    #[error("\"{path}\" is not a Toolgate plugin: it exports no `{symbol}`")]
    NotAPlugin { path: String, symbol: &'static str },
    #[error("\"{path}\" speaks plugin ABI {found}, this server {VERSION}")]
    OlderAbi { path: String, found: u32 },
    #[error("\"{path}\" speaks plugin ABI {found}, this server {VERSION}")]
    NewerAbi { path: String, found: u32 },
    #[error("the manifest of \"{path}\" is broken: {why}")]
    Manifest { path: String, why: String },
    #[error("\"{path}\" cannot be copied to \"{to}\": {why}")]
    Copy { path: String, to: String, why: String },
    #[error("\"{0}\" does not hold still: it changed each time that it was copied")]
    Restless(String),
    #[error("{0} libraries have been loaded into this process, which cannot let go of one")]
    TooMany(usize),
}

impl OpenError {
    /// What to do about it.
    pub(super) fn help(&self) -> String {
        match self {
            // That of a configuration is whole, whatever folder it was written against.
            Self::Missing(path) if Path::new(path).is_absolute() => "build the plugin, or correct the path".into(),
            Self::Missing(_) => "build the plugin, or correct the path, which starts at the current folder".into(),
            Self::Folder(_) => "name the library in it".into(),
            Self::Unreadable { .. } => "let the server's user read it".into(),
            Self::Empty(_) | Self::Truncated { .. } => "build or copy it again".into(),
            Self::NotALibrary { .. } => {
                "name the shared library; a Rust plugin sets crate-type = [\"cdylib\"], a C one is linked with -shared"
                    .into()
            }
            Self::OtherSystem { .. } | Self::OtherArchitecture { .. } => format!("build it for {}", target()),
            Self::Unlinkable { .. } => {
                "install what is missing, or link it into the plugin; `ldd` lists what a library wants".into()
            }
            Self::NotAPlugin { .. } => "export it with `export_plugin!`, or as schemas/toolgate_plugin.h says".into(),
            Self::OlderAbi { .. } => "rebuild it with the current kit".into(),
            Self::NewerAbi { .. } => "update the server, or rebuild the plugin with the kit of this server".into(),
            Self::Manifest { .. } => "report it to the plugin's author".into(),
            Self::Copy { .. } => "let the server's user write there; the folder is server.state_dir".into(),
            Self::Restless(_) => "wait until its build is done".into(),
            Self::TooMany(_) => "restart the server, or set isolation = \"process\"".into(),
        }
    }
}

impl OpenError {
    /// Whether nothing of the library has got into the process.
    pub(super) fn is_before_linking(&self) -> bool {
        !matches!(self, Self::NotAPlugin { .. } | Self::OlderAbi { .. } | Self::NewerAbi { .. } | Self::Manifest { .. })
    }

    /// The same about the file that the operator knows, not its copy.
    pub(super) fn about(mut self, library: &Path) -> Self {
        let known = library.display().to_string();
        if let Self::Unlinkable { path, why } = &mut self {
            // The linker's words begin with the file that it was given.
            *why = why.replace(&format!("{path}: "), "");
        }
        match &mut self {
            Self::Missing(path) | Self::Folder(path) | Self::Empty(path) | Self::Restless(path) => *path = known,
            Self::Unreadable { path, .. }
            | Self::Truncated { path, .. }
            | Self::NotALibrary { path, .. }
            | Self::OtherSystem { path, .. }
            | Self::OtherArchitecture { path, .. }
            | Self::Unlinkable { path, .. }
            | Self::NotAPlugin { path, .. }
            | Self::OlderAbi { path, .. }
            | Self::NewerAbi { path, .. }
            | Self::Manifest { path, .. }
            | Self::Copy { path, .. } => *path = known,
            Self::TooMany(_) => {}
        }
        self
    }
}

/// The server's own target, as a compiler names it.
fn target() -> String {
    let arch = std::env::consts::ARCH;
    match std::env::consts::OS {
        "linux" if cfg!(target_env = "musl") => format!("{arch}-unknown-linux-musl"),
        "linux" => format!("{arch}-unknown-linux-gnu"),
        "macos" => format!("{arch}-apple-darwin"),
        "windows" => format!("{arch}-pc-windows-msvc"),
        os => format!("{arch} on {os}"),
    }
}

/// A plugin did not start.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CreateError {
    /// It said no; `path` is the setting that it is about, in dotted form.
    #[error("{message}")]
    Refused { message: String, path: Option<String> },
    /// It said no without a word.
    #[error("the plugin refused to start and did not say why")]
    Silent,
    /// It said yes and gave nothing to call.
    #[error("the plugin started without {0}")]
    Unusable(&'static str),
}

impl CreateError {
    /// The refusal in an error object.
    pub(super) fn read(payload: &[u8]) -> Self {
        let Ok(error) = serde_json::from_slice::<ErrorObject>(payload) else { return Self::Silent };
        let path = error.data.get("path").and_then(|path| path.as_str()).map(str::to_owned);
        Self::Refused { message: error.message, path: path.filter(|_| error.code == code::SETTINGS) }
    }
}
