//! Errors for whoever opens an address in a browser: a page in place of the JSON, and nothing else changed.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use toolgate_tests::server::{Launch, Server};

use crate::{
    house::{Answer, CONFIG, House, PATH, http},
    html::{BROWSER, Html},
};

/// A server that anybody may sign in to.
async fn development() -> Server {
    Launch::new(&CONFIG.replace("provider = \"oauth\"", "provider = \"dev\""))
        .env("ISSUER", "http://127.0.0.1:1")
        .start()
        .await
}

/// The answers to a request from a program and from a browser.
async fn both(request: impl Fn() -> RequestBuilder) -> (Answer, Answer) {
    let program = Answer::to(request().header("accept", "application/json")).await;
    (program, Answer::to(request().header("accept", BROWSER)).await)
}

/// The headers that a page may not change.
fn contract(answer: &Answer) -> BTreeMap<String, String> {
    const OF_A_PAGE: [&str; 12] = [
        "content-type",
        "content-length",
        "content-security-policy",
        "referrer-policy",
        "x-frame-options",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "permissions-policy",
        // Different in each answer.
        "x-request-id",
        "date",
        "etag",
        "connection",
    ];
    let headers = answer.headers.iter().filter(|(name, _)| !OF_A_PAGE.contains(&name.as_str()));
    headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_a_page_with_the_status_and_headers_that_programs_get() {
    let server = development().await;
    let http = http();
    let token = "/dev/auth/token";
    let rows: &[(Method, &str, u16, &str)] = &[
        (Method::GET, PATH, 401, "This is an MCP endpoint"),
        (Method::DELETE, PATH, 401, "This is an MCP endpoint"),
        (Method::GET, "/nothing", 404, "Nothing here"),
        (Method::GET, "/web-search", 404, "Nothing here"),
        (Method::GET, "/healthz/more", 404, "Nothing here"),
        (Method::GET, "/docs/assets/nothing.js", 404, "Nothing here"),
        (Method::GET, "/assets/nothing.js", 404, "Nothing here"),
        (Method::GET, "/dev/auth", 404, "Nothing here"),
        (Method::GET, "/dev/auth/nothing", 404, "Nothing here"),
        (Method::GET, token, 405, "Not to be opened like this"),
        (Method::GET, "/oauth/register", 405, "Not to be opened like this"),
        (Method::GET, "/api/tools/web-search/echo", 405, "Not to be opened like this"),
        (Method::POST, "/", 405, "Not to be opened like this"),
        (Method::POST, "/docs", 405, "Not to be opened like this"),
        (Method::POST, "/api/tools/web-search/echo", 401, "A sign-in is needed"),
        (Method::POST, "/api/tools/web-search/nothing", 401, "A sign-in is needed"),
    ];
    for (method, path, status, title) in rows {
        let row = format!("{method} {path}");
        let (program, browser) = both(|| http.request(method.clone(), format!("{}{path}", server.url()))).await;
        assert_eq!((program.status, browser.status), (*status, *status), "{row}");
        assert_eq!(contract(&program), contract(&browser), "{row}");
        assert!(program.header("vary").contains("Accept"), "{row}: {program:?}");
        let told = program.json();
        assert!(told["error"].is_string() && told["error_description"].is_string(), "{row}: {told}");
        let page = Html::of(&browser);
        page.assert_is_inert();
        let text = page.text();
        assert!(text.starts_with(&format!("{status} {title}")), "{row}: {text}");
        assert!(text.contains(browser.request_id()) && browser.request_id().len() > 30, "{row}: {text}");
        if !matches!(told["request_id"], Value::Null) {
            assert_eq!(told["request_id"], program.request_id(), "{row}");
        }
        let allowed = program.header("allow");
        if *status == 405 && *path != PATH {
            let takes = format!(" It takes {}.", allowed.trim_end_matches(", OPTIONS"));
            assert!(text.contains(&takes) && !text.contains("OPTIONS."), "{row}: {text}");
        }
        let policy = browser.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{row}: {policy}");
        assert_eq!(browser.header("x-frame-options"), "DENY", "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_is_answered_in_json_whatever_is_accepted() {
    let server = development().await;
    for (method, path, status) in [
        (Method::POST, "/dev/auth/token", 400),
        (Method::POST, "/dev/auth/register", 400),
        (Method::POST, "/dev/auth/introspect", 400),
        (Method::POST, "/dev/auth/revoke", 400),
        (Method::POST, "/oauth/register", 400),
        (Method::GET, "/.well-known/oauth-protected-resource/nothing", 404),
        (Method::GET, "/.well-known/openid-configuration/nothing", 404),
        (Method::GET, "/dev/auth/.well-known/nothing", 404),
        (Method::POST, "/dev/auth/jwks", 405),
    ] {
        let row = format!("{method} {path}");
        let (program, browser) = both(|| http().request(method.clone(), format!("{}{path}", server.url()))).await;
        assert_eq!((program.status, browser.status), (status, status), "{row}");
        assert!(browser.header("content-type").starts_with("application/json"), "{row}: {browser:?}");
        assert_eq!(
            (program.json()["error"].clone(), program.header("vary")),
            (browser.json()["error"].clone(), ""),
            "{row}"
        );
        assert!(browser.json()["error"].is_string(), "{row}: {browser:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_ask_for_a_page_gets_the_json_as_ever() {
    let house = House::open().await;
    for accept in [None, Some("*/*"), Some("application/json, text/event-stream"), Some("text/event-stream"), Some("!")]
    {
        for (path, status, error) in [("/nothing", 404, "not_found"), (PATH, 401, "unauthorized")] {
            let request = house.request(Method::GET, path);
            let answer =
                Answer::to(accept.into_iter().fold(request, |request, accept| request.header("accept", accept))).await;
            assert_eq!(answer.status, status, "{accept:?} {path}");
            let body = answer.json();
            let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
            assert_eq!(members, ["error", "error_description", "request_id"], "{accept:?} {path}");
            assert_eq!(body["error"], error, "{accept:?} {path}");
            assert_eq!(answer.header("content-security-policy"), "", "{accept:?} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_opened_gives_its_address_and_leads_on() {
    for provider in ["oauth", "none"] {
        let house = House::with(CONFIG, &[("TOOLGATE_AUTH__PROVIDER", provider)]).await;
        let request = house.request(Method::GET, PATH).header("accept", BROWSER).header("sec-fetch-mode", "navigate");
        let answer = Answer::to(request).await;
        // With no provider the protocol's own refusal of what is no stream.
        assert_eq!(answer.status, if provider == "none" { 406 } else { 401 }, "{provider}");
        assert_eq!(answer.header("www-authenticate").is_empty(), provider == "none");
        let page = Html::of(&answer);
        assert_eq!(page.text_of("address-text"), Some(format!("{}{PATH}", house.server.public_url())), "{provider}");
        let there = page.links().into_iter().find(|link| link.contains("endpoint=web-search")).expect("a way on");
        assert_eq!(there, "../?endpoint=web-search#connect");
        // What a page needs is there.
        for link in page.links().iter().filter(|link| link.contains("assets/")) {
            let path = link.trim_start_matches("../");
            assert_eq!(Answer::to(house.request(Method::GET, &format!("/{path}"))).await.status, 200, "{link}");
        }
        // With a slash at the end the browser is one level further down.
        let request = house.request(Method::GET, &format!("{PATH}/")).header("accept", BROWSER);
        let page = Html::of(&Answer::to(request).await);
        assert!(page.links().contains(&"../../?endpoint=web-search#connect".to_owned()), "{:?}", page.links());
        let head = Answer::to(house.request(Method::HEAD, "/nothing").header("accept", BROWSER)).await;
        assert_eq!(
            (head.status, head.header("content-type"), head.body.as_str()),
            (404, "text/html; charset=utf-8", "")
        );
        assert!(head.header("content-length").parse::<usize>().is_ok_and(|length| length > 500), "{head:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_is_told_the_one_that_was_meant_and_runs_nothing() {
    let house = House::open().await;
    for (path, near) in [("/web-search", PATH), ("/web-search/mcp/x", PATH), ("/doc", "/docs"), ("/api", "/api/tools")]
    {
        let page = Html::of(&Answer::to(house.request(Method::GET, path).header("accept", BROWSER)).await);
        assert!(page.text().contains(&format!("Did you mean {near}?")), "{path}: {}", page.text());
    }
    let long = format!("/{}", "a".repeat(20_000));
    for path in ["/%3Cscript%3Ealert(1)%3C/script%3E", "/\"onload=alert(1)", "/'<b>", "/`*x*`", &long] {
        let page = Html::of(&Answer::to(house.request(Method::GET, path).header("accept", BROWSER)).await);
        page.assert_is_inert();
        assert!(!page.text().contains("Did you mean"), "{path}");
        assert!(page.0.len() < 60_000, "{path}: {} bytes", page.0.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_learns_no_more_from_the_page_than_from_the_json() {
    let house = House::open().await;
    let host = "evil.example\"><script>alert(1)</script>";
    for path in ["/", PATH, "/docs", "/nothing", "/api/tools"] {
        let (program, browser) = both(|| house.request(Method::GET, path).header("host", host)).await;
        assert_eq!((program.status, browser.status), (403, 403), "{path}");
        assert_eq!(program.json()["error"], "forbidden_host", "{path}");
        let page = Html::of(&browser);
        page.assert_is_inert();
        assert_eq!(page.links(), ["data:,"], "{path}: nothing leads anywhere");
        let description = program.json()["error_description"].as_str().expect("a text").to_owned();
        let expected =
            format!("403 Not served under this name Programs are told {description} Request {}", browser.request_id());
        assert_eq!(page.text(), expected.split_whitespace().collect::<Vec<_>>().join(" "), "{path}");
    }
    let foreign = house.request(Method::POST, PATH).header("origin", "https://evil.example").header("accept", BROWSER);
    let refused = Answer::to(foreign).await;
    assert_eq!(refused.status, 403);
    assert!(Html::of(&refused).text().contains("https://evil.example"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_wait_is_told_how_long() {
    let config =
        CONFIG.replace("echo = { scopes = [\"web-search:read\"] }", "echo = { scopes = [], rate = \"1/min\" }");
    let house = House::with(&config, &[]).await;
    let token = house.reader();
    let call = || house.post(&token, "echo", &serde_json::json!({ "text": "x" })).header("accept", BROWSER);
    assert_eq!(Answer::to(call()).await.status, 200, "what is no error stays what it is");
    let late = Answer::to(call()).await;
    assert_eq!(late.status, 429);
    let text = Html::of(&late).text();
    let wait = late.header("retry-after");
    assert!(text.contains("Too many requests") && text.contains(&format!("Try again in {wait} s.")), "{text}");
    assert_eq!(late.header("cache-control"), "no-store");
    // An authorization server that is out of reach.
    let closed = House::with(CONFIG, &[("ISSUER", "http://127.0.0.1:1")]).await;
    let token = closed.token(&serde_json::json!({ "iss": "http://127.0.0.1:1", "scope": "web-search:read" }));
    let request = closed.post(&token, "echo", &serde_json::json!({ "text": "x" })).header("accept", BROWSER);
    let gone = Answer::to(request).await;
    assert_eq!(gone.status, 503, "{gone:?}");
    assert!(Html::of(&gone).text().contains("Not available right now"), "{gone:?}");
    let request = closed.request(Method::GET, "/.well-known/oauth-authorization-server").header("accept", BROWSER);
    let gone = Answer::to(request).await;
    assert_eq!((gone.status, gone.json()["error"].as_str()), (503, Some("temporarily_unavailable")), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_answers_of_others_stay_what_they_are() {
    let house = House::open().await;
    for path in ["/readyz", "/healthz", "/api/tools", "/openapi.json", "/.well-known/oauth-protected-resource"] {
        let answer = Answer::to(house.request(Method::GET, path).header("accept", BROWSER)).await;
        assert_eq!((answer.status, answer.json().is_object()), (200, true), "{path}");
    }
    // The authorization server's own refusal goes out as it came.
    let registration = house.request(Method::POST, "/oauth/register").header("accept", BROWSER).body("{}");
    let (sent, direct) = (
        Answer::to(registration.header("content-type", "application/json")).await,
        Answer::to(
            house.request(Method::POST, "/oauth/register").header("content-type", "application/json").body("{}"),
        )
        .await,
    );
    assert_eq!(
        (sent.status, sent.header("content-type"), &sent.body),
        (direct.status, direct.header("content-type"), &direct.body)
    );
}
