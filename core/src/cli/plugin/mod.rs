//! `toolgate plugin`: what an author needs, one file a command: begin (`new`), look (`inspect`), try (`run`).
//!
//! `alone` makes the configuration that the latter two run a plugin with, `lines` writes the configuration that both show, `table` puts a JSON Schema into rows.

mod alone;
mod inspect;
mod lines;
mod new;
mod run;
mod table;

use std::{path::Path, process::ExitCode};

use clap::Subcommand;

#[derive(clap::Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a new plugin: a folder that builds, with a test, and the configuration to add.
    #[command(after_help = "Example:\n  toolgate plugin new hello\n  toolgate plugin new hello-c --lang c")]
    New(new::Options),
    /// Show what a plugin library says of itself: manifest, settings, tools, and the configuration to add.
    #[command(
        after_help = "Example:\n  toolgate plugin inspect hello/target/release/libhello.so\n  toolgate plugin inspect libweather.so --settings '{\"api_key\":\"…\"}' --limits '{\"network\":true}'"
    )]
    Inspect(inspect::Options),
    /// Serve one plugin as an MCP server on standard input and output, for a desktop client to start.
    #[command(after_help = RUN_HELP)]
    Run(run::Options),
}

const RUN_HELP: &str = "\
Example:
  toolgate plugin run target/release/libhello.so

A plugin may use the network, other files or programs if it is told to, as in [plugins.NAME.limits]:
  toolgate plugin run libweather.so --limits '{\"network\":true,\"read\":[\"/srv/maps\"]}'

In the configuration of a desktop client:
  {\"mcpServers\": {\"hello\": {\"command\": \"toolgate\", \"args\": [\"plugin\", \"run\", \"/path/to/libhello.so\"]}}}

A library that is built again is picked up while it is served.";

pub(super) async fn run(config: &Path, options: Options) -> ExitCode {
    match options.command {
        Command::New(options) => new::run(config, &options),
        Command::Inspect(options) => inspect::run(config, options).await,
        Command::Run(options) => run::run(options).await,
    }
}
