//! The octets around a message: lengths, chunks, sizes, versions, and heads that do not come.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use toolgate_tests::server::{Launch, PATIENCE};

use super::{Honest, Says, assert_answered, honest, row};
use crate::{
    house::{Face, House, Provider, assert_echoed, config, tools},
    reply::Reply,
    wire::{self, Raw},
};

#[tokio::test]
async fn framing_is_bounded_and_unambiguous() {
    let house = House::of(Provider::Scalekit).await;
    let Honest { rest, mcp, host, .. } = honest(&house).await;
    let large = "x".repeat(5 * 1024 * 1024);
    let chunked = |raw: &Raw, body: &str| {
        let octets = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        raw.clone().without("Content-Length").with("Transfer-Encoding", "chunked").unframed(octets.as_bytes())
    };
    let good = json!({ "text": "hello" }).to_string();
    let rows = vec![
        row("chunked", chunked(&rest, &good), 200, Says::Echo(Face::Rest)),
        row("too large", rest.clone().body(&large), 413, Says::Error("too_large")),
        row("too large, mcp", mcp.clone().body(&large), 413, Says::Error("too_large")),
        row("too large, in chunks", chunked(&rest, &large), 413, Says::Error("too_large")),
        row(
            "too large, without a token",
            rest.clone().without("Authorization").body(&large),
            401,
            Says::Error("unauthorized"),
        ),
        row(
            "a length that announces too much",
            rest.clone().set("Content-Length", "99999999999"),
            413,
            Says::Error("too_large"),
        ),
        row("two lengths", rest.clone().with("Content-Length", "3"), 400, Says::Nothing),
        row("a negative length", rest.clone().set("Content-Length", "-1"), 400, Says::Nothing),
        row("a length beyond numbers", rest.clone().set("Content-Length", "99999999999999999999"), 400, Says::Nothing),
        row("a length with a sign", rest.clone().set("Content-Length", "+17"), 400, Says::Nothing),
        row(
            "a length and chunks: the chunks count",
            chunked(&rest, &good).with("Content-Length", "3"),
            200,
            Says::Echo(Face::Rest),
        ),
        row("another encoding", rest.clone().with("Transfer-Encoding", "xchunked"), 400, Says::Nothing),
        row("chunks of no size", chunked(&rest, &good).unframed(b"zz\r\nhello\r\n0\r\n\r\n"), 400, Says::Nothing),
        row("a head of 100 KiB", rest.clone().with("X-Pad", &"x".repeat(100 * 1024)), 431, Says::Nothing),
        row("two hundred headers", rest.clone().many(200), 431, Says::Nothing),
        row("a target of 70 KiB", rest.clone().query(&"x".repeat(70 * 1024)), 431, Says::Nothing),
        row("HTTP/1.0", rest.clone().version("HTTP/1.0"), 200, Says::Echo(Face::Rest)),
        row(
            "HTTP/1.0 without a host",
            rest.clone().version("HTTP/1.0").without("Host"),
            400,
            Says::Error("invalid_request"),
        ),
        row("HTTP/3.0", rest.clone().version("HTTP/3.0"), 400, Says::Nothing),
        row("no version", rest.clone().version(""), 400, Says::Nothing),
        row("a method with blanks", rest.clone().method("PO ST"), 400, Says::Nothing),
        row("a header without a name", rest.clone().with("", "x"), 400, Says::Nothing),
        row("a header of two lines", Raw::get("/healthz", &host).with("X", "a\r\nb"), 400, Says::Nothing),
        row("an upgrade to sockets", rest.clone().with("Upgrade", "websocket"), 200, Says::Echo(Face::Rest)),
    ];
    assert_answered(&house, rows).await;
}

