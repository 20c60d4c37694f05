//! How many `subscriptions/listen` streams there may be (protocol revision 2026-07-28). They belong to no session, so
//! they are counted by themselves, under the bounds that sessions have.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::Response;

use super::{Body, stream};
use crate::{config, policy::PrincipalId};

type Table = Arc<Mutex<HashMap<PrincipalId, usize>>>;

/// The open streams of one endpoint.
pub(super) struct Listeners {
    table: Table,
    most: usize,
    most_each: usize,
}

/// A place for one stream; given back when dropped.
pub(super) struct Seat {
    table: Table,
    owner: PrincipalId,
}

fn lock(table: &Table) -> MutexGuard<'_, HashMap<PrincipalId, usize>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listeners {
    pub(super) fn new(server: &config::Server) -> Self {
        Self { table: Table::default(), most: server.max_sessions, most_each: server.max_sessions_per_principal }
    }

    /// A place for another stream of this principal, if there is one.
    pub(super) fn admit(&self, principal: &PrincipalId) -> Option<Seat> {
        let mut table = lock(&self.table);
        let own = table.get(principal).copied().unwrap_or_default();
        if own >= self.most_each || table.values().sum::<usize>() >= self.most {
            return None;
        }
        table.insert(principal.clone(), own + 1);
        Some(Seat { table: Arc::clone(&self.table), owner: principal.clone() })
    }
}

impl Seat {
    /// The same answer, which keeps the place until its body is gone: sent, or left by its client.
    pub(super) fn kept_by(self, response: Response<Body>) -> Response<Body> {
        stream::keeping(self, response)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        let left = table.get(&self.owner).map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            table.remove(&self.owner);
        } else {
            table.insert(self.owner.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};

    use super::*;

    fn principal(subject: &str) -> PrincipalId {
        PrincipalId { provider: "p".into(), subject: subject.into(), client_id: None }
    }

    #[test]
    fn places_are_bounded_for_each_principal_and_for_all_and_come_back() {
        let server = config::Server { max_sessions: 3, max_sessions_per_principal: 2, ..config::Server::default() };
        let listeners = Listeners::new(&server);
        let (ann, bob) = (principal("ann"), principal("bob"));
        let first = listeners.admit(&ann);
        let second = listeners.admit(&ann);
        assert!(first.is_some() && second.is_some());
        assert!(listeners.admit(&ann).is_none(), "a third of one principal");
        let third = listeners.admit(&bob);
        assert!(third.is_some());
        assert!(listeners.admit(&bob).is_none(), "a fourth of all");
        drop(first);
        let again = listeners.admit(&ann);
        assert!(again.is_some(), "a place came back");
        drop((second, third, again));
        assert!(lock(&listeners.table).is_empty(), "nobody is remembered who listens no more");
    }

    #[test]
    fn an_answer_keeps_its_place_as_long_as_its_body_lives() {
        let server = config::Server { max_sessions_per_principal: 1, ..config::Server::default() };
        let listeners = Listeners::new(&server);
        let ann = principal("ann");
        let seat = listeners.admit(&ann);
        let response = seat.map(|seat| seat.kept_by(Response::new(Empty::new().boxed())));
        assert!(listeners.admit(&ann).is_none());
        drop(response);
        assert!(listeners.admit(&ann).is_some());
    }
}
