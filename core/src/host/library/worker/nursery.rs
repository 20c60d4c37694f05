//! The thread that starts workers.
//!
//! The kernel ends a worker when the *thread* that started it has ended (`PR_SET_PDEATHSIG`, prctl(2)), and threads of
//! the async runtime come and go. This one stays as long as the server.

use std::{
    io,
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
};

/// A process to be started, and where it goes.
struct Birth {
    command: Command,
    runtime: Handle,
    born: mpsc::SyncSender<io::Result<Child>>,
}

static NURSERY: Mutex<Option<mpsc::Sender<Birth>>> = Mutex::new(None);

/// Start a process that may be bound to the life of the server. Takes as long as starting one takes; within a runtime.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let runtime = Handle::try_current().map_err(io::Error::other)?;
    let (born, child) = mpsc::sync_channel(1);
    let ended = |_| io::Error::other("the thread that starts workers has ended");
    {
        let mut nursery = NURSERY.lock().unwrap_or_else(PoisonError::into_inner);
        if nursery.is_none() {
            *nursery = Some(open()?);
        }
        let births = nursery.as_ref().ok_or_else(|| ended(mpsc::RecvError))?;
        births.send(Birth { command, runtime, born }).map_err(|_| ended(mpsc::RecvError))?;
    }
    child.recv().map_err(ended)?
}

fn open() -> io::Result<mpsc::Sender<Birth>> {
    let (births, wanted) = mpsc::channel::<Birth>();
    thread::Builder::new().name("toolgate-nursery".into()).spawn(move || {
        for Birth { mut command, runtime, born } in wanted {
            let _inside = runtime.enter();
            // Whoever asked waits; if not, the child is killed as it is dropped.
            let _ = born.send(command.spawn());
        }
    })?;
    Ok(births)
}
