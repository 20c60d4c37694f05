//! Calling across the C boundary (`toolgate_plugin.h`), and being called: the one module of the server with `unsafe`.
//!
//! Owns the opening of a library, its three exported functions, an instance's peer, and the callbacks. What a plugin
//! gets as `context` is a number and never a pointer, so that a late, a second or a made-up one finds nobody instead
//! of freed memory. Knows no runtime, no settings and no method but `ping`; whoever listens is behind [`Ears`].
#![allow(unsafe_code, reason = "plugins are C libraries")]

use std::{
    collections::HashMap,
    ffi::c_void,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    ptr,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use toolgate_abi::{AbiVersion, Bytes, Complete, Create, ERROR, OK, Peer, VERSION, code, method, symbol};

use super::{
    failure::{CreateError, OpenError},
    image,
    link::Ears,
    manifest::Manifest,
};

// === Opening ===

/// A library that is open for as long as the process lives: code that is still called from somewhere cannot go away.
pub(super) struct Library {
    create: Create,
    manifest: Manifest,
    path: PathBuf,
    _open: ManuallyDrop<libloading::Library>,
}

impl Library {
    /// Open the library at `path` and read its manifest. Runs its initializers; may take long, and with a hostile file
    /// may end the process.
    ///
    /// # Errors
    /// Whatever is wrong with the file.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let name = || path.display().to_string();
        image::check(path)?;
        // With a `/` in it, so that the linker does not search for it.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let library =
            link(&absolute).map_err(|error| OpenError::Unlinkable { path: name(), why: linker_words(&error) })?;
        let not_a_plugin = |symbol| OpenError::NotAPlugin { path: name(), symbol };
        let version =
            find::<AbiVersion>(&library, symbol::ABI_VERSION).ok_or_else(|| not_a_plugin(symbol::ABI_VERSION))?;
        // SAFETY: a symbol of this name has this type by the header; it takes nothing.
        let found = unsafe { version() };
        match found {
            VERSION => {}
            older if older < VERSION => return Err(OpenError::OlderAbi { path: name(), found }),
            _ => return Err(OpenError::NewerAbi { path: name(), found }),
        }
        let create = find::<Create>(&library, symbol::CREATE).ok_or_else(|| not_a_plugin(symbol::CREATE))?;
        let manifest =
            find::<toolgate_abi::Manifest>(&library, symbol::MANIFEST).ok_or_else(|| not_a_plugin(symbol::MANIFEST))?;
        // SAFETY: of this type by the header, whose version has just been found to be ours.
        let told = unsafe { manifest() };
        // SAFETY: the bytes stay valid while the library is loaded, which is longer than this function.
        let bytes = unsafe { lent(&told) };
        let manifest = Manifest::parse(bytes).map_err(|why| OpenError::Manifest { path: name(), why })?;
        Ok(Self { create, manifest, path: absolute, _open: library })
    }

    /// Who the plugin is.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Start an instance. Takes as long as the plugin takes. The plugin may speak to `ears` before this returns, on
    /// any thread, and does until the instance is released.
    ///
    /// # Errors
    /// The plugin's refusal, or a peer that cannot be called.
    pub(super) fn create(&self, params: &[u8], ears: Arc<dyn Ears>) -> Result<Instance, CreateError> {
        /// More than a peer: a plugin that disregards `size` writes here and not over our stack.
        #[repr(C)]
        struct Room {
            peer: Peer,
            spare: [usize; 32],
        }
        let (key, seat) = seat(ears);
        let mut room = Room { peer: Peer::ROOM, spare: [0; 32] };
        // SAFETY: of this type by the header. The host's peer is never freed; `params` and the room outlive the call;
        // the callback takes any context.
        let status = unsafe {
            (self.create)(
                ptr::from_ref(&seat.peer),
                Bytes::lend(params),
                ptr::from_mut(&mut room).cast::<Peer>(),
                Some(refused),
                context(key),
            )
        };
        let refusal = seat.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
        if status != OK {
            leave(key);
            return Err(refusal.map_or(CreateError::Silent, |payload| CreateError::read(&payload)));
        }
        let peer = room.peer;
        if !(size_of::<Peer>()..=size_of::<Room>()).contains(&peer.size) {
            // Nothing in it can be trusted, `release` neither.
            leave(key);
            return Err(CreateError::Unusable("a `size` that a toolgate_peer can have"));
        }
        match (peer.request, peer.notify) {
            (Some(request), Some(notify)) => Ok(Instance { peer, request, notify, key }),
            (request, _) => {
                if let Some(release) = peer.release {
                    // SAFETY: the plugin filled it in for this instance, which nobody has called or will call.
                    unsafe { release(peer.instance) };
                }
                leave(key);
                Err(CreateError::Unusable(if request.is_none() { "`request`" } else { "`notify`" }))
            }
        }
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("path", &self.path).finish_non_exhaustive()
    }
}

