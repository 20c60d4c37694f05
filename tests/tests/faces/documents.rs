//! The documents and pages for people and machines, and what every route has in common.

use std::collections::BTreeSet;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use url::Url;

use crate::house::{Answer, CONFIG, House};

/// The routes that are read, and the type of what they give.
const READ: [(&str, &str); 13] = [
    ("/healthz", "application/json"),
    ("/readyz", "application/json"),
    ("/api/tools", "application/json"),
    ("/openapi.json", "application/json"),
    ("/docs", "text/html"),
    ("/docs/oauth-receiver.html", "text/html"),
    ("/docs/assets/page.js", "text/javascript"),
    ("/docs/assets/page.css", "text/css"),
    ("/docs/assets/swagger-ui.js", "text/javascript"),
    ("/docs/assets/swagger-ui.css", "text/css"),
    ("/.well-known/oauth-protected-resource", "application/json"),
    ("/.well-known/oauth-protected-resource/web-search/mcp", "application/json"),
    ("/.well-known/oauth-authorization-server", "application/json"),
];

async fn get(house: &House, path: &str) -> Answer {
    Answer::to(house.request(Method::GET, path)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_read_with_get_and_head_and_nothing_else() {
    let house = House::open().await;
    for (path, kind) in READ {
        let read = get(&house, path).await;
        assert_eq!(read.status, 200, "GET {path}");
        assert!(read.header("content-type").starts_with(kind), "{path} is {}", read.header("content-type"));
        assert!(!read.body.is_empty() && !read.request_id().is_empty(), "{path}");
        assert_eq!(read.header("x-content-type-options"), "nosniff", "{path}");
        let head = Answer::to(house.request(Method::HEAD, path)).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "HEAD {path}");
        assert_eq!(head.header("content-type"), read.header("content-type"), "HEAD {path}");
        // A body in spite of HEAD is a protocol error to an HTTP/2 client.
        let second = Client::builder().no_proxy().http2_prior_knowledge().build().expect("a client");
        let head = Answer::to(second.head(format!("{}{path}", house.server.url()))).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "HEAD {path} in HTTP/2");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let refused = Answer::to(house.request(method.clone(), path)).await;
            assert_eq!(refused.status, 405, "{method} {path}");
            assert_eq!(refused.header("allow"), "GET, HEAD, OPTIONS", "{method} {path}");
            assert_eq!(refused.json()["error"], "method_not_allowed", "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_says_so() {
    let house = House::open().await;
    for path in ["/oauth/register", "/api/tools/web-search/echo"] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let refused = Answer::to(house.request(method.clone(), path)).await;
            assert_eq!((refused.status, refused.header("allow")), (405, "POST, OPTIONS"), "{method} {path}");
        }
    }
    let head = Answer::to(house.request(Method::HEAD, "/oauth/register")).await;
    assert_eq!((head.status, head.header("allow"), head.body.as_str()), (405, "POST, OPTIONS", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_there_is_an_answer_in_json() {
    let house = House::open().await;
    let paths = [
        "/nothing",
        "/healthz/more",
        "/docs/assets/nothing.js",
        "/docs/assets/..%2f..%2fCargo.toml",
        "/web-search",
        "/dev/auth/jwks",
    ];
    for path in paths {
        let answer = get(&house, path).await;
        assert_eq!((answer.status, &answer.json()["error"]), (404, &json!("not_found")), "{path}");
        assert_eq!(answer.json()["request_id"], answer.request_id(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_alive_and_readiness_names_each_plugin() {
    let house = House::open().await;
    assert_eq!(get(&house, "/healthz").await.json(), json!({ "status": "ok" }));
    let ready = get(&house, "/readyz").await.json();
    assert_eq!(ready["ready"], true);
    let plugins = ready["plugins"].as_object().expect("plugins");
    assert_eq!(plugins.keys().collect::<Vec<_>>(), ["echo", "web-search"]);
    assert!(plugins.values().all(|plugin| plugin["state"] == "ready"), "{ready}");
    // Whoever looks after the server reaches it by an address of its own.
    let elsewhere = house.request(Method::GET, "/healthz").header("host", "10.1.2.3:80");
    assert_eq!(Answer::to(elsewhere).await.status, 200);
    let elsewhere = house.request(Method::GET, "/openapi.json").header("host", "10.1.2.3:80");
    assert_eq!(Answer::to(elsewhere).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_that_a_code_comes_back_to_is_not_kept() {
    let house = House::open().await;
    let page = get(&house, "/docs/oauth-receiver.html?code=x&state=y").await;
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"), "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_needs_nothing_from_elsewhere() {
    let house = House::open().await;
    for path in ["/docs", "/docs/oauth-receiver.html"] {
        let page = get(&house, path).await;
        let policy = page.header("content-security-policy");
        let directive = |name: &str| {
            let found = policy.split(';').map(str::trim).find_map(|directive| directive.strip_prefix(name));
            found.map(str::trim).unwrap_or_default().to_owned()
        };
        assert_eq!(directive("default-src"), "'none'", "{path}");
        assert_eq!(directive("script-src"), "'self'", "{path}");
        assert_eq!(directive("frame-ancestors"), "'none'", "{path}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{path}");
        let base = Url::parse(&format!("{}{path}", house.server.url())).expect("a URL");
        let mut files = 0;
        for attribute in ["src=\"", "href=\""] {
            for rest in page.body.split(attribute).skip(1) {
                let link = rest.split('"').next().expect("its end");
                if link.starts_with("data:") {
                    continue;
                }
                let url = base.join(link).unwrap_or_else(|error| panic!("{link} in {path}: {error}"));
                assert_eq!(url.origin(), base.origin(), "{link} in {path}");
                let file = get(&house, url.path()).await;
                assert_eq!(file.status, 200, "{link} in {path}");
                if !file.header("etag").is_empty() {
                    let again = house.request(Method::GET, url.path()).header("if-none-match", file.header("etag"));
                    let again = Answer::to(again).await;
                    assert_eq!((again.status, again.body.as_str()), (304, ""), "{link} once more");
                }
                files += 1;
            }
        }
        assert!(files > 0, "{path} is a page with files");
        assert!(!page.body.contains("<script>"), "scripts are files, for the policy's sake");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_found_with_a_slash_at_its_end_too() {
    let house = House::open().await;
    let answer = get(&house, "/docs/").await;
    // Relative: it leads there behind a path of a proxy's as well.
    assert_eq!((answer.status, answer.header("location")), (308, "../docs"));
}

/// What `$ref`s point to, wherever they stand.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                found.insert(target.clone());
            }
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_is_whole() {
    let house = House::open().await;
    let document = get(&house, "/openapi.json").await.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());

    let mut targets = BTreeSet::new();
    references(&document, &mut targets);
    assert!(targets.len() > 10, "{targets:?}");
    for target in targets {
        let pointer = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} is elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{target} is nowhere");
    }

    let schemes = document["components"]["securitySchemes"].as_object().expect("schemes");
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()), "{name}");
            for requirement in operation["security"].as_array().into_iter().flatten() {
                for scheme in requirement.as_object().expect("a requirement").keys() {
                    assert!(schemes.contains_key(scheme), "{name} needs {scheme}");
                }
            }
        }
    }
    let call = &document["paths"]["/api/tools/web-search/tavily_extract"]["post"];
    assert!(call["requestBody"]["required"] == true && call["responses"]["403"].is_object(), "{call}");
    assert!(call["description"].as_str().is_some_and(|text| text.contains("web-search:write")), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_about_the_address_that_clients_see_or_about_where_it_was_fetched() {
    for (public_url, expected) in [(None, "/"), (Some("https://h.example/some/tools"), "https://h.example/some/tools")]
    {
        let variables: Vec<_> = public_url.iter().map(|url| ("TOOLGATE_SERVER__PUBLIC_URL", *url)).collect();
        let house = House::with(CONFIG, &variables).await;
        assert_eq!(get(&house, "/openapi.json").await.json()["servers"], json!([{ "url": expected }]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_schemas_accept_what_the_server_gives() {
    let house = House::open().await;
    let document = get(&house, "/openapi.json").await.json();
    let fits = |path: &str, method: &str, answer: &Value| {
        let response = &document["paths"][path][method]["responses"]["200"];
        // With or without a charset.
        let content = response["content"].as_object().and_then(|content| content.values().next());
        let schema = &content.unwrap_or_else(|| panic!("{method} {path} gives nothing: {response}"))["schema"];
        assert!(schema.is_object(), "{method} {path} has no schema: {response}");
        let whole = json!({ "allOf": [schema], "components": document["components"] });
        let validator = jsonschema::draft202012::new(&whole).unwrap_or_else(|error| panic!("{path}: {error}"));
        if let Err(error) = validator.validate(answer) {
            panic!("{path}: {} at {}: {answer}", error, error.instance_path());
        }
    };
    for path in ["/healthz", "/readyz", "/api/tools", "/.well-known/oauth-protected-resource"] {
        fits(path, "get", &get(&house, path).await.json());
    }
    let echo = Answer::to(house.post(&house.reader(), "echo", &json!({ "text": "x" }))).await;
    fits("/api/tools/web-search/echo", "post", &echo.json());
    let search = Answer::to(house.post(&house.reader(), "tavily_search", &json!({ "query": "x" }))).await;
    fits("/api/tools/web-search/tavily_search", "post", &search.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn its_examples_of_refusals_are_what_callers_are_told() {
    let rated = CONFIG.replace(
        "echo = { scopes = [\"web-search:read\"] }",
        "echo = { scopes = [\"web-search:read\"], rate = \"1/h\" }",
    );
    let house = House::with(&rated, &[("TOOLGATE_SERVER__MAX_BODY", "64 KiB")]).await;
    let document = get(&house, "/openapi.json").await.json();
    let responses = &document["paths"]["/api/tools/web-search/echo"]["post"]["responses"];
    let reader = house.reader();
    let hello = json!({ "text": "x" });
    let expired = house.token(&json!({ "scope": "web-search:read", "exp": 1_000_000_000 }));
    let nobody = house.token(&json!({ "scope": "openid" }));
    assert_eq!(Answer::to(house.post(&reader, "echo", &hello)).await.status, 200);
    let rows = [
        (401, house.post(&expired, "echo", &hello)),
        (403, house.post(&nobody, "echo", &hello)),
        (404, house.post(&reader, "no-such-tool", &hello)),
        (429, house.post(&reader, "echo", &hello)),
    ];
    // Of those that come before the rate is asked.
    let other = House::with(CONFIG, &[("TOOLGATE_SERVER__MAX_BODY", "64 KiB")]).await;
    let (token, large) = (other.reader(), json!({ "text": "x".repeat(100_000) }));
    let away = House::with(CONFIG, &[("ISSUER", "http://127.0.0.1:1")]).await;
    let more = [
        (400, other.post(&token, "echo", &json!({}))),
        (413, other.post(&token, "echo", &large)),
        (503, away.post(&away.token(&json!({ "iss": "http://127.0.0.1:1" })), "echo", &hello)),
    ];
    for (status, request) in rows.into_iter().chain(more) {
        let answer = Answer::to(request).await;
        let told = answer.json();
        let documented = &responses[status.to_string()];
        let documented = match documented["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).expect("it is there"),
            None => documented,
        };
        let example = &documented["content"]["application/json"]["example"];
        assert_eq!(
            (answer.status, &told["error"], &told["error_description"]),
            (status, &example["error"], &example["error_description"])
        );
    }
    // A rate may be set while clients run; scopes are asked for where there are some.
    let document = get(&other, "/openapi.json").await.json();
    let responses = &document["paths"]["/api/tools/web-search/echo"]["post"]["responses"];
    assert!(responses.get("429").is_some() && responses.get("403").is_some(), "a rate may come: {responses}");
}
