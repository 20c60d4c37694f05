//! Clients that are named by a URL, where a document says what they are (client id metadata documents,
//! draft-ietf-oauth-client-id-metadata-document).
//!
//! Owns how a client id becomes a described client: `url` judges the text, `connect` and `fetch` get the document
//! without being led elsewhere, `content` judges what it says; here it is kept for as long as HTTP lets it, and fetched once however many
//! ask. What was wrong is kept by nobody (the draft forbids it): a developer who mends a document sees it at the next
//! try, and the pace of fetching is bounded instead.

mod address;
mod connect;
mod content;
mod fetch;
mod turns;
mod url;

#[cfg(test)]
pub(super) mod tests;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::{future::Cache, policy::EvictionPolicy};
use tokio::sync::Semaphore;

use connect::World;
use content::ContentFault;
pub(super) use fetch::FetchFault;
use fetch::Fetcher;
use turns::Turns;
use url::Rules;
pub(super) use url::{DocumentUrl, UrlFault};

use super::{client::Metadata, redirect};

/// Most documents that are kept; the one that was not used for the longest time leaves first.
pub(super) const MAX_DOCUMENTS: u64 = 256;
/// Shortest and longest time that a document is kept, in seconds, whatever HTTP says. One of this machine is never kept:
/// it is being worked on.
const KEPT: (u64, u64) = (30, 24 * 60 * 60);
/// A redirect URI that a kept document does not hold makes it be fetched again, but not this soon; in seconds.
const RECHECK: u64 = 10;
/// Most documents that are being fetched at a time; further ones wait. As many as the pace lets begin at once, or a few
/// that are slow would hold up all others.
const MAX_FETCHES: usize = 64;
/// How long a sign-in waits for its turn and its document.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How fast documents are fetched, whoever asks: a stranger must not make this server knock at somebody's door at will.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) per_second: NonZeroU32,
    pub(super) burst: NonZeroU32,
}

impl Pace {
    const USUAL: Self = Self { per_second: NonZeroU32::new(5).unwrap(), burst: NonZeroU32::new(60).unwrap() };
}

/// A client as its document describes it.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) at: DocumentUrl,
    pub(super) metadata: Metadata,
    fetched_at: u64,
    fresh_until: u64,
}

impl Described {
    fn allows(&self, redirect_uri: Option<&str>) -> bool {
        let registered = &self.metadata.redirect_uris;
        redirect_uri.is_none_or(|uri| registered.iter().any(|known| redirect::matches(known, uri)))
    }
}

/// Why a client id that is a URL describes no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Url(#[from] UrlFault),
    #[error(transparent)]
    Fetch(#[from] FetchFault),
    #[error(transparent)]
    Content(#[from] ContentFault),
    #[error("this server fetches too many metadata documents now; try again in a moment")]
    Busy,
}

/// The documents.
pub(super) struct Documents {
    rules: Rules,
    fetcher: Fetcher,
    kept: Cache<String, Result<Arc<Described>, Fault>>,
    turns: Turns,
    places: Semaphore,
    pace: DefaultDirectRateLimiter,
    patience: Duration,
}

impl Documents {
    /// None yet. `own_origin` and `own_port` are this server's, `loopback_setting` is what an operator writes to have
    /// documents of this machine fetched.
    pub(super) fn new(loopback: bool, loopback_setting: &'static str, own_origin: String, own_port: u16) -> Self {
        let rules = Rules { loopback, loopback_setting, own_origin, own_port };
        Self::with(rules, World::real(), Pace::USUAL)
    }

    fn with(rules: Rules, world: World, pace: Pace) -> Self {
        let kept = Cache::builder()
            .max_capacity(MAX_DOCUMENTS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Duration::from_secs(KEPT.1))
            .build();
        let quota = Quota::per_second(pace.per_second).allow_burst(pace.burst);
        let (turns, places, pace) = (Turns::default(), Semaphore::new(MAX_FETCHES), RateLimiter::direct(quota));
        let patience = world.patience;
        Self { rules, fetcher: Fetcher::new(world), kept, turns, places, pace, patience }
    }

    /// Whether a client id may be where a document is. Fetches nothing.
    pub(super) fn check(&self, client_id: &str) -> Result<(), UrlFault> {
        DocumentUrl::read(client_id, &self.rules).map(drop)
    }

    /// The client that the document at `client_id` describes, kept or fetched; `now` in seconds since the epoch.
    /// Documents change: one that does not hold the `redirect_uri` that is asked for is fetched again.
    pub(super) async fn describe(
        &self,
        client_id: &str,
        redirect_uri: Option<&str>,
        now: u64,
    ) -> Result<Arc<Described>, Fault> {
        let at = DocumentUrl::read(client_id, &self.rules)?;
        let good = |described: &Described| described.fresh_until > now;
        let outdated = |described: &Described| {
            !described.allows(redirect_uri) && described.fetched_at.saturating_add(RECHECK) <= now
        };
        let before = self.kept.get(client_id).await.and_then(Result::ok).filter(|described| good(described));
        let fetch = async {
            let fetched = self.fetch(at, now).await;
            // A stranger who makes up a redirect URI must not make others lose the document.
            fetched.or_else(|fault| before.ok_or(fault))
        };
        let replace = |kept: &Result<Arc<Described>, Fault>| match kept {
            Ok(described) => !good(described) || outdated(described),
            Err(_) => true,
        };
        let entry = self.kept.entry_by_ref(client_id);
        entry.or_insert_with_if(fetch, replace).await.into_value()
    }

    async fn fetch(&self, at: DocumentUrl, now: u64) -> Result<Arc<Described>, Fault> {
        let fetch = async {
            let at_host = self.turns.at(at.url().host_str().unwrap_or_default()).await.ok_or(Fault::Busy)?;
            // After the wait: who asks one slow host again and again must not use up what others may fetch.
            self.pace.check().map_err(|_| Fault::Busy)?;
            let _place = self.places.acquire().await.map_err(|_| Fault::Busy)?;
            Ok::<_, Fault>(self.fetcher.fetch(&at, &at_host).await?)
        };
        let fetched = tokio::time::timeout(self.patience, fetch).await.map_err(|_| Fault::Busy)??;
        let metadata = content::read(at.as_str(), &fetched.body)?;
        let (shortest, longest) = if at.is_loopback() { (0, 0) } else { KEPT };
        let fresh_for = fetched.fresh_for.as_secs().clamp(shortest, longest);
        tracing::info!(client_id = at.as_str(), fresh_for, "client metadata fetched");
        Ok(Arc::new(Described { at, metadata, fetched_at: now, fresh_until: now.saturating_add(fresh_for) }))
    }
}
