//! One process: our own binary as a worker, with a socket as its input and pipes for what it prints; killed and reaped.
//!
//! Knows nothing of what is said over the socket.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

use super::{Spec, guard, nursery, output};

/// How long last words may take to come out of the pipes.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Kills the whole group when dropped, so that nothing that the plugin has started outlives it.
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    output: JoinSet<()>,
    starved: Arc<AtomicBool>,
}

impl Process {
    /// Start one that has this socket as its input.
    pub(super) fn spawn(spec: &Spec, socket: UnixStream) -> io::Result<Self> {
        let mut command = program()?;
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if spec.limits.exec {
            command.env(guard::ROLE, "1");
        }
        let mut child = nursery::spawn(command)?;
        let mut output = JoinSet::new();
        let starved = Arc::new(AtomicBool::new(false));
        if let Some(pipe) = child.stdout.take() {
            output.spawn(output::log(Arc::clone(&spec.plugin), "stdout", pipe, Arc::default()));
        }
        if let Some(pipe) = child.stderr.take() {
            output.spawn(output::log(Arc::clone(&spec.plugin), "stderr", pipe, Arc::clone(&starved)));
        }
        let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        Ok(Self { child, group, output, starved })
    }

    /// Its number, which is its group's as well.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.group
    }

    /// Whether it ends by itself within `patience`. It is not reaped, so that its number stays its own.
    pub(super) async fn ends(&self, patience: Duration) -> bool {
        const LOOK_AGAIN: Duration = Duration::from_millis(2);
        let Some(pid) = self.group else { return true };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = async {
            while let Ok(None) = waitid(WaitId::Pid(pid), options) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        timeout(patience, ended).await.is_ok()
    }

    /// End it with all that it has started, and learn how it ended; `None` if that cannot be learnt in time.
    pub(super) async fn reap(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.kill();
        let status = timeout(patience, self.child.wait()).await;
        // Its last words are in the pipes, but somebody outside of its group may hold them open for ever.
        let output = &mut self.output;
        let _ = timeout(LAST_WORDS, async { while output.join_next().await.is_some() {} }).await;
        output.abort_all();
        status.ok().and_then(Result::ok)
    }

    /// Whether its last words were that it got no more memory.
    pub(super) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
    }

    fn kill(&self) {
        // Only while the child is not reaped: its number is not somebody else's then.
        if let (Some(_), Some(group)) = (self.child.id(), self.group) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The plugin's own folder, for this account only.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Our own binary, as a worker. On Linux the very file that runs, even if another was installed in its place.
#[cfg(not(test))]
fn program() -> io::Result<Command> {
    let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let mut command = Command::new(program);
    // Another name than the server's, for who looks for that.
    command.arg0("toolgate-worker").arg("worker");
    Ok(command)
}

/// The test binary, whose one ignored test is a worker.
#[cfg(test)]
fn program() -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let name = "host::library::worker::tests::the_worker_itself";
    command.args([name, "--exact", "--ignored", "--nocapture", "--quiet", "--test-threads=1"]);
    Ok(command)
}
