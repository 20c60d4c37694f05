//! The provider's keys, as we know them now.
//!
//! Owns when the key set is fetched: on first need; once for all who wait; again after an hour, in the background; at
//! once for a `kid` that it does not hold, though at most once in 30 s; not right after a failure. What was known is
//! served through an outage. Must not know tokens beyond the key that they name.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use futures_util::{FutureExt, future::Shared};
use http::StatusCode;
use jsonwebtoken::jwk::JwkSet;
use url::Url;

use crate::config::Algorithm;

use super::{
    clock::Clock,
    keys::KeySet,
    metadata::{Discovery, Endpoint},
    outage::{FIRST_PAUSE, Outage},
    provider::{ProviderClient, Unreachable},
};

/// How old a set may be before it is fetched again.
const FRESH: Duration = Duration::from_secs(3600);
/// Fetches for unknown keys are this far apart.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);

/// Keys with the number of their change.
#[derive(Debug)]
pub(super) struct Current {
    /// The keys.
    pub(super) keys: KeySet,
    /// Grows whenever the keys differ from those before.
    pub(super) generation: u64,
    since: Instant,
}

/// No keys are known.
#[derive(Debug, Clone)]
pub(super) struct Keyless {
    pub(super) reason: String,
    pub(super) retry_after: Duration,
}

/// The keys of a provider out there.
pub(super) struct Keyring {
    location: Location,
    accepted: Vec<Algorithm>,
    client: Arc<ProviderClient>,
    clock: Clock,
    current: ArcSwapOption<Current>,
    schedule: Mutex<Schedule>,
}

/// Where the key set is.
pub(super) enum Location {
    At(Url),
    Named(Arc<Discovery>),
}

struct Schedule {
    in_flight: Option<Flight>,
    outage: Outage,
    unknown_key_asked: Option<Instant>,
}

