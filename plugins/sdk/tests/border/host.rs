//! A host: starts the exported plugin, puts requests to it, and keeps what it answers and tells.

#![allow(unsafe_code, reason = "calls the exported functions and the entries of the peer, as a host does")]

use std::{
    collections::BTreeMap,
    ffi::c_void,
    ptr, slice,
    sync::{Condvar, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use toolgate_abi::{Bytes, Complete, OK, Peer};
use toolgate_plugin::serde_json;

unsafe extern "C" {
    fn toolgate_plugin_abi_version() -> u32;
    fn toolgate_plugin_manifest() -> Bytes;
    fn toolgate_plugin_create(
        host: *const Peer,
        params: Bytes,
        plugin: *mut Peer,
        complete: Option<Complete>,
        context: *mut c_void,
    ) -> i32;
}

/// How long a test waits for what must come; only a test that fails waits as long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Answer = (i32, Value);

/// What a plugin has said so far. Never freed, as a host never frees it.
#[derive(Default)]
pub(crate) struct Heard {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
pub(crate) struct Said {
    /// By request.
    pub(crate) answers: BTreeMap<u64, Vec<Answer>>,
    pub(crate) told: Vec<(String, Value)>,
}

impl Heard {
    pub(crate) fn now(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("no test panics with it")
    }

    /// Wait until it is so.
    pub(crate) fn until(&self, what: &str, mut so: impl FnMut(&Said) -> bool) -> MutexGuard<'_, Said> {
        let waited = self.more.wait_timeout_while(self.now(), PATIENCE, |said| !so(said));
        let (said, waited) = waited.expect("no test panics with it");
        assert!(!waited.timed_out(), "waited in vain: {what}");
        said
    }
}

fn read(bytes: &Bytes) -> &[u8] {
    if bytes.data.is_null() {
        return &[];
    }
    // SAFETY: lent for the call that it came with, which `bytes` does not outlive.
    unsafe { slice::from_raw_parts(bytes.data, bytes.len) }
}

unsafe extern "C" fn answered(context: *mut c_void, id: u64, status: i32, payload: Bytes) {
    // SAFETY: every request of this host carries a `Heard` that is never freed.
    let heard = unsafe { &*context.cast::<Heard>() };
    let payload = serde_json::from_slice(read(&payload)).expect("answers are JSON");
    heard.now().answers.entry(id).or_default().push((status, payload));
    heard.more.notify_all();
}

unsafe extern "C" fn told(instance: *mut c_void, method: Bytes, params: Bytes) {
    // SAFETY: as above.
    let heard = unsafe { &*instance.cast::<Heard>() };
    let method = String::from_utf8(read(&method).to_vec()).expect("methods are text");
    let params = serde_json::from_slice(read(&params)).expect("params are JSON");
    heard.now().told.push((method, params));
    heard.more.notify_all();
}

/// All of them, where a leak detector finds them.
static HOSTS: Mutex<Vec<&'static Heard>> = Mutex::new(Vec::new());

/// A started instance.
#[derive(Clone, Copy)]
pub(crate) struct Plugin {
    peer: Peer,
    pub(crate) heard: &'static Heard,
}

// SAFETY: the entries of a peer may be called from any thread, several at a time.
unsafe impl Send for Plugin {}
// SAFETY: as above.
unsafe impl Sync for Plugin {}

pub(crate) fn manifest() -> (u32, Value) {
    // SAFETY: both take nothing; the manifest stays as long as the library.
    let (version, manifest) = unsafe { (toolgate_plugin_abi_version(), toolgate_plugin_manifest()) };
    (version, serde_json::from_slice(read(&manifest)).expect("the manifest is JSON"))
}

/// Start with these params and a host and a room of these sizes; otherwise what `create` answered.
fn create(params: &str, host_size: usize, room: usize) -> Result<Plugin, Vec<Answer>> {
    let heard: &'static Heard = Box::leak(Box::default());
    HOSTS.lock().expect("no test panics with it").push(heard);
    let context = ptr::from_ref(heard).cast_mut().cast();
    let host = Peer { size: host_size, instance: context, request: None, notify: Some(told), release: None };
    let mut peer = Peer { size: room, ..Peer::ROOM };
    // SAFETY: all of it lives as long as the call, and what the host holds longer than that.
    let status = unsafe {
        toolgate_plugin_create(&raw const host, Bytes::lend(params.as_bytes()), &raw mut peer, Some(answered), context)
    };
    match status {
        OK => Ok(Plugin { peer, heard }),
        _ => Err(heard.now().answers.remove(&0).unwrap_or_default()),
    }
}

/// Start with these settings.
pub(crate) fn start_with(settings: &Value) -> Result<Plugin, Vec<Answer>> {
    let params =
        json!({ "plugin": "sample", "stateDir": "/nowhere", "settings": settings, "host": { "name": "test" } });
    create(&params.to_string(), size_of::<Peer>(), size_of::<Peer>())
}

/// Start without settings.
pub(crate) fn start() -> Plugin {
    start_with(&json!({})).expect("it starts")
}

/// What `create` answers to params that it does not take.
pub(crate) fn refusal(params: &str) -> Vec<Answer> {
    create(params, size_of::<Peer>(), size_of::<Peer>()).err().expect("it is refused")
}

/// What `create` answers to a host and a room of these sizes.
pub(crate) fn refusal_of_sizes(host: usize, room: usize) -> Vec<Answer> {
    create("{\"plugin\": \"sample\", \"stateDir\": \"/nowhere\", \"settings\": {}}", host, room)
        .err()
        .expect("it is refused")
}

impl Plugin {
    /// Ask; the answer comes into `heard`.
    pub(crate) fn ask_raw(&self, id: u64, method: &[u8], params: &[u8]) {
        let request = self.peer.request.expect("a plugin takes requests");
        let context = ptr::from_ref(self.heard).cast_mut().cast();
        // SAFETY: the bytes live as long as the call, the context forever.
        unsafe {
            request(self.peer.instance, id, Bytes::lend(method), Bytes::lend(params), Some(answered), context);
        }
    }

    pub(crate) fn ask(&self, id: u64, method: &str, params: &Value) {
        self.ask_raw(id, method.as_bytes(), params.to_string().as_bytes());
    }

    /// Call a tool.
    pub(crate) fn call(&self, id: u64, tool: &str, arguments: &Value) {
        self.ask(id, "tools/call", &json!({ "name": tool, "arguments": arguments }));
    }

    /// Wait for the answer to a request, which is the only one.
    pub(crate) fn answer(&self, id: u64) -> Answer {
        let said = self.heard.until(&format!("the answer to {id}"), |said| said.answers.contains_key(&id));
        let answers = &said.answers[&id];
        assert_eq!(answers.len(), 1, "answers to {id}");
        answers[0].clone()
    }

    /// Call a tool and wait for its text.
    pub(crate) fn text(&self, id: u64, tool: &str) -> String {
        self.call(id, tool, &json!({}));
        let (status, result) = self.answer(id);
        assert_eq!(status, OK, "{tool}: {result}");
        result["content"][0]["text"].as_str().expect("a text").to_owned()
    }

    pub(crate) fn tell(&self, method: &str, params: &str) {
        let notify = self.peer.notify.expect("a plugin takes notifications");
        // SAFETY: the bytes live as long as the call.
        unsafe { notify(self.peer.instance, Bytes::lend(method.as_bytes()), Bytes::lend(params.as_bytes())) }
    }

    pub(crate) fn cancel(&self, id: u64) {
        self.tell("notifications/cancelled", &json!({ "requestId": id }).to_string());
    }

    pub(crate) fn release(&self) {
        let release = self.peer.release.expect("a plugin can be released");
        // SAFETY: the instance is one that `create` gave; that a second time is harmless is what a test claims.
        unsafe { release(self.peer.instance) }
    }

    /// Wait for a line of the log.
    pub(crate) fn logged(&self, level: &str, line: &str) {
        let wanted = ("notifications/message".to_owned(), json!({ "level": level, "data": line }));
        drop(self.heard.until(line, |said| said.told.contains(&wanted)));
    }
}
