//! The tools of one endpoint in rmcp's types, and who is to be told when the list that they see has changed.
//!
//! What a principal sees is the policy's to say ([`Registry::visible`]); here it is only remembered and compared.
//! Knows nothing of transports: a [`Watch`] says when to tell, its holder how.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use rmcp::model::Tool;
use tokio::sync::watch;

use super::convert;
use crate::{
    host::{Current, Registry},
    policy::Principal,
};

/// The tools of an endpoint in one registry, converted once.
pub(super) struct Listing {
    /// Held weakly: a registry that was replaced goes when its last call ends, whoever remembers its tools.
    registry: Weak<Registry>,
    tools: Vec<Tool>,
    /// Whether some tool's parameters are mirrored into headers (`x-mcp-header`).
    mirrored: bool,
}

impl Listing {
    fn new(endpoint: &str, registry: &Arc<Registry>) -> Self {
        let rules = registry.policy().endpoint(endpoint).into_iter().flat_map(|rules| rules.tools.values());
        let offered = rules.filter_map(|rule| registry.tool(endpoint, &rule.name));
        let tools: Vec<_> = offered.map(|offered| convert::tool(&offered.tool)).collect();
        let marks =
            |tool: &Tool| serde_json::to_string(&tool.input_schema).is_ok_and(|text| text.contains("\"x-mcp-header\""));
        let mirrored = tools.iter().any(marks);
        Self { registry: Arc::downgrade(registry), tools, mirrored }
    }

    /// The schema-bearing tool of this name, if some tool of the listing has parameters in headers.
    pub(super) fn mirrored(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| self.mirrored && tool.name == name).cloned()
    }
}

/// The tools that one principal saw at one moment.
#[derive(Clone)]
pub(super) struct Seen {
    listing: Arc<Listing>,
    visible: Vec<usize>,
}

impl Seen {
    /// In their stable order, with their schemas and the scopes that they need.
    pub(super) fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.visible.iter().filter_map(|&index| self.listing.tools.get(index))
    }

    fn differs_from(&self, other: &Self) -> bool {
        (!Arc::ptr_eq(&self.listing, &other.listing) || self.visible != other.visible)
            && !self.tools().eq(other.tools())
    }
}

/// The listings of one endpoint: that of the registry that serves now is kept.
pub(super) struct Listings {
    endpoint: Arc<str>,
    registry: Current,
    latest: ArcSwapOption<Listing>,
}

impl Listings {
    pub(super) fn new(endpoint: Arc<str>, registry: Current) -> Self {
        Self { endpoint, registry, latest: ArcSwapOption::empty() }
    }

    pub(super) fn endpoint(&self) -> &Arc<str> {
        &self.endpoint
    }

    /// The registry of this moment.
    pub(super) fn registry(&self) -> Arc<Registry> {
        self.registry.load()
    }

    /// The listing of a registry.
    pub(super) fn of(&self, registry: &Arc<Registry>) -> Arc<Listing> {
        let is_of = |listing: &Arc<Listing>| std::ptr::eq(listing.registry.as_ptr(), Arc::as_ptr(registry));
        if let Some(listing) = self.latest.load_full().filter(is_of) {
            return listing;
        }
        let listing = Arc::new(Listing::new(&self.endpoint, registry));
        // A call that began in a replaced registry must not push out the listing that everybody else asks for.
        if Arc::ptr_eq(registry, &self.registry.load()) {
            self.latest.store(Some(Arc::clone(&listing)));
        }
        listing
    }

    /// What a principal sees in a registry.
    pub(super) fn seen(&self, registry: &Arc<Registry>, principal: &Principal) -> Seen {
        let listing = self.of(registry);
        let visible = registry.visible(&self.endpoint, Some(principal));
        let index = |name: &str| listing.tools.iter().position(|tool| tool.name == name);
        let visible = visible.filter_map(|offered| index(&offered.tool.name)).collect();
        Seen { listing, visible }
    }
}

/// Who listens, and what they saw before they were told that they do. Holds no registry, for it may live long.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) principal: Arc<Principal>,
    seen: Seen,
}

impl Listener {
    /// Somebody who sees what `registry` shows them.
    pub(super) fn new(listings: &Listings, registry: &Arc<Registry>, principal: Arc<Principal>) -> Self {
        let seen = listings.seen(registry, &principal);
        Self { principal, seen }
    }

    /// Tell when that changes, or has changed already.
    pub(super) fn watch(&self, listings: &Arc<Listings>) -> Watch {
        let mut swaps = listings.registry.subscribe();
        swaps.mark_changed();
        Watch { listings: Arc::clone(listings), swaps, seen: self.seen.clone() }
    }
}

/// Tells when the list that a principal sees has changed.
pub(super) struct Watch {
    listings: Arc<Listings>,
    swaps: watch::Receiver<u64>,
    seen: Seen,
}

impl Watch {
    /// Wait until the list has changed for who the principal is by then. However many swaps came meanwhile, they
    /// are one change: nothing queues up for a client that is slow. May be dropped at any time and called again.
    pub(super) async fn changed(&mut self, principal: impl Fn() -> Arc<Principal>) {
        loop {
            if self.swaps.changed().await.is_err() {
                // Nobody can swap any more.
                return std::future::pending().await;
            }
            let seen = self.listings.seen(&self.listings.registry(), &principal());
            let changed = seen.differs_from(&self.seen);
            self.seen = seen;
            if changed {
                return;
            }
        }
    }
}
