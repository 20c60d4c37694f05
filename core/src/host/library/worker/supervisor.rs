//! Keeps a worker running: one life after the other, with pauses that grow, until it is closed or has died too often.
//!
//! The [`Link`] that callers have is the same through all lives. A request that comes between two lives waits if the
//! next one is near, and is told to come back otherwise.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use toolgate_abi::method;
use toolgate_plugin::Health;

use super::{
    super::{
        link::{Link, Pending, Reply},
        manifest::Manifest,
    },
    Spec,
    handshake::Refusal,
    life::{Death, End, Life},
    obituary::{humantime, ordinal},
    pauses::{SHORT, pause},
    voice::Voice,
};

/// A request waits for a start that is this near.
const NEAR: Duration = Duration::from_secs(1);
/// Most requests that wait for a start.
const WAITING: usize = 4096;

/// A worker that has opened its library and waits to be told the settings.
pub(in super::super) struct Opened {
    spec: Spec,
    life: Life,
    manifest: Manifest,
}

/// Start a worker and have it open its library.
///
/// # Errors
/// The worker cannot be started, or the library cannot be opened: the words are those of the open itself.
pub(in super::super) async fn open(spec: Spec) -> Result<Opened, Refusal> {
    let (life, manifest) = Life::start(&spec).await?;
    Ok(Opened { spec, life, manifest })
}

impl Opened {
    /// Who the plugin is.
    pub(in super::super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Create the instance; `params` are those of `create`. They are kept for later lives.
    ///
    /// # Errors
    /// The plugin's refusal, or its death.
    pub(in super::super) async fn create(mut self, params: Vec<u8>) -> Result<Arc<dyn Link>, Refusal> {
        self.life.create(&self.spec, &params, None).await?;
        let worker = Arc::new(Worker {
            spec: self.spec,
            params,
            tools: Mutex::default(),
            state: Mutex::new(State::Up(Arc::clone(&self.life.voice))),
            ids: AtomicU64::new(1),
            closing: CancellationToken::new(),
            dropped: CancellationToken::new(),
            done: CancellationToken::new(),
        });
        let held = worker.dropped.clone().drop_guard();
        tokio::spawn(Arc::clone(&worker).keep(self.life));
        Ok(Arc::new(Held { worker, _held: held }))
    }
}

/// What callers hold; the worker ends with the last of it.
struct Held {
    worker: Arc<Worker>,
    _held: DropGuard,
}

struct Worker {
    spec: Spec,
    params: Vec<u8>,
    /// The last answer to `tools/list`, over all lives.
    tools: Mutex<Option<Vec<u8>>>,
    state: Mutex<State>,
    ids: AtomicU64,
    /// End it in good order.
    closing: CancellationToken,
    /// Nobody is interested any more.
    dropped: CancellationToken,
    /// It has ended for good.
    done: CancellationToken,
}

enum State {
    Up(Arc<Voice>),
    /// The next life begins within [`NEAR`]; why there is none now.
    Near(Vec<Asked>, String),
    /// The next life begins then.
    Far(Instant, String),
    /// There will be none.
    Over(String),
}

/// A request that waits for a life.
struct Asked {
    id: u64,
    method: &'static str,
    params: Vec<u8>,
    deadline: Option<Instant>,
    reply: oneshot::Sender<Reply>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled {
    request_id: u64,
}

#[async_trait::async_trait]
impl Link for Held {
    fn request(&self, method: &'static str, params: Vec<u8>, deadline: Option<Instant>) -> Pending {
        let id = self.worker.ids.fetch_add(1, Ordering::Relaxed);
        let (reply, pending) = oneshot::channel();
        self.worker.ask(Asked { id, method, params, deadline, reply });
        Pending { id, reply: pending }
    }

