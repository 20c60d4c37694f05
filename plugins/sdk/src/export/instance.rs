//! A started plugin: what each method means, and the way of a request from its bytes to its answer.
//!
//! A request's future is polled once on the host's thread, so that work without waiting costs no thread switch; what
//! is not ready then goes on, on the instance's own runtime.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use toolgate_abi::{code, method};

use super::{
    answer::Answer,
    border::Host,
    manifest,
    runtime::{Caught, Panicked, Runtime},
    wire::{self, Fault},
};
use crate::{
    context::{CallContext, HostHandle, LogLevel, Notice, Progress},
    error::ToolError,
    plugin::Plugin,
    provider::{Health, Outcome, ToolCall, ToolProvider},
};

/// A started plugin.
pub(super) struct Instance {
    provider: Arc<dyn ToolProvider>,
    host: Arc<Host>,
    runtime: Runtime,
    under_way: Arc<UnderWay>,
}

/// The instances of this library. The host names one by a number: a number that is not here any more is nobody.
static INSTANCES: RwLock<BTreeMap<usize, Arc<Instance>>> = RwLock::new(BTreeMap::new());

/// Start the plugin `T` with the params of `toolgate_plugin_create`, and give the number that names the instance.
///
/// # Errors
/// As the plugin has them, or if the params or settings do not fit its types.
pub(super) fn start<T: Plugin>(params: &[u8], host: &Arc<Host>) -> Result<usize, Fault> {
    let params: wire::Create =
        serde_json::from_slice(params).map_err(|error| Fault::params("toolgate_plugin_create", &error))?;
    let settings: T::Settings = wire::settings(match params.settings {
        Value::Object(settings) if settings.is_empty() && manifest::takes_none::<T>() => Value::Null,
        settings => settings,
    })?;
    let runtime = Runtime::new(&params.plugin)
        .map_err(|error| Fault::internal(format!("the plugin's runtime cannot be started: {error}")))?;
    let handle = HostHandle::new(params.plugin, params.state_dir, {
        let host = Arc::clone(host);
        move |notice| tell(&host, &notice)
    })
    .with_base_dir(params.base_dir);
    // On the runtime and not in `block_on`: the host's thread may belong to a runtime of the same tokio.
    let (started, starts) = mpsc::channel();
    runtime.spawn(async move {
        // The receiver waits below.
        let _ = started.send(Caught::new(Box::pin(async move { T::start(settings, handle).await })).await);
    });
    let provider = match starts.recv() {
        Ok(Ok(provider)) => Arc::new(provider?),
        Ok(Err(panicked)) => return Err(panic(host, "Plugin::start", &panicked)),
        Err(mpsc::RecvError) => return Err(Fault::internal("the plugin gave its start up")),
    };
    let instance = Arc::new(Instance { provider, host: Arc::clone(host), runtime, under_way: Arc::default() });
    // Never the same twice, and never 0, which a host would read as a null pointer.
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let key = NEXT.fetch_add(1, Ordering::Relaxed);
    INSTANCES.write().unwrap_or_else(PoisonError::into_inner).insert(key, instance);
    Ok(key)
}

/// The instance named `key`.
pub(super) fn find(key: usize) -> Option<Arc<Instance>> {
    INSTANCES.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
}

/// The end of the instance named `key`: nothing goes to the host any more once this returns.
pub(super) fn release(key: usize) {
    let instance = INSTANCES.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    if let Some(instance) = instance {
        instance.host.close();
        instance.under_way.cancel_all();
        instance.runtime.stop();
    }
}

impl Instance {
    pub(super) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Do what the host asks, and answer: now if nothing has to be waited for, later otherwise.
    pub(super) fn request(self: &Arc<Self>, answer: Answer, method: &[u8], params: &[u8]) {
        let cancelled = CancellationToken::new();
        let place = self.under_way.enter(answer.id(), cancelled.clone());
        match self.begin(method, params, &cancelled) {
            Begun::Done(result) => {
                drop(place);
                answer.give(result);
            }
            Begun::Waits(mut work) => {
                let instance = Arc::clone(self);
                self.runtime.spawn(async move {
                    let result = match cancelled.run_until_cancelled(&mut work.future).await {
                        Some(result) => instance.settle(&work.label, result),
                        None => Err(gone()),
                    };
                    // First what the work holds, and its number, which the host may use again once it is answered.
                    drop((work, place));
                    answer.give(result);
                });
            }
        }
    }

    /// Hear what the host tells; what is unknown or does not fit is ignored, as the boundary has it.
    pub(super) fn notify(&self, method: &[u8], params: &[u8]) {
        if method == method::CANCELLED.as_bytes()
            && let Ok(wire::Cancelled { request_id }) = serde_json::from_slice(params)
        {
            self.under_way.cancel(request_id);
        }
    }

    /// Do as much as can be done without waiting, on this thread.
    fn begin(self: &Arc<Self>, method: &[u8], params: &[u8], cancelled: &CancellationToken) -> Begun {
        // Not longer than this: the host is answered outside of the plugin's runtime.
        let _inside = self.runtime.enter();
        let mut work = match self.work(method, params, cancelled) {
            Ok(work) => work,
            Err(fault) => return Begun::Done(Err(fault)),
        };
        match Pin::new(&mut work.future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Begun::Done(self.settle(&work.label, result)),
            Poll::Pending => Begun::Waits(work),
        }
    }

