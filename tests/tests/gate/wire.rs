//! HTTP/1 by hand: octets out, an answer in. For requests that a client library would refuse to send, or tidy.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use toolgate_tests::server::{PATIENCE, Server};

use crate::reply::Reply;

/// Send these octets on a connection of their own and read until the server closes it. The request must ask for that
/// (`Connection: close`), or be one that ends the connection anyway.
pub(crate) async fn exchange(server: &Server, octets: &[u8]) -> Vec<u8> {
    let exchange = async {
        let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
        // A server that refuses early may close while we still write.
        let _ = stream.write_all(octets).await;
        let mut answer = Vec::new();
        // A reset after the answer does not take it back.
        while let Ok(1..) = stream.read_buf(&mut answer).await {}
        answer
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("the server ends the connection")
}

/// The same, read as one answer.
pub(crate) async fn ask(server: &Server, octets: &[u8]) -> Reply {
    let answer = exchange(server, octets).await;
    parse(&answer).unwrap_or_else(|| panic!("no answer in {:?}", String::from_utf8_lossy(&answer)))
}

/// An answer from its octets.
pub(crate) fn parse(octets: &[u8]) -> Option<Reply> {
    let end = octets.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&octets[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_bytes(value.trim().as_bytes()).ok()?,
        );
    }
    let body = &octets[end + 4..];
    let body = match headers.get("content-length").and_then(|length| length.to_str().ok()?.parse::<usize>().ok()) {
        Some(length) => body.get(..length)?,
        None => body,
    };
    Some(Reply { status, headers, body: Bytes::copy_from_slice(body) })
}