fn link(path: &Path) -> Result<ManuallyDrop<libloading::Library>, libloading::Error> {
    #[cfg(unix)]
    {
        use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
        // SAFETY: the library's initializers run, which nobody can vouch for: naming a library in the configuration
        // is the operator's word that its code may run with this process's rights.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }?;
        Ok(ManuallyDrop::new(library.into()))
    }
    #[cfg(not(unix))]
    {
        // SAFETY: as above.
        let library = unsafe { libloading::Library::new(path) }?;
        Ok(ManuallyDrop::new(library))
    }
}

/// An exported function, which outlives the library's handle because that is never closed. `None` also for a symbol
/// whose address is null.
fn find<F: Copy>(library: &ManuallyDrop<libloading::Library>, symbol: &str) -> Option<F> {
    // SAFETY: only called with the function types that the header gives to these names.
    unsafe { library.get::<Option<F>>(symbol) }.ok().and_then(|found| *found)
}

/// The linker's own words: which dependency or symbol is missing.
fn linker_words(error: &libloading::Error) -> String {
    let mut words = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        words = source.to_string();
    }
    words
}

// === An instance ===

/// A plugin that runs. Dropping it releases it, which waits for the plugin to let go.
pub(super) struct Instance {
    peer: Peer,
    request: toolgate_abi::Request,
    notify: toolgate_abi::Notify,
    key: usize,
}

// SAFETY: the header lets every function of a peer be called from any thread; `instance` is only ever given back.
unsafe impl Send for Instance {}
// SAFETY: and several at a time. `release` is called in `drop`, when nobody else has a reference.
unsafe impl Sync for Instance {}

impl Instance {
    /// Ask; the answer goes to the ears, perhaps before this returns. A plugin that blocks blocks this.
    pub(super) fn request(&self, id: u64, method: &str, params: &[u8]) {
        let (method, params) = (Bytes::lend(method.as_bytes()), Bytes::lend(params));
        // SAFETY: the peer is not released while `self` lives; the bytes outlive the call; the callback takes any
        // context, for as long as the process lives.
        unsafe { (self.request)(self.peer.instance, id, method, params, Some(answered), context(self.key)) }
    }

    /// Tell.
    pub(super) fn notify(&self, method: &str, params: &[u8]) {
        // SAFETY: the peer is not released while `self` lives; the bytes outlive the call.
        unsafe {
            (self.notify)(self.peer.instance, Bytes::lend(method.as_bytes()), Bytes::lend(params));
        }
    }

    /// Let the plugin go: what it says from now on is heard by nobody.
    pub(super) fn release(self) {
        drop(self);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(release) = self.peer.release {
            // SAFETY: once, since a value is dropped once, and nobody else has a reference to call with.
            unsafe { release(self.peer.instance) }
        }
        leave(self.key);
    }
}

// === Who listens ===

/// What the plugin's `host` points to, and who hears it. Never freed: a plugin that keeps the pointer for too long
/// reads what it always read.
struct Seat {
    peer: Peer,
    /// `None` once the instance is released.
    ears: RwLock<Option<Arc<dyn Ears>>>,
    /// What `create` was refused with.
    refusal: Mutex<Option<Vec<u8>>>,
}

// SAFETY: the peer is not written to after it is made, and its `instance` is a number that nobody dereferences.
unsafe impl Send for Seat {}
// SAFETY: the same.
unsafe impl Sync for Seat {}

static SEATS: LazyLock<RwLock<HashMap<usize, &'static Seat>>> = LazyLock::new(RwLock::default);

/// A number as the `void *` that plugins give back.
fn context(key: usize) -> *mut c_void {
    ptr::without_provenance_mut(key)
}

fn seat(ears: Arc<dyn Ears>) -> (usize, &'static Seat) {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let key = NEXT.fetch_add(1, Ordering::Relaxed);
    let peer = Peer {
        size: size_of::<Peer>(),
        instance: context(key),
        request: Some(asked),
        notify: Some(told),
        release: None,
    };
    let seat = Seat { peer, ears: RwLock::new(Some(ears)), refusal: Mutex::default() };
    let seat: &'static Seat = Box::leak(Box::new(seat));
    SEATS.write().unwrap_or_else(PoisonError::into_inner).insert(key, seat);
    (key, seat)
}

