//! From a path to a [`Config`]: the steps in their order, and which parts are read at all.

use std::path::{self, Path, PathBuf};

use serde_json::Value;
use url::Url;

use super::{
    check::{Checker, flag},
    diagnostic::{Diagnostic, Diagnostics},
    environment::Environment,
    interpolate, layers, rules,
    sections::{Config, ProviderKind},
    shape,
    source::{Source, owned},
    text_file::{self, reason},
    variables,
};

/// A configuration that a server can start with.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings; relative paths are made absolute.
    pub config: Config,
    /// Where they came from, for findings of later stages.
    pub source: Source,
    /// What somebody should look at.
    pub warnings: Vec<Diagnostic>,
}

/// Load a configuration file with the variables of `environment` and of a `.env` file beside it.
///
/// # Errors
/// Everything that is wrong with the file and the variables: all unknown keys, wrong types and unset
/// references, or, if there are none of these but wrong numbers, durations, sizes and rates, all contradictions as well.
pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Diagnostics> {
    let text = text_file::read(path).map_err(|error| {
        let message = format!("cannot be read: {}", reason(&error));
        Diagnostic::file_error(path, message, "name the configuration file with --config FILE")
    })?;
    let folder = folder(path)?;
    let environment = environment.above_file(&path.with_file_name(".env"))?;
    let mut source = Source::parse(path, text)?;

    let file = source.values();
    let layer = variables::read(&shape::ROOT, &file, &environment, &mut source);
    let mut warnings = layer.warnings;
    let mut errors = layer.errors;
    let mut values = layers::merge(&file, &layer.values)
        .map_err(|error| Diagnostic::file_error(path, format!("cannot be merged with the environment: {error}"), ""))?;

    errors.extend(prune(&mut values, &environment, &folder, &source));
    let unread = disabled_settings(&values, &environment, &folder);
    let mut interpolation = Interpolation { environment: &environment, folder: &folder, unread, failed: Vec::new() };
    errors.extend(interpolation.replace(&mut values, &mut Vec::new(), &mut source));
    errors.extend(variables::original(&mut values, &environment, &mut source));

    let mut checker =
        Checker { source: &source, findings: Vec::new(), unreadable: Vec::new(), skip: &interpolation.failed };
    checker.values(&mut values, &shape::ROOT, &mut Vec::new());
    let Checker { findings, unreadable, .. } = checker;
    if errors.is_empty() && !findings.is_empty() {
        errors.extend(contradictions(&values, &unreadable, &source));
    }
    errors.extend(findings);
    refuse(errors)?;

    let mut config: Config = serde_json::from_value(values.clone())
        .map_err(|error| Diagnostic::file_error(path, format!("does not hold a configuration: {error}"), ""))?;
    let findings = rules::check(&config, &values, &source);
    refuse(findings.errors)?;
    warnings.extend(findings.warnings);
    anchor(&mut config, &folder);
    source.loaded = values;
    Ok(Loaded { config, source, warnings: in_order(warnings) })
}

/// A configuration that stands in no file, and what somebody should look at. `values` are looked at as a file's would be;
/// no variable is read and no reference replaced. Relative paths start at `folder`.
///
/// # Errors
/// As [`load`]; findings have a key and no place.
pub fn load_values(mut values: Value, folder: &Path) -> Result<(Config, Vec<Diagnostic>), Diagnostics> {
    let source = Source::parse(Path::new(""), String::new())?;
    let mut checker = Checker { source: &source, findings: Vec::new(), skip: &[], unreadable: Vec::new() };
    checker.values(&mut values, &shape::ROOT, &mut Vec::new());
    refuse(checker.findings)?;
    let mut config: Config = serde_json::from_value(values.clone())
        .map_err(|error| Diagnostic::file_error(folder, format!("does not hold a configuration: {error}"), ""))?;
    let findings = rules::check(&config, &values, &source);
    refuse(findings.errors)?;
    anchor(&mut config, folder);
    Ok((config, findings.warnings))
}

/// Apply all rules again, to a configuration that has been changed since it was loaded from `source`.
///
/// # Errors
/// All contradictions in what it is now.
pub fn check_again(config: &Config, source: &Source) -> Result<(), Diagnostics> {
    let mut values = source.loaded.clone();
    let url = &config.server.public_url;
    let written = values.pointer("/server/public_url").and_then(Value::as_str).and_then(|text| Url::parse(text).ok());
    // The text of this one is looked at, so it has to be the text of the value.
    if written != *url {
        values["server"]["public_url"] = url.as_ref().map_or(Value::Null, |_| config.public_url().into());
    }
    refuse(rules::check(config, &values, source).errors)
}

/// The contradictions of a configuration in which some values cannot be read: bounds, in whose place the defaults stand,
/// so that whoever sets several hears of all at once. None if there is more that cannot be read.
fn contradictions(values: &Value, unreadable: &[Vec<String>], source: &Source) -> Vec<Diagnostic> {
    let mut values = values.clone();
    for path in unreadable {
        let Some((key, parents)) = path.split_last() else { continue };
        let parent = parents.iter().try_fold(&mut values, |value, key| value.get_mut(key));
        if let Some(members) = parent.and_then(Value::as_object_mut) {
            members.shift_remove(key);
        }
    }
    match serde_json::from_value::<Config>(values.clone()) {
        Ok(config) => rules::check(&config, &values, source).errors,
        Err(_) => Vec::new(),
    }
}

