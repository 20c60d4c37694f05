//! The three exported functions and the three entries of the peer: as thin as the boundary allows.

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::{Value, json};
use toolgate_abi::{Bytes, Complete, ERROR, OK, Peer, VERSION, code, method};

use crate::tools;

/// An instance: what the host gave, and which lists to give.
pub(crate) struct Instance {
    host: Peer,
    dup: bool,
    bad_schema: bool,
    /// Whether the tools are listed once and never again; and whether they were.
    list_once: bool,
    listed: AtomicBool,
}

/// Where an answer goes. Nothing keeps anybody from using it twice.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    complete: Complete,
    context: *mut c_void,
    id: u64,
}

// SAFETY: a host takes answers from any thread.
unsafe impl Send for Answer {}

impl Answer {
    /// Answer with these bytes, whatever they are.
    pub(crate) fn raw(self, status: i32, payload: &[u8]) {
        // SAFETY: function and context came together, and the host keeps them while the instance lives.
        unsafe { (self.complete)(self.context, self.id, status, Bytes::lend(payload)) }
    }

    pub(crate) fn ok(self, result: &Value) {
        self.raw(OK, result.to_string().as_bytes());
    }

    pub(crate) fn text(self, text: impl Into<String>) {
        self.ok(&json!({ "content": [{ "type": "text", "text": text.into() }] }));
    }

    pub(crate) fn fail(self, code: i64, message: &str) {
        self.raw(ERROR, json!({ "code": code, "message": message }).to_string().as_bytes());
    }

    /// The same place under another id.
    pub(crate) fn under(self, id: u64) -> Self {
        Self { id, ..self }
    }
}

impl Instance {
    /// Tell the host.
    pub(crate) fn tell(&self, method: &str, params: &Value) {
        let params = params.to_string();
        if let Some(notify) = self.host.notify {
            // SAFETY: the host stays valid until the instance is released.
            unsafe { notify(self.host.instance, Bytes::lend(method.as_bytes()), Bytes::lend(params.as_bytes())) }
        }
    }

    /// Ask the host, and answer with what it says.
    pub(crate) fn ask(&self, method: &str, answer: Answer) {
        unsafe extern "C" fn asked(context: *mut c_void, _id: u64, status: i32, payload: Bytes) {
            // SAFETY: the box made below; the host answers once.
            let answer = unsafe { Box::from_raw(context.cast::<Answer>()) };
            let payload = String::from_utf8_lossy(read(&payload)).into_owned();
            answer.text(format!("{status}: {payload}"));
        }
        let Some(request) = self.host.request else {
            return answer.fail(code::INTERNAL, "the host takes no requests");
        };
        let context = Box::into_raw(Box::new(answer)).cast();
        // SAFETY: the host stays valid until the instance is released; `asked` frees the context.
        unsafe {
            let method = Bytes::lend(method.as_bytes());
            request(self.host.instance, answer.id, method, Bytes::lend(b"{}"), Some(asked), context);
        }
    }
}

fn read(bytes: &Bytes) -> &[u8] {
    if bytes.data.is_null() {
        return &[];
    }
    // SAFETY: lent for the call that it came with, which `bytes` does not outlive.
    unsafe { slice::from_raw_parts(bytes.data, bytes.len) }
}

#[unsafe(no_mangle)]
extern "C" fn toolgate_plugin_abi_version() -> u32 {
    match (cfg!(feature = "abi-0"), cfg!(feature = "abi-2")) {
        (true, _) => 0,
        (_, true) => VERSION + 1,
        _ => VERSION,
    }
}

#[unsafe(no_mangle)]
extern "C" fn toolgate_plugin_manifest() -> Bytes {
    const MANIFEST: &str = r#"{
        "name": "crashing-plugin", "version": "0.1.0", "description": "Misbehaves on request", "blocking": true,
        "settingsSchema": {
            "type": "object", "additionalProperties": false,
            "properties": {
                "at_create": { "enum": ["panic", "fail", "settings", "silent", "abort", "hang", "segfault"] },
                "dup": { "type": "boolean" },
                "bad_schema": { "type": "boolean" },
                "list_once": { "type": "boolean" }
            }
        }
    }"#;
    Bytes::lend(MANIFEST.as_bytes())
}

