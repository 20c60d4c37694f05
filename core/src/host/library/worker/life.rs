//! One worker process: started, spoken with, watched, ended and reaped.
//!
//! Owns the process, its socket and the requests that it has not answered. Knows nothing of the lives before and
//! after: that is `supervisor`'s.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::de::DeserializeOwned;
use tokio::{
    io::AsyncReadExt as _,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
    sync::{Notify, oneshot},
    task::JoinSet,
};

use toolgate_abi::method;

use super::{
    super::{link::Reply, manifest::Manifest},
    Spec,
    gauge::Gauge,
    grants,
    handshake::{Bounds, Created, Opened, Orders, Refusal, VERSION},
    output,
    wire::{Decoder, Frame, Kind, frame},
};
use crate::{config::Size, host::limits::largest_answer};

/// A frame may be this much larger than the largest result.
const MARGIN: u64 = 256 * 1024;
/// Most bytes that wait for a worker that does not read.
const BACKLOG: usize = 64 * 1024 * 1024;
/// Threads beyond those that calls may block: for health, cancellation and the end.
const SPARE_THREADS: usize = 4;

/// Why a worker was ended by its supervisor, or that it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It closed its socket: it is dying, or dead.
    Left,
    /// We end it, for this reason: the plugin …
    Condemned(String),
}

/// How a process ended.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) end: End,
    /// `None` if it could not be learnt.
    pub(super) status: Option<ExitStatus>,
    /// It said that it got no more memory, of this much.
    pub(super) starved: Option<Size>,
}

/// What is spoken over: the part of a life that callers share.
pub(super) struct Voice {
    out: Mutex<Out>,
    more: Notify,
    writer: OwnedWriteHalf,
    open: Mutex<Requests>,
    /// Whether a `tools/call` was answered.
    useful: AtomicBool,
    /// How many calls were answered.
    answers: AtomicU64,
    /// The last answer to `tools/list`.
    tools: Mutex<Option<Vec<u8>>>,
}

#[derive(Default)]
struct Out {
    queue: VecDeque<Vec<u8>>,
    /// How much of the first is written.
    written: usize,
    bytes: usize,
    /// Since when nothing could be written.
    stuck: Option<Instant>,
}

#[derive(Default)]
struct Requests {
    open: HashMap<u64, Open>,
    /// Why there are no answers any more.
    gone: Option<String>,
}

struct Open {
    reply: oneshot::Sender<Reply>,
    asked: Asked,
    given_up: Option<Instant>,
}

/// What is remembered of a request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Call,
    Tools,
    Other,
}

