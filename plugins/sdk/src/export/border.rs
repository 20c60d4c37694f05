//! Where pointers cross: the types in which the host's arguments arrive, and the three entries of `toolgate_peer`.
//!
//! The only module of this crate with `unsafe` code. What it gives to its siblings is safe: bytes are slices for the
//! time of a call, an instance is a number that is looked up (so that a call after `release` finds nothing instead of
//! freed memory), and the host is behind a [`Gate`] that `release` closes. Knows no JSON and no method.

#![allow(unsafe_code, reason = "the C boundary: reads what the host lends and calls its functions")]

use std::{ffi::c_void, ptr, slice, sync::Arc};

use toolgate_abi::{Bytes, Complete, ERROR, Notify, OK, Peer};

use super::{
    answer::Answer,
    gate::Gate,
    instance::{self, Instance},
    runtime::caught,
    wire::Fault,
};
use crate::plugin::Plugin;

/// The `host` of `toolgate_plugin_create`.
///
/// Like its siblings below it has no constructor: the only values are those that a foreign caller passes to the
/// exported function, who vouches for them as `toolgate_plugin.h` demands. That is why reading them is sound although
/// the functions that take them are safe.
#[repr(transparent)]
pub struct HostPeer(*const Peer);

/// Bytes as an exported function receives them.
#[repr(transparent)]
pub struct Lent(Bytes);

/// The `plugin` of `toolgate_plugin_create`.
#[repr(transparent)]
pub struct Room(*mut Peer);

/// A `toolgate_complete`.
#[repr(transparent)]
pub struct Completion(Option<Complete>);

/// The context of a completion.
#[repr(transparent)]
pub struct Context(*mut c_void);

impl Lent {
    /// The bytes, no longer than this value; it never outlives the call that it came with.
    fn read(&self) -> &[u8] {
        let Bytes { data, len } = self.0;
        if data.is_null() || len > isize::MAX.unsigned_abs() {
            return &[];
        }
        // SAFETY: not null, and the caller lends `len` initialised bytes there for the duration of the call, which
        // `self` does not outlive: the entries below keep it on their stack and hand out only what borrows from it.
        unsafe { slice::from_raw_parts(data, len) }
    }
}

/// The host, until the instance is released.
pub(super) struct Host {
    instance: *mut c_void,
    notify: Option<Notify>,
    gate: Gate,
}

// SAFETY: the host's functions may be called from any thread, several at a time (`toolgate_plugin.h`, "Rules"), and
// `instance` is never looked at here, only given back to them.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    fn new(peer: &HostPeer) -> Option<Self> {
        if peer.0.is_null() {
            return None;
        }
        // SAFETY: not null, and the caller of `toolgate_plugin_create` passes a `toolgate_peer` of `size` bytes, of
        // which `size` is the first member in every version.
        let size = unsafe { (&raw const (*peer.0).size).read() };
        if size < size_of::<Peer>() {
            return None;
        }
        // SAFETY: the structure has all members that this version knows, as its size says.
        let Peer { instance, notify, .. } = unsafe { peer.0.read() };
        Some(Self { instance, notify, gate: Gate::default() })
    }

    /// Tell the host, if it is still there.
    pub(super) fn tell(&self, method: &str, params: &[u8]) {
        if let (Some(notify), Some(_pass)) = (self.notify, self.gate.enter()) {
            // SAFETY: the host stays valid until the instance is released, and `release` waits for `_pass`. The bytes
            // live longer than the call.
            unsafe { notify(self.instance, Bytes::lend(method.as_bytes()), Bytes::lend(params)) }
        }
    }

    /// Call the host no more. Waits for calls that are under way in other threads.
    pub(super) fn close(&self) {
        self.gate.close();
    }
}

/// Where a request's answer goes.
pub(super) struct Asker {
    complete: Complete,
    context: *mut c_void,
    host: Arc<Host>,
}

// SAFETY: an answer may come from any thread (`toolgate_plugin.h`, "Rules"), and `context` is only given back.
unsafe impl Send for Asker {}
// SAFETY: as above.
unsafe impl Sync for Asker {}

impl Asker {
    /// Answer the request `id`, if the host is still there.
    pub(super) fn answer(&self, id: u64, status: i32, payload: &[u8]) {
        if let Some(_pass) = self.host.gate.enter() {
            // SAFETY: `complete` and `context` came together with the request and stay valid until the instance is
            // released, and `release` waits for `_pass`. The bytes live longer than the call.
            unsafe { (self.complete)(self.context, id, status, Bytes::lend(payload)) }
        }
    }
}

/// `toolgate_plugin_create` for the plugin `T`.
pub fn create<T: Plugin>(
    host: HostPeer,
    params: Lent,
    plugin: Room,
    Completion(complete): Completion,
    Context(context): Context,
) -> i32 {
    let fail = |fault: &Fault| {
        if let Some(complete) = complete {
            // SAFETY: `complete` and `context` came with this call, which has not returned.
            unsafe { complete(context, 0, ERROR, Bytes::lend(&fault.to_json())) }
        }
        ERROR
    };
    if plugin.0.is_null() {
        return fail(&Fault::internal("the host gives no room for the plugin"));
    }
    // SAFETY: not null, and the caller passes a `toolgate_peer` whose `size`, the first member, holds how much room
    // there is.
    let room = unsafe { (&raw const (*plugin.0).size).read() };
    let Some(host) = Host::new(&host).filter(|_| room >= size_of::<Peer>()).map(Arc::new) else {
        return fail(&Fault::internal("the host's toolgate_peer is smaller than version 1 has it"));
    };
    let started = caught(|| instance::start::<T>(params.read(), &host));
    match started.unwrap_or_else(|_| Err(Fault::internal("the plugin panicked while it started"))) {
        Ok(key) => {
            let peer = Peer {
                size: size_of::<Peer>(),
                instance: ptr::without_provenance_mut(key),
                request: Some(request),
                notify: Some(notify),
                release: Some(release),
            };
            // SAFETY: there is room for a peer of this version, as checked above, and the caller made it writable.
            unsafe { plugin.0.write(peer) };
            OK
        }
        Err(fault) => {
            host.close();
            fail(&fault)
        }
    }
}

/// The instance behind the pointer that [`create`] gave out, until it is released.
fn find(instance: *mut c_void) -> Option<Arc<Instance>> {
    instance::find(instance.addr())
}

/// `toolgate_peer.request`.
unsafe extern "C" fn request(
    instance: *mut c_void,
    id: u64,
    method: Bytes,
    params: Bytes,
    complete: Option<Complete>,
    context: *mut c_void,
) {
    let (method, params) = (Lent(method), Lent(params));
    // A panic in here has answered already: an `Answer` that is dropped says so.
    let _ = caught(|| {
        // Without a place for the answer there is no question; without an instance, nobody to put it to.
        if let (Some(instance), Some(complete)) = (find(instance), complete) {
            let asker = Asker { complete, context, host: Arc::clone(instance.host()) };
            instance.request(Answer::new(asker, id), method.read(), params.read());
        }
    });
}

/// `toolgate_peer.notify`.
unsafe extern "C" fn notify(instance: *mut c_void, method: Bytes, params: Bytes) {
    let (method, params) = (Lent(method), Lent(params));
    let _ = caught(|| {
        if let Some(instance) = find(instance) {
            instance.notify(method.read(), params.read());
        }
    });
}

/// `toolgate_peer.release`.
unsafe extern "C" fn release(instance: *mut c_void) {
    let _ = caught(|| instance::release(instance.addr()));
}
