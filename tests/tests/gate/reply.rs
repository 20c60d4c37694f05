//! An HTTP answer, and what every answer of the server owes.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::challenge::Challenge;

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Reply {
    /// Read what reqwest got.
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("the whole body") }
    }

    /// A header that is there once, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert!(values.next().is_none(), "more than one {name} in {self:?}");
        Some(value.to_str().expect("a header of text"))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|wrong| panic!("{wrong} in {self:?}"))
    }

    /// The request's id; each answer has one.
    pub(crate) fn request_id(&self) -> &str {
        self.header("x-request-id").unwrap_or_else(|| panic!("no request id in {self:?}"))
    }

    /// The challenge, which must be well formed.
    pub(crate) fn challenge(&self) -> Option<Challenge> {
        let header = self.header("www-authenticate")?;
        Some(Challenge::parse(header).unwrap_or_else(|wrong| panic!("{wrong}: {header}")))
    }

    /// `Retry-After` in seconds.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.header("retry-after").map(|seconds| seconds.parse().expect("whole seconds"))
    }
}
