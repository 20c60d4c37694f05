//! The end of the server, as a worker or its guard sees it: the socket hangs up.
//!
//! On Linux the kernel ends a worker with its server; this is what asks for an end in good order, and a second line.

use std::{io, os::unix::net::UnixStream, thread, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal, getpid, kill_current_process_group, kill_process},
};

/// How long a plugin may take to let go once the server has closed the socket.
const PARTING: Duration = Duration::from_millis(1500);

/// The server's end of a socket.
pub(in super::super) struct HangUp(UnixStream);

impl HangUp {
    pub(in super::super) fn of(socket: &UnixStream) -> io::Result<Self> {
        Ok(Self(socket.try_clone()?))
    }

    /// Until the server says no more, or is gone.
    pub(in super::super) fn wait(&self) {
        let gone = said_all() | PollFlags::HUP | PollFlags::ERR;
        let mut sockets = [PollFd::new(&self.0, said_all())];
        loop {
            match poll(&mut sockets, None) {
                Ok(_) if sockets[0].revents().intersects(gone) => return,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Whether the server is gone, and does not listen either.
    pub(in super::super) fn is_complete(&self) -> bool {
        let mut sockets = [PollFd::new(&self.0, PollFlags::empty())];
        poll(&mut sockets, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok()
            && sockets[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

#[cfg(target_os = "linux")]
fn said_all() -> PollFlags {
    PollFlags::RDHUP
}

#[cfg(not(target_os = "linux"))]
fn said_all() -> PollFlags {
    PollFlags::empty()
}

/// Whatever the plugin does with the other threads: when the server has gone, this process ends, and its group with it.
pub(super) fn watch_server(socket: &UnixStream) -> io::Result<()> {
    let server = HangUp::of(socket)?;
    thread::Builder::new().name("toolgate-watch".into()).stack_size(128 * 1024).spawn(move || {
        server.wait();
        // Whoever reads the socket sees the same and exits in good order.
        thread::sleep(PARTING);
        let _ = kill_current_process_group(Signal::KILL);
        let _ = kill_process(getpid(), Signal::KILL);
        std::process::abort();
    })?;
    Ok(())
}
