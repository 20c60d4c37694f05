//! A page in place of an error, for whoever opens an address in a browser. The one place that decides it: the status and
//! what the headers say stay the route's, beside them go those that guard a page, and programs get the JSON that the routes
//! write.

use askama::Template;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Body, Request, Response};
use serde_json::Value;

use super::{
    files::{ALONE, FILES},
    links::root,
    negotiate::wants_page,
    prose::Span,
};
use crate::{
    config::{Config, nearest},
    http::backend::PassedOn,
};

/// Longest answer that is read, in bytes. What a server says of hundreds of plugins that are not ready is shorter.
const LONGEST: usize = 4 * 1024 * 1024;

/// Marks an answer to a request that is not addressed to this server: it is told nothing of what there is.
#[derive(Clone, Copy)]
pub(in crate::http) struct Stranger;

/// What of a request an error's page needs to know, if a page was asked for.
pub(in crate::http) enum Asked {
    /// OAuth, whose answers are JSON whatever is accepted (RFC 6749 section 5.2).
    Protocol,
    Json,
    Page(Opened),
}

pub(in crate::http) struct Opened {
    /// As the browser has it, on which relative links stand.
    came_as: String,
    /// What it means.
    path: String,
    method: http::Method,
    headers: HeaderMap,
}

impl Asked {
    pub(in crate::http) fn of(request: &Request, came_as: String) -> Self {
        if is_protocol(request) {
            return Self::Protocol;
        }
        if !wants_page(request.headers()) {
            return Self::Json;
        }
        Self::Page(Opened {
            came_as,
            path: request.uri().path().to_owned(),
            method: request.method().clone(),
            headers: request.headers().get(header::HOST).map(|host| (header::HOST, host.clone())).into_iter().collect(),
        })
    }
}

/// Whether a program speaks OAuth here, though it may not say what it accepts. Whoever merely opens such an address is told
/// what it is.
fn is_protocol(request: &Request) -> bool {
    const POSTED: [&str; 5] =
        ["/oauth/register", "/dev/auth/register", "/dev/auth/token", "/dev/auth/introspect", "/dev/auth/revoke"];
    let path = request.uri().path();
    path.contains("/.well-known/")
        || path == "/dev/auth/jwks"
        || request.method() == http::Method::POST && POSTED.contains(&path)
}

/// An error as whoever asked can read it; every other answer as it is.
pub(in crate::http) async fn for_people(
    config: &Config,
    asked: Asked,
    request_id: &str,
    mut response: Response,
) -> Response {
    if matches!(asked, Asked::Protocol) || !is_negotiable(&response) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    let Asked::Page(opened) = asked else { return response };
    let body = response.take_body().into_bytes_limit(LONGEST).await.unwrap_or_default();
    let Some(told) = Told::by(&body) else {
        // Not an error but what was asked for, such as how a server is that is not ready.
        response.set_body(Body::from_bytes(body));
        return response;
    };
    let stranger = response.extensions().get::<Stranger>().is_some();
    let explained = if stranger {
        Explained::titled("Not served under this name")
    } else {
        explain(config, &opened, &response, &told)
    };
    let root = root(config, &opened.headers, &opened.came_as);
    let page = AloneTemplate {
        style: &ALONE.style,
        root: &root,
        icon: (!stranger).then_some(&FILES.icon.path),
        script: explained.address.is_some().then_some(&FILES.script.path),
        status: response.status().as_u16(),
        explained: &explained,
        said: &told.description,
        wait: response.headers().get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()),
        request_id,
    };
    let Ok(html) = page.render() else {
        response.set_body(Body::from_bytes(body));
        return response;
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.remove(header::CONTENT_LENGTH);
    let script = if explained.address.is_some() { "script-src 'self'; " } else { "" };
    let policy = format!(
        "default-src 'none'; {script}style-src 'sha256-{}'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        ALONE.digest
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        super::guard(headers, policy);
    }
    response.set_body(html);
    response
}

