//! What the server remembers between requests, every part of it bounded.
//!
//! Owns the records and their ends; decides nothing. The ledger sits behind one lock, so that "take this code" or
//! "rotate this token" happens once, whoever else asks at the same moment.

use std::{
    collections::{HashMap, HashSet},
    sync::{PoisonError, RwLock},
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{client::Client, documents::DocumentUrl, opaque};

/// Most clients. One that nobody has allowed anything leaves first, then one that nobody is signing in with, then one that
/// only registered, then the longest unused.
pub(super) const MAX_CLIENTS: usize = 1000;
/// Most sign-ins that await a decision, and most codes that await redemption; the oldest of the client with the most
/// leaves first.
pub(super) const MAX_PENDING: usize = 1000;
/// Most grants; of those of the client with the most, the one that would end first leaves first.
pub(super) const MAX_GRANTS: usize = 2000;
/// Most revocations that are remembered.
pub(super) const MAX_REVOCATIONS: usize = 100_000;
/// Most tokens of one sign-in, or of one client without people, whose revocation is remembered: nobody takes up the room
/// of the others.
pub(super) const MAX_REVOCATIONS_OF_ONE: usize = 100;
/// Seconds for a person to decide on the consent page.
pub(super) const TRANSACTION_TTL: u64 = 600;
/// Seconds to redeem a code; RFC 6749 section 4.1.2 advises ten minutes at most.
pub(super) const CODE_TTL: u64 = 60;

/// Everything but the revocations.
#[derive(Default)]
pub(super) struct Ledger {
    /// By client id.
    pub(super) clients: HashMap<String, Client>,
    /// By transaction id.
    pub(super) transactions: Pending<Transaction>,
    /// By the digest of the code.
    pub(super) codes: Pending<Code>,
    /// By grant id.
    pub(super) grants: HashMap<String, Grant>,
    /// How often what outlives a restart has changed.
    pub(super) changes: Changes,
}

/// Changes of what outlives a restart, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) clients: u64,
    /// Of grants and revocations.
    pub(super) grants: u64,
}

/// What belongs to a client.
pub(super) trait OfClient {
    fn client_id(&self) -> &str;
}

impl OfClient for Transaction {
    fn client_id(&self) -> &str {
        &self.client_id
    }
}

impl OfClient for Code {
    fn client_id(&self) -> &str {
        &self.client_id
    }
}

/// A valid authorization request that awaits a person's decision.
#[derive(Clone)]
pub(super) struct Transaction {
    /// The digest of the cookie that ties the transaction to the browser that began it.
    pub(super) browser_digest: String,
    pub(super) client_id: String,
    pub(super) applicant: Applicant,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) code_challenge: String,
    pub(super) scopes: Vec<String>,
    pub(super) resources: Vec<String>,
}

/// What a client was found to be when it sent the browser.
#[derive(Clone)]
pub(super) struct Applicant {
    /// The name that it gives itself.
    pub(super) name: Option<String>,
    pub(super) origin: Origin,
    /// Whether it gets a refresh token.
    pub(super) refreshes: bool,
}

/// Where what is known of a client comes from.
#[derive(Clone)]
pub(super) enum Origin {
    /// It registered itself at this time, in seconds since the epoch.
    Registration(u64),
    /// From the document that its id names.
    Document(DocumentUrl),
}

/// An authorization code that was not redeemed yet.
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) code_challenge: String,
    pub(super) subject: String,
    pub(super) scopes: Vec<String>,
    pub(super) resources: Vec<String>,
    /// Whether the client gets a refresh token.
    pub(super) refreshes: bool,
    /// The digest of the cookie of the browser that it was allowed in.
    pub(super) browser_digest: String,
}

