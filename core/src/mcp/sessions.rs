//! Sessions of the protocol revisions up to 2025-11-25: who owns each, how many there may be, and when an idle one
//! ends.
//!
//! rmcp keeps the sessions themselves; it knows neither owners nor bounds. Its own clock knows messages only: a session
//! counts as idle there while a call in it runs, or while its client listens. So that clock is off, and each session
//! is ended from here, when nothing has been under way in it for `server.session_idle`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, Response, StatusCode};
use rmcp::transport::streamable_http_server::session::{SessionManager, local::LocalSessionManager};
use tokio_util::sync::CancellationToken;

use super::{
    Body,
    message::{self, INVALID_REQUEST},
};
use crate::{config, policy::PrincipalId};

const HEADER: &str = "mcp-session-id";

/// Sessions that end within this time of each other are ended together.
const GRAIN: Duration = Duration::from_millis(50);

/// How long rmcp may take to hear that a session is to end. It is out of rmcp's table before, whatever happens.
const CLOSING: Duration = Duration::from_secs(1);

/// How rmcp words, as an internal error, that a session ended a moment before the request for it came.
const ENDED: &str = "Session service terminated";

/// The session that a request names.
pub(super) fn id(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER)?.to_str().ok()
}

/// One session.
struct Kept {
    owner: PrincipalId,
    /// How many requests in it have no whole answer yet, how many calls in it run, and how many streams are open.
    running: usize,
    /// When the last of them ended, or when the session was opened.
    since: Instant,
}

impl Kept {
    /// When it has been idle for that long; never, while something runs.
    fn end(&self, idle: Duration) -> Option<Instant> {
        self.since.checked_add(idle).filter(|_| self.running == 0)
    }
}

#[derive(Default)]
struct Table {
    sessions: HashMap<String, Kept>,
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
#[derive(Clone)]
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    table: Arc<Mutex<Table>>,
    idle: Duration,
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
            let kept = Kept { owner: self.owner.clone(), running: 0, since: Instant::now() };
            lock(&self.table).sessions.insert(id.to_owned(), kept);
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

/// Something under way in a session, which does not expire until this is dropped.
pub(super) struct Use {
    table: Arc<Mutex<Table>>,
    session: String,
}

impl Use {
    /// The session's id.
    pub(super) fn session(&self) -> &str {
        &self.session
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if let Some(kept) = lock(&self.table).sessions.get_mut(&self.session) {
            kept.running = kept.running.saturating_sub(1);
            kept.since = Instant::now();
        }
    }
}

/// A request names a session that is gone, that never was, or that is another's.
pub(super) struct NotTheirs;

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    pub(super) fn new(server: &config::Server) -> Self {
        let mut manager = LocalSessionManager::default();
        manager.session_config.keep_alive = None;
        Self {
            manager: Arc::new(manager),
            table: Arc::default(),
            idle: server.session_idle.0,
            most: server.max_sessions,
            most_each: server.max_sessions_per_principal,
        }
    }

    pub(super) fn manager(&self) -> Arc<LocalSessionManager> {
        Arc::clone(&self.manager)
    }

    /// A request that names a session must come from its owner, and keeps it in use. Another's session is answered
    /// like one that is gone, so that nobody learns which there are.
    pub(super) fn enter(&self, headers: &mut HeaderMap, principal: &PrincipalId) -> Result<Option<Use>, NotTheirs> {
        // From 2026-07-28 on there are no sessions, and the header means nothing. It goes, for rmcp would read
        // it on an `initialize` whatever version that names.
        if headers.get("mcp-protocol-version").is_some_and(|version| version.as_bytes() >= b"2026-07-28".as_slice()) {
            headers.remove(HEADER);
        }
        let Some(id) = id(headers) else { return Ok(None) };
        let mut table = lock(&self.table);
        let kept = table.sessions.get_mut(id).filter(|kept| kept.owner == *principal).ok_or(NotTheirs)?;
        kept.running += 1;
        Ok(Some(Use { table: Arc::clone(&self.table), session: id.to_owned() }))
    }

    /// Whether this principal may open another session.
    pub(super) async fn admit(&self, principal: &PrincipalId) -> Admission {
        if self.is_full(&lock(&self.table), principal) {
            self.expire().await;
        }
        // Those that ended by themselves inside of rmcp.
        let living = self.manager.sessions.read().await;
        let mut table = lock(&self.table);
        if self.is_full(&table, principal) {
            table.sessions.retain(|id, _| living.contains_key(id.as_str()));
        }
        if self.is_full(&table, principal) {
            let text = "too many sessions are open; close one with DELETE, or try again later";
            return Admission::Full(message::too_many(text));
        }
        table.pending.push(principal.clone());
        Admission::Open(Place { table: Arc::clone(&self.table), owner: principal.clone() })
    }

    fn is_full(&self, table: &Table, principal: &PrincipalId) -> bool {
        let owners = || table.sessions.values().map(|kept| &kept.owner).chain(&table.pending);
        owners().count() >= self.most || owners().filter(|owner| *owner == principal).count() >= self.most_each
    }

    /// How many sessions rmcp has, and how many have an owner here.
    #[cfg(test)]
    pub(super) async fn counts(&self) -> (usize, usize) {
        let living = self.manager.sessions.read().await.len();
        (living, lock(&self.table).sessions.len())
    }

    /// The session is closed.
    pub(super) fn forget(&self, id: &str) {
        lock(&self.table).sessions.remove(id);
    }

    /// End idle sessions, until `stop`.
    pub(super) async fn reap(self, stop: CancellationToken) {
        loop {
            let rest = self.expire().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// End the sessions that have been idle for too long. How long until the next one may have been.
    async fn expire(&self) -> Duration {
        let now = Instant::now();
        let (expired, rest) = {
            let mut table = lock(&self.table);
            // Out of the table at once: no request finds a session that is about to end.
            let expired = table.sessions.extract_if(|_, kept| kept.end(self.idle).is_some_and(|end| end <= now));
            let expired: Vec<String> = expired.map(|(id, _)| id).collect();
            let next = table.sessions.values().filter_map(|kept| kept.end(self.idle)).min();
            // What is opened or comes to rest from now on has all of its time.
            (expired, next.map_or(self.idle, |next| next.saturating_duration_since(now)))
        };
        for id in expired {
            let closed = tokio::time::timeout(CLOSING, self.manager.close_session(&id.as_str().into())).await;
            if !matches!(closed, Ok(Ok(()))) {
                tracing::debug!("an idle session did not hear that it ends");
            }
        }
        rest.max(GRAIN)
    }
}
