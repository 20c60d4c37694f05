//! The lines of `config.toml` that make a plugin library serve, fit to be copied: the plugin, a scope of its own, and
//! the endpoint that offers it.

use std::{
    fmt::Write,
    fs,
    path::{self, Path, PathBuf},
};

use serde_json::Value;
use toml_edit::{Document, Key, Value as Toml};

/// What the lines are about.
pub(super) struct Lines<'a> {
    /// The plugin's name in the configuration.
    pub(super) name: &'a str,
    /// The library.
    pub(super) library: &'a Path,
    /// The settings that the plugin cannot start without, with the JSON type of each.
    pub(super) settings: Vec<(String, Value)>,
    /// Its tools. Empty: not known, so that one rule is for all.
    pub(super) tools: Vec<String>,
}

impl Lines<'_> {
    /// The text for the configuration at `config`, which need not exist.
    pub(super) fn text(&self, config: &Path) -> String {
        let name = key(self.name);
        let scope = format!("{}:use", self.name);
        let mut text = String::new();
        let there = fs::read_to_string(config).unwrap_or_default();
        let there = Document::parse(there.as_str()).ok();
        // Writing to a String cannot fail.
        if there
            .as_ref()
            .is_some_and(|there| there.get("plugins").is_some_and(|plugins| plugins.get(self.name).is_some()))
        {
            let _ = writeln!(text, "# There is a [plugins.{name}] already: instead of it, or under another name.");
        }
        let _ = writeln!(text, "[plugins.{name}]");
        let _ = writeln!(text, "library = {}", string(&self.library_from(config).to_string_lossy()));
        let _ = writeln!(text, "\n# [plugins.{name}.limits]\n# network = true      # if it calls out");
        if !self.settings.is_empty() {
            let _ = writeln!(text, "\n[plugins.{name}.settings]");
            for (setting, kind) in &self.settings {
                let _ = writeln!(text, "{} = {}", key(setting), placeholder(kind));
            }
        }
        let _ = writeln!(text, "\n[plugins.{name}.tools]");
        let rest = ["*".to_owned()];
        for tool in if self.tools.is_empty() { &rest } else { self.tools.as_slice() } {
            let _ = writeln!(text, "{} = {{ scopes = [{}] }}", key(tool), string(&scope));
        }
        let _ = writeln!(text, "\n[scopes.{}]", key(&scope));
        let _ = writeln!(text, "description = {}", string(&format!("Use the tools of {}", self.name)));
        text.push('\n');
        text.push_str(&self.endpoint(there.as_ref()));
        text
    }

    /// Relative to the configuration if it lies below, so that both can move together.
    fn library_from(&self, config: &Path) -> PathBuf {
        let (library, config) = (direct(self.library), direct(config));
        let below = config.parent().filter(|_| config.is_file()).and_then(|folder| library.strip_prefix(folder).ok());
        below.map_or_else(|| library.clone(), Path::to_path_buf)
    }

    /// How an endpoint comes to offer the plugin: with one more name in its list, or as a new one.
    fn endpoint(&self, config: Option<&Document<&str>>) -> String {
        let endpoints = config.and_then(|config| config.get("endpoints")?.as_table_like());
        let first = endpoints.and_then(|endpoints| {
            endpoints.iter().find_map(|(name, endpoint)| Some((name, endpoint.get("plugins")?.as_array()?)))
        });
        match first {
            Some((endpoint, plugins)) => {
                let mut names: Vec<&str> = plugins.iter().filter_map(Toml::as_str).collect();
                if names.contains(&self.name) {
                    return format!("# [endpoints.{}] offers it already.\n", key(endpoint));
                }
                names.push(self.name);
                let names: Vec<String> = names.into_iter().map(string).collect();
                format!("# and in [endpoints.{}]:\n# plugins = [{}]\n", key(endpoint), names.join(", "))
            }
            None => format!(
                "[endpoints.{}]\npath = {}\nplugins = [{}]\n",
                key(self.name),
                string(&format!("/{}/mcp", self.name)),
                string(self.name)
            ),
        }
    }
}

/// From the root and without `..`, whether the file is there already or not. Links stay as they are where there is no
/// `..` behind them: people know their folders by the names that they go in by.
fn direct(path: &Path) -> PathBuf {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if !path.components().any(|part| part == path::Component::ParentDir) {
        return path;
    }
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let direct = there.and_then(|(above, real)| Some(real.join(path.strip_prefix(above).ok()?)));
    direct.unwrap_or(path)
}

/// The file's name for a library of this crate, as cargo and this platform's linker have it.
pub(super) fn library_name(name: &str) -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    format!("{DLL_PREFIX}{}{DLL_SUFFIX}", name.replace('-', "_"))
}

/// A key of TOML, in quotes if it needs them.
fn key(name: &str) -> String {
    Key::new(name).to_string()
}

/// A string of TOML.
fn string(text: &str) -> String {
    Toml::from(text).to_string()
}

/// A value to be replaced: the type of the setting is what it shows.
fn placeholder(kind: &Value) -> &'static str {
    let kind = kind.as_str().or_else(|| kind.as_array()?.first()?.as_str());
    match kind {
        Some("integer" | "number") => "0",
        Some("boolean") => "false",
        Some("array") => "[]",
        Some("object") => "{}",
        _ => "\"…\"",
    }
}