/// # Safety
/// As `toolgate_plugin.h` has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn toolgate_plugin_create(
    host: *const Peer,
    params: Bytes,
    plugin: *mut Peer,
    complete: Option<Complete>,
    context: *mut c_void,
) -> i32 {
    let params: Value = serde_json::from_slice(read(&params)).unwrap_or_default();
    let settings = &params["settings"];
    let fail = |error: Value| {
        if let Some(complete) = complete {
            let error = error.to_string();
            // SAFETY: they came with this call.
            unsafe { complete(context, 0, ERROR, Bytes::lend(error.as_bytes())) }
        }
        ERROR
    };
    match settings["at_create"].as_str() {
        Some("panic") => {
            let _ = catch_unwind(|| panic!("told to panic at create"));
            return fail(json!({ "code": code::INTERNAL, "message": "the plugin panicked while it started" }));
        }
        Some("fail") => return fail(json!({ "code": code::INTERNAL, "message": "told to fail" })),
        Some("settings") => {
            let data = json!({ "path": "at_create" });
            return fail(json!({ "code": code::SETTINGS, "message": "told to refuse this", "data": data }));
        }
        Some("silent") => return ERROR,
        Some("abort") => std::process::abort(),
        Some("hang") => loop {
            thread::park();
        },
        Some("segfault") => tools::segfault(),
        _ => {}
    }
    // SAFETY: the caller passes a whole peer.
    let host = unsafe { host.read() };
    let is = |key: &str| settings[key].as_bool() == Some(true);
    let instance = Box::new(Instance {
        host,
        dup: is("dup"),
        bad_schema: is("bad_schema"),
        list_once: is("list_once"),
        listed: AtomicBool::new(false),
    });
    let peer = Peer {
        size: size_of::<Peer>(),
        instance: Box::into_raw(instance).cast(),
        request: Some(request),
        notify: Some(notify),
        release: Some(release),
    };
    // SAFETY: the caller has room for it.
    unsafe { plugin.write(peer) };
    OK
}

unsafe extern "C" fn request(
    instance: *mut c_void,
    id: u64,
    method: Bytes,
    params: Bytes,
    complete: Option<Complete>,
    context: *mut c_void,
) {
    let Some(complete) = complete else { return };
    let answer = Answer { complete, context, id };
    // SAFETY: made by `create` and not yet released.
    let instance = unsafe { &*instance.cast::<Instance>() };
    match str::from_utf8(read(&method)).unwrap_or_default() {
        method::TOOLS_LIST if instance.listed.swap(true, Ordering::Relaxed) && instance.list_once => {
            tools::speechless()
        }
        method::TOOLS_LIST => answer.ok(&json!({ "tools": tools::list(instance.dup, instance.bad_schema) })),
        method::TOOLS_CALL => {
            let params: Value = serde_json::from_slice(read(&params)).unwrap_or_default();
            let name = params["name"].as_str().unwrap_or_default();
            let call = AssertUnwindSafe(|| tools::call(instance, name, &params["arguments"], answer));
            if catch_unwind(call).is_err() {
                answer.fail(code::INTERNAL, &format!("the plugin panicked in the tool \"{name}\""));
            }
        }
        method::HEALTH => answer.ok(&json!({ "status": "ready" })),
        method::SHUTDOWN | method::PING => answer.ok(&json!({})),
        other => answer.fail(code::METHOD_NOT_FOUND, &format!("unknown method \"{other}\"")),
    }
}

unsafe extern "C" fn notify(_instance: *mut c_void, _method: Bytes, _params: Bytes) {}

unsafe extern "C" fn release(instance: *mut c_void) {
    // SAFETY: made by `create`, and the host calls nothing of it any more.
    drop(unsafe { Box::from_raw(instance.cast::<Instance>()) });
}