/// Whether an answer is an error of this server's own, which is JSON and may be a page instead.
fn is_negotiable(response: &Response) -> bool {
    let status = response.status();
    let kind = response.content_type().unwrap_or_default();
    (status.is_client_error() || status.is_server_error())
        && (kind.is_empty() || kind.starts_with("application/json"))
        && response.extensions().get::<PassedOn>().is_none()
}

/// What a program is told.
struct Told {
    error: String,
    description: String,
}

impl Told {
    /// What a body tells: ours, or one of JSON-RPC. Nothing if it is no error.
    fn by(body: &[u8]) -> Option<Self> {
        if body.is_empty() {
            return Some(Self { error: String::new(), description: String::new() });
        }
        let mut body: Value = serde_json::from_slice(body).ok()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match body.get_mut("error")?.take() {
            Value::String(error) => Some(Self { error, description: text(&body["error_description"]) }),
            Value::Object(error) => {
                let message = error.get("message").map(text).unwrap_or_default();
                Some(Self { error: String::new(), description: message })
            }
            _ => None,
        }
    }
}

/// What a page says of an error.
#[derive(Default)]
struct Explained {
    title: &'static str,
    /// With what is typed between backticks.
    words: Vec<String>,
    /// An address to give to a client.
    address: Option<String>,
    /// Paths below the root, with what they are called.
    links: Vec<(String, String)>,
}

impl Explained {
    fn titled(title: &'static str) -> Self {
        Self { title, ..Self::default() }
    }
}

#[derive(Template)]
#[template(path = "front/alone.html")]
struct AloneTemplate<'a> {
    style: &'a str,
    root: &'a str,
    icon: Option<&'a String>,
    script: Option<&'a String>,
    status: u16,
    explained: &'a Explained,
    said: &'a str,
    wait: Option<&'a str>,
    request_id: &'a str,
}

fn explain(config: &Config, opened: &Opened, response: &Response, told: &Told) -> Explained {
    let home = || (String::new(), "What runs here".to_owned());
    let docs = || ("docs".to_owned(), "API docs".to_owned());
    if let Some((name, endpoint)) = config.endpoints.iter().find(|(_, endpoint)| endpoint.path == opened.path) {
        return Explained {
            title: "This is an MCP endpoint",
            words: vec![
                "Programs speak the Model Context Protocol with it; there is no page to read. Give this address to your \
                 client, and the client does the rest:"
                    .to_owned(),
            ],
            address: Some(format!("{}{}", config.public_url(), endpoint.path)),
            links: vec![(format!("?endpoint={name}#connect"), "How to connect a client".to_owned()), docs()],
        };
    }
    let mut words = Vec::new();
    let mut links = vec![home(), docs()];
    let path: String = opened.path.chars().take(200).collect();
    let allowed = response.headers().get(header::ALLOW).and_then(|allow| allow.to_str().ok());
    let title = match (response.status(), told.error.as_str()) {
        (StatusCode::NOT_FOUND, "not_found") => {
            words.push(format!("There is nothing at `{path}`."));
            if let Some(near) = near(config, &opened.path) {
                links.insert(0, (near.trim_start_matches('/').to_owned(), format!("Did you mean {near}?")));
            }
            "Nothing here"
        }
        (StatusCode::NOT_FOUND, _) => "Nothing here",
        (StatusCode::METHOD_NOT_ALLOWED, _) => {
            let takes = allowed.map(|allowed| format!(" It takes {}.", allowed.replace(", OPTIONS", "")));
            words.push(format!("`{path}` does not take {}.{}", opened.method, takes.unwrap_or_default()));
            if opened.path.starts_with("/api/tools/") {
                words.push(
                    "Tools are called with POST and their arguments as JSON; the docs let you try each.".to_owned(),
                );
            }
            "Not to be opened like this"
        }
        (_, "forbidden_origin") => "This page may not call",
        (_, "insufficient_scope") => "More access is needed",
        (StatusCode::UNAUTHORIZED, _) => "A sign-in is needed",
        (StatusCode::FORBIDDEN, _) => "Not allowed",
        (StatusCode::TOO_MANY_REQUESTS, _) => "Too many requests",
        (StatusCode::SERVICE_UNAVAILABLE, _) => "Not available right now",
        (status, _) if status.is_server_error() => {
            words.push("It is not your doing. Whoever runs this server finds more under the id below.".to_owned());
            "Something broke here"
        }
        _ => "That did not work",
    };
    Explained { title, words, address: None, links }
}