    fn notify(&self, method: &'static str, params: Vec<u8>) {
        let cancelled = (method == method::CANCELLED)
            .then(|| serde_json::from_slice::<Cancelled>(&params).ok())
            .flatten()
            .map(|cancelled| cancelled.request_id);
        let voice = match &mut *self.worker.state() {
            State::Up(voice) => Arc::clone(voice),
            State::Near(waiting, _) => {
                waiting.retain(|asked| Some(asked.id) != cancelled);
                return;
            }
            State::Far(..) | State::Over(_) => return,
        };
        if let Some(id) = cancelled {
            voice.given_up(id);
        }
        voice.notify(method, &params);
    }

    fn health(&self) -> Health {
        match &*self.worker.state() {
            State::Up(_) => Health::Ready,
            State::Near(_, why) => Health::Degraded(format!("{why}; it is being started again")),
            State::Far(at, why) => {
                Health::Degraded(format!("{why}; it is started again in {}", humantime(seconds_until(*at))))
            }
            State::Over(why) => Health::Degraded(why.clone()),
        }
    }

    async fn close(&self) {
        self.worker.closing.cancel();
        self.worker.done.cancelled().await;
    }
}

fn seconds_until(at: Instant) -> Duration {
    Duration::from_secs(at.saturating_duration_since(Instant::now()).as_secs() + 1)
}

impl Worker {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, asked: Asked) {
        let mut state = self.state();
        let gone = match &mut *state {
            State::Up(voice) => {
                let voice = Arc::clone(voice);
                drop(state);
                voice.request(asked.id, asked.method, &asked.params, asked.deadline, asked.reply);
                return;
            }
            State::Near(waiting, _) if waiting.len() < WAITING => {
                waiting.push(asked);
                return;
            }
            State::Near(_, why) => format!("{why}; it is being started again, so try again in a moment"),
            State::Far(at, why) => {
                format!("{why}; it is started again in {}, so try again then", humantime(seconds_until(*at)))
            }
            State::Over(why) => why.clone(),
        };
        let _ = asked.reply.send(Reply::Gone(gone));
    }

    /// A new state. Those who waited are answered, unless they go on to wait or are asked at once.
    fn become_(&self, next: State) {
        let before = {
            let mut state = self.state();
            match (&mut *state, next) {
                (State::Near(_, why), State::Near(_, new)) => {
                    *why = new;
                    return;
                }
                (state, next) => std::mem::replace(state, next),
            }
        };
        if let State::Near(waiting, _) = before {
            for asked in waiting {
                self.ask(asked);
            }
        }
    }

    /// Life after life.
    async fn keep(self: Arc<Self>, mut life: Life) {
        // Lives in a row that gave no call a result.
        let mut barren = 0_u32;
        let mut began = Instant::now();
        loop {
            let end = tokio::select! {
                biased;
                () = self.dropped.cancelled() => End::Condemned("was let go".into()),
                () = self.closing.cancelled() => return self.part(life).await,
                end = life.serve(&self.spec) => end,
            };
            let death = life.bury(&self.spec, end).await;
            if self.dropped.is_cancelled() {
                return self.finish(life);
            }
            barren = if life.voice.useful() { 0 } else { barren.saturating_add(1) };
            let tools = self.tools(life.voice.tools());
            let Some(next) = self.revive(&death, &life.voice, barren, began.elapsed() < SHORT).await else { return };
            life = next.life;
            barren = next.barren;
            began = Instant::now();
            self.become_(State::Up(Arc::clone(&life.voice)));
            tokio::spawn(Arc::clone(&self).compare(Arc::clone(&life.voice), tools));
        }
    }

