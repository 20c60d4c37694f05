//! The commands, one file each. Prints, never decides.

mod call;
mod check;
mod plugin;
mod print;
mod schema;
mod serve;
mod token;
mod tools;
#[cfg(unix)]
mod worker;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

/// An MCP server that hosts tool plugins behind OAuth 2.1.
#[derive(Parser)]
#[command(version, arg_required_else_help = false, after_help = "Example:\n  toolgate --config config.toml")]
struct Cli {
    #[command(flatten)]
    at: ConfigPath,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Clone)]
struct ConfigPath {
    /// The configuration file.
    #[arg(long, short, global = true, value_name = "FILE", default_value = "config.toml", env = "TOOLGATE_CONFIG")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (the default).
    #[command(after_help = "Example:\n  toolgate serve --config /etc/toolgate/config.toml")]
    Serve,
    /// Say everything that would keep the server from starting, and what else looks wrong.
    #[command(after_help = "Example:\n  toolgate check --config config.toml")]
    Check,
    /// List the tools with their plugins, endpoints and scopes.
    #[command(after_help = "Example:\n  toolgate tools --json")]
    Tools(tools::Options),
    /// Run a tool from the shell, without a server.
    #[command(after_help = "Example:\n  toolgate call echo '{\"text\":\"hello\"}'")]
    Call(call::Options),
    /// Ask the running development authorization server for an access token.
    #[command(after_help = "Example:\n  toolgate token --scope \"web-search:read\"")]
    Token(token::Options),
    /// Write, look at and try plugins.
    #[command(after_help = "Example:\n  toolgate plugin new hello")]
    Plugin(plugin::Options),
    /// Print a schema.
    #[command(after_help = "Example:\n  toolgate schema config > schemas/config.schema.json")]
    Schema(schema::Options),
    /// Run a plugin's library for the server that starts this.
    #[cfg(unix)]
    #[command(hide = true)]
    Worker,
}

/// Run the command line; the exit status is 0, 1 for a finding, 2 for wrong usage.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and clap prints them to standard output.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // A worker is one library and no server: it confines itself while it has one thread.
    #[cfg(unix)]
    if matches!(cli.command, Some(Command::Worker)) {
        return worker::run();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return print::failure(&format!("cannot start: {error}")),
    };
    let config = cli.at.config;
    let code = runtime.block_on(async {
        match cli.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(&config).await,
            Command::Check => check::run(&config).await,
            Command::Tools(options) => tools::run(&config, options).await,
            Command::Call(options) => call::run(&config, options).await,
            Command::Token(options) => token::run(&config, options).await,
            Command::Plugin(options) => plugin::run(&config, options).await,
            Command::Schema(options) => schema::run(&config, options).await,
            #[cfg(unix)]
            Command::Worker => worker::run(),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}
