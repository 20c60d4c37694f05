//! The worker process itself: reads its orders, confines itself, opens the library, and answers until the socket
//! closes.
//!
//! Starts no async runtime: a request costs one wake-up of a thread that waits on the socket. Prints nothing of its
//! own but to standard error, which the server logs.

mod checks;
mod desk;
mod signals;
mod watch;

use std::{
    io::{self, Read as _},
    os::unix::net::UnixStream,
    process::ExitCode,
    sync::Arc,
};

use rustix::io::fcntl_dupfd_cloexec;

use super::{
    super::{
        border::Library,
        failure::{CreateError, OpenError},
    },
    guard,
    handshake::{Confined, Created, Opened, Orders, Refusal, VERSION},
    sandbox,
    wire::{Decoder, Frame, Kind},
};
use desk::{Desk, Mouth};
pub(super) use watch::HangUp;

use crate::host::LoadError;

/// Frames from the server are as large as callers' arguments; the server is trusted to have bounded those.
const LARGEST: usize = 1 << 30;

/// This process was not started by a server.
#[derive(Debug, thiserror::Error)]
#[error(
    "`toolgate worker` is started by the server itself, for libraries with isolation = \"process\"; try a library with `toolgate plugin run FILE`"
)]
pub struct NotAWorker;

/// Be a worker: does not return while the server wants it.
///
/// # Errors
/// [`NotAWorker`] if standard input is no socket that a server holds the other end of.
pub fn work() -> Result<ExitCode, NotAWorker> {
    signals::leave_to_the_server();
    signals::take_name();
    let socket = take_socket().map_err(|_| NotAWorker)?;
    if guard::is_wanted() {
        return match guard::stand(socket) {
            Ok(never) => match never {},
            Err(_) => Err(NotAWorker),
        };
    }
    end_with_server(&socket).map_err(|_| NotAWorker)?;
    let mut reader = Reader { socket, decoder: Decoder::new(LARGEST) };
    let orders = match reader.frame() {
        Ok(Some(Frame { kind: Kind::Orders, payload, .. })) => payload,
        _ => return Err(NotAWorker),
    };
    let mouth = Arc::new(Mouth::new(reader.socket.try_clone().map_err(|_| NotAWorker)?));
    Ok(if serve(reader, &mouth, &orders).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The kernel ends this process with the thread that started it, whatever the plugin does with the threads here.
fn end_with_server(socket: &UnixStream) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have ended before that.
    if HangUp::of(socket)?.is_complete() { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
}

/// The socket behind standard input, moved to where a plugin that reads its input does not find it.
fn take_socket() -> io::Result<UnixStream> {
    let input = io::stdin();
    if rustix::net::sockopt::socket_domain(&input)? != rustix::net::AddressFamily::UNIX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    close_inherited();
    let socket = fcntl_dupfd_cloexec(&input, 3)?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(socket.into())
}

/// What whoever started the server left open, for instance, is not for a plugin. Nothing of ours is open yet.
fn close_inherited() {
    let Ok(listed) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The listing's own is among them, and closed already.
        let _ = nix::unistd::close(descriptor);
    }
}

/// The server is gone, or speaks nonsense: nothing is left to do.
struct Deserted;

impl From<io::Error> for Deserted {
    fn from(_: io::Error) -> Self {
        Self
    }
}

fn serve(mut reader: Reader, mouth: &Arc<Mouth>, orders: &[u8]) -> Result<(), Deserted> {
    let orders: Orders = serde_json::from_slice(orders).map_err(|_| Deserted)?;
    if orders.version != VERSION {
        // The server compares as well, and says so.
        return mouth.tell(Kind::Confined, &Confined { version: VERSION.into(), missing: Vec::new() });
    }
    // Single-threaded up to here: what follows binds every thread that is started later.
    let missing = sandbox::enter(&orders);
    mouth.tell(Kind::Confined, &Confined { version: VERSION.into(), missing })?;
    tracing_subscriber::fmt().with_writer(io::stderr).without_time().with_target(false).with_ansi(false).init();
    watch::watch_server(&reader.socket)?;
    let library = match Library::open(&orders.library) {
        Ok(library) => library,
        Err(error) => return mouth.tell(Kind::Opened, &Opened { manifest: Err(error.into()) }),
    };
    mouth.tell(Kind::Opened, &Opened { manifest: Ok(library.manifest().clone()) })?;
    let desk = Arc::new(Desk::new(Arc::clone(mouth), orders.result));
    let params = loop {
        match reader.frame()? {
            Some(Frame { kind: Kind::Tools, payload, .. }) => desk.recall(&payload),
            Some(Frame { kind: Kind::Create, payload, .. }) => break payload,
            _ => return Err(Deserted),
        }
    };
    if let Err(error) = checks::settings(&orders.plugin, library.manifest(), &params) {
        return mouth.tell(Kind::Created, &Created { instance: Err(error.into()) });
    }
    let instance = match library.create(&params, Arc::clone(&desk) as _) {
        Ok(instance) => instance,
        Err(error) => return mouth.tell(Kind::Created, &Created { instance: Err(error.into()) }),
    };
    mouth.tell(Kind::Created, &Created { instance: Ok(()) })?;
    desk.serve(instance, reader, if library.manifest().blocking { orders.threads } else { 1 })
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        Self { message: error.to_string(), help: error.help(), setting: None, place: Vec::new() }
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        let message = error.to_string();
        let setting = match error {
            CreateError::Refused { path, .. } => path,
            CreateError::Silent | CreateError::Unusable(_) => None,
        };
        Self { message, help: String::new(), setting, place: Vec::new() }
    }
}

impl From<LoadError> for Refusal {
    fn from(LoadError { path, message, help }: LoadError) -> Self {
        Self { message, help, setting: None, place: path }
    }
}

/// Frames off the socket.
struct Reader {
    socket: UnixStream,
    decoder: Decoder,
}

impl Reader {
    /// The next frame, once it is there; `None` at the end.
    fn frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.decoder.next().map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            match self.socket.read(self.decoder.room()) {
                Ok(0) => return Ok(None),
                Ok(count) => self.decoder.filled(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
