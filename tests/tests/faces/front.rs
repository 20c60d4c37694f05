//! The front page: what runs here, for people and for programs.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use url::Url;

use crate::{
    house::{Answer, CONFIG, House},
    html::{BROWSER, Html},
};

/// An endpoint whose tools are hidden, and one that asks for no token.
const MORE: &str = r#"
[endpoints.quiet]
path = "/quiet/mcp"
plugins = ["echo"]
on_missing_scope = "hide"

[endpoints.open]
path = "/open/mcp"
plugins = ["echo"]
auth = { provider = "none" }
"#;

fn several() -> String {
    CONFIG.replace("path = \"/web-search/mcp\"", "path = \"/web-search/mcp\"\ndefault = true") + MORE
}

fn asking(request: RequestBuilder, accept: &str) -> RequestBuilder {
    request.header("accept", accept)
}

async fn front(house: &House, query: &str) -> Html {
    Html::of(&Answer::to(asking(house.request(Method::GET, &format!("/{query}")), BROWSER)).await)
}

async fn summary(house: &House) -> Value {
    Answer::to(house.request(Method::GET, "/")).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_a_page_and_programs_json_from_one_address() {
    let house = House::open().await;
    let json = "application/json";
    let html = "text/html; charset=utf-8";
    let cases = [
        (Some(BROWSER), html),
        (Some("text/html"), html),
        (Some("text/html;q=0.5, application/json;q=0.4"), html),
        (None, json),
        (Some("*/*"), json),
        (Some("application/json"), json),
        (Some("application/json, text/html;q=0.9"), json),
        (Some("text/html;q=0, */*"), json),
        (Some("image/png"), json),
        (Some("text/html, !!"), json),
    ];
    for (accept, expected) in cases {
        for method in [Method::GET, Method::HEAD] {
            let request = house.request(method.clone(), "/");
            let request = accept.into_iter().fold(request, asking);
            let answer = Answer::to(request).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, expected), "{method} {accept:?}");
            assert!(answer.header("vary").contains("Accept"), "{answer:?}");
            assert_eq!(answer.body.is_empty(), method == Method::HEAD, "{accept:?}");
        }
    }
    let refused = Answer::to(house.request(Method::POST, "/")).await;
    assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD, OPTIONS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_told_where_everything_is() {
    let house = House::with(&several(), &[]).await;
    let told = summary(&house).await;
    let url = house.server.public_url();
    assert_eq!((&told["name"], &told["state"]), (&json!("Toolgate"), &json!("ready")), "{told}");
    assert_eq!((&told["version"], &told["public_url"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(url)), "{told}");
    for (key, path) in
        [("docs", "/docs"), ("openapi", "/openapi.json"), ("catalogue", "/api/tools"), ("readiness", "/readyz")]
    {
        assert_eq!(told[key], format!("{url}{path}"));
        assert_eq!(Answer::to(house.request(Method::GET, path)).await.status, 200, "{key}");
    }
    let endpoints = told["endpoints"].as_array().expect("endpoints");
    let names: Vec<&Value> = endpoints.iter().map(|endpoint| &endpoint["name"]).collect();
    assert_eq!(names, ["web-search", "quiet", "open"]);
    let first = &endpoints[0];
    assert_eq!(first["url"], format!("{url}/web-search/mcp"));
    assert_eq!(first["protocol_versions"], json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]));
    let metadata = first["protected_resource_metadata"].as_str().expect("an address");
    let document = Answer::to(house.http.get(metadata)).await.json();
    assert_eq!(document["resource"], first["resource"]);
    assert_eq!(document["authorization_servers"], first["authorization_servers"]);
    assert_eq!((names_in(&endpoints[1]), names_in(&endpoints[2])), (vec![], vec!["echo"]), "{told}");
    assert_eq!(endpoints[2]["protected_resource_metadata"], Value::Null);
}

