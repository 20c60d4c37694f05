//! The conversation with a plugin, wherever it runs: requests that are answered once, and notifications.
//!
//! Owns the seam between `provider`, which knows what the methods mean, and the two ways to carry them: across the
//! border inside this process, and over a socket to a worker.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use toolgate_abi::{ERROR, code};
use toolgate_plugin::Health;

/// How a request ended.
#[derive(Debug)]
pub(super) enum Reply {
    /// The result, as JSON that nobody has looked at yet.
    Result(Vec<u8>),
    /// The plugin's error.
    Error(ErrorObject),
    /// The answer had this many bytes, more than `limits.result`; it was not kept.
    TooLarge(u64),
    /// There will be no answer; why, for people and models.
    Gone(String),
}

/// A JSON-RPC error object.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ErrorObject {
    #[serde(default)]
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) data: Value,
}

impl ErrorObject {
    /// An answer that is no result, as the plugin gave it. What does not fit is said, and nothing of it quoted.
    pub(super) fn read(status: i32, payload: &[u8]) -> Self {
        let internal = |message| Self { code: code::INTERNAL, message, data: Value::Null };
        if status != ERROR {
            return internal(format!("it answered with the unknown status {status}"));
        }
        serde_json::from_slice(payload)
            .unwrap_or_else(|_| internal("it answered with an error that is no JSON-RPC error".into()))
    }
}

/// A request under way.
pub(super) struct Pending {
    /// What `notifications/cancelled` names it by.
    pub(super) id: u64,
    /// Closed without a value only when the link is gone.
    pub(super) reply: oneshot::Receiver<Reply>,
}

/// Takes what a plugin says, on whatever thread it says it. Must not block.
pub(super) trait Ears: Send + Sync + 'static {
    /// The request `id` is answered, with `toolgate_abi::OK` or `toolgate_abi::ERROR`. May name an id that is
    /// unknown, or was answered before: such an answer is dropped.
    fn answered(&self, id: u64, status: i32, payload: &[u8]);

    /// The plugin tells something of itself.
    fn told(&self, method: &str, params: &[u8]);
}

/// A plugin that can be asked.
#[async_trait::async_trait]
pub(super) trait Link: Send + Sync + 'static {
    /// Ask. Never blocks; a worker that is being started again is waited for by the reply.
    ///
    /// `deadline`: until when whoever asks would wait. The plugin may go on for as long, even if nobody waits any more.
    fn request(&self, method: &'static str, params: Vec<u8>, deadline: Option<Instant>) -> Pending;

    /// Tell.
    fn notify(&self, method: &'static str, params: Vec<u8>);

    /// How the link itself is: a worker may be down. Says nothing of the plugin.
    fn health(&self) -> Health;

    /// End the instance: what is under way is answered with [`Reply::Gone`].
    async fn close(&self);
}