#[tokio::test]
async fn a_token_counts_for_its_own_request_alone() {
    let house = House::of(Provider::Scalekit).await;
    let Honest { rest, .. } = honest(&house).await;
    let mut octets = rest.clone().without("Connection").octets();
    octets.extend(rest.without("Authorization").octets());
    let answers = wire::exchange(&house.server, &octets).await;
    let text = String::from_utf8_lossy(&answers);
    let statuses: Vec<&str> = text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "401"], "{text}");
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let auth = "[auth]\nprovider = \"none\"\n";
    let server = Launch::new(&config("header_timeout = \"1s\"", &format!("{auth}{}", tools("")))).start().await;
    for (name, octets) in [
        ("nothing", &b""[..]),
        ("half a line", b"POST /web-se"),
        ("half a head", b"POST /web-search/mcp HTTP/1.1\r\nHost: localhost\r\nX-A: "),
    ] {
        // Reads until the server closes, within the patience of `exchange`.
        let answer = wire::exchange(&server, octets).await;
        let status = wire::parse(&answer).map(|reply| reply.status);
        assert!(matches!(status, None | Some(408)), "{name}: {}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn a_second_head_has_no_more_time_than_the_first() {
    let auth = "[auth]\nprovider = \"none\"\n";
    let server = Launch::new(&config("header_timeout = \"1s\"", &format!("{auth}{}", tools("")))).start().await;
    let mut client = tokio::net::TcpStream::connect(server.address()).await.expect("a connection");
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("a whole request");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\"ok\"}") {
        assert_ne!(client.read_buf(&mut answer).await.expect("an answer"), 0, "{}", String::from_utf8_lossy(&answer));
    }
    client.write_all(b"GET /healthz HTT").await.expect("half a line");
    // Far below the time that a connection may be kept without a request.
    let ended = tokio::time::timeout(PATIENCE / 2, client.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is kept");
}

#[tokio::test]
async fn silent_clients_do_not_keep_others_out() {
    let server = "header_timeout = \"1s\"\nmax_connections = 1";
    let server = Launch::new(&config(server, &format!("[auth]\nprovider = \"none\"\n{}", tools("")))).start().await;
    for octets in [&b""[..], b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\nHost:"] {
        // It has the only place until it is cut off; the honest call waits for that, and then is served.
        let mut silent = tokio::net::TcpStream::connect(server.address()).await.expect("a connection");
        silent.write_all(octets).await.expect("some octets");
        let reply = crate::house::call(&server, Face::Rest, "read", &[]).await;
        assert_echoed(Face::Rest, &reply, &String::from_utf8_lossy(octets));
    }
}

#[tokio::test]
async fn http2_meets_the_same_gate() {
    let house = House::of(Provider::Scalekit).await;
    let server = &house.server;
    let (reader, host) = (house.reader().await, format!("localhost:{}", server.address().port()));
    let client =
        reqwest::Client::builder().no_proxy().timeout(PATIENCE).http2_prior_knowledge().build().expect("a client");
    let ask = async |tool: &str, token: Option<&str>, more: &[(&str, &str)]| {
        let url = format!("{}/api/tools/web-search/{tool}", server.url());
        let mut request = client.post(url).json(&json!({ "text": "hello" }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.version(), http::Version::HTTP_2);
        let reply = Reply::of(response).await;
        (reply.status, reply.challenge().is_some())
    };
    let reader = Some(reader.as_str());
    assert_eq!(ask("read", reader, &[]).await, (200, false));
    assert_eq!(ask("read", None, &[]).await, (401, true));
    assert_eq!(ask("write", reader, &[]).await, (403, true));
    assert_eq!(ask("read", reader, &[("host", &host)]).await, (200, false));
    assert_eq!(ask("read", reader, &[("host", "evil.example")]).await, (403, false));
    assert_eq!(ask("read", reader, &[("origin", "https://evil.example")]).await, (403, false));
    assert_eq!(ask("read", reader, &[("authorization", "Bearer x")]).await, (400, true));
    assert_eq!(ask("read", reader, &[("x-pad", &"x".repeat(100 * 1024))]).await.0, 431);
}