    /// The next life that begins. `None`: there is none.
    async fn revive(&self, death: &Death, voice: &Voice, mut barren: u32, short: bool) -> Option<Revived> {
        let plugin = &self.spec.plugin;
        let mut what = format!("the plugin \"{plugin}\" {}", death.words());
        let mut voice = Some(voice);
        loop {
            if barren > self.spec.limits.restarts {
                let why = format!(
                    "{what}; that was the {} time in a row, so it stays down; it is started again when the \
                     configuration is reloaded (SIGHUP)",
                    ordinal(barren)
                );
                tracing::error!(plugin = &**plugin, "{why}");
                self.spec.down.store(true, Ordering::Release);
                self.become_(State::Over(why.clone()));
                if let Some(voice) = voice.take() {
                    voice.end(|_| why.clone());
                }
                // Until somebody lets go of it.
                tokio::select! {
                    () = self.dropped.cancelled() => {}
                    () = self.closing.cancelled() => {}
                }
                self.done.cancel();
                return None;
            }
            let pause = pause(barren, short);
            let again = if pause > NEAR {
                format!("it is started again in {}", humantime(pause))
            } else {
                "it is being started again".to_owned()
            };
            tracing::warn!(plugin = &**plugin, "{what}; {again}");
            let at = Instant::now() + pause;
            self.become_(if pause > NEAR {
                State::Far(at, what.clone())
            } else {
                State::Near(Vec::new(), what.clone())
            });
            if let Some(voice) = voice.take() {
                voice.end(|worked| {
                    let when = if pause > NEAR { "then" } else { "in a moment" };
                    let on = if worked { " while it worked on this call" } else { "" };
                    format!("{what}{on}; {again}, so try again {when}")
                });
            }
            let wait = async {
                if pause > NEAR {
                    tokio::time::sleep_until((at - NEAR).into()).await;
                    self.become_(State::Near(Vec::new(), what.clone()));
                }
                tokio::time::sleep_until(at.into()).await;
                self.start().await
            };
            let started = tokio::select! {
                started = wait => started,
                () = self.dropped.cancelled() => { self.end(); return None }
                () = self.closing.cancelled() => { self.end(); return None }
            };
            match started {
                Ok(life) => return Some(Revived { life, barren }),
                Err(refusal) => what = refusal.message,
            }
            barren = barren.saturating_add(1);
        }
    }

    async fn start(&self) -> Result<Life, Refusal> {
        let (mut life, _) = Life::start(&self.spec).await?;
        let tools = self.tools(None);
        life.create(&self.spec, &self.params, tools.as_deref()).await?;
        Ok(life)
    }

    /// What the plugin's tools are: `latest`, or what was known.
    fn tools(&self, latest: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.is_some() {
            *tools = latest;
        }
        tools.clone()
    }

    /// If the tools are not those of the life before, somebody will want to know.
    async fn compare(self: Arc<Self>, voice: Arc<Voice>, before: Option<Vec<u8>>) {
        let Some(before) = before else { return };
        let (reply, pending) = oneshot::channel();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        voice.request(id, method::TOOLS_LIST, b"{}", None, reply);
        if let Ok(Reply::Result(now)) = pending.await
            && now != before
        {
            (self.spec.told)(method::TOOLS_CHANGED, b"{}");
        }
    }

    /// End in good order.
    async fn part(&self, mut life: Life) {
        self.become_(State::Over(self.closed()));
        let (reply, pending) = oneshot::channel();
        life.voice.request(self.ids.fetch_add(1, Ordering::Relaxed), method::SHUTDOWN, b"{}", None, reply);
        tokio::select! {
            _ = life.serve(&self.spec) => {}
            _ = tokio::time::timeout(self.spec.patience.shutdown, pending) => {}
            () = self.dropped.cancelled() => {}
        }
        life.leave(&self.spec).await;
        life.bury(&self.spec, End::Condemned(self.closed())).await;
        self.finish(life);
    }

    /// Whoever waits for the end finds nothing left of it.
    fn finish(&self, life: Life) {
        life.voice.end(|_| self.closed());
        self.become_(State::Over(self.closed()));
        drop(life);
        self.done.cancel();
    }

    fn end(&self) {
        self.become_(State::Over(self.closed()));
        self.done.cancel();
    }

    fn closed(&self) -> String {
        format!("the plugin \"{}\" is being shut down", self.spec.plugin)
    }
}

struct Revived {
    life: Life,
    barren: u32,
}
