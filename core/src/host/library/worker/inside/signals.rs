//! What a worker does about signals that are meant for its server, and the name that it goes by.
//!
//! Whoever signals processes by their name, or all of a service's, means the server. It knows what to do, and ends its
//! workers itself, by closing their sockets or with SIGKILL, when it is done with them.

use std::sync::{Arc, atomic::AtomicBool};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// What the kernel, `ps` and `pgrep` call a worker; the kernel keeps 15 bytes.
const NAME: &std::ffi::CStr = c"toolgate-worker";

/// Live on through signals that ask a server for something.
///
/// With a handler that does nothing, rather than ignoring them: an ignored signal stays ignored in the programs that a
/// plugin may start, a handler does not (execve(2)). SIGPIPE is ignored by every Rust program.
pub(super) fn leave_to_the_server() {
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // Nobody reads the flag. What cannot be registered acts as it did, which ends a worker, and no more.
        let _ = flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
}

/// Started through a link in `/proc`, it would be called after that.
pub(super) fn take_name() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(NAME);
    #[cfg(not(target_os = "linux"))]
    let _ = NAME;
}
