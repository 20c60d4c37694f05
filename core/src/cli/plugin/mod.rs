//! `toolgate plugin`: what an author needs, one file a command: begin (`new`), look (`inspect`).
//!
//! `lines` writes the configuration that both show, `table` puts a JSON Schema into rows.

mod lines;
mod new;

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
}

pub(super) async fn run(config: &Path, options: Options) -> ExitCode {
    match options.command {
        Command::New(options) => new::run(config, &options),
    }
}