/// A fetch that goes on whether or not anyone still waits for it.
type Flight = Shared<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Keyring {
    pub(super) fn new(
        location: Location,
        accepted: Vec<Algorithm>,
        client: Arc<ProviderClient>,
        clock: Clock,
    ) -> Arc<Self> {
        let current = ArcSwapOption::empty();
        let schedule = Mutex::new(Schedule { in_flight: None, outage: Outage::of("keys"), unknown_key_asked: None });
        Arc::new(Self { location, accepted, client, clock, current, schedule })
    }

    /// The number of the last change; 0 before the first keys.
    pub(super) fn generation(&self) -> u64 {
        self.current.load().as_ref().map_or(0, |current| current.generation)
    }

    /// The keys, fetched if there are none. Old ones are fetched anew: behind the caller's back as a rule; before its
    /// eyes if they are so old that the server must have been idle, since a key may have been withdrawn meanwhile.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<Current>, Keyless> {
        let now = self.clock.steady();
        let Some(current) = self.current.load_full() else {
            let flight = self.depart(&mut self.schedule(), now);
            if let Some(flight) = flight {
                flight.await;
            }
            return self.current.load_full().ok_or_else(|| self.keyless());
        };
        let age = now.saturating_duration_since(current.since);
        if age < FRESH {
            return Ok(current);
        }
        let (flight, failing) = {
            let mut schedule = self.schedule();
            (self.depart(&mut schedule, now), schedule.outage.is_on())
        };
        match flight {
            Some(flight) if age > 2 * FRESH && !failing => {
                flight.await;
                Ok(self.current.load_full().unwrap_or(current))
            }
            _ => Ok(current),
        }
    }

    /// The keys after one of them was missing from `seen`. If the provider cannot be asked, or was asked a moment ago,
    /// what is known stands: then the key is unknown and the token invalid. Calling it "unavailable" instead would let
    /// anyone with an invented `kid` turn each pause into an outage.
    pub(super) async fn after_unknown_key(self: &Arc<Self>, seen: &Arc<Current>) -> Option<Arc<Current>> {
        let newer = || self.current.load_full().filter(|current| current.generation != seen.generation);
        if let Some(newer) = newer() {
            return Some(newer);
        }
        let now = self.clock.steady();
        let flight = {
            let mut schedule = self.schedule();
            let asked_lately =
                schedule.unknown_key_asked.is_some_and(|at| now.saturating_duration_since(at) < UNKNOWN_KEY_PAUSE);
            if asked_lately && schedule.in_flight.is_none() {
                return None;
            }
            let flight = self.depart(&mut schedule, now)?;
            schedule.unknown_key_asked = Some(now);
            flight
        };
        flight.await;
        newer()
    }

    /// The fetch under way, or a new one, or none so soon after a failure.
    fn depart(self: &Arc<Self>, schedule: &mut Schedule, now: Instant) -> Option<Flight> {
        if let Some(flight) = &schedule.in_flight {
            return Some(flight.clone());
        }
        if schedule.outage.pause(now).is_some() {
            return None;
        }
        let landing = Landing(Arc::clone(self));
        let task = tokio::spawn(async move { landing.0.fetch().await });
        let flight: Flight = task.map(drop).boxed().shared();
        schedule.in_flight = Some(flight.clone());
        Some(flight)
    }

    async fn fetch(&self) {
        let fetched = self.key_set().await;
        let now = self.clock.steady();
        let mut schedule = self.schedule();
        match fetched {
            Ok(keys) => {
                let before = self.current.load();
                let generation = match before.as_ref() {
                    None => 1,
                    Some(before) if before.keys == keys => before.generation,
                    Some(before) => before.generation + 1,
                };
                self.current.store(Some(Arc::new(Current { keys, generation, since: now })));
                schedule.outage.ended();
            }
            Err(unreachable) => schedule.outage.failed(&unreachable, now),
        }
    }

    async fn key_set(&self) -> Result<KeySet, Unreachable> {
        let url = match &self.location {
            Location::At(url) => url.clone(),
            Location::Named(discovery) => discovery.endpoint(Endpoint::Keys).await?,
        };
        let answer = self.client.fetch(&url).await?;
        if answer.status != StatusCode::OK {
            return Err(Unreachable::Status { url: url.to_string(), status: answer.status.as_u16() });
        }
        let problem =
            |problem: super::keys::NoKeys| Unreachable::Unusable { url: url.to_string(), problem: problem.text() };
        KeySet::parse(&answer.body, &self.accepted).map_err(problem)
    }

    fn keyless(&self) -> Keyless {
        let schedule = self.schedule();
        let pause = schedule.outage.pause(self.clock.steady()).unwrap_or(FIRST_PAUSE).max(FIRST_PAUSE);
        let reason = schedule.outage.reason().unwrap_or("the authorization server's keys are not known").to_owned();
        Keyless { reason, retry_after: pause }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        // Nothing panics while it is held, and each field stands on its own.
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the flight off the schedule when its fetch ends, however it ends.
struct Landing(Arc<Keyring>);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.schedule().in_flight = None;
    }
}

/// Keys in this process: read once, since they are the same for as long as the process runs.
pub(super) struct LocalKeys {
    current: Result<Current, Keyless>,
}

impl LocalKeys {
    pub(super) fn new(set: &JwkSet, accepted: &[Algorithm], clock: &Clock) -> Self {
        let keyless = |problem: &str| Keyless {
            reason: format!("the development authorization server's key set {problem}"),
            retry_after: FIRST_PAUSE,
        };
        let keys = serde_json::to_vec(set)
            .map_err(|_| keyless("cannot be written as JSON"))
            .and_then(|json| KeySet::parse(&json, accepted).map_err(|problem| keyless(problem.text())))
            .inspect_err(|keyless| tracing::error!(reason = keyless.reason, "no token can be verified"));
        Self { current: keys.map(|keys| Current { keys, generation: 1, since: clock.steady() }) }
    }

    /// The keys.
    pub(super) fn current(&self) -> Result<&Current, Keyless> {
        self.current.as_ref().map_err(Clone::clone)
    }
}