/// The folder that relative paths start from.
fn folder(path: &Path) -> Result<PathBuf, Diagnostics> {
    let whole = path::absolute(path).map_err(|error| {
        Diagnostic::file_error(
            path,
            format!("has no absolute path: {}", reason(&error)),
            "start in a folder that exists",
        )
    })?;
    Ok(whole.parent().map_or_else(PathBuf::new, Path::to_owned))
}

fn refuse(errors: Vec<Diagnostic>) -> Result<(), Diagnostics> {
    if errors.is_empty() { Ok(()) } else { Err(Diagnostics(in_order(errors))) }
}

/// In the file's order, those without a place last, none twice.
fn in_order(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    findings.sort_by_key(|finding| (finding.line.is_none(), finding.line, finding.column));
    let mut seen: Vec<Diagnostic> = Vec::with_capacity(findings.len());
    for finding in findings {
        if !seen.contains(&finding) {
            seen.push(finding);
        }
    }
    seen
}

/// Take out the providers' sections that no endpoint uses, so that nothing in them is asked for. Their keys are
/// still looked at: a misspelled one would surprise on the day the section is used.
fn prune(values: &mut Value, environment: &Environment, folder: &Path, source: &Source) -> Vec<Diagnostic> {
    let text = |value: &Value| {
        let text = value.as_str()?;
        interpolate::expand(text, environment, folder).ok().map(|expanded| expanded.unwrap_or_else(|| text.to_owned()))
    };
    let common = values.pointer("/auth/provider").and_then(text).unwrap_or_else(|| ProviderKind::default().to_string());
    let endpoints = values.get("endpoints").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::values);
    let mut used: Vec<String> = endpoints
        .map(|endpoint| endpoint.pointer("/auth/provider").and_then(text).unwrap_or_else(|| common.clone()))
        .collect();
    if used.is_empty() {
        used.push(common);
    }
    let mut checker = Checker { source, findings: Vec::new(), unreadable: Vec::new(), skip: &[] };
    let Some(auth) = values.get_mut("auth").and_then(Value::as_object_mut) else { return Vec::new() };
    for kind in [ProviderKind::Dev, ProviderKind::Scalekit, ProviderKind::Oauth] {
        let section = kind.to_string();
        // `auth.dev.allow_public` is about `none` as well.
        let open = kind == ProviderKind::Dev && used.contains(&ProviderKind::None.to_string());
        if open || used.contains(&section) {
            continue;
        }
        if let Some(unused) = auth.shift_remove(&section)
            && let Some(shape) = shape::ROOT.below(&["auth", &section])
        {
            checker.names(&unused, shape, &mut owned(&["auth", &section]));
        }
    }
    checker.findings
}

/// The settings of plugins that are not loaded.
fn disabled_settings(values: &Value, environment: &Environment, folder: &Path) -> Vec<Vec<String>> {
    let disabled = |plugin: &Value| match plugin.get("enabled") {
        Some(Value::Bool(enabled)) => !enabled,
        Some(Value::String(text)) => {
            let expanded = interpolate::expand(text, environment, folder).ok().flatten();
            flag(expanded.as_deref().unwrap_or(text)) == Some(false)
        }
        _ => false,
    };
    let plugins = values.get("plugins").and_then(Value::as_object).into_iter().flatten();
    plugins.filter(|(_, plugin)| disabled(plugin)).map(|(name, _)| owned(&["plugins", name, "settings"])).collect()
}

/// The step that replaces references.
struct Interpolation<'a> {
    environment: &'a Environment,
    folder: &'a Path,
    /// Places whose references stay as they are.
    unread: Vec<Vec<String>>,
    /// Places whose references stand for nothing.
    failed: Vec<Vec<String>>,
}

impl Interpolation<'_> {
    fn replace(&mut self, value: &mut Value, path: &mut Vec<String>, source: &mut Source) -> Vec<Diagnostic> {
        if self.unread.contains(path) {
            return Vec::new();
        }
        let mut errors = Vec::new();
        match value {
            Value::String(text) => match interpolate::expand(text, self.environment, self.folder) {
                Ok(None) => {}
                Ok(Some(expanded)) => {
                    source.references.insert(path.clone(), std::mem::replace(text, expanded));
                }
                Err(unresolved) => {
                    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
                    errors.push(source.error(&segments, None, unresolved.message, unresolved.help));
                    self.failed.push(path.clone());
                }
            },
            Value::Array(elements) => {
                for (index, element) in elements.iter_mut().enumerate() {
                    path.push(index.to_string());
                    errors.extend(self.replace(element, path, source));
                    path.pop();
                }
            }
            Value::Object(members) => {
                for (key, member) in members.iter_mut() {
                    path.push(key.clone());
                    errors.extend(self.replace(member, path, source));
                    path.pop();
                }
            }
            _ => {}
        }
        errors
    }
}

/// Relative paths start at the configuration file's folder.
fn anchor(config: &mut Config, folder: &Path) {
    folder.clone_into(&mut config.folder);
    config.server.state_dir = folder.join(&config.server.state_dir);
    if config.audit.sink != "stderr" {
        config.audit.sink = folder.join(&config.audit.sink).to_string_lossy().into_owned();
    }
    for plugin in config.plugins.values_mut() {
        let limits = &mut plugin.limits;
        for path in plugin.library.iter_mut().chain(&mut limits.read).chain(&mut limits.write) {
            *path = folder.join(&*path);
        }
    }
}
