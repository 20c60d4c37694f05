//! Workers with a C plugin that behaves in every way there is.

mod dying;
mod speed;
#[cfg(target_os = "linux")]
mod walls;

use std::{
    path::Path,
    process::Command,
    sync::{Mutex, OnceLock},
};

use super::{
    super::link::{Link, Reply},
    *,
};

/// What `life` starts in place of `toolgate worker`: the test binary with this one test in it.
#[test]
#[ignore = "a worker, started by the other tests"]
fn the_worker_itself() {
    let code = work().map_or(2, |_| 0);
    std::process::exit(code);
}

/// The fixture, built once.
pub(super) fn library(blocking: bool) -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, [PathBuf; 2])> = OnceLock::new();
    let (_, built) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let built = ["false", "true"].map(|blocking| {
            let library = folder.path().join(format!("libmisbehaving-{blocking}.so"));
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let status = Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wno-infinite-recursion"])
                .arg(format!("-DBLOCKING=\"{blocking}\""))
                .arg("-I")
                .arg(root.join("../plugins/abi/include"))
                .arg(root.join("src/host/library/worker/tests/misbehaving.c"))
                .args(["-lpthread", "-o"])
                .arg(&library)
                .status()
                .expect("cc runs");
            assert!(status.success(), "the fixture is built");
            library
        });
        (folder, built)
    });
    &built[usize::from(blocking)]
}

/// A worker of its own, with a state folder of its own.
pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) limits: Limits,
    pub(super) patience: Patience,
    pub(super) blocking: bool,
    pub(super) params: String,
    pub(super) told: Arc<Mutex<Vec<String>>>,
    pub(super) down: Arc<AtomicBool>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            limits: Limits::default(),
            patience: Patience::default(),
            blocking: true,
            params: "{}".into(),
            told: Arc::default(),
            down: Arc::default(),
        }
    }

    pub(super) fn spec(&self) -> Spec {
        let told = Arc::clone(&self.told);
        Spec {
            plugin: "crash".into(),
            library: library(self.blocking).into(),
            origin: "plugins/libcrash.so".into(),
            kept: Arc::new(()),
            state_dir: self.folder.path().join("state"),
            limits: self.limits.clone(),
            patience: self.patience,
            told: Arc::new(move |method, params| {
                let told = told.lock();
                told.expect("no panic").push(format!("{method} {}", String::from_utf8_lossy(params)));
            }),
            down: Arc::clone(&self.down),
        }
    }

    pub(super) async fn start(&self) -> Arc<dyn Link> {
        let opened = open(self.spec()).await.expect("opens");
        opened.create(self.params.clone().into_bytes()).await.expect("starts")
    }
}

pub(super) async fn call(link: &dyn Link, name: &str, arg: &str) -> Reply {
    let params = format!(r#"{{"name":"{name}","arg":"{arg}"}}"#);
    link.request("tools/call", params.into_bytes(), None).reply.await.expect("each request is answered")
}

/// The number that a call answers with: an `errno`, or a count.
pub(super) async fn number(link: &dyn Link, name: &str, arg: &str) -> i32 {
    match call(link, name, arg).await {
        Reply::Result(bytes) => String::from_utf8_lossy(&bytes).parse().expect("a number"),
        other => panic!("{name} {arg}: {other:?}"),
    }
}

pub(super) fn gone(reply: Reply) -> String {
    match reply {
        Reply::Gone(why) => why,
        other => panic!("not gone: {other:?}"),
    }
}