/// What a person once allowed a client: the family of all tokens that come from one code.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) scopes: Vec<String>,
    pub(super) resources: Vec<String>,
    /// The digest of the cookie of the browser that it was allowed in; empty if that was not kept yet.
    #[serde(default)]
    pub(super) browser_digest: String,
    /// The digest of the code it comes from, to know a replay.
    pub(super) code_digest: String,
    /// The digest of the one refresh token that is valid now; `None` if the client gets none.
    pub(super) refresh_digest: Option<String>,
    /// When the refresh token was issued, and ends; seconds since the epoch.
    pub(super) refreshed_at: u64,
    pub(super) refresh_until: u64,
    /// When the last of its access tokens ends.
    pub(super) access_until: u64,
}

impl Grant {
    fn ends_at(&self) -> u64 {
        self.refresh_until.max(self.access_until)
    }
}

/// The name that all access tokens of a grant bear at the start of their `jti`, as do those that a client got for itself.
/// It is derived, so that who sees an access token's id cannot name the grant at the token endpoint.
pub(super) fn series(of: &str) -> String {
    let digest = opaque::digest(of);
    digest.get(..22).unwrap_or_default().to_owned()
}

/// The series that an access token is of, by its `jti`.
fn series_of(token_id: &str) -> Option<&str> {
    token_id.split_once('.').map(|(series, _)| series)
}

impl Ledger {
    pub(super) fn add_client(&mut self, client_id: String, client: Client, now: u64) {
        while self.clients.len() >= MAX_CLIENTS {
            let granted = self.grants.values().filter(|grant| grant.ends_at() > now);
            let granted: HashSet<&str> = granted.map(|grant| grant.client_id.as_str()).collect();
            let signing_in: HashSet<&str> = self.transactions.clients(now).chain(self.codes.clients(now)).collect();
            let rank = |(id, client): &(&String, &Client)| {
                let (id, came_back) = (id.as_str(), client.last_used > client.issued_at);
                (granted.contains(id), signing_in.contains(id), came_back, client.last_used)
            };
            let Some(first) = self.clients.iter().min_by_key(rank).map(|(id, _)| id.clone()) else { break };
            self.clients.remove(&first);
        }
        self.clients.insert(client_id, client);
        self.changes.clients += 1;
    }

    pub(super) fn add_grant(&mut self, grant_id: String, grant: Grant, now: u64) {
        self.grants.retain(|_, grant| grant.ends_at() > now);
        while self.grants.len() >= MAX_GRANTS {
            let crowd = Crowd::among(self.grants.values().map(|grant| grant.client_id.as_str()));
            let of_crowd = self.grants.iter().filter(|(_, grant)| crowd.holds(&grant.client_id));
            let Some(first) = of_crowd.min_by_key(|(_, grant)| grant.ends_at()).map(|(id, _)| id.clone()) else {
                break;
            };
            self.grants.remove(&first);
        }
        self.put_grant(grant_id, grant);
    }

    /// Puts a grant in the place of what it was before.
    pub(super) fn put_grant(&mut self, grant_id: String, grant: Grant) {
        self.grants.insert(grant_id, grant);
        self.changes.grants += 1;
    }

    /// The id of the grant that was made from this code.
    pub(super) fn grant_of_code(&self, code_digest: &str) -> Option<String> {
        self.grants.iter().find(|(_, grant)| grant.code_digest == code_digest).map(|(id, _)| id.clone())
    }

    /// The grants of a client that have not ended.
    pub(super) fn grants_of(&self, client_id: &str, now: u64) -> impl Iterator<Item = &Grant> {
        self.grants.values().filter(move |grant| grant.client_id == client_id && grant.ends_at() > now)
    }

    /// Ends a grant with all its tokens.
    pub(super) fn revoke_grant(&mut self, grant_id: &str, revocations: &Revocations, now: u64) {
        if let Some(grant) = self.grants.remove(grant_id) {
            revocations.add_series(series(grant_id), grant.access_until, now);
            self.changes.grants += 1;
        }
    }
}

/// The clients that have the most of something: who brings much makes room by its own.
struct Crowd<'a> {
    counts: HashMap<&'a str, usize>,
    most: usize,
}

