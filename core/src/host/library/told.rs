//! What a plugin tells: progress to whom it concerns, lines to the log, changes to the host.
//!
//! Owns the tokens under which progress is reported, and how many lines go to the log. Runs on whatever thread the plugin speaks on, so nothing here
//! waits.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::Deserialize;
use serde_json::Value;
use toolgate_abi::method;
use toolgate_plugin::{HostHandle, LogLevel, Progress};

use super::{
    table::Listener,
    valve::{Valve, left_out},
};

/// Takes what a plugin tells.
pub(super) struct Notices {
    host: HostHandle,
    next: AtomicU64,
    wanted: Mutex<HashMap<u64, Progress>>,
    /// For all that ends in the log.
    valve: Mutex<Valve>,
}

/// A token under which progress may be reported, for as long as this lives.
pub(super) struct Token {
    notices: Arc<Notices>,
    pub(super) number: u64,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.notices.wanted().remove(&self.number);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    progress_token: u64,
    progress: f64,
    #[serde(default)]
    total: Option<f64>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Updated {
    uri: String,
}

impl Notices {
    /// For the plugin of `host`.
    pub(super) fn new(host: HostHandle) -> Arc<Self> {
        Arc::new(Self {
            host,
            next: AtomicU64::new(1),
            wanted: Mutex::default(),
            valve: Mutex::new(Valve::new(Instant::now())),
        })
    }

    /// As a table wants it.
    pub(super) fn listener(self: &Arc<Self>) -> Listener {
        let notices = Arc::clone(self);
        Arc::new(move |method, params| notices.take(method, params))
    }

    /// A token, if somebody wants to know.
    pub(super) fn token(self: &Arc<Self>, progress: &Progress) -> Option<Token> {
        let number = progress.wanted().then(|| self.next.fetch_add(1, Ordering::Relaxed))?;
        self.wanted().insert(number, progress.clone());
        Some(Token { notices: Arc::clone(self), number })
    }

    fn wanted(&self) -> MutexGuard<'_, HashMap<u64, Progress>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room in the log for one more line; asked before anything is read, as reading costs as well.
    fn may_log(&self) -> bool {
        let (open, lost) = self.valve.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now());
        if lost > 0 {
            self.say_left_out(lost);
        }
        open
    }

    fn say_left_out(&self, lost: u64) {
        tracing::warn!(plugin = self.host.plugin(), "{}", left_out(lost));
    }

    fn take(&self, method: &str, params: &[u8]) {
        let plugin = self.host.plugin();
        let understood = match method {
            method::PROGRESS => serde_json::from_slice(params).map(|report: Report| self.progress(report)),
            // Says no more than that something has changed: whoever hears it a thousand times asks once.
            method::TOOLS_CHANGED => {
                self.host.tools_changed();
                return;
            }
            _ if !self.may_log() => return,
            method::MESSAGE => serde_json::from_slice(params).map(|message: Message| self.log(&message)),
            method::RESOURCE_UPDATED => {
                serde_json::from_slice(params).map(|updated: Updated| self.host.resource_updated(updated.uri))
            }
            _ => {
                tracing::debug!(
                    plugin,
                    method = one_line(method),
                    "the plugin told something that this host does not know"
                );
                return;
            }
        };
        if let Err(error) = understood
            && (method != method::PROGRESS || self.may_log())
        {
            tracing::warn!(plugin, method, line = error.line(), column = error.column(), "the params do not fit");
        }
    }

    fn progress(&self, report: Report) {
        let progress = self.wanted().get(&report.progress_token).cloned();
        if let Some(progress) = progress {
            progress.report(report.progress, report.total, report.message);
        }
    }

    fn log(&self, message: &Message) {
        // The levels of RFC 5424, as MCP has them.
        let level = match message.level.as_str() {
            "debug" => LogLevel::Debug,
            "info" | "notice" => LogLevel::Info,
            "warning" => LogLevel::Warn,
            _ => LogLevel::Error,
        };
        let text = match &message.data {
            Value::String(text) => one_line(text),
            other => one_line(&other.to_string()),
        };
        self.host.log(level, text);
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let lost = self.valve.get_mut().unwrap_or_else(PoisonError::into_inner).lost();
        if lost > 0 {
            self.say_left_out(lost);
        }
    }
}

/// One line of a bearable length: nobody forges a second one, and no terminal obeys it.
fn one_line(text: &str) -> String {
    const MOST: usize = 8 << 10;
    let mut line = String::with_capacity(text.len().min(MOST));
    for c in text.chars() {
        if line.len() >= MOST {
            line.push('…');
            break;
        }
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}
