//! Sessions of the protocol revisions up to 2025-11-25: who owns each, and how many there may be.
//!
//! rmcp keeps the sessions themselves and lets the idle ones expire; it knows neither owners nor bounds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Response, StatusCode};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

use super::{
    Body,
    message::{self, INVALID_REQUEST},
};
use crate::{config, policy::PrincipalId};

const HEADER: &str = "mcp-session-id";

/// How much longer than its longest call a session lives, for the answer to leave.
const MARGIN: Duration = Duration::from_millis(100);

/// How rmcp words, as an internal error, that a session ended a moment before the request for it came.
const ENDED: &str = "Session service terminated";

/// The session that a request names.
pub(super) fn id(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER)?.to_str().ok()
}

#[derive(Default)]
struct Table {
    owners: HashMap<String, PrincipalId>,
    pending: Vec<PrincipalId>,
}

/// The answer to who names a session that there is not, or not for them.
pub(super) fn gone() -> Response<Body> {
    let text = "no such session; open a new one with initialize";
    message::error(StatusCode::NOT_FOUND, INVALID_REQUEST, text, None)
}

/// Whether this error of rmcp's says that the session has ended.
pub(super) fn has_ended(status: StatusCode, text: &str) -> bool {
    status == StatusCode::NOT_FOUND || (status == StatusCode::INTERNAL_SERVER_ERROR && text.contains(ENDED))
}

/// The sessions of one endpoint.
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    table: Arc<Mutex<Table>>,
    most: usize,
    most_each: usize,
}

/// Whether another session may be opened.
pub(super) enum Admission {
    Open(Place),
    Full(Response<Body>),
}

/// A place for a session that is being opened; given back when dropped.
pub(super) struct Place {
    table: Arc<Mutex<Table>>,
    owner: PrincipalId,
}

impl Place {
    /// The answer to `initialize` names the session, or none was opened.
    pub(super) fn settle(self, headers: &HeaderMap) {
        if let Some(id) = id(headers) {
            lock(&self.table).owners.insert(id.to_owned(), self.owner.clone());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if let Some(index) = table.pending.iter().position(|owner| *owner == self.owner) {
            table.pending.swap_remove(index);
        }
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// Sessions of an endpoint whose calls take at most `longest_call`.
    pub(super) fn new(server: &config::Server, longest_call: Duration) -> Self {
        let mut manager = LocalSessionManager::default();
        // rmcp counts a session as idle while a call in it runs, and would end both.
        manager.session_config.keep_alive = Some(server.session_idle.0.max(longest_call + MARGIN));
        Self {
            manager: Arc::new(manager),
            table: Arc::default(),
            most: server.max_sessions,
            most_each: server.max_sessions_per_principal,
        }
    }

    pub(super) fn manager(&self) -> Arc<LocalSessionManager> {
        Arc::clone(&self.manager)
    }

    /// A request that names a session must come from its owner. Another's session is answered like one that
    /// is gone, so that nobody learns which there are.
    pub(super) fn claim(&self, headers: &mut HeaderMap, principal: &PrincipalId) -> bool {
        // From 2026-07-28 on there are no sessions, and the header means nothing. It goes, for rmcp would read
        // it on an `initialize` whatever version that names.
        if headers.get("mcp-protocol-version").is_some_and(|version| version.as_bytes() >= b"2026-07-28".as_slice()) {
            headers.remove(HEADER);
        }
        id(headers).is_none_or(|id| lock(&self.table).owners.get(id) == Some(principal))
    }

    /// Whether this principal may open another session.
    pub(super) async fn admit(&self, principal: &PrincipalId) -> Admission {
        let living = self.manager.sessions.read().await;
        let mut table = lock(&self.table);
        let full = |table: &Table| {
            let own = table.owners.values().chain(&table.pending).filter(|owner| *owner == principal).count();
            // Sessions whose client left before it knew their id have no owner here, and count all the same.
            table.owners.len().max(living.len()) + table.pending.len() >= self.most || own >= self.most_each
        };
        if full(&table) {
            // Expired sessions leave rmcp's table by themselves, ours when room is needed.
            table.owners.retain(|id, _| living.contains_key(id.as_str()));
        }
        if full(&table) {
            let text = "too many sessions are open; close one with DELETE, or try again later";
            return Admission::Full(message::too_many(text));
        }
        table.pending.push(principal.clone());
        Admission::Open(Place { table: Arc::clone(&self.table), owner: principal.clone() })
    }

    /// The session is closed.
    pub(super) fn forget(&self, id: &str) {
        lock(&self.table).owners.remove(id);
    }
}