/// The names of the tools of an endpoint in the JSON.
fn names_in(endpoint: &Value) -> Vec<&str> {
    let tools = endpoint["tools"].as_array().expect("tools").iter();
    tools.map(|tool| tool["name"].as_str().expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_told_what_people_see() {
    let config = CONFIG.replace("tavily_search = { scopes", "tavily_search = { rate = \"9/min\", scopes");
    let house = House::with(&config, &[]).await;
    let (told, page) = (summary(&house).await, front(&house, "").await);
    let ready = Answer::to(house.request(Method::GET, "/readyz")).await.json();
    assert_eq!((&told["plugins"], &told["configuration"]), (&ready["plugins"], &ready["configuration"]));
    assert_eq!(told["configuration"], json!({ "state": "current" }));
    let read = "Search the web and read pages";
    assert_eq!(told["scopes"], json!({ "web-search:read": read, "web-search:write": "Whatever leaves traces" }));
    let tools = told["endpoints"][0]["tools"].as_array().expect("tools");
    assert_eq!(names_in(&told["endpoints"][0]), ["tavily_search", "tavily_extract", "echo"]);
    let search = json!({
        "name": "tavily_search", "title": "Web search", "summary": tools[0]["summary"], "plugin": "web-search",
        "required_scopes": ["web-search:read"], "rate": tools[0]["rate"], "read_only": true, "destructive": false,
    });
    assert_eq!(tools[0], search);
    let text = page.text();
    let words = |key: &str| tools[0][key].as_str().unwrap_or_else(|| panic!("{key}: {}", tools[0])).to_owned();
    for part in [words("summary").replace('`', " "), format!("up to {}", words("rate")), words("title")] {
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&part), "{part:?} is not in {text}");
    }
    // The rest of it follows from what is there.
    assert_eq!(tools[2].get("rate"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_runs() {
    let house = House::open().await;
    let page = front(&house, "").await;
    let text = page.text();
    let address = format!("{}/web-search/mcp", house.server.public_url());
    assert_eq!(page.text_of("address-text"), Some(address));
    for part in [
        "3 tools over the Model Context Protocol",
        "Ready Both plugins take calls. echo web-search",
        "tavily_search Web search",
        "needs web-search:write read-only from web-search",
        "echo Echo Give back the text as it came. needs web-search:read read-only from echo",
        "web-search:write Whatever leaves traces",
        &format!("Sign-in OAuth at {}", house.authority.issuer()),
        "Protocol 2026-07-28 , 2025-11-25",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_has_an_address_of_its_own_to_look_at() {
    let house = House::with(&several(), &[]).await;
    let url = house.server.public_url();
    for (query, path, sign_in) in [
        ("", "/web-search/mcp", "OAuth at "),
        ("?endpoint=web-search", "/web-search/mcp", "OAuth at "),
        ("?endpoint=quiet", "/quiet/mcp", "OAuth at "),
        ("?endpoint=open", "/open/mcp", "None: every caller is anonymous"),
        ("?endpoint=%3Cscript%3E", "/web-search/mcp", "OAuth at "),
        ("?other=1&endpoint=open", "/open/mcp", "None: "),
    ] {
        let page = front(&house, query).await;
        assert_eq!(page.text_of("address-text"), Some(format!("{url}{path}")), "{query}");
        assert!(page.text().contains(&format!("Sign-in {sign_in}")), "{query}: {}", page.text());
        let current: Vec<_> = page.tags().into_iter().filter(|tag| tag.get("aria-current").is_some()).collect();
        assert_eq!(current.len(), 1, "{query}: {current:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_tool_shows_to_nobody_but_whose_token_reaches_it() {
    let house = House::with(&several(), &[]).await;
    let address = format!("{}/quiet/mcp", house.server.public_url());
    let reader = house.authority.token(&json!(address), &json!({ "scope": "web-search:read" }));
    let stranger = house.authority.token(&json!(address), &json!({ "scope": "openid" }));
    for (token, seen) in
        [(None, false), (Some("no.good.token"), false), (Some(&*stranger), false), (Some(&*reader), true)]
    {
        let request = asking(house.request(Method::GET, "/?endpoint=quiet"), BROWSER);
        let page = Html::of(&Answer::to(token.iter().fold(request, |request, token| request.bearer_auth(token))).await);
        let tools = page.text();
        assert_eq!(tools.contains("Give back the text"), seen, "{token:?}: {tools}");
        assert_eq!(page.text_of("curl-call").is_some(), seen, "{token:?}");
        let request = house.request(Method::GET, "/");
        let told = Answer::to(token.iter().fold(request, |request, token| request.bearer_auth(token))).await.json();
        assert_eq!(names_in(&told["endpoints"][1]), if seen { vec!["echo"] } else { vec![] }, "{token:?}");
    }
    // What one caller saw is not kept for the next.
    let page = front(&house, "?endpoint=quiet").await;
    assert!(page.text().contains("shows when a client has signed in"), "{}", page.text());
    let answer = Answer::to(asking(house.request(Method::GET, "/"), BROWSER)).await;
    assert!(answer.header("cache-control").contains("private") && answer.header("vary").contains("Authorization"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_somewhere_and_nothing_comes_from_elsewhere() {
    let house = House::with(&several(), &[]).await;
    let answer = Answer::to(asking(house.request(Method::GET, "/"), BROWSER)).await;
    let policy = answer.header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.split("; ").any(|known| known == directive), "{directive} is not in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{policy}");
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let page = Html::of(&answer);
    page.assert_is_inert();
    let base = Url::parse(&format!("{}/", house.server.url())).expect("a URL");
    let ids: Vec<String> = page.tags().iter().filter_map(|tag| tag.get("id").map(str::to_owned)).collect();
    let unique: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "each id is there once: {ids:?}");
    let (mut files, mut operations) = (0, 0);
    for link in page.links() {
        let url = base.join(&link).unwrap_or_else(|error| panic!("{link}: {error}"));
        if url.origin() != base.origin() {
            // To press, not to load.
            let known = ["https://modelcontextprotocol.io", "https://chatgpt.com/", "cursor://", "vscode:"];
            assert!(known.iter().any(|known| link.starts_with(known)), "{link}");
            continue;
        }
        if let Some(id) = link.strip_prefix('#') {
            assert!(ids.iter().any(|known| known == id), "{link}");
            continue;
        }
        let mut request = house.request(Method::GET, url.path());
        request = url
            .query()
            .into_iter()
            .fold(request, |_, query| house.request(Method::GET, &format!("{}?{query}", url.path())));
        let there = Answer::to(request).await;
        assert_eq!(there.status, 200, "{link}");
        if url.path().starts_with("/assets/") {
            assert_eq!(there.header("cache-control"), "public, max-age=31536000, immutable", "{link}");
            files += 1;
        }
        if let Some(operation) =
            url.fragment().and_then(|place| place.rsplit('/').next()).filter(|_| url.path() == "/docs")
        {
            let document = Answer::to(house.request(Method::GET, "/openapi.json")).await.body;
            assert!(document.contains(&format!("\"operationId\":\"{operation}\"")), "{link}");
            operations += 1;
        }
    }
    assert_eq!((files, operations), (3, 3), "{:?}", page.links());
    for gone in ["/assets/front.css", "/assets/", "/assets/front-0.js", "/assets/..%2fconfig.toml"] {
        assert_eq!(Answer::to(house.request(Method::GET, gone)).await.status, 404, "{gone}");
    }
    let icon = Answer::to(house.request(Method::GET, "/favicon.ico")).await;
    assert_eq!((icon.status, icon.header("content-type")), (200, "image/svg+xml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_hold_behind_a_proxy_that_adds_a_path() {
    let house = House::with(CONFIG, &[("TOOLGATE_SERVER__PUBLIC_URL", "https://h.example/some/tools")]).await;
    let files = |page: &Html| -> Vec<String> {
        let links = page.links().into_iter();
        links.filter_map(|link| link.split_once("assets/").map(|(before, _)| before.to_owned())).collect()
    };
    // As the proxy passes it on: its own path is gone, the name that people used is there.
    let through = asking(house.request(Method::GET, "/"), BROWSER).header("host", "h.example");
    let page = Html::of(&Answer::to(through).await);
    assert_eq!(page.text_of("address-text").as_deref(), Some("https://h.example/some/tools/web-search/mcp"));
    assert_eq!(files(&page), ["/some/tools/"; 3]);
    // By another name that is ours.
    assert_eq!(files(&front(&house, "").await), ["./"; 3]);
    let deep = asking(house.request(Method::GET, "/a/b/c"), BROWSER);
    assert_eq!(files(&Html::of(&Answer::to(deep).await)), ["../../"]);
    let deep = asking(house.request(Method::GET, "/a/b/c"), BROWSER).header("host", "h.example");
    assert_eq!(files(&Html::of(&Answer::to(deep).await)), ["/some/tools/"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let house = House::open().await;
    let first = Answer::to(asking(house.request(Method::GET, "/"), BROWSER)).await;
    let tag = first.header("etag");
    assert!(tag.len() > 10, "{first:?}");
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = asking(house.request(Method::GET, "/"), BROWSER).header("if-none-match", known);
        let again = Answer::to(again).await;
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", tag));
    }
    let program = house.request(Method::GET, "/").header("if-none-match", tag);
    assert_eq!(Answer::to(program).await.status, 200, "a program has not seen it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_does_not_run_is_shown_with_its_reason() {
    let config = CONFIG
        .replace("plugins = [\"web-search\", \"echo\"]", "plugins = [\"web-search\", \"echo\", \"gone\"]")
        + "\n[plugins.gone]\nlibrary = \"no<img src=x onerror=alert(1)>where.so\"\n[plugins.gone.tools]\n\"*\" = { scopes = [] }\n";
    let house = House::with(&config, &[]).await;
    let ready = Answer::to(house.request(Method::GET, "/readyz")).await.json();
    let reason = ready["plugins"]["gone"]["detail"].as_str().expect("a reason").to_owned();
    let page = front(&house, "").await;
    page.assert_is_inert();
    assert!(!page.tags().iter().any(|tag| tag.name == "img"), "{}", page.0);
    let shown = page.text();
    assert!(shown.contains("Degraded 1 of 3 plugins is not well. gone failed"), "{shown}");
    assert!(shown.contains(&reason), "{reason:?} is not in {shown}");
    let told = summary(&house).await;
    assert_eq!((&told["state"], &told["plugins"]["gone"]["detail"]), (&json!("degraded"), &json!(reason)));
    // Where the server keeps its files is told to the operator alone.
    let folder = house.server.folder().display().to_string();
    assert!(house.server.stderr().contains(&format!("{folder}/no<img")), "{}", house.server.stderr());
    for text in [page.0, told.to_string(), ready.to_string()] {
        assert!(text.contains("where.so") && !text.contains(&folder), "{text}");
    }
}