    /// What a request is about to do.
    fn work(self: &Arc<Self>, method: &[u8], params: &[u8], cancelled: &CancellationToken) -> Result<Work, Fault> {
        let instance = Arc::clone(self);
        let (label, future): (Cow<'static, str>, Job) = match str::from_utf8(method).unwrap_or_default() {
            method::TOOLS_CALL => {
                let call: wire::Call =
                    serde_json::from_slice(params).map_err(|error| Fault::params(method::TOOLS_CALL, &error))?;
                let label = format!("the tool \"{}\"", call.name).into();
                let (call, cx) = self.call(call, cancelled);
                (label, Box::pin(async move { called(instance.provider.call(call, cx).await) }))
            }
            method::TOOLS_LIST => {
                let list = async move { json(&wire::ToolsList { tools: instance.provider.tools().await? }) };
                (method::TOOLS_LIST.into(), Box::pin(list))
            }
            method::HEALTH => {
                let health = async move {
                    json(&match instance.provider.health().await {
                        Health::Ready => json!({ "status": "ready" }),
                        Health::Degraded(reason) => json!({ "status": "degraded", "reason": reason }),
                    })
                };
                (method::HEALTH.into(), Box::pin(health))
            }
            method::SHUTDOWN => {
                let shutdown = async move {
                    instance.provider.shutdown().await;
                    json(&json!({}))
                };
                (method::SHUTDOWN.into(), Box::pin(shutdown))
            }
            method::PING => (method::PING.into(), Box::pin(std::future::ready(json(&json!({}))))),
            _ => {
                let method = String::from_utf8_lossy(method);
                return Err(Fault::new(code::METHOD_NOT_FOUND, format!("unknown method \"{method}\"")));
            }
        };
        Ok(Work { label, future: Caught::new(future) })
    }

    /// A call and what surrounds it.
    fn call(&self, call: wire::Call, cancelled: &CancellationToken) -> (ToolCall, CallContext) {
        let mut meta = call.meta;
        let mut cx = CallContext::new(meta.caller(), Arc::clone(&meta.request_id));
        cx.cancelled = cancelled.clone();
        cx.deadline = meta.timeout_ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
        cx.trace = meta.trace();
        if let Some(token) = meta.progress_token {
            let host = Arc::clone(&self.host);
            cx.progress = Progress::to(move |update| host.tell(method::PROGRESS, &wire::progress(&token, update)));
        }
        (ToolCall { name: call.name, arguments: call.arguments }, cx)
    }

    /// The result of a future that came to its end, by itself or by a panic.
    fn settle(&self, label: &str, result: Result<Result<Vec<u8>, Fault>, Panicked>) -> Result<Vec<u8>, Fault> {
        result.unwrap_or_else(|panicked| Err(panic(&self.host, label, &panicked)))
    }
}

type Job = Pin<Box<dyn Future<Output = Result<Vec<u8>, Fault>> + Send>>;

/// A request after its first step.
enum Begun {
    Done(Result<Vec<u8>, Fault>),
    Waits(Work),
}

/// What a request does.
struct Work {
    /// Who does it, for the log.
    label: Cow<'static, str>,
    future: Caught<Job>,
}

/// Most results have room in this many bytes.
const USUAL: usize = 512;

fn called(outcome: Result<Outcome, ToolError>) -> Result<Vec<u8>, Fault> {
    match outcome {
        Ok(Outcome::Complete(result)) => json(&result),
        Err(error @ ToolError::Failed { .. }) => json(&error.into_result()),
        Err(error @ ToolError::UnknownTool(_)) => Err(Fault::new(code::UNKNOWN_TOOL, error.to_string())),
        Err(ToolError::InvalidArguments { path, message } | ToolError::OutsideSchema { path, message }) => {
            Err(Fault::new(code::INVALID_PARAMS, message).at(path))
        }
        Err(ToolError::Cancelled) => Err(gone()),
    }
}

fn gone() -> Fault {
    Fault::new(code::CANCELLED, ToolError::Cancelled.to_string())
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(USUAL);
    serde_json::to_writer(&mut bytes, value)
        .map_err(|error| Fault::internal(format!("the result is not JSON: {error}")))?;
    Ok(bytes)
}

fn tell(host: &Host, notice: &Notice) {
    let (method, params) = wire::notice(notice);
    host.tell(method, &params);
}

/// Tells the log what a panic said; the answer does not repeat it, as nobody knows what is in it.
fn panic(host: &Host, label: &str, Panicked(message): &Panicked) -> Fault {
    tell(host, &Notice::Log { level: LogLevel::Error, message: format!("{label} panicked: {message}") });
    Fault::internal(format!("the plugin panicked in {label}"))
}

/// The requests that are under way, so that one can be cancelled by its number.
#[derive(Default)]
struct UnderWay(Mutex<HashMap<u64, CancellationToken>>);

/// A request's place among them; left when dropped.
struct Place {
    all: Arc<UnderWay>,
    id: u64,
}

impl UnderWay {
    fn enter(self: &Arc<Self>, id: u64, cancelled: CancellationToken) -> Place {
        self.lock().insert(id, cancelled);
        Place { all: Arc::clone(self), id }
    }

    fn cancel(&self, id: u64) {
        // Cancelling wakes tasks: not under the lock.
        let token = self.lock().get(&id).cloned();
        if let Some(token) = token {
            token.cancel();
        }
    }

    fn cancel_all(&self) {
        let tokens: Vec<_> = self.lock().values().cloned().collect();
        tokens.iter().for_each(CancellationToken::cancel);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}
