//! `toolgate schema`: the schemas that stand in `schemas/`, from the binary.

use std::{path::Path, process::ExitCode};

use tokio_util::task::TaskTracker;

use super::print;
use crate::{config, host::Registry, http::openapi_document};

#[derive(clap::Args)]
pub(super) struct Options {
    /// Of what.
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Of {
    /// `config.toml`, as JSON Schema.
    Config,
    /// The HTTP face, as OpenAPI 3.1, with the tools of this configuration.
    Openapi,
    /// The interface of plugin libraries, as a C header.
    Plugin,
}

pub(super) async fn run(path: &Path, options: Options) -> ExitCode {
    let value = match options.of {
        Of::Plugin => {
            print::line(toolgate_abi::HEADER.trim_end());
            return ExitCode::SUCCESS;
        }
        Of::Config => config::config_schema(),
        Of::Openapi => {
            let loaded = match print::load(path) {
                Ok(loaded) => loaded,
                Err(code) => return code,
            };
            match Registry::build(&loaded.config, TaskTracker::new()).await {
                Ok((registry, _)) => {
                    print::failures(&loaded.source, &registry);
                    let document = openapi_document(&loaded.config, &registry);
                    registry.shutdown().await;
                    document
                }
                Err(error) => return print::build_error(&loaded.source, &error),
            }
        }
    };
    print::line(serde_json::to_string_pretty(&value).unwrap_or_default());
    ExitCode::SUCCESS
}
