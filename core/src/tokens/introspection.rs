//! Asking the provider about a token: RFC 7662, with our client credentials.
//!
//! Owns what keeps callers from burdening the provider and an outage from burdening callers: one question a token at a
//! time, however many wait for its answer; a bound on questions under way; a short memory of tokens that were refused;
//! a pause after a failure. Must not know profiles beyond the credentials; what the answer's members are worth is
//! judged in `claims`.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::Shared};
use http::{StatusCode, header::ACCEPT};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use url::{Url, form_urlencoded};

use crate::config::Secret;

use super::{
    clock::Clock,
    jws::Members,
    metadata::{Discovery, Endpoint},
    outage::{FIRST_PAUSE, Leave, Outage},
    provider::{ProviderClient, Unreachable},
    remembered::{Digest, Refused},
    verdict::{InvalidToken, VerifyError},
};

/// When to ask again after the provider would not judge one token.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Most questions under way at a time.
const MOST_ASKED: usize = 32;
/// Most questions under way and waiting; a flood of invented tokens is held to this.
const MOST_WAITING: usize = 1024;
/// How long a question may wait for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What the provider says about an active token, or why there is nothing to believe.
pub(super) type Said = Result<Arc<Map<String, Value>>, VerifyError>;

/// A question that goes on whether or not anyone still waits for its answer.
type Flight = Shared<Pin<Box<dyn Future<Output = Said> + Send>>>;

/// An introspection endpoint.
pub(super) struct Introspection {
    client: Arc<ProviderClient>,
    discovery: Arc<Discovery>,
    credentials: Credentials,
    clock: Clock,
    refused: Refused,
    in_flight: Mutex<HashMap<Digest, Flight>>,
    places: Semaphore,
    behaviour: Mutex<Behaviour>,
}

/// Where to ask, and who we are there.
pub(super) struct Credentials {
    pub(super) endpoint: Option<Url>,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
}

/// How the provider behaved lately.
struct Behaviour {
    outage: Outage,
    /// It would not judge the last token; said once in the log.
    balks: bool,
}

impl Introspection {
    pub(super) fn new(
        client: Arc<ProviderClient>,
        discovery: Arc<Discovery>,
        credentials: Credentials,
        clock: Clock,
    ) -> Arc<Self> {
        // "encoded using the application/x-www-form-urlencoded encoding algorithm" (RFC 6749 section 2.3.1).
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let credentials = Credentials {
            client_id: encoded(&credentials.client_id),
            client_secret: Secret::new(encoded(credentials.client_secret.expose())),
            ..credentials
        };
        Arc::new(Self {
            client,
            discovery,
            credentials,
            clock,
            refused: Refused::new(),
            in_flight: Mutex::default(),
            places: Semaphore::new(MOST_ASKED),
            behaviour: Mutex::new(Behaviour { outage: Outage::of("introspection"), balks: false }),
        })
    }

    /// What the provider says about an active token.
    pub(super) async fn ask(self: &Arc<Self>, token: &str, digest: Digest) -> Said {
        if let Some(invalid) = self.refused.recall(&digest, self.clock.steady()) {
            return Err(invalid.into());
        }
        let flight = self.depart(token, digest)?;
        flight.await
    }

    /// Remember for a moment that this token does not hold.
    pub(super) fn refuse(&self, digest: Digest, invalid: InvalidToken) {
        self.refused.keep(digest, invalid, self.clock.steady());
    }

    /// The question under way about this token, or a new one.
    fn depart(self: &Arc<Self>, token: &str, digest: Digest) -> Result<Flight, VerifyError> {
        let mut in_flight = locked(&self.in_flight);
        if let Some(flight) = in_flight.get(&digest) {
            return Ok(flight.clone());
        }
        let behaviour = locked(&self.behaviour);
        if let Some(left) = behaviour.outage.pause(self.clock.steady()) {
            return Err(lost(&behaviour.outage, left));
        }
        drop(behaviour);
        if in_flight.len() >= MOST_WAITING {
            return Err(busy());
        }
        let (landing, token) = (Landing { of: Arc::clone(self), digest }, token.to_owned());
        let task = tokio::spawn(async move { landing.of.question(&token, digest).await });
        let flight = task.map(|ended| ended.unwrap_or_else(|_| Err(busy()))).boxed().shared();
        in_flight.insert(digest, flight.clone());
        Ok(flight)
    }

