//! The boundary between Toolgate and its plugin libraries: layouts, exported names, method names and error codes.
//!
//! The same as `include/toolgate_plugin.h`, which says the rules; a test compiles the header and compares. No I/O, no
//! allocation, no `unsafe`: the two sides that call across live in the server and in `toolgate-plugin`. `README.md`
//! says what may change within a version.
#![no_std]

use core::ffi::c_void;

/// The version of this boundary. A host refuses a plugin of another one.
pub const VERSION: u32 = 1;

/// The C header, as `toolgate schema plugin` prints it.
pub const HEADER: &str = include_str!("../include/toolgate_plugin.h");

/// What a plugin library exports.
pub mod symbol {
    /// An [`AbiVersion`](super::AbiVersion).
    pub const ABI_VERSION: &str = "toolgate_plugin_abi_version";
    /// A [`Manifest`](super::Manifest).
    pub const MANIFEST: &str = "toolgate_plugin_manifest";
    /// A [`Create`](super::Create).
    pub const CREATE: &str = "toolgate_plugin_create";
}

/// Method names.
pub mod method {
    /// Host asks: the tools. `{}` → `{"tools": […]}`.
    pub const TOOLS_LIST: &str = "tools/list";
    /// Host asks: run a tool. `{"name", "arguments", "_meta"}` → `CallToolResult`.
    pub const TOOLS_CALL: &str = "tools/call";
    /// Host asks: how is it. `{}` → `{"status": "ready"}` or `{"status": "degraded", "reason"}`.
    pub const HEALTH: &str = "toolgate/health";
    /// Host asks: finish. `{}` → `{}`; the instance is released afterwards.
    pub const SHUTDOWN: &str = "toolgate/shutdown";
    /// Either asks: is somebody there. `{}` → `{}`.
    pub const PING: &str = "ping";
    /// Host tells: nobody waits for `{"requestId"}` any more.
    pub const CANCELLED: &str = "notifications/cancelled";
    /// Plugin tells: `{"progressToken", "progress", "total", "message"}`.
    pub const PROGRESS: &str = "notifications/progress";
    /// Plugin tells: `{"level": "debug" | "info" | "warning" | "error", "data"}`, a line for the log.
    pub const MESSAGE: &str = "notifications/message";
    /// Plugin tells: the list of tools has changed.
    pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
    /// Plugin tells: the resource `{"uri"}` has changed.
    pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
}

/// Members of `_meta` in the params of `tools/call`.
pub mod meta {
    /// Who calls: `{"subject", "clientId", "scopes"}`.
    pub const CALLER: &str = "toolgate/caller";
    /// The request's id in logs and audit.
    pub const REQUEST_ID: &str = "toolgate/requestId";
    /// After how many milliseconds the host gives up waiting.
    pub const TIMEOUT_MS: &str = "toolgate/timeoutMs";
    /// Present when somebody wants progress: the token to report under.
    pub const PROGRESS_TOKEN: &str = "progressToken";
    /// W3C Trace Context.
    pub const TRACEPARENT: &str = "traceparent";
    /// W3C Trace Context.
    pub const TRACESTATE: &str = "tracestate";
}

/// Error codes beside those of JSON-RPC 2.0.
pub mod code {
    /// The other side does not know the method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The params do not fit; `data.path` is a JSON Pointer (RFC 6901) into the arguments.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The work failed.
    pub const INTERNAL: i64 = -32603;
    /// The plugin has no such tool.
    pub const UNKNOWN_TOOL: i64 = -32001;
    /// A setting is wrong; `data.path` is the setting in dotted form.
    pub const SETTINGS: i64 = -32002;
    /// The work was given up because nobody waits for it.
    pub const CANCELLED: i64 = -32800;
}

/// An answer whose payload is the result.
pub const OK: i32 = 0;
/// An answer whose payload is a JSON-RPC error object.
pub const ERROR: i32 = 1;

/// `toolgate_bytes`: bytes that are lent for the duration of a call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// May be null when `len` is 0.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

impl Bytes {
    /// No bytes.
    pub const EMPTY: Self = Self { data: core::ptr::null(), len: 0 };

    /// Lend these.
    pub const fn lend(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), len: bytes.len() }
    }
}

/// `toolgate_complete`: answers the request `id`.
pub type Complete = unsafe extern "C" fn(context: *mut c_void, id: u64, status: i32, payload: Bytes);

/// `toolgate_peer.request`.
pub type Request = unsafe extern "C" fn(
    instance: *mut c_void,
    id: u64,
    method: Bytes,
    params: Bytes,
    complete: Option<Complete>,
    context: *mut c_void,
);

/// `toolgate_peer.notify`.
pub type Notify = unsafe extern "C" fn(instance: *mut c_void, method: Bytes, params: Bytes);

/// `toolgate_peer.release`.
pub type Release = unsafe extern "C" fn(instance: *mut c_void);

/// `toolgate_peer`: one side as the other sees it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The size of this structure as its maker knows it.
    pub size: usize,
    /// Given back in every call.
    pub instance: *mut c_void,
    /// Asks.
    pub request: Option<Request>,
    /// Tells.
    pub notify: Option<Notify>,
    /// The other side is done with this one.
    pub release: Option<Release>,
}

impl Peer {
    /// A place for a peer to be written into.
    pub const ROOM: Self =
        Self { size: size_of::<Self>(), instance: core::ptr::null_mut(), request: None, notify: None, release: None };
}

/// `toolgate_plugin_abi_version`.
pub type AbiVersion = unsafe extern "C" fn() -> u32;

/// `toolgate_plugin_manifest`.
pub type Manifest = unsafe extern "C" fn() -> Bytes;

/// `toolgate_plugin_create`.
pub type Create = unsafe extern "C" fn(
    host: *const Peer,
    params: Bytes,
    plugin: *mut Peer,
    complete: Option<Complete>,
    context: *mut c_void,
) -> i32;
