//! Which tools there are, under which names, and for whom: `on_missing_scope`, `enabled`, `name`, `"*"`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{Answer, CONFIG, House, PATH};

const HIDE: (&str, &str) = ("TOOLGATE_ENDPOINTS__WEB_SEARCH__ON_MISSING_SCOPE", "hide");

fn names(tools: &Value, key: &str) -> Vec<String> {
    let tools = tools.as_array().expect("tools").iter();
    tools.map(|tool| tool[key].as_str().expect("a name").to_owned()).collect()
}

async fn listed(house: &House, token: &str) -> Vec<String> {
    let answer = Answer::to(house.modern(token, "tools/list", json!({}))).await;
    names(&answer.result()["tools"], "name")
}

async fn catalogue(house: &House, token: Option<&str>) -> Vec<String> {
    let request = house.request(Method::GET, "/api/tools");
    let answer = Answer::to(token.into_iter().fold(request, |request, token| request.bearer_auth(token))).await;
    names(&answer.json()["tools"], "tool")
}

async fn operations(house: &House) -> Vec<String> {
    let document = Answer::to(house.request(Method::GET, "/openapi.json")).await.json();
    let paths = document["paths"].as_object().expect("paths").keys();
    paths.filter_map(|path| path.strip_prefix("/api/tools/web-search/")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_tool_is_nowhere_until_a_token_reaches_it() {
    let house = House::with(CONFIG, &[HIDE]).await;
    let (reader, writer) = (house.reader(), house.writer());
    let nobody = house.token(&json!({ "scope": "openid" }));
    let (some, all) = (["tavily_search", "echo"].as_slice(), ["tavily_search", "tavily_extract", "echo"].as_slice());
    assert_eq!(listed(&house, &nobody).await, [""; 0]);
    assert_eq!(listed(&house, &reader).await, some);
    assert_eq!(listed(&house, &writer).await, all);
    assert_eq!(catalogue(&house, None).await, [""; 0]);
    assert_eq!(catalogue(&house, Some(&reader)).await, some);
    assert_eq!(catalogue(&house, Some(&writer)).await, all);
    assert_eq!(operations(&house).await, [""; 0], "the document is everybody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_from_the_token_is_kept_for_nobody_else() {
    let house = House::with(CONFIG, &[HIDE]).await;
    let (reader, writer) = (house.reader(), house.writer());
    // Another principal who sees the same.
    let other = house.token(&json!({ "scope": "web-search:read", "sub": "somebody-else" }));
    for path in ["/openapi.json", "/api/tools", "/"] {
        let ask = async |token: Option<&str>, known: Option<&str>| {
            let request =
                token.into_iter().fold(house.request(Method::GET, path), |asked, token| asked.bearer_auth(token));
            Answer::to(known.into_iter().fold(request, |asked, tag| asked.header("if-none-match", tag))).await
        };
        let (nobodys, readers, writers) =
            (ask(None, None).await, ask(Some(&reader), None).await, ask(Some(&writer), None).await);
        for answer in [&nobodys, &readers, &writers] {
            assert_eq!((answer.status, answer.header("cache-control")), (200, "private, no-cache"), "{path}");
            assert!(answer.header("vary").contains("Authorization"), "{path}: {answer:?}");
        }
        let (read, wrote) = (readers.header("etag"), writers.header("etag"));
        assert!(read.len() > 10 && read != wrote && nobodys.header("etag") != read, "{path}");
        for (token, known, status) in [
            (Some(&*reader), read, 304),
            (Some(&*other), read, 304),
            (Some(&*writer), read, 200),
            (None, read, 200),
            (Some(&*writer), wrote, 304),
            (None, nobodys.header("etag"), 304),
        ] {
            let answer = ask(token, Some(known)).await;
            assert_eq!((answer.status, answer.body.is_empty()), (status, status == 304), "{path} {token:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calling_a_hidden_tool_is_like_calling_one_that_never_was() {
    let house = House::with(CONFIG, &[HIDE]).await;
    let reader = house.reader();
    let arguments = || json!({ "urls": ["https://a.example"] });
    let hidden = Answer::to(house.call(&reader, "tavily_extract", arguments())).await;
    let never = Answer::to(house.call(&reader, "tavily_nothing", arguments())).await;
    assert_eq!((hidden.status, hidden.rpc_error()), (never.status, -32602));
    assert_eq!(hidden.body, never.body.replace("tavily_nothing", "tavily_extract"));
    assert_eq!(hidden.header("www-authenticate"), "");

    let hidden_rest = Answer::to(house.post(&reader, "tavily_extract", &arguments())).await;
    let never_rest = Answer::to(house.post(&reader, "tavily_nothing", &arguments())).await;
    assert_eq!((hidden_rest.status, never_rest.status), (404, 404));
    let told = |answer: &Answer| answer.json()["error_description"].as_str().expect("a text").to_owned();
    assert_eq!(told(&hidden_rest), told(&never_rest).replace("tavily_nothing", "tavily_extract"));

    // The operator is told what the caller is not.
    for (answer, reason, missing) in [
        (&hidden, "hidden", json!(["web-search:write"])),
        (&hidden_rest, "hidden", json!(["web-search:write"])),
        (&never, "unknown_tool", Value::Null),
    ] {
        let record = house.server.audited(answer.request_id()).await;
        assert_eq!((&record["reason"], &record["missing_scopes"]), (&json!(reason), &missing), "{record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_rename_leave_out_and_cover_the_rest() {
    let rules = r#"
[plugins.web-search.tools]
tavily_search = { scopes = ["web-search:write"], name = "web.search" }
tavily_extract = { enabled = false }
"*" = { scopes = ["web-search:write"] }

[plugins.echo.tools]
"*" = { scopes = [] }

[plugins.echo]
builtin = "echo"
"#;
    let kept = CONFIG.split("[plugins.web-search.tools]").next().expect("what comes before");
    let house = House::with(&format!("{kept}{rules}"), &[]).await;
    let (nobody, writer) = (house.token(&json!({ "scope": "openid" })), house.writer());
    let rest = ["map", "crawl", "research", "get_research", "usage", "feedback"].map(|tool| format!("tavily_{tool}"));
    let rest = rest.iter().map(String::as_str);
    let expected: Vec<&str> = ["web.search"].into_iter().chain(rest).chain(["echo"]).collect();
    assert_eq!(listed(&house, &nobody).await, expected);
    assert_eq!(catalogue(&house, None).await, expected);
    assert_eq!(operations(&house).await, expected);

    // The name that counts is the one here.
    for (tool, status) in [("tavily_search", 404), ("tavily_extract", 404), ("web.search", 403), ("echo", 200)] {
        let answer = Answer::to(house.post(&nobody, tool, &json!({ "text": "x" }))).await;
        assert_eq!(answer.status, status, "{tool}");
    }
    let asked = Answer::to(house.call(&nobody, "web.search", json!({ "query": "x" }))).await;
    assert!(asked.header("www-authenticate").contains("the tool 'web.search'"), "{asked:?}");
    let result = Answer::to(house.call(&writer, "web.search", json!({ "query": "x" }))).await.result();
    assert_eq!(result["structuredContent"]["error"]["code"], "upstream_unreachable", "it reached its plugin");
    let gone = Answer::to(house.call(&writer, "tavily_extract", json!({}))).await;
    assert_eq!(gone.rpc_error(), -32602);
    let first = Answer::to(house.request(Method::POST, PATH)).await;
    assert!(first.header("www-authenticate").contains("scope=\"web-search:write\""), "what some tool here asks for");
}
