//! The configuration of one plugin alone, as somebody would write it who trusts whoever gets here with all its tools.
//!
//! Owns what the options of `run` and `inspect` mean in it, and what is said about a wrong one. It is looked at as a file
//! would be: same keys, same rules.

use std::{
    path::{Path, absolute},
    process::ExitCode,
};

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::{
    cli::print,
    config::{self, Builtin, Config, Diagnostic, Plugin},
};

/// As `isolation` in the configuration.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Place {
    Process,
    None,
}

/// One plugin and how it is to run.
pub(super) struct Alone<'a> {
    /// The one endpoint.
    pub(super) endpoint: &'a str,
    /// The library, or the name of a compiled-in plugin.
    pub(super) file: &'a Path,
    /// `--settings`
    pub(super) settings: &'a str,
    /// `--limits`
    pub(super) limits: &'a str,
    pub(super) isolation: Place,
    pub(super) state_dir: &'a Path,
    /// Where audit records go, if anywhere.
    pub(super) audit: Option<&'a Path>,
}

impl Alone<'_> {
    /// The configuration; warnings have been printed.
    ///
    /// # Errors
    /// The exit status, once it has been said what is wrong.
    pub(super) fn config(&self) -> Result<Config, ExitCode> {
        let option = |name: &str, text: &str| {
            object(text).map_err(|why| {
                print::note(format_args!("error: --{name}: {why}"));
                ExitCode::from(2)
            })
        };
        let (settings, limits) = (option("settings", self.settings)?, option("limits", self.limits)?);
        let values = self.values(settings, limits).map_err(|why| print::failure(&why))?;
        let folder = std::env::current_dir()
            .map_err(|error| print::failure(&format!("there is no current folder: {error}; change into one")))?;
        match config::load_values(values, &folder) {
            Ok((config, warnings)) => {
                warnings.into_iter().for_each(|warning| self.note(warning));
                Ok(config)
            }
            Err(errors) => {
                errors.0.into_iter().for_each(|error| self.note(error));
                Err(ExitCode::from(2))
            }
        }
    }

    /// The plugin's section in it.
    ///
    /// # Errors
    /// As [`Alone::config`].
    pub(super) fn plugin(&self) -> Result<Plugin, ExitCode> {
        self.config()?.plugins.into_values().next().ok_or(ExitCode::from(1))
    }

    fn values(&self, settings: Map<String, Value>, limits: Map<String, Value>) -> Result<Value, String> {
        let absolute = |path: &Path| {
            let whole = absolute(path).map_err(|error| format!("\"{}\": {error}", path.display()))?;
            whole.into_os_string().into_string().map_err(|path| format!("the path \"{}\" is not UTF-8", path.display()))
        };
        let mut plugin = json!({ "settings": settings, "limits": limits, "tools": { "*": { "scopes": [] } } });
        match compiled_in(self.file) {
            Some(builtin) => plugin["builtin"] = json!(builtin),
            None => {
                plugin["required"] = json!(true);
                plugin["library"] = json!(absolute(self.file)?);
                plugin["isolation"] = json!(match self.isolation {
                    Place::Process => "process",
                    Place::None => "none",
                });
            }
        }
        let audit = match self.audit {
            Some(file) => absolute(file)?,
            None => if cfg!(windows) { "NUL" } else { "/dev/null" }.to_owned(),
        };
        let name = name(self.file);
        Ok(json!({
            "server": { "state_dir": absolute(self.state_dir)? },
            "auth": { "provider": "none" },
            "endpoints": { self.endpoint: { "path": "/mcp", "plugins": [&name] } },
            "plugins": { &name: plugin },
            "audit": { "sink": audit },
        }))
    }

    /// Say it of the option that it is about, or else of the plugin's file.
    fn note(&self, mut diagnostic: Diagnostic) {
        let limits = format!("plugins.{}.limits.", name(self.file));
        match diagnostic.key.strip_prefix(&limits) {
            Some(key) => {
                diagnostic.variable = Some("--limits".to_owned());
                diagnostic.key = key.to_owned();
            }
            None => diagnostic.file = self.file.to_owned(),
        }
        print::note(diagnostic);
    }
}

/// A JSON object from the command line, or from the file that `@FILE` names.
fn object(text: &str) -> Result<Map<String, Value>, String> {
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("cannot read \"{path}\": {error}"))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text)
        .map_err(|error| format!("these are no JSON object: {error}; write them as '{{\"key\":\"value\"}}'"))
}

/// A compiled-in plugin goes by its name, unless there is a file of that name.
fn compiled_in(file: &Path) -> Option<Builtin> {
    let name = file.to_str().filter(|_| !file.exists())?;
    serde_json::from_value(json!(name)).ok()
}

/// What the plugin is called here: as its file, without what makes that a library's.
fn name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_prefix("lib").filter(|rest| !rest.is_empty()).unwrap_or(&stem);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = stem.chars().map(plain).collect();
    if name.is_empty() { "plugin".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_called_after_its_file() {
        let cases = [
            ("target/release/libhello.so", "hello"),
            ("hello.dll", "hello"),
            ("/x/libweb_search-2.dylib", "web_search-2"),
            ("lib.so", "lib"),
            ("ein Plugin.so", "ein-Plugin"),
            ("..", "plugin"),
            ("echo", "echo"),
        ];
        for (file, expected) in cases {
            assert_eq!(name(Path::new(file)), expected, "{file}");
        }
    }

    #[test]
    fn options_are_json_objects() {
        assert!(object("{}").is_ok_and(|object| object.is_empty()));
        for text in ["", "7", "[]", "{", "@/no/such/file"] {
            assert!(object(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_have_the_keys_of_the_configuration() {
        let limits = |limits: &str| {
            let (file, state_dir) = (Path::new("libp.so"), Path::new("state"));
            let alone = Alone {
                endpoint: "e",
                file,
                settings: "{}",
                limits,
                isolation: Place::Process,
                state_dir,
                audit: None,
            };
            alone.plugin().map(|plugin| plugin.limits)
        };
        let granted = limits(r#"{"network":true,"timeout":"5s","read":["here"]}"#).unwrap();
        assert!(granted.network && !granted.exec);
        assert_eq!(granted.timeout, config::Duration::seconds(5));
        assert_eq!(granted.read, [std::env::current_dir().unwrap().join("here")]);
        let wrong = [
            r#"{"netwrok":true}"#,
            r#"{"network":"maybe"}"#,
            r#"{"memory":"1 MiB"}"#,
            r#"{"timeout":5}"#,
            r#"{"read":[""]}"#,
        ];
        for text in wrong {
            assert!(limits(text).is_err(), "{text}");
        }
    }
}
