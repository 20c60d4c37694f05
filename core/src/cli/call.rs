//! `toolgate call`: a tool from the shell, as a local principal, through the same policy, host and audit.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tokio::signal;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use toolgate_plugin::{Content, Progress, ToolResult, TraceContext};
use uuid::Uuid;

use super::print;
use crate::{
    config::nearest,
    host::{CallEnd, Registry, Surroundings, misfit},
    policy::{Face, Principal, Reason, Request},
    telemetry::{audit::Audit, log},
};

#[derive(clap::Args)]
pub(super) struct Options {
    /// The tool, as its endpoint names it.
    tool: String,
    /// Its arguments, a JSON object.
    #[arg(default_value = "{}")]
    arguments: String,
    /// The endpoint, where several have a tool of this name.
    #[arg(long)]
    endpoint: Option<String>,
    /// Print the whole result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(path: &Path, options: Options) -> ExitCode {
    let arguments: Map<String, Value> = match serde_json::from_str(&options.arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            print::note(format_args!(
                "error: the arguments are not a JSON object: {error}; write them as '{{\"text\":\"hello\"}}'"
            ));
            return ExitCode::from(2);
        }
    };
    let loaded = match print::load(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let _log = match log::start(&loaded.config.log) {
        Ok(guard) => guard,
        Err(error) => return print::failure(&error.to_string()),
    };
    let (registry, _) = match Registry::build(&loaded.config, TaskTracker::new()).await {
        Ok(built) => built,
        Err(error) => return print::build_error(&loaded.source, &error),
    };
    print::failures(&loaded.source, &registry);
    let audit = || Audit::open(&loaded.config.audit).map_err(|error| error.to_string());
    let code = match endpoint(&registry, &options).and_then(|endpoint| Ok((endpoint, audit()?))) {
        Ok((endpoint, audit)) => {
            let code = call(&registry, &audit, &endpoint, &options, arguments).await;
            let _ = tokio::task::spawn_blocking(move || audit.close(Duration::from_secs(2))).await;
            code
        }
        Err(text) => print::failure(&text),
    };
    // However it went: a worker must not outlive the command.
    registry.shutdown().await;
    code
}

fn endpoint(registry: &Registry, options: &Options) -> Result<String, String> {
    let tool = &options.tool;
    let having: Vec<&str> = registry.endpoints().filter(|endpoint| registry.tool(endpoint, tool).is_some()).collect();
    match (&options.endpoint, having.as_slice()) {
        (Some(endpoint), having) if having.contains(&endpoint.as_str()) => Ok(endpoint.clone()),
        (Some(endpoint), _) => {
            Err(format!("the endpoint \"{endpoint}\" offers no tool \"{tool}\"; see toolgate tools"))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => {
            let known = registry.endpoints().filter_map(|name| registry.policy().endpoint(name));
            let known = known.flat_map(|rules| rules.tools.keys()).map(|name| &**name);
            let help = nearest(tool, known)
                .map_or_else(|| "see toolgate tools".into(), |near| format!("did you mean \"{near}\"?"));
            Err(format!("there is no tool \"{tool}\"; {help}"))
        }
        (None, several) => {
            Err(format!("several endpoints offer \"{tool}\": {}; choose with --endpoint", several.join(", ")))
        }
    }
}

async fn call(
    registry: &Registry,
    audit: &Audit,
    endpoint: &str,
    options: &Options,
    arguments: Map<String, Value>,
) -> ExitCode {
    let request_id: Arc<str> = Uuid::now_v7().to_string().into();
    let Ok(slot) = audit.reserve().await else { return print::failure("the audit log takes no record") };
    let request = Request {
        face: Face::Cli,
        request_id: &request_id,
        endpoint,
        tool: &options.tool,
        arguments: audit.wants_arguments().then_some(&arguments),
    };
    let permit = match registry.policy().decide(&Arc::new(Principal::local()), request, slot) {
        Ok(permit) => permit,
        Err(refusal) => {
            return print::failure(match refusal.reason {
                Reason::RateLimited { .. } => "called too often",
                _ => "there is no such tool",
            });
        }
    };
    let cancelled = CancellationToken::new();
    let around = Surroundings {
        request_id: Arc::clone(&request_id),
        progress: Progress::to(|update| {
            if let Some(message) = update.message {
                print::note(message);
            }
        }),
        cancelled: cancelled.clone(),
        trace: TraceContext::default(),
    };
    let mut call = std::pin::pin!(registry.call(permit, arguments, around));
    let end = tokio::select! {
        end = &mut call => end,
        _ = signal::ctrl_c() => {
            cancelled.cancel();
            call.await
        }
    };
    match end {
        CallEnd::Result(result) => show(&result, options.json),
        CallEnd::OutsideSchema { path, message } => print::failure(&misfit(&path, &message)),
        CallEnd::UnknownTool => print::failure("the plugin does not know the tool"),
    }
}

fn show(result: &ToolResult, whole: bool) -> ExitCode {
    if whole {
        print::line(serde_json::to_string_pretty(result).unwrap_or_default());
    } else {
        for block in &result.content {
            match block {
                Content::Text { text, .. } if result.is_error => {
                    print::note(format_args!("error: {}", print::untrusted(text)));
                }
                Content::Text { text, .. } => print::line(print::untrusted(text)),
                other => print::line(serde_json::to_string(other).unwrap_or_default()),
            }
        }
    }
    if result.is_error { ExitCode::from(1) } else { ExitCode::SUCCESS }
}