/// The path of ours that somebody may have meant.
fn near<'a>(config: &'a Config, path: &str) -> Option<&'a str> {
    /// Comparing takes time that grows with the length.
    const LONGEST: usize = 200;
    let path = path.trim_end_matches('/');
    if path.is_empty() || path.len() > LONGEST {
        return None;
    }
    let endpoints = config.endpoints.values().map(|endpoint| endpoint.path.as_str());
    let known: Vec<&str> = endpoints.chain(["/docs", "/openapi.json", "/api/tools", "/healthz", "/readyz"]).collect();
    let is_below = |known: &&str| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    known.iter().copied().find(is_below).or_else(|| nearest(path, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_path_finds_the_one_that_was_meant() {
        let mut config = Config::default();
        let endpoint = serde_json::json!({ "path": "/web-search/mcp", "plugins": [] });
        config.endpoints.insert("web-search".into(), serde_json::from_value(endpoint).unwrap());
        let cases = [
            ("/web-search", Some("/web-search/mcp")),
            ("/web-search/", Some("/web-search/mcp")),
            ("/web-search/mcp/", Some("/web-search/mcp")),
            ("/websearch/mcp", Some("/web-search/mcp")),
            ("/doc", Some("/docs")),
            ("/api", Some("/api/tools")),
            ("/openapi.yaml", Some("/openapi.json")),
            ("/ready", Some("/readyz")),
            ("/wp-login.php", None),
            ("/", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(near(&config, path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_error_is_left_alone() {
        let told = |body: &str| Told::by(body.as_bytes()).map(|told| told.description);
        assert_eq!(told(r#"{"ready":false,"plugins":{}}"#), None);
        assert_eq!(told("[1]"), None);
        assert_eq!(told("nothing"), None);
        assert_eq!(told(r#"{"error":"x","error_description":"why"}"#), Some("why".into()));
        assert_eq!(told(r#"{"jsonrpc":"2.0","error":{"code":-1,"message":"why"},"id":null}"#), Some("why".into()));
        assert_eq!(told(""), Some(String::new()));
    }

    #[tokio::test]
    async fn an_error_of_ours_becomes_a_page_and_nothing_else_does() {
        let config = Config::default();
        let ours = r#"{"error":"server_error","error_description":"the <server> failed","request_id":"id"}"#;
        let cases = [
            (500, "application/json", ours, false, true),
            (503, "application/json; charset=utf-8", ours, false, true),
            (502, "", "", false, true),
            (200, "application/json", ours, false, false),
            (304, "", "", false, false),
            (503, "application/json", r#"{"ready":false}"#, false, false),
            (400, "text/html", "<p>", false, false),
            (400, "application/json", ours, true, false),
        ];
        for (status, kind, body, passed_on, becomes_one) in cases {
            let answer = || {
                let mut answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
                if !kind.is_empty() {
                    answer = answer.content_type(kind);
                }
                let mut answer = answer.body(body);
                if passed_on {
                    answer.extensions_mut().insert(PassedOn);
                }
                answer
            };
            for accept in ["text/html", "*/*"] {
                let request = Request::builder().uri_str("/x").header(header::ACCEPT, accept).finish();
                let told = for_people(&config, Asked::of(&request, "/x".to_owned()), "the-id", answer()).await;
                let row = format!("{status} {kind} {body} {accept}");
                assert_eq!(told.status().as_u16(), status, "{row}");
                let text = told.into_body().into_string().await.unwrap();
                if becomes_one && accept == "text/html" {
                    assert!(text.starts_with("<!doctype html>") && text.contains("the-id"), "{row}: {text}");
                    assert!(!text.contains("<server>"), "{row}: {text}");
                } else {
                    assert_eq!(text, body, "{row}");
                }
            }
        }
    }
}
