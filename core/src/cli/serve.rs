//! `toolgate serve`: start, say in a few lines what runs, serve until told to stop.

use std::{fmt::Write, path::Path, process::ExitCode};

use tokio::signal;

use super::print;
use crate::{config::ProviderKind, http::Server, telemetry::log};

pub(super) async fn run(path: &Path) -> ExitCode {
    let loaded = match print::load(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let _log = match log::start(&loaded.config.log) {
        Ok(guard) => guard,
        Err(error) => return print::failure(&error.to_string()),
    };
    let server = match Server::start(loaded.config, path).await {
        Ok(server) => server,
        Err(error) => return print::start_error(&loaded.source, &error),
    };
    print::findings(&loaded.source, server.findings());
    print::failures(&loaded.source, &server.registry());
    print::line(banner(&server));
    let stop = async {
        stopped().await;
        tracing::info!("stopping: calls in flight may finish; press Ctrl-C again to stop at once");
        tokio::spawn(async {
            // Ctrl-C alone: a supervisor may well send its signal twice.
            if signal::ctrl_c().await.is_ok() {
                std::process::exit(1);
            }
        });
    };
    server.serve(stop).await;
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

/// Ctrl-C, or what a supervisor sends.
async fn stopped() {
    #[cfg(unix)]
    {
        let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) else {
            let _ = signal::ctrl_c().await;
            return;
        };
        tokio::select! {
            _ = signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = signal::ctrl_c().await;
    }
}

/// What runs and what to try next.
fn banner(server: &Server) -> String {
    let (config, registry) = (server.config(), server.registry());
    let common = config.root_endpoint().map(|(name, _)| sign_in(server, name));
    let url = config.public_url();
    let mut text = format!("toolgate {} listens on {}\n", env!("CARGO_PKG_VERSION"), config.server.listen);
    let mut easiest = None;
    for (name, endpoint) in &config.endpoints {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  endpoint  {url}{}", endpoint.path);
        let own = sign_in(server, name);
        if common.as_ref() != Some(&own) {
            let _ = writeln!(text, "    sign-in {own}");
        }
        let Some(rules) = registry.policy().endpoint(name) else { continue };
        let width = rules.tools.keys().map(|name| name.len()).max().unwrap_or(0);
        for tool in rules.tools.values() {
            let scopes = tool.requirement.scopes();
            let scopes = if scopes.is_empty() { "any valid token".to_owned() } else { scopes.join(" ") };
            let _ = writeln!(text, "    tool    {:width$}  {scopes}", tool.name);
            let easier = easiest.as_ref().is_none_or(|(before, ..): &(u8, _, _, _)| ease(&tool.tool) < *before);
            if easier {
                easiest = Some((ease(&tool.tool), config.provider_kind(endpoint), tool, rules));
            }
        }
    }
    for (name, errors) in registry.failures() {
        let reason = errors.first().map(|error| error.message.as_str()).unwrap_or_default();
        let _ = writeln!(text, "  failed    plugin \"{name}\": {reason}");
    }
    let _ = writeln!(text, "  sign-in   {}", common.unwrap_or_default());
    let _ = writeln!(text, "  page      {url}/");
    let _ = writeln!(text, "  docs      {url}/docs");
    if let Some((_, provider, tool, rules)) = easiest {
        let arguments = match &*tool.tool {
            "docs_search" => r#"{"query":"write a plugin"}"#,
            "echo" => r#"{"text":"hello"}"#,
            _ => "{…}",
        };
        let _ = writeln!(text, "  try       toolgate call {} '{arguments}'", tool.name);
        if provider == ProviderKind::Dev {
            let _ = write!(text, "            toolgate token --scope \"{}\"", rules.initial_scopes.join(" "));
        }
    }
    text.trim_end().to_owned()
}

/// How easily a tool is tried, least is best: those that answer on any machine first, of them what answers with something.
fn ease(tool: &str) -> u8 {
    match tool {
        "docs_search" => 0,
        "echo" => 1,
        _ => 2,
    }
}

/// Who vouches for the callers of an endpoint.
fn sign_in(server: &Server, endpoint: &str) -> String {
    let kind = server.config().endpoints.get(endpoint).map(|section| server.config().provider_kind(section));
    match (server.provider_name(endpoint), kind) {
        (None, _) => "none: every caller is anonymous, no scope is asked".into(),
        (Some(name), Some(ProviderKind::Dev)) => {
            format!("{name}: for trying, anyone who reaches this port can sign in")
        }
        (Some(name), _) => name,
    }
}
