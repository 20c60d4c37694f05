//! Requests that no honest client sends, octet by octet: each row with the status it is answered with, and what the
//! answer must say.

mod framing;
mod messages;

use serde_json::{Value, json};

use crate::{
    house::{Face, House, PATH, Provider, assert_echoed, call_with, message},
    reply::Reply,
    wire::{self, Raw},
};

/// What the answer must say besides its status.
enum Says {
    /// A JSON error with this code.
    Error(&'static str),
    /// A JSON-RPC error.
    JsonRpc,
    /// The same, and a header that holds this.
    Header(&'static str, &'static str),
    /// The call's result.
    Echo(Face),
    /// Nothing in particular: the HTTP layer itself refuses.
    Nothing,
}

struct Row {
    name: &'static str,
    request: Raw,
    status: u16,
    says: Says,
}

fn row(name: &'static str, request: Raw, status: u16, says: Says) -> Row {
    Row { name, request, status, says }
}

/// What is wrong with the answer, if anything is.
fn complaint(row: &Row, reply: Option<&Reply>) -> Option<String> {
    let Some(reply) = reply else { return Some("no answer".to_owned()) };
    let json = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
    let fits = match row.says {
        Says::Error(code) => json["error"] == code && json["request_id"] == reply.request_id(),
        Says::JsonRpc => json["error"]["code"].is_i64() && json["jsonrpc"] == "2.0",
        Says::Header(name, part) => reply.header(name).is_some_and(|value| value.contains(part)),
        Says::Echo(face) => face.result(reply)["structuredContent"] == json!({ "text": "hello" }),
        Says::Nothing => true,
    };
    if reply.status == row.status && fits { None } else { Some(format!("expected {}, got {reply:?}", row.status)) }
}

async fn assert_answered(house: &House, rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for row in rows {
        let answer = wire::exchange(&house.server, &row.request.octets()).await;
        if let Some(complaint) = complaint(&row, wire::parse(&answer).as_ref()) {
            wrong.push(format!("{}: {complaint}", row.name));
        }
    }
    let token = house.reader().await;
    assert_echoed(Face::Mcp, &call_with(&house.server, Face::Mcp, "read", &token).await, "an honest call afterwards");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Honest requests to start from.
struct Honest {
    rest: Raw,
    mcp: Raw,
    token: String,
    host: String,
}

async fn honest(house: &House) -> Honest {
    let token = house.reader().await;
    let host = format!("localhost:{}", house.server.address().port());
    let rest = Raw::post("/api/tools/web-search/read", &host)
        .with("Authorization", &format!("Bearer {token}"))
        .body(&json!({ "text": "hello" }).to_string());
    let mcp = Raw::post(PATH, &host)
        .with("Authorization", &format!("Bearer {token}"))
        .with("Accept", "application/json, text/event-stream")
        .with("MCP-Protocol-Version", "2026-07-28")
        .with("Mcp-Method", "tools/call")
        .with("Mcp-Name", "read")
        .body(&message("read", &json!({ "text": "hello" })).to_string());
    Honest { rest, mcp, token, host }
}

#[tokio::test]
async fn credentials_come_in_the_authorization_header_alone() {
    let house = House::of(Provider::Scalekit).await;
    let Honest { rest, mcp, token, .. } = honest(&house).await;
    let bearer = format!("Bearer {token}");
    let bare = |raw: &Raw| raw.clone().without("Authorization");
    let form = format!("access_token={token}");
    let nothing = || Says::Error("unauthorized");
    let rows = vec![
        row("an honest call", rest.clone(), 200, Says::Echo(Face::Rest)),
        row("an honest message", mcp.clone(), 200, Says::Echo(Face::Mcp)),
        row("token in the query", bare(&mcp).target(&format!("{PATH}?access_token={token}")), 401, nothing()),
        row("token in the query, rest", bare(&rest).query(&format!("access_token={token}")), 401, nothing()),
        row("token in a cookie", bare(&mcp).with("Cookie", &format!("access_token={token}")), 401, nothing()),
        row(
            "token in a form",
            bare(&rest).set("Content-Type", "application/x-www-form-urlencoded").body(&form),
            401,
            nothing(),
        ),
        row("token for a proxy", bare(&mcp).with("Proxy-Authorization", &bearer), 401, nothing()),
        row("token in a header of its own", bare(&rest).with("X-Access-Token", &token), 401, nothing()),
        row("token forwarded", bare(&rest).with("X-Forwarded-Authorization", &bearer), 401, nothing()),
        row("an underscore for the dash", bare(&rest).with("Authorization_", &bearer), 401, nothing()),
        row("an empty header", bare(&rest).with("Authorization", ""), 401, nothing()),
        row("the token without its scheme", bare(&rest).with("Authorization", &token), 401, nothing()),
        row(
            "quoted",
            bare(&rest).with("Authorization", &format!("Bearer \"{token}\"")),
            401,
            Says::Error("invalid_token"),
        ),
        row(
            "as a parameter",
            bare(&rest).with("Authorization", &format!("Bearer token={token}")),
            401,
            Says::Error("invalid_token"),
        ),
        row(
            "twice, in two spellings",
            rest.clone().with("aUTHORIZATION", &bearer),
            400,
            Says::Error("invalid_request"),
        ),
        row(
            "empty and then good",
            bare(&mcp).with("Authorization", "").with("Authorization", &bearer),
            400,
            Says::Error("invalid_request"),
        ),
        row("bytes beyond ASCII", bare(&rest).with("Authorization", "Bearer tokén"), 401, Says::Error("invalid_token")),
        row(
            "folded over two lines",
            bare(&rest).with("Authorization", &format!("Bearer\r\n {token}")),
            400,
            Says::Nothing,
        ),
        row("a NUL inside", bare(&rest).with("Authorization", "Bearer a\0b"), 400, Says::Nothing),
        row("a blank before the colon", bare(&rest).with("Authorization ", &bearer), 400, Says::Nothing),
        row("another in the query is not looked at", rest.clone().query("access_token=x"), 200, Says::Echo(Face::Rest)),
    ];
    assert_answered(&house, rows).await;
}

#[tokio::test]
async fn hosts_and_origins_are_ours_or_refused() {
    let house = House::of(Provider::Scalekit).await;
    let Honest { rest, mcp, host, .. } = honest(&house).await;
    let path = "/api/tools/web-search/read";
    let port = house.server.address().port();
    let other = || Says::Error("forbidden_host");
    let page = || Says::Error("forbidden_origin");
    let rows = vec![
        row("another host", rest.clone().set("Host", "evil.example"), 403, other()),
        row("another host, mcp", mcp.clone().set("Host", "evil.example"), 403, other()),
        row("another host, with our port", rest.clone().set("Host", &format!("evil.example:{port}")), 403, other()),
        row("our host without its port", rest.clone().set("Host", "localhost"), 403, other()),
        row("our host as a user", rest.clone().set("Host", &format!("{host}@evil.example")), 403, other()),
        row("our host as a beginning", rest.clone().set("Host", &format!("{host}.evil.example")), 403, other()),
        row("our host with a dot", rest.clone().set("Host", &format!("localhost.:{port}")), 403, other()),
        row("an address of everyone", rest.clone().set("Host", &format!("0.0.0.0:{port}")), 403, other()),
        row("an empty host", rest.clone().set("Host", ""), 403, other()),
        row("no host", rest.clone().without("Host"), 400, Says::Error("invalid_request")),
        row("two hosts", rest.clone().with("Host", "evil.example"), 400, Says::Error("invalid_request")),
        row("our host twice", rest.clone().with("Host", &host), 400, Says::Error("invalid_request")),
        row("another host in the target", rest.clone().target(&format!("http://evil.example{path}")), 403, other()),
        row(
            "our host in the target, another in the header",
            rest.clone().target(&format!("http://{host}{path}")).set("Host", "evil.example"),
            403,
            other(),
        ),
        row(
            "our host in the target",
            rest.clone().target(&format!("http://{host}{path}")),
            200,
            Says::Echo(Face::Rest),
        ),
        row("our host in capitals", rest.clone().set("Host", &host.to_uppercase()), 200, Says::Echo(Face::Rest)),
        row("another host on the documents", Raw::get("/openapi.json", "evil.example"), 403, other()),
        row(
            "another host on metadata",
            Raw::get("/.well-known/oauth-protected-resource", "evil.example"),
            403,
            other(),
        ),
        row("another host on health", Raw::get("/healthz", "evil.example"), 200, Says::Nothing),
        row(
            "a forwarded host is not believed",
            rest.clone().with("X-Forwarded-Host", "evil.example"),
            200,
            Says::Echo(Face::Rest),
        ),
        row(
            "a forwarded host does not reach the challenge",
            mcp.clone()
                .without("Authorization")
                .with("X-Forwarded-Host", "evil.example")
                .with("X-Forwarded-Proto", "https")
                .with("Forwarded", "host=evil.example;proto=https"),
            401,
            Says::Header("www-authenticate", "resource_metadata=\"http://localhost:"),
        ),
        row("another page", rest.clone().with("Origin", "https://evil.example"), 403, page()),
        row("another page, mcp", mcp.clone().with("Origin", "https://evil.example"), 403, page()),
        row(
            "another page, without a token",
            mcp.clone().without("Authorization").with("Origin", "https://evil.example"),
            403,
            page(),
        ),
        row("a page without an origin", mcp.clone().with("Origin", "null"), 403, page()),
        row(
            "a page of another port",
            mcp.clone().with("Origin", &format!("http://localhost:{}", port ^ 1)),
            403,
            page(),
        ),
        row("a page over TLS", mcp.clone().with("Origin", &format!("https://{host}")), 403, page()),
        row(
            "a page that begins alike",
            mcp.clone().with("Origin", &format!("http://{host}.evil.example")),
            403,
            page(),
        ),
        row(
            "two origins",
            mcp.clone().with("Origin", &format!("http://{host}")).with("Origin", "https://evil.example"),
            403,
            page(),
        ),
        row("our own page", mcp.clone().with("Origin", &format!("http://{host}")), 200, Says::Echo(Face::Mcp)),
        row(
            "another page reads the catalogue",
            Raw::get("/api/tools", &host).with("Origin", "https://evil.example"),
            403,
            page(),
        ),
    ];
    assert_answered(&house, rows).await;
}

#[tokio::test]
async fn paths_and_methods_are_taken_as_they_are_written() {
    let house = House::of(Provider::Scalekit).await;
    let Honest { rest, mcp, host, .. } = honest(&house).await;
    let gone = || Says::Error("not_found");
    let at = |target: &str| mcp.clone().target(target);
    let tool = |target: &str| rest.clone().target(target);
    let method = |raw: &Raw, method: &str| raw.clone().method(method);
    let evil = |raw: Raw| raw.with("Origin", "https://evil.example");
    let rows = vec![
        row("two slashes", at("//web-search/mcp"), 404, gone()),
        row("two slashes inside", at("/web-search//mcp"), 404, gone()),
        // Taken for the endpoint, and guarded like it.
        row("a slash at the end", at("/web-search/mcp/"), 200, Says::Echo(Face::Mcp)),
        row(
            "a slash at the end, from another page",
            evil(at("/web-search/mcp/")),
            403,
            Says::Error("forbidden_origin"),
        ),
        row("two slashes at the end", at("/web-search/mcp//"), 404, gone()),
        row("an escaped slash", at("/web-search%2fmcp"), 404, gone()),
        row("an escaped letter", at("/web-search/%6dcp"), 404, gone()),
        row("an escaped letter from another page", evil(at("/web-search/%6dcp")), 404, gone()),
        row("dots", at("/web-search/../web-search/mcp"), 404, gone()),
        row("a dot", at("/web-search/./mcp"), 404, gone()),
        row("escaped dots", at("/web-search/%2e%2e/web-search/mcp"), 404, gone()),
        row("capitals", at("/WEB-SEARCH/MCP"), 404, gone()),
        row("a parameter of the segment", at("/web-search/mcp;x=1"), 404, gone()),
        row("a NUL at the end", at("/web-search/mcp%00"), 404, gone()),
        row("a backslash", at("/web-search\\mcp"), 404, gone()),
        row("below the endpoint", at("/web-search/mcp/read"), 404, gone()),
        row("a query is not a path", at("/?x=/web-search/mcp"), 405, Says::Header("allow", "GET")),
        row("a tool with a slash at the end", tool("/api/tools/web-search/read/"), 404, gone()),
        row("a tool behind two slashes", tool("/api//tools/web-search/read"), 404, gone()),
        row("a tool behind an escaped slash", tool("/api/tools/web-search%2fread"), 404, gone()),
        row("a tool up and down", tool("/api/tools/web-search/x/../read"), 404, gone()),
        row(
            "a tool behind escaped dots",
            tool("/api/tools/web-search/%2e%2e%2fread"),
            404,
            Says::Error("unknown_tool"),
        ),
        row("a tool behind an escaped letter", tool("/%61pi/tools/web-search/read"), 404, gone()),
        row("the same from another page", evil(tool("/%61pi/tools/web-search/read")), 404, gone()),
        row(
            "a tool that is written escaped",
            tool("/api/tools/web-search/%77rite"),
            403,
            Says::Error("insufficient_scope"),
        ),
        row("an endpoint that is not there", tool("/api/tools/elsewhere/read"), 404, Says::Error("unknown_tool")),
        row("an endpoint of nothing", tool("/api/tools//read"), 404, Says::Nothing),
        row("GET of a tool", method(&rest, "GET"), 405, Says::Header("allow", "POST")),
        row("PUT of a message", method(&mcp, "PUT"), 405, Says::Header("allow", "GET, POST, DELETE, OPTIONS")),
        row("PATCH without a token", method(&mcp, "PATCH").without("Authorization"), 401, Says::Error("unauthorized")),
        row("small letters", method(&mcp, "post"), 405, Says::JsonRpc),
        row("a method of nobody's", method(&mcp, "POSTED"), 405, Says::JsonRpc),
        row("TRACE", method(&mcp, "TRACE"), 405, Says::JsonRpc),
        row("OPTIONS that is no preflight", method(&mcp, "OPTIONS"), 405, Says::JsonRpc),
        row("POST that says GET", rest.clone().with("X-HTTP-Method-Override", "GET"), 200, Says::Echo(Face::Rest)),
        row("POST that says DELETE", mcp.clone().with("X-HTTP-Method-Override", "DELETE"), 200, Says::Echo(Face::Mcp)),
        row("a path that says another", rest.clone().with("X-Original-URL", "/healthz"), 200, Says::Echo(Face::Rest)),
        row(
            "DELETE of the metadata",
            Raw::get("/.well-known/oauth-protected-resource", &host).method("DELETE"),
            405,
            Says::Header("allow", "GET"),
        ),
        row("GET of registration", Raw::get("/oauth/register", &host), 405, Says::Header("allow", "POST")),
    ];
    assert_answered(&house, rows).await;
}
