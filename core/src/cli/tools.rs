//! `toolgate tools`: a table of the tools.

use std::{path::Path, process::ExitCode};

use serde_json::json;
use tokio_util::task::TaskTracker;

use super::print;
use crate::host::Registry;

#[derive(clap::Args)]
pub(super) struct Options {
    /// One JSON array instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(path: &Path, options: Options) -> ExitCode {
    let loaded = match print::load(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let (registry, findings) = match Registry::build(&loaded.config, TaskTracker::new()).await {
        Ok(built) => built,
        Err(error) => return print::build_error(&loaded.source, &error),
    };
    print::findings(&loaded.source, &findings);
    print::failures(&loaded.source, &registry);
    table(&registry, &options);
    registry.shutdown().await;
    ExitCode::SUCCESS
}

fn table(registry: &Registry, options: &Options) {
    let rules = || {
        registry.endpoints().filter_map(|name| registry.policy().endpoint(name)).flat_map(|rules| rules.tools.values())
    };
    if options.json {
        let rows: Vec<_> = rules()
            .map(|tool| json!({ "tool": tool.name, "plugin": tool.plugin, "endpoint": tool.endpoint, "scopes": tool.requirement.scopes() }))
            .collect();
        print::line(serde_json::Value::Array(rows));
        return;
    }
    let mut rows = vec![["TOOL", "PLUGIN", "ENDPOINT", "SCOPES"].map(str::to_owned)];
    rows.extend(rules().map(|tool| {
        let scopes = tool.requirement.scopes();
        let scopes = if scopes.is_empty() { "(any valid token)".to_owned() } else { scopes.join(" ") };
        [tool.name.to_string(), tool.plugin.to_string(), tool.endpoint.to_string(), scopes]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [tool, plugin, endpoint, scopes] in &rows {
        print::line(format_args!("{tool:0$}  {plugin:1$}  {endpoint:2$}  {scopes}", widths[0], widths[1], widths[2]));
    }
}
