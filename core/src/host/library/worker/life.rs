//! One worker process: started, spoken with, watched, ended and reaped.
//!
//! Owns the order of these, and what ends a worker that does not end by itself. What is spoken over is `voice`'s, the
//! process `process`'s, and the lives before and after `supervisor`'s.

use std::{path::Path, process::ExitStatus, sync::Arc, time::Duration};

use rustix::process::Pid;
use serde::de::DeserializeOwned;
use tokio::{
    io::AsyncReadExt as _,
    net::{UnixStream, unix::OwnedReadHalf},
};

use super::{
    super::manifest::Manifest,
    Spec,
    gauge::Gauge,
    grants,
    handshake::{Bounds, Confined, Created, Opened, Orders, Refusal, VERSION},
    obituary::humantime,
    process::{self, Process},
    voice::{Threads, Voice},
    wire::{Decoder, Frame, Kind},
};
use crate::{
    config::{Limits, Size},
    host::limits::largest_answer,
};

/// A frame may be this much larger than the largest result.
const MARGIN: u64 = 256 * 1024;
/// Threads beyond those that calls may block: for health, cancellation and the end.
const SPARE_THREADS: usize = 4;
/// How long a process may take from closing its socket to its end, if it does so because it ends.
const DYING: Duration = Duration::from_millis(500);

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
    /// Its last words were that it got no more memory, of this much.
    pub(super) starved: Option<Size>,
}

/// A process that has opened its library.
pub(super) struct Life {
    pub(super) voice: Arc<Voice>,
    reader: OwnedReadHalf,
    decoder: Decoder,
    process: Process,
    /// `None`: its plugin does not block.
    threads: Option<Threads>,
}

impl Life {
    /// Start a process and have it open the library.
    pub(super) async fn start(spec: &Spec) -> Result<(Self, Manifest), Refusal> {
        let plugin = &spec.plugin;
        let broken = |what: &str, why: &dyn std::fmt::Display| Refusal {
            message: format!("the worker of the plugin \"{plugin}\" cannot be started: {what}: {why}"),
            help: "mend the cause, or set isolation = \"none\"".into(),
            setting: None,
            place: Vec::new(),
        };
        let folder = &spec.state_dir;
        process::make_folder(folder).map_err(|error| broken(&format!("\"{}\"", folder.display()), &error))?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|error| broken("socket", &error))?;
        ours.set_nonblocking(true).map_err(|error| broken("socket", &error))?;
        let (reader, writer) = UnixStream::from_std(ours).map_err(|error| broken("socket", &error))?.into_split();
        let process = Process::spawn(spec, theirs).map_err(|error| broken("process", &error))?;
        let largest = usize::try_from(largest_answer(&spec.limits).saturating_add(MARGIN)).unwrap_or(usize::MAX);
        let (voice, decoder) = (Arc::new(Voice::new(writer)), Decoder::new(largest));
        let mut life = Self { voice, reader, decoder, process, threads: None };
        let orders = serde_json::to_vec(&orders(spec)).map_err(|error| broken("orders", &error))?;
        life.voice.say(Kind::Orders, 0, "", &orders);
        // Said before any code of the plugin runs, which could say it as well.
        let confined: Confined = life.shake_hands(spec, Kind::Confined, "confine itself").await?;
        if confined.version != VERSION {
            return Err(broken("version", &format_args!("it is {}, the server is {VERSION}", confined.version)));
        }
        for missing in confined.missing {
            tracing::warn!(plugin = &**plugin, "{missing}");
        }
        let opened: Opened = life.shake_hands(spec, Kind::Opened, "open the library").await?;
        let seen = |text: &str| text.replace(&*spec.library.to_string_lossy(), &spec.origin.to_string_lossy());
        let manifest = opened.manifest.map_err(|refusal| Refusal { message: seen(&refusal.message), ..refusal })?;
        life.threads = manifest.blocking.then(|| threads(&spec.limits));
        Ok((life, manifest))
    }

    /// Have it create the instance; `tools` is what the life before answered to `tools/list`, so that calls that come
    /// before the next list are checked as well.
    pub(super) async fn create(&mut self, spec: &Spec, params: &[u8], tools: Option<&[u8]>) -> Result<(), Refusal> {
        if let Some(tools) = tools {
            self.voice.say(Kind::Tools, 0, "", tools);
        }
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
        let death = self.bury(spec, end).await;
        let during = match death.end {
            End::Left => format!(" when it was to {what}"),
            End::Condemned(_) => String::new(),
        };
        let message = format!("the plugin \"{}\" {}{during}", spec.plugin, death.words());
        let help = "its own words are in the log; mend the plugin, or set `enabled = false`".to_owned();
        Err(Refusal { message, help, setting: None, place: Vec::new() })
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
        let (pid, threads) = (self.process.pid(), self.threads);
        tokio::select! {
            end = self.read(spec) => end,
            () = voice.write() => End::Left,
            end = watch(&voice, spec, pid, threads) => end,
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

    /// Close the socket, which asks the worker to leave, and read what it still says, so that it cannot block on it.
    pub(super) async fn leave(&mut self, spec: &Spec) {
        self.voice.fall_silent();
        let _ = tokio::time::timeout(spec.patience.exit, self.read(spec)).await;
    }

    /// End the process, whatever it does, and learn how it ended.
    ///
    /// At [`End::Left`] the kernel has usually closed its socket while it ends the process. One that lives on has
    /// closed it itself, and a signal of ours must not pass for its end.
    pub(super) async fn bury(&mut self, spec: &Spec, end: End) -> Death {
        let end = match end {
            End::Left if !self.process.ends(DYING).await => {
                End::Condemned("closed its connection to the server".into())
            }
            end => end,
        };
        let status = self.process.reap(spec.patience.exit).await;
        Death { end, status, starved: self.process.is_starved().then_some(spec.limits.memory) }
    }
}

/// What ends a worker that does not end by itself.
async fn watch(voice: &Voice, spec: &Spec, pid: Option<Pid>, threads: Option<Threads>) -> End {
    let period = (spec.patience.grace / 4).clamp(Duration::from_millis(5), Duration::from_millis(250));
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut gauge = pid.map(|pid| Gauge::new(pid, &spec.limits));
    loop {
        ticks.tick().await;
        if let Some(reason) = voice.hangs(spec.patience.grace, threads) {
            return End::Condemned(reason);
        }
        let over = gauge.as_mut().and_then(|gauge| gauge.over(voice.answers(), voice.is_asked()));
        if let Some(reason) = over {
            return End::Condemned(reason);
        }
    }
}

fn threads(limits: &Limits) -> Threads {
    Threads { calls: limits.concurrency, all: limits.concurrency.saturating_add(SPARE_THREADS) }
}

fn orders(spec: &Spec) -> Orders {
    let limits = &spec.limits;
    Orders {
        version: VERSION.into(),
        plugin: spec.plugin.to_string(),
        library: absolute(&spec.library),
        threads: threads(limits).all,
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
