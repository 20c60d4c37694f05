//! HTTP/1 by hand: octets out, an answer in. For requests that a client library would refuse to send, or tidy.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use toolgate_tests::server::{PATIENCE, Server};

use crate::reply::Reply;

/// A request, as it will be written. Asks for the connection's end.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    method: String,
    target: String,
    version: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Raw {
    /// A `GET`.
    pub(crate) fn get(target: &str, host: &str) -> Self {
        let headers = [("Host", host), ("Connection", "close")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { method: "GET".into(), target: target.into(), version: "HTTP/1.1".into(), headers, body: Vec::new() }
    }

    /// A `POST` of JSON.
    pub(crate) fn post(target: &str, host: &str) -> Self {
        Self::get(target, host).method("POST").with("Content-Type", "application/json")
    }

    /// With another method.
    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// With another target.
    pub(crate) fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// With a query.
    pub(crate) fn query(mut self, query: &str) -> Self {
        self.target = format!("{}?{query}", self.target);
        self
    }

    /// With another version of HTTP.
    pub(crate) fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With so many more headers.
    pub(crate) fn many(mut self, number: usize) -> Self {
        self.headers.extend((0..number).map(|index| (format!("X-{index}"), "x".to_owned())));
        self
    }

    /// Without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// With one header for all of that name.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    /// With a body and its length.
    pub(crate) fn body(self, body: &str) -> Self {
        self.octets_of(body.as_bytes())
    }

    /// The same for what is not text.
    pub(crate) fn octets_of(self, body: &[u8]) -> Self {
        self.set("Content-Length", &body.len().to_string()).unframed(body)
    }

    /// With a body, and headers as they are.
    pub(crate) fn unframed(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// The whole request.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// Send these octets on a connection of their own and read until the server closes it. The request must ask for that,
/// or be one that ends the connection anyway.
pub(crate) async fn exchange(server: &Server, octets: &[u8]) -> Vec<u8> {
    let exchange = async {
        let (mut reader, mut writer) = TcpStream::connect(server.address()).await.expect("a connection").into_split();
        // A server that refuses early stops reading, so write and read side by side.
        let write = async {
            let _ = writer.write_all(octets).await;
            std::future::pending::<()>().await;
        };
        let read = async {
            let mut answer = Vec::new();
            // A reset after the answer does not take it back.
            while let Ok(1..) = reader.read_buf(&mut answer).await {}
            answer
        };
        tokio::select! {
            answer = read => answer,
            () = write => Vec::new(),
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("the server ends the connection")
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
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    let body = &octets[end + 4..];
    let body = match headers.get("content-length").and_then(|length| length.to_str().ok()?.parse::<usize>().ok()) {
        Some(length) => body.get(..length)?,
        None => body,
    };
    Some(Reply { status, headers, body: Bytes::copy_from_slice(body) })
}