/// Nobody listens any more.
fn leave(key: usize) {
    if let Some(seat) = seat_of(context(key)) {
        *seat.ears.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn seat_of(context: *mut c_void) -> Option<&'static Seat> {
    SEATS.read().unwrap_or_else(PoisonError::into_inner).get(&context.addr()).copied()
}

/// Whoever listens there; no lock is held while they do.
fn ears_of(context: *mut c_void) -> Option<Arc<dyn Ears>> {
    seat_of(context)?.ears.read().unwrap_or_else(PoisonError::into_inner).clone()
}

// === Being called ===

/// The bytes that a plugin lends. Null, or a length beyond what memory can hold, is no bytes.
///
/// # Safety
/// If `data` is not null, `len` bytes there are readable and unchanged for as long as the slice is used.
unsafe fn lent(bytes: &Bytes) -> &[u8] {
    if bytes.data.is_null() || isize::try_from(bytes.len).is_err() {
        return &[];
    }
    // SAFETY: not null and of a possible length; the rest is the caller's promise. Bytes have no alignment.
    unsafe { std::slice::from_raw_parts(bytes.data, bytes.len) }
}

/// A method's name, if it is one.
fn named(bytes: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(bytes).ok();
    if name.is_none() {
        tracing::warn!("a plugin named a method that is not UTF-8; it is ignored");
    }
    name
}

/// Run what a plugin has called. No panic goes back into a plugin.
fn contained(what: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(what)) else { return };
    // Neither the end of what was thrown nor a log that cannot be written goes back either.
    let told = catch_unwind(AssertUnwindSafe(|| {
        drop(payload);
        tracing::error!("the host panicked while a plugin spoke to it");
    }));
    if let Err(another) = told {
        std::mem::forget(another);
    }
}

/// `toolgate_complete` for requests.
unsafe extern "C" fn answered(context: *mut c_void, id: u64, status: i32, payload: Bytes) {
    contained(|| {
        // SAFETY: the header has payloads readable for the duration of this call.
        let payload = unsafe { lent(&payload) };
        match ears_of(context) {
            Some(ears) => ears.answered(id, status, payload),
            None => tracing::debug!(id, "an answer came after the end of its plugin, or with a wrong context"),
        }
    });
}

/// `toolgate_complete` for `create`.
unsafe extern "C" fn refused(context: *mut c_void, _id: u64, _status: i32, payload: Bytes) {
    /// More than anybody reads.
    const MOST: usize = 64 << 10;
    contained(|| {
        // SAFETY: the header has payloads readable for the duration of this call.
        let payload = unsafe { lent(&payload) };
        if let Some(seat) = seat_of(context).filter(|_| payload.len() <= MOST) {
            seat.refusal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| payload.to_vec());
        }
    });
}

/// `toolgate_peer.notify` of the host.
unsafe extern "C" fn told(instance: *mut c_void, method: Bytes, params: Bytes) {
    contained(|| {
        // SAFETY: the header has both readable for the duration of this call.
        let (method, params) = unsafe { (lent(&method), lent(&params)) };
        if let (Some(ears), Some(method)) = (ears_of(instance), named(method)) {
            ears.told(method, params);
        }
    });
}

/// `toolgate_peer.request` of the host.
unsafe extern "C" fn asked(
    _instance: *mut c_void,
    id: u64,
    method: Bytes,
    _params: Bytes,
    complete: Option<Complete>,
    context: *mut c_void,
) {
    contained(|| {
        let Some(complete) = complete else {
            tracing::warn!("a plugin asked without saying where the answer goes; it is ignored");
            return;
        };
        // SAFETY: the header has the name readable for the duration of this call.
        let (status, answer) = match named(unsafe { lent(&method) }) {
            Some(method::PING) => (OK, "{}".to_owned()),
            other => {
                let message = format!("the host does not know the method {:?}", other.unwrap_or_default());
                (ERROR, serde_json::json!({ "code": code::METHOD_NOT_FOUND, "message": message }).to_string())
            }
        };
        // SAFETY: the plugin gave the function for this, with its context; the answer outlives the call.
        unsafe { complete(context, id, status, Bytes::lend(answer.as_bytes())) }
    });
}