impl Asked {
    fn of(method: &str) -> Self {
        match method {
            method::TOOLS_CALL => Self::Call,
            method::TOOLS_LIST => Self::Tools,
            _ => Self::Other,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Voice ===

impl Voice {
    fn new(writer: OwnedWriteHalf) -> Self {
        Self {
            out: Mutex::default(),
            more: Notify::new(),
            writer,
            open: Mutex::default(),
            useful: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            tools: Mutex::default(),
        }
    }

    /// Ask.
    pub(super) fn request(&self, id: u64, method: &str, params: &[u8], reply: oneshot::Sender<Reply>) {
        {
            let mut requests = lock(&self.open);
            if let Some(gone) = &requests.gone {
                let _ = reply.send(Reply::Gone(gone.clone()));
                return;
            }
            requests.open.insert(id, Open { reply, asked: Asked::of(method), given_up: None });
        }
        if !self.say(Kind::Request, id, method, params)
            && let Some(open) = lock(&self.open).open.remove(&id)
        {
            let _ = open.reply.send(Reply::Gone("the plugin takes in no more calls; try again in a moment".into()));
        }
    }

    /// Tell.
    pub(super) fn notify(&self, method: &str, params: &[u8]) {
        if !self.say(Kind::Notify, 0, method, params) {
            tracing::debug!(method, "a notification is dropped: the worker does not read");
        }
    }

    /// Nobody waits for this request any more: a worker that goes on with it is given `grace`.
    pub(super) fn given_up(&self, id: u64) {
        if let Some(open) = lock(&self.open).open.get_mut(&id) {
            open.given_up.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn useful(&self) -> bool {
        self.useful.load(Ordering::Relaxed)
    }

    /// The last answer to `tools/list`.
    pub(super) fn tools(&self) -> Option<Vec<u8>> {
        lock(&self.tools).clone()
    }

    /// Every request, now and later, ends with this.
    pub(super) fn end(&self, why: impl Fn(bool) -> String) {
        let open = {
            let mut requests = lock(&self.open);
            requests.gone = Some(why(false));
            std::mem::take(&mut requests.open)
        };
        for open in open.into_values() {
            let _ = open.reply.send(Reply::Gone(why(open.asked == Asked::Call)));
        }
    }

    /// Whether the frame is written or will be. Writes at once if it can: a wake-up less for each request.
    fn say(&self, kind: Kind, id: u64, method: &str, payload: &[u8]) -> bool {
        let Some(frame) = frame(kind, id, method, payload) else { return false };
        let mut out = lock(&self.out);
        let mut written = 0;
        if out.queue.is_empty() {
            match self.writer.try_write(&frame) {
                Ok(count) if count == frame.len() => return true,
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The reader sees the end, and answers.
                Err(_) => return true,
            }
            out.written = written;
        }
        if out.bytes + frame.len() > BACKLOG && written == 0 {
            return false;
        }
        out.bytes += frame.len();
        out.stuck.get_or_insert_with(Instant::now);
        out.queue.push_back(frame);
        self.more.notify_one();
        true
    }

    /// Write what could not be written at once, for as long as the socket lives.
    async fn write(&self) {
        loop {
            if !self.drain() {
                self.more.notified().await;
            } else if self.writer.writable().await.is_err() {
                return;
            }
        }
    }

    /// Whether something is left to write.
    fn drain(&self) -> bool {
        let mut out = lock(&self.out);
        while let Some(first) = out.queue.front() {
            match self.writer.try_write(&first[out.written..]) {
                Ok(count) => {
                    out.written += count;
                    out.stuck = Some(Instant::now());
                    if out.queue.front().is_some_and(|first| out.written >= first.len()) {
                        let length = out.queue.pop_front().map_or(0, |first| first.len());
                        out.bytes -= length;
                        out.written = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {
                    *out = Out::default();
                    return false;
                }
            }
        }
        out.stuck = None;
        false
    }

    /// A call that goes on although it was given up this long ago, or a socket that takes nothing.
    fn hangs(&self, grace: Duration) -> Option<String> {
        if lock(&self.out).stuck.is_some_and(|since| since.elapsed() > grace) {
            return Some("hung: it did not take in what it was asked".into());
        }
        let mut requests = lock(&self.open);
        for open in requests.open.values_mut() {
            // Somebody may have left without a word.
            if open.given_up.is_none() && open.reply.is_closed() {
                open.given_up = Some(Instant::now());
            }
        }
        let hangs = requests.open.values().any(|open| open.given_up.is_some_and(|since| since.elapsed() > grace));
        hangs.then(|| format!("hung: it did not end a call within {} of its cancellation", humantime(grace)))
    }

    fn calls_open(&self) -> bool {
        !lock(&self.open).open.is_empty()
    }

    fn answered(&self, frame: Frame) {
        let Some(open) = lock(&self.open).open.remove(&frame.id) else {
            tracing::debug!(id = frame.id, "an answer to nothing that was asked; it is dropped");
            return;
        };
        match (open.asked, frame.kind) {
            (Asked::Call, _) => {
                self.useful.store(true, Ordering::Relaxed);
                self.answers.fetch_add(1, Ordering::Relaxed);
            }
            (Asked::Tools, Kind::Result) => *lock(&self.tools) = Some(frame.payload.clone()),
            _ => {}
        }
        let _ = open.reply.send(match frame.kind {
            Kind::TooLarge => Reply::TooLarge(size(&frame.payload)),
            Kind::Error => match serde_json::from_slice(&frame.payload) {
                Ok(error) => Reply::Error(error),
                Err(error) => Reply::Gone(format!("the plugin answered with an error that is no JSON: {error}")),
            },
            _ => Reply::Result(frame.payload),
        });
    }
}

fn size(payload: &[u8]) -> u64 {
    payload.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A duration for people.
pub(super) fn humantime(duration: Duration) -> String {
    ::humantime::format_duration(duration).to_string()
}

// === A process ===

/// A process that has opened its library.
pub(super) struct Life {
    pub(super) voice: Arc<Voice>,
    reader: OwnedReadHalf,
    decoder: Decoder,
    process: Process,
}

/// Kills the whole group when dropped, so that nothing that the plugin has started outlives it.
struct Process {
    child: Child,
    group: Option<Pid>,
    output: JoinSet<()>,
    /// Whether it said that it got no more memory.
    starved: Arc<AtomicBool>,
    memory: Size,
}

impl Process {
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

impl Life {
    /// Start a process and have it open the library.
    pub(super) async fn start(spec: &Spec) -> Result<(Self, Manifest), Refusal> {
        let plugin = &spec.plugin;
        let broken = |what: &str, why: &dyn std::fmt::Display| Refusal {
            message: format!("the worker of the plugin \"{plugin}\" cannot be started: {what}: {why}"),
            help: "mend the cause, or set isolation = \"none\"".into(),
            setting: None,
        };
        make_folder(&spec.state_dir).map_err(|error| broken(&format!("\"{}\"", spec.state_dir.display()), &error))?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|error| broken("socket", &error))?;
        ours.set_nonblocking(true).map_err(|error| broken("socket", &error))?;
        let (reader, writer) = UnixStream::from_std(ours).map_err(|error| broken("socket", &error))?.into_split();
        let process = spawn(spec, theirs).map_err(|error| broken("process", &error))?;
        let largest = usize::try_from(largest_answer(&spec.limits).saturating_add(MARGIN)).unwrap_or(usize::MAX);
        let mut life = Self { voice: Arc::new(Voice::new(writer)), reader, decoder: Decoder::new(largest), process };
        let orders = serde_json::to_vec(&orders(spec)).map_err(|error| broken("orders", &error))?;
        life.voice.say(Kind::Orders, 0, "", &orders);
        let opened: Opened = life.shake_hands(spec, Kind::Opened, "open the library").await?;
        if opened.version != VERSION {
            return Err(broken("version", &format_args!("it is {}, the server is {VERSION}", opened.version)));
        }
        for missing in opened.missing {
            tracing::warn!(plugin = &**plugin, "{missing}");
        }
        let seen = |text: &str| text.replace(&*spec.library.to_string_lossy(), &spec.origin.to_string_lossy());
        let manifest = opened.manifest.map_err(|refusal| Refusal { message: seen(&refusal.message), ..refusal })?;
        Ok((life, manifest))
    }

    /// Have it create the instance.
    pub(super) async fn create(&mut self, spec: &Spec, params: &[u8]) -> Result<(), Refusal> {
        self.voice.say(Kind::Create, 0, "", params);
        let created: Created = self.shake_hands(spec, Kind::Created, "start").await?;
        created.instance?;
        let plugin = &*spec.plugin;
        tracing::info!(plugin, "worker of \"{plugin}\" started: {}", grants::told(&spec.limits));
        Ok(())
    }

    /// Wait for this frame; a plugin may speak before.
    async fn shake_hands<T: DeserializeOwned>(&mut self, spec: &Spec, kind: Kind, what: &str) -> Result<T, Refusal> {
        let voice = Arc::clone(&self.voice);
        let end = tokio::select! {
            frame = tokio::time::timeout(spec.patience.start, self.frame_of(spec, kind)) => match frame {
                Ok(Ok(frame)) => match serde_json::from_slice(&frame.payload) {
                    Ok(value) => return Ok(value),
                    Err(error) => End::Condemned(format!("spoke nonsense: {error}")),
                },
                Ok(Err(end)) => end,
                Err(_) => End::Condemned(format!("did not {what} within {}", humantime(spec.patience.start))),
            },
            () = voice.write() => End::Left,
        };
        let death = self.bury(end, spec.patience.exit).await;
        let during = match death.end {
            End::Left => format!(" when it was to {what}"),
            End::Condemned(_) => String::new(),
        };
        let message = format!("the plugin \"{}\" {}{during}", spec.plugin, death.words());
        let help = "its own words are in the log; mend the plugin, or set `enabled = false`".to_owned();
        Err(Refusal { message, help, setting: None })
    }

    async fn frame_of(&mut self, spec: &Spec, kind: Kind) -> Result<Frame, End> {
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) if frame.kind == kind => return Ok(frame),
                Ok(Some(frame)) if frame.kind == Kind::Told => (spec.told)(&frame.method, &frame.payload),
                Ok(Some(frame)) => return Err(End::Condemned(format!("spoke out of turn: {:?}", frame.kind))),
                Ok(None) => match self.reader.read(self.decoder.room()).await {
                    Ok(0) | Err(_) => return Err(End::Left),
                    Ok(count) => self.decoder.filled(count),
                },
                Err(error) => return Err(End::Condemned(format!("spoke nonsense: {error}"))),
            }
        }
    }

    /// Serve until the process ends or must be ended.
    pub(super) async fn serve(&mut self, spec: &Spec) -> End {
        let voice = Arc::clone(&self.voice);
        let pid = self.process.group;
        tokio::select! {
            end = self.read(spec) => end,
            () = voice.write() => End::Left,
            end = watch(&voice, spec, pid) => end,
        }
    }

    async fn read(&mut self, spec: &Spec) -> End {
        loop {
            loop {
                match self.decoder.next() {
                    Ok(Some(frame)) => match frame.kind {
                        Kind::Result | Kind::Error | Kind::TooLarge => self.voice.answered(frame),
                        Kind::Told => (spec.told)(&frame.method, &frame.payload),
                        other => return End::Condemned(format!("spoke out of turn: {other:?}")),
                    },
                    Ok(None) => break,
                    Err(error) => return End::Condemned(format!("spoke nonsense: {error}")),
                }
            }
            match self.reader.read(self.decoder.room()).await {
                Ok(0) | Err(_) => return End::Left,
                Ok(count) => self.decoder.filled(count),
            }
        }
    }

    /// Close the socket, which asks the worker to leave, and read what it still says.
    pub(super) async fn leave(&mut self, spec: &Spec) {
        // The worker sees the end of our words; what it says is still read, so that it cannot block on saying it.
        let _ = rustix::net::shutdown(AsRef::<UnixStream>::as_ref(&self.voice.writer), rustix::net::Shutdown::Write);
        let _ = tokio::time::timeout(spec.patience.exit, self.read(spec)).await;
    }

    /// End the process, whatever it does, and learn how it ended.
    ///
    /// At [`End::Left`] the kernel has closed its socket while it ends the process, so that its status is settled and
    /// a signal changes nothing.
    pub(super) async fn bury(&mut self, end: End, patience: Duration) -> Death {
        self.process.kill();
        let status = tokio::time::timeout(patience, self.process.child.wait()).await;
        // Its last words are in the pipes, but somebody outside of its group may hold them open for ever.
        let output = &mut self.process.output;
        let _ = tokio::time::timeout(Duration::from_millis(200), async { while output.join_next().await.is_some() {} })
            .await;
        output.abort_all();
        let starved = self.process.starved.load(Ordering::Relaxed).then_some(self.process.memory);
        Death { end, status: status.ok().and_then(Result::ok), starved }
    }
}

/// What ends a worker that does not end by itself.
async fn watch(voice: &Voice, spec: &Spec, pid: Option<Pid>) -> End {
    let period = (spec.patience.grace / 4).clamp(Duration::from_millis(5), Duration::from_millis(250));
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut gauge = pid.map(|pid| Gauge::new(pid, &spec.limits));
    loop {
        ticks.tick().await;
        if let Some(reason) = voice.hangs(spec.patience.grace) {
            return End::Condemned(reason);
        }
        let answers = voice.answers.load(Ordering::Relaxed);
        let busy = voice.calls_open();
        if let Some(reason) = gauge.as_mut().and_then(|gauge| gauge.over(answers, busy)) {
            return End::Condemned(reason);
        }
    }
}

/// The plugin's own folder, for this account only.
fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn orders(spec: &Spec) -> Orders {
    let limits = &spec.limits;
    Orders {
        version: VERSION.into(),
        plugin: spec.plugin.to_string(),
        library: absolute(&spec.library),
        threads: limits.concurrency.saturating_add(SPARE_THREADS),
        result: largest_answer(limits),
        bounds: Bounds {
            memory: limits.memory.0,
            files: limits.files,
            network: limits.network,
            exec: limits.exec,
            state_dir: absolute(&spec.state_dir),
            read: limits.read.iter().map(|path| absolute(path)).collect(),
            write: limits.write.iter().map(|path| absolute(path)).collect(),
        },
    }
}

/// The worker runs in another folder than the server.
fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn spawn(spec: &Spec, socket: std::os::unix::net::UnixStream) -> io::Result<Process> {
    let mut command = program()?;
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut tasks = JoinSet::new();
    let starved = Arc::new(AtomicBool::new(false));
    if let Some(pipe) = child.stdout.take() {
        tasks.spawn(output::log(Arc::clone(&spec.plugin), "stdout", pipe, Arc::clone(&starved)));
    }
    if let Some(pipe) = child.stderr.take() {
        tasks.spawn(output::log(Arc::clone(&spec.plugin), "stderr", pipe, Arc::clone(&starved)));
    }
    let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    Ok(Process { child, group, output: tasks, starved, memory: spec.limits.memory })
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
