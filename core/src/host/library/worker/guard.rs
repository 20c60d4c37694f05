//! What sees to it that the programs of a plugin end with it: a small process between the server and a worker that may
//! start programs (`limits.exec = true`).
//!
//! A worker by itself is ended by the kernel when the server ends, and can have no children. The children of one that
//! starts programs would live on. So the guard, which no sandbox confines and which the plugin cannot signal, leads the
//! process group that none of them can leave; adopts those whose parents end; and kills the group when the server is
//! gone, however it went. It ends as the worker ended, so that the server learns of it.

use std::{
    convert::Infallible,
    ffi::OsStr,
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpgrp, getpid, kill_current_process_group, kill_process,
    setrlimit, wait,
};

use super::{gauge, inside::HangUp};

/// Set in the environment of a process that is to be a guard, which gives its worker none.
pub(super) const ROLE: &str = "TOOLGATE_GUARD";
/// A little more than a worker may take to let go once the server has closed the socket.
const PARTING: Duration = Duration::from_secs(2);
/// How long to wait between looks at what is left, and how often to look.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOKS: usize = 500;

/// Whether this process is one.
pub(super) fn is_wanted() -> bool {
    std::env::var_os(ROLE).is_some_and(|value| value == OsStr::new("1"))
}

/// Start the worker with this socket as its input, and outlive it.
pub(super) fn stand(socket: UnixStream) -> io::Result<Infallible> {
    // It ends as the worker did, and would leave a core where the worker left none.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let worker = Command::new(program)
        .arg0("toolgate")
        .args(std::env::args_os().skip(1))
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(socket.try_clone()?)))
        .spawn()?;
    let hang_up = HangUp::of(&socket)?;
    thread::Builder::new().name("toolgate-guard".into()).stack_size(128 * 1024).spawn(move || {
        hang_up.wait();
        if !hang_up.is_complete() {
            // The server wants an end in good order, and still listens.
            thread::sleep(PARTING);
        }
        kill_all()
    })?;
    let worker = i32::try_from(worker.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    let status = loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == worker => break status,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => kill_all(),
        }
    };
    kill_others();
    end_like(status)
}

/// The whole group, and this process with it.
fn kill_all() -> ! {
    let _ = kill_current_process_group(Signal::KILL);
    std::process::abort()
}

/// The group but for this process: nobody in it has a parent any more but us, and nobody outlives us.
fn kill_others() {
    let own = getpid();
    for _ in 0..LOOKS {
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        let others: Vec<Pid> = gauge::members(getpgrp()).into_iter().filter(|pid| *pid != own).collect();
        if others.is_empty() {
            return;
        }
        for pid in others {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(LOOK_AGAIN);
    }
    kill_all()
}

/// Die of the same signal, or with the same exit status.
fn end_like(status: WaitStatus) -> ! {
    let Some(signal) = status.terminating_signal() else { std::process::exit(status.exit_status().unwrap_or(1)) };
    if let Some(named) = Signal::from_named_raw(signal) {
        // More than once: the standard library has handlers that stand back the first time.
        for _ in 0..10 {
            let _ = kill_process(getpid(), named);
            thread::sleep(LOOK_AGAIN);
        }
    }
    std::process::exit(signal.saturating_add(128))
}