impl<'a> Crowd<'a> {
    fn among(clients: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = HashMap::new();
        for client in clients {
            *counts.entry(client).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        Self { counts, most }
    }

    fn holds(&self, client: &str) -> bool {
        self.counts.get(client) == Some(&self.most)
    }
}

/// Entries of one lifetime that are taken out once.
pub(super) struct Pending<V>(IndexMap<String, (u64, V)>);

impl<V> Default for Pending<V> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<V: OfClient> Pending<V> {
    /// Adds an entry that ends after `ttl` seconds. All of a map have one `ttl`, so the oldest ends first.
    pub(super) fn add(&mut self, key: String, value: V, now: u64, ttl: u64) {
        while self.0.first().is_some_and(|(_, (ends_at, _))| *ends_at <= now) {
            self.0.shift_remove_index(0);
        }
        while self.0.len() >= MAX_PENDING {
            let crowd = Crowd::among(self.0.values().map(|(_, value)| value.client_id()));
            let oldest = self.0.values().position(|(_, value)| crowd.holds(value.client_id()));
            self.0.shift_remove_index(oldest.unwrap_or_default());
        }
        self.0.insert(key, (now + ttl, value));
    }

    /// The clients of what has not ended.
    fn clients(&self, now: u64) -> impl Iterator<Item = &str> {
        self.0.values().filter(move |(ends_at, _)| *ends_at > now).map(|(_, value)| value.client_id())
    }
}

impl<V> Pending<V> {
    pub(super) fn peek(&self, key: &str, now: u64) -> Option<&V> {
        self.0.get(key).filter(|(ends_at, _)| *ends_at > now).map(|(_, value)| value)
    }

    #[cfg(test)]
    pub(super) fn only(&self) -> Option<&V> {
        self.0.first().filter(|_| self.0.len() == 1).map(|(_, (_, value))| value)
    }

    pub(super) fn take(&mut self, key: &str, now: u64) -> Option<V> {
        self.0.shift_remove(key).filter(|(ends_at, _)| *ends_at > now).map(|(_, value)| value)
    }
}

/// Access tokens that are refused before they expire: single ones by `jti`, or all of a grant by their series.
/// Apart from the ledger, because every call to a resource asks here and must not wait for a file to be written.
#[derive(Default)]
pub(super) struct Revocations(RwLock<HashMap<String, u64>>);

impl Revocations {
    pub(super) fn restore(entries: HashMap<String, u64>) -> Self {
        Self(RwLock::new(entries))
    }

    pub(super) fn holds(&self, token_id: &str) -> bool {
        let revoked = self.0.read().unwrap_or_else(PoisonError::into_inner);
        revoked.contains_key(token_id) || series_of(token_id).is_some_and(|series| revoked.contains_key(series))
    }

    /// Remembers one token until it expires; `false` if there is no room, or none for more of its series, for forgetting
    /// another would make that one valid again.
    #[must_use]
    pub(super) fn add_token(&self, token_id: String, expires_at: u64, now: u64) -> bool {
        let mut revoked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        revoked.retain(|_, ends_at| *ends_at > now);
        let own = series_of(&token_id);
        let of_own = revoked.keys().filter(|id| own.is_some() && series_of(id) == own).count();
        let room = revoked.len() < MAX_REVOCATIONS && of_own < MAX_REVOCATIONS_OF_ONE;
        let room = room || revoked.contains_key(&token_id);
        if room {
            revoked.insert(token_id, expires_at);
        }
        room
    }

    /// Remembers a grant's series. There is always room: each comes from one of at most [`MAX_GRANTS`] grants, which a
    /// person allowed, and forgetting another entry would make that one valid again.
    fn add_series(&self, series: String, ends_at: u64, now: u64) {
        let mut revoked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        revoked.retain(|_, ends_at| *ends_at > now);
        revoked.insert(series, ends_at);
    }

    pub(super) fn entries(&self) -> HashMap<String, u64> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
