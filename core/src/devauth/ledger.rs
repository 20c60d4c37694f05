//! What the server remembers between requests, every part of it bounded.
//!
//! Owns the records and their ends; decides nothing. The ledger sits behind one lock, so that "take this code" or
//! "rotate this token" happens once, whoever else asks at the same moment.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{client::Client, documents::DocumentUrl, opaque};

/// Most clients; the longest unused leaves first.
pub(super) const MAX_CLIENTS: usize = 1000;
/// Most sign-ins that await a decision, and most codes that await redemption; the oldest leaves first.
pub(super) const MAX_PENDING: usize = 1000;
/// Most grants; the one that would end first leaves first.
pub(super) const MAX_GRANTS: usize = 2000;
/// Most revocations that are remembered.
pub(super) const MAX_REVOCATIONS: usize = 10_000;
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
}

/// What a person once allowed a client: the family of all tokens that come from one code.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) scopes: Vec<String>,
    pub(super) resources: Vec<String>,
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

/// The name that all access tokens of a grant bear at the start of their `jti`. It is derived, so that who sees an
/// access token's id cannot name the grant at the token endpoint.
pub(super) fn series(grant_id: &str) -> String {
    let digest = opaque::digest(grant_id);
    digest.get(..22).unwrap_or_default().to_owned()
}

impl Ledger {
    pub(super) fn add_client(&mut self, client_id: String, client: Client) {
        make_room(&mut self.clients, MAX_CLIENTS, |client| client.last_used);
        self.clients.insert(client_id, client);
    }

    pub(super) fn add_grant(&mut self, grant_id: String, grant: Grant, now: u64) {
        self.grants.retain(|_, grant| grant.ends_at() > now);
        make_room(&mut self.grants, MAX_GRANTS, Grant::ends_at);
        self.grants.insert(grant_id, grant);
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
        }
    }
}

/// Drops the entry with the lowest rank while there is no room for one more.
fn make_room<V>(entries: &mut HashMap<String, V>, limit: usize, rank: impl Fn(&V) -> u64) {
    while entries.len() >= limit {
        let Some(key) = entries.iter().min_by_key(|(_, entry)| rank(entry)).map(|(key, _)| key.clone()) else { return };
        entries.remove(&key);
    }
}

/// Entries of one lifetime that are taken out once.
pub(super) struct Pending<V>(IndexMap<String, (u64, V)>);

impl<V> Default for Pending<V> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<V> Pending<V> {
    /// Adds an entry that ends after `ttl` seconds. All of a map have one `ttl`, so the oldest ends first.
    pub(super) fn add(&mut self, key: String, value: V, now: u64, ttl: u64) {
        while self.0.first().is_some_and(|(_, (ends_at, _))| *ends_at <= now) || self.0.len() >= MAX_PENDING {
            self.0.shift_remove_index(0);
        }
        self.0.insert(key, (now + ttl, value));
    }

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
        revoked.contains_key(token_id)
            || token_id.split_once('.').is_some_and(|(series, _)| revoked.contains_key(series))
    }

    /// Remembers one token until it expires; `false` if there is no room, for forgetting another would make that
    /// one valid again.
    #[must_use]
    pub(super) fn add_token(&self, token_id: String, expires_at: u64, now: u64) -> bool {
        let mut revoked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        revoked.retain(|_, ends_at| *ends_at > now);
        let room = revoked.len() < MAX_REVOCATIONS || revoked.contains_key(&token_id);
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