    async fn question(&self, token: &str, digest: Digest) -> Said {
        let Ok(Ok(_place)) = tokio::time::timeout(LONGEST_WAIT, self.places.acquire()).await else {
            return Err(busy());
        };
        // While this one waited for its turn, others may have found that the provider is gone.
        let leave = {
            let outage = &mut locked(&self.behaviour).outage;
            outage.admit(self.clock.steady()).map_err(|left| lost(outage, left))?
        };
        let answer = self.answer(token).await;
        let now = self.clock.steady();
        match answer {
            Ok(mut members) => {
                let mut behaviour = locked(&self.behaviour);
                behaviour.outage.ended();
                behaviour.balks = false;
                drop(behaviour);
                match members.remove("active") {
                    Some(Value::Bool(true)) => Ok(Arc::new(members)),
                    _ => {
                        self.refuse(digest, InvalidToken::Inactive);
                        Err(InvalidToken::Inactive.into())
                    }
                }
            }
            Err(failure) if is_about_the_question(&failure) => {
                let mut behaviour = locked(&self.behaviour);
                behaviour.outage.ended();
                if !std::mem::replace(&mut behaviour.balks, true) {
                    tracing::warn!(reason = %failure, "the authorization server will not judge a token");
                }
                Err(VerifyError::Unavailable { reason: failure.to_string(), retry_after: RETRY_AFTER })
            }
            Err(failure) => {
                let outage = &mut locked(&self.behaviour).outage;
                // Questions that were under way together fail together: one failure, not many.
                if leave == Leave::Probe || !outage.is_on() {
                    outage.failed(&failure, now);
                }
                let retry_after = outage.pause(now).unwrap_or(FIRST_PAUSE);
                Err(VerifyError::Unavailable { reason: failure.to_string(), retry_after })
            }
        }
    }

    async fn answer(&self, token: &str) -> Result<Map<String, Value>, Unreachable> {
        let Credentials { endpoint, client_id, client_secret } = &self.credentials;
        let url = match endpoint {
            Some(url) => url.clone(),
            None => self.discovery.endpoint(Endpoint::Introspection).await?,
        };
        let question = [("token", token), ("token_type_hint", "access_token")];
        let post = |client: &reqwest::Client| {
            client
                .post(url.clone())
                .header(ACCEPT, "application/json")
                .basic_auth(client_id, Some(client_secret.expose()))
                .form(&question)
        };
        let answer = self.client.send(&url, post).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let problem = "refuses our credentials; check `introspection.client_id` and `client_secret`";
                return Err(Unreachable::Unusable { url: url.to_string(), problem });
            }
            status => return Err(Unreachable::Status { url: url.to_string(), status: status.as_u16() }),
        }
        let unusable = || Unreachable::Unusable { url: url.to_string(), problem: "is no introspection response" };
        let Members(members) = serde_json::from_slice(&answer.body).map_err(|_| unusable())?;
        // `active` is the one member that must be there (RFC 7662 section 2.2): without it nothing was said.
        if members.get("active").is_some_and(Value::is_boolean) { Ok(members) } else { Err(unusable()) }
    }
}

/// Takes the flight off the list when its question ends, however it ends.
struct Landing {
    of: Arc<Introspection>,
    digest: Digest,
}

impl Drop for Landing {
    fn drop(&mut self) {
        locked(&self.of.in_flight).remove(&self.digest);
    }
}

/// Whether the failure may lie in what was asked: a provider that answers a malformed token with 400 still judges the
/// others, and a pause would let anyone with such a token keep everyone out.
fn is_about_the_question(failure: &Unreachable) -> bool {
    matches!(failure, Unreachable::Status { status: 400 | 413 | 414 | 422 | 431, .. })
}

fn lost(outage: &Outage, left: Duration) -> VerifyError {
    let reason = outage.reason().unwrap_or("the authorization server does not answer").to_owned();
    // `Retry-After` counts whole seconds (RFC 9110 section 10.2.3).
    VerifyError::Unavailable { reason, retry_after: left.max(FIRST_PAUSE) }
}

fn busy() -> VerifyError {
    let reason = "too many tokens wait for the authorization server's word".to_owned();
    VerifyError::Unavailable { reason, retry_after: FIRST_PAUSE }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
