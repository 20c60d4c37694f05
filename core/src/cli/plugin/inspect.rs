//! `toolgate plugin inspect`: what a library says of itself, and the configuration that it asks for.
//!
//! Starts the plugin as the server would, in a worker process of its own, and ends it. Knows no configuration but the
//! path of the file that the lines are for.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Value, json};
use toolgate_plugin::{Tool, ToolAnnotations};

use super::{
    alone::{Alone, Place},
    lines::Lines,
    table::{self, Row},
};
use crate::{
    cli::print,
    config::Isolation,
    host::{self, Inspection},
};

#[derive(clap::Args)]
pub(super) struct Options {
    /// The library.
    file: PathBuf,
    /// The settings to start it with: a JSON object, or @FILE for one that others must not see in the list of processes.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    settings: String,
    /// What it may do meanwhile, as the keys of its limits in the configuration: a JSON object, or @FILE.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    limits: String,
    /// One JSON object, with the whole schemas.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Path, options: Options) -> ExitCode {
    let alone = Alone {
        endpoint: "inspect",
        file: &options.file,
        settings: &options.settings,
        limits: &options.limits,
        isolation: Place::Process,
        // Not used: it is started with folders that are gone afterwards.
        state_dir: Path::new("."),
        audit: None,
    };
    let plugin = match alone.plugin() {
        Ok(plugin) => plugin,
        Err(code) => return code,
    };
    let settings = Some(Value::Object(plugin.settings.0));
    let inspected = match host::inspect(&options.file, settings, &plugin.limits, Isolation::Process).await {
        Ok(inspected) => inspected,
        Err(error) => return print::failure(&with_help(&error.message, &error.help)),
    };
    if options.json {
        print::line(serde_json::to_string_pretty(&whole(&inspected)).unwrap_or_default());
    } else {
        let text = text(&options.file, config, &inspected);
        print::line(print::untrusted(text.trim_end()));
    }
    if inspected.tools.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn with_help(message: &str, help: &str) -> String {
    if help.is_empty() { message.to_owned() } else { format!("{message}; {help}") }
}

/// Everything, for programs.
fn whole(inspected: &Inspection) -> Value {
    let (tools, why) = match &inspected.tools {
        Ok(tools) => (json!(tools), Value::Null),
        Err(error) => (Value::Null, with_help(&error.message, &error.help).into()),
    };
    json!({ "abi": toolgate_abi::VERSION, "manifest": inspected.manifest, "tools": tools, "error": why })
}

/// The same for people.
fn text(file: &Path, config: &Path, inspected: &Inspection) -> String {
    let manifest = &inspected.manifest;
    let mut text = format!("{} {}\n", manifest.name, manifest.version);
    // Writing to a String cannot fail.
    if let Some(description) = &manifest.description {
        let _ = writeln!(text, "  {description}");
    }
    let kit = manifest.kit.as_deref().unwrap_or("no kit");
    let _ = writeln!(text, "  made with {kit}, for version {} of the plugin interface", toolgate_abi::VERSION);

    let schema = manifest.settings_schema.as_ref().unwrap_or(&Value::Null);
    text.push_str("\nSettings\n");
    let rows = table::rows(schema);
    if rows.is_empty() {
        text.push_str("  none\n")
    } else {
        lay_out(&mut text, "  ", "KEY", &rows)
    }

    text.push_str("\nTools\n");
    match &inspected.tools {
        Err(error) => {
            let why = with_help(&error.message, &error.help);
            let _ = writeln!(
                text,
                "  cannot be listed: {why}\n  give what it needs with --settings '{{…}}', and --limits '{{…}}' for what it may do"
            );
        }
        Ok(tools) if tools.is_empty() => text.push_str("  none\n"),
        Ok(tools) => tools.iter().for_each(|tool| describe(&mut text, tool)),
    }
    let tools = inspected.tools.as_deref().unwrap_or_default();
    let lines = Lines {
        name: &configured_name(&manifest.name),
        library: file,
        settings: table::required(schema),
        tools: tools.iter().map(|tool| tool.name.clone()).collect(),
    };
    let _ = write!(text, "\nAdd to {}:\n\n{}", config.display(), lines.text(config));
    text
}

fn describe(text: &mut String, tool: &Tool) {
    let _ = write!(text, "  {}", tool.name);
    let title = tool.title.as_deref().or_else(|| tool.annotations.as_ref()?.title.as_deref());
    let _ = title.map(|title| write!(text, " ({title})"));
    let hints = tool.annotations.as_ref().map(hints).unwrap_or_default();
    let _ = writeln!(text, "{}", if hints.is_empty() { hints } else { format!("  [{hints}]") });
    for line in tool.description.iter().flat_map(|description| description.lines()) {
        let _ = writeln!(text, "    {line}");
    }
    let arguments = Value::Object((*tool.input_schema).clone());
    let rows = table::rows(&arguments);
    if !rows.is_empty() {
        lay_out(text, "    ", "ARGUMENT", &rows);
    }
}

/// What the annotations say, in a few words.
fn hints(annotations: &ToolAnnotations) -> String {
    let hints = [
        (annotations.read_only_hint, "reads only", "changes things"),
        (annotations.destructive_hint.filter(|_| annotations.read_only_hint != Some(true)), "may destroy", "adds only"),
        (annotations.idempotent_hint, "may be repeated", "not to be repeated"),
        (annotations.open_world_hint, "reaches out", "reaches nothing outside"),
    ];
    let told = hints.into_iter().filter_map(|(hint, yes, no)| hint.map(|hint| if hint { yes } else { no }));
    told.collect::<Vec<_>>().join(", ")
}

fn lay_out(text: &mut String, indent: &str, head: &str, rows: &[Row]) {
    let head = Row { name: head.into(), kind: "TYPE".into(), default: "DEFAULT".into(), description: "MEANING".into() };
    let rows: Vec<&Row> = std::iter::once(&head).chain(rows).collect();
    let width = |of: fn(&Row) -> &String| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (name, kind, default) = (width(|row| &row.name), width(|row| &row.kind), width(|row| &row.default));
    for row in rows {
        let line = format!("{:name$}  {:kind$}  {:default$}  {}", row.name, row.kind, row.default, row.description);
        let _ = writeln!(text, "{indent}{}", line.trim_end());
    }
}

/// The plugin's own name as one that the configuration takes.
fn configured_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_told_in_words() {
        let cases = [
            (ToolAnnotations::default(), ""),
            (ToolAnnotations::read_only().open_world(false), "reads only, reaches nothing outside"),
            (
                ToolAnnotations { read_only_hint: Some(false), destructive_hint: Some(true), ..Default::default() },
                "changes things, may destroy",
            ),
        ];
        for (annotations, expected) in cases {
            assert_eq!(hints(&annotations), expected);
        }
    }
}
