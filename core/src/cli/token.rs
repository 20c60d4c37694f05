//! `toolgate token`: a machine's access token from the running development authorization server, by dynamic
//! registration (RFC 7591) and client credentials (RFC 6749 section 4.4).

use std::{path::Path, process::ExitCode, time::Duration};

use serde::Deserialize;
use serde_json::json;

use super::print;
use crate::config::{Config, ProviderKind};

#[derive(clap::Args)]
pub(super) struct Options {
    /// The scopes to ask for, with blanks between. Default: all that are configured.
    #[arg(long)]
    scope: Option<String>,
    /// The endpoint that the token is for. Default: the only one, or the default one.
    #[arg(long)]
    endpoint: Option<String>,
    /// Where the server is. Default: `server.public_url`, or localhost at the port of `server.listen`.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// What is read of the metadata of RFC 9728.
#[derive(Deserialize)]
struct Resource {
    resource: String,
}

#[derive(Deserialize)]
struct Client {
    client_id: String,
    client_secret: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

pub(super) async fn run(path: &Path, options: Options) -> ExitCode {
    let loaded = match print::load(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    match ask(&loaded.config, options).await {
        Ok(token) => {
            print::line(token);
            ExitCode::SUCCESS
        }
        Err(text) => print::failure(&text),
    }
}

async fn ask(config: &Config, options: Options) -> Result<String, String> {
    let name = match &options.endpoint {
        Some(name) => name.as_str(),
        None => config.default_endpoint().ok_or("there are several endpoints; choose with --endpoint")?.0,
    };
    let endpoint = config.endpoints.get(name).ok_or_else(|| format!("there is no endpoint \"{name}\""))?;
    let kind = config.provider_kind(endpoint);
    if kind != ProviderKind::Dev {
        return Err(format!("tokens for \"{name}\" come from its provider ({kind}), not from this server; ask there"));
    }
    let scope =
        options.scope.unwrap_or_else(|| config.scopes.keys().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let url = options.url.unwrap_or_else(|| config.public_url());
    let base = format!("{}/dev/auth", url.trim_end_matches('/'));
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    // The server knows its own name best: it may listen, or be published, elsewhere than this file says.
    let metadata = format!("{}/.well-known/oauth-protected-resource{}", url.trim_end_matches('/'), endpoint.path);
    let Resource { resource } = answer(&base, http.get(metadata)).await?;
    let registration = json!({
        "client_name": "toolgate token",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let client: Client = answer(&base, http.post(format!("{base}/register")).json(&registration)).await?;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &client.client_id),
        ("client_secret", &client.client_secret),
        ("scope", &scope),
        ("resource", &resource),
    ];
    let token: Token = answer(&base, http.post(format!("{base}/token")).form(&form)).await?;
    Ok(token.access_token)
}

async fn answer<T: for<'de> Deserialize<'de>>(base: &str, request: reqwest::RequestBuilder) -> Result<T, String> {
    let response = request
        .send()
        .await
        .map_err(|_| format!("no server answers at {base}; start it with `toolgate serve`, or name it with --url"))?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = error["error_description"].as_str().or(error["error"].as_str()).unwrap_or("no reason given");
        return Err(format!("the development authorization server refused ({status}): {text}"));
    }
    serde_json::from_slice(&body).map_err(|error| format!("{base} answered with something else: {error}"))
}
