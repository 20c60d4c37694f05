//! The real `toolgate` binary, run as people run it: a configuration file in a folder of its own, an environment that
//! holds nothing but what a test gives, a free port.
//!
//! Knows the command line, the banner's first line and the audit file's name, and nothing of what is inside.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{self, ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

/// How long to wait for what should come at once; a loaded machine takes its time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look again where nothing tells that something has come.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is a folder of the workspace")
}

/// The binary, built if it is missing or older than its sources.
///
/// `cargo test` builds a package's binaries for that package's own tests alone, and this is another package.
///
/// # Panics
///
/// If it does not build.
pub fn binary() -> &'static Path {
    // A failure is remembered too, or each test would build again and fail again.
    static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    BINARY.get_or_init(build).as_deref().expect("the toolgate binary builds; what keeps it from that is said above")
}

/// Where the artifacts of the profile are that this test is built with, and the profile's name.
pub(crate) fn profile() -> Option<(PathBuf, String)> {
    let test = std::env::current_exe().ok()?;
    // target/<profile>/deps/<test>, or target/<profile>/<binary>.
    let folder = test.ancestors().skip(1).find(|folder| !folder.ends_with("deps"))?;
    let name = match folder.file_name()?.to_str()? {
        "debug" => "dev",
        name => name,
    };
    Some((folder.to_owned(), name.to_owned()))
}

fn build() -> Option<PathBuf> {
    let (profile_folder, profile) = profile()?;
    let built = process::Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["build", "--quiet", "--package", "toolgate", "--bin", "toolgate", "--profile", &profile])
        .arg("--target-dir")
        .arg(profile_folder.parent()?)
        .status();
    let binary = profile_folder.join(format!("toolgate{}", std::env::consts::EXE_SUFFIX));
    built.is_ok_and(|status| status.success()).then_some(binary)
}

/// The name of the file that audit records go to, in the server's folder.
const AUDIT: &str = "audit.jsonl";

/// A run of the binary that is being prepared.
#[derive(Debug)]
pub struct Launch {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
}

impl Launch {
    /// `toolgate serve` with this `config.toml`, alone in a new folder. Audit records go to a file there.
    ///
    /// # Panics
    ///
    /// If the folder cannot be written.
    pub fn new(config: &str) -> Self {
        let folder = TempDir::with_prefix("toolgate-").expect("a folder for the server");
        let environment = BTreeMap::from([("TOOLGATE_AUDIT__SINK".to_owned(), AUDIT.to_owned())]);
        Self { folder, environment, arguments: vec!["serve".to_owned()] }.file("config.toml", config)
    }

    /// The same with the configuration that the project ships.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub fn shipped() -> Self {
        Self::new(&std::fs::read_to_string(workspace().join("config.toml")).expect("config.toml"))
    }

    /// With the project's own documents beside it, which the configuration that the project ships is about.
    ///
    /// # Panics
    ///
    /// If they cannot be copied.
    #[must_use]
    pub fn with_documents(self) -> Self {
        let docs = std::fs::read_dir(workspace().join("docs")).expect("docs/");
        // The pictures are no documents.
        let pages = docs.map(|page| page.expect("a page").path()).filter(|page| page.is_file());
        let pages = pages.filter_map(|page| Some(Path::new("docs").join(page.file_name()?)));
        std::fs::create_dir(self.folder.path().join("docs")).expect("a folder in the server's folder");
        for file in pages.chain(["README.md", "ARCHITECTURE.md"].map(PathBuf::from)) {
            std::fs::copy(workspace().join(&file), self.folder.path().join(&file)).expect("a document");
        }
        self
    }

    /// With this variable in the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Without this variable, of those that are set otherwise.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// With this file beside the configuration.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).expect("a file in the server's folder");
        self
    }

    /// Another command than `serve`.
    #[must_use]
    pub fn command(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    /// The folder with the configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Start the server and wait until it takes connections.
    ///
    /// # Panics
    ///
    /// If it ends before.
    pub async fn start(self) -> Server {
        let mut running = self.spawn();
        let mut stdout = running.stdout.text.clone();
        let banner = tokio::time::timeout(PATIENCE, stdout.wait_for(|text| listens_on(text).is_some())).await;
        let address = banner.ok().and_then(Result::ok).and_then(|text| listens_on(&text));
        let Some(address) = address else {
            // Killed only after its patience has ended; a server that has ended by itself keeps its status.
            let _ = running.child.start_kill();
            panic!("the server does not serve: {:#?}", running.finish().await);
        };
        Server { running, address }
    }

    /// Run it to its end.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub async fn run(self) -> Finished {
        let running = self.spawn();
        tokio::time::timeout(PATIENCE, running.finish()).await.expect("the command ends")
    }

    fn spawn(self) -> Running {
        let mut command = Command::new(binary());
        command.args(&self.arguments).env_clear().envs(&self.environment).current_dir(self.folder.path());
        // Windows opens no sockets without it.
        command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary runs");
        let stdout = Output::of(child.stdout.take().expect("its standard output"));
        let stderr = Output::of(child.stderr.take().expect("its standard error"));
        Running { child, stdout, stderr, folder: self.folder }
    }
}

/// The address in the banner's first line, once it is whole.
fn listens_on(stdout: &str) -> Option<SocketAddr> {
    let (first, _) = stdout.split_once('\n')?;
    first.rsplit_once(" listens on ")?.1.trim_end().parse().ok()
}

/// What a stream has given so far; its sender is gone when the stream has ended.
#[derive(Debug)]
struct Output {
    text: watch::Receiver<String>,
    reader: JoinHandle<()>,
}

impl Output {
    fn of(mut stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, text) = watch::channel(String::new());
        let reader = tokio::spawn(async move {
            let mut chunk = vec![0; 16 * 1024];
            let mut pending = Vec::new();
            while let Ok(read @ 1..) = stream.read(&mut chunk).await {
                pending.extend_from_slice(&chunk[..read]);
                // Whole lines only, so that no character is cut.
                let whole = pending.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
                let lines: Vec<u8> = pending.drain(..whole).collect();
                sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&lines)));
            }
            sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&pending)));
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.borrow().clone()
    }

    async fn with(&self, part: &str) -> String {
        let mut text = self.text.clone();
        let found = tokio::time::timeout(PATIENCE, text.wait_for(|text| text.contains(part))).await;
        match found {
            Ok(Ok(text)) => text.clone(),
            _ => panic!("{part:?} does not come in {:?}", self.so_far()),
        }
    }

    async fn whole(self) -> String {
        // It cannot fail: nothing aborts it, and it does not panic.
        let _ = self.reader.await;
        self.text.borrow().clone()
    }
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdout: Output,
    stderr: Output,
    folder: TempDir,
}

impl Running {
    async fn finish(mut self) -> Finished {
        let status = self.child.wait().await.expect("its status");
        let (stdout, stderr) = (self.stdout.whole().await, self.stderr.whole().await);
        Finished { status, stdout, stderr, folder: self.folder }
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    folder: TempDir,
}

impl Finished {
    /// The exit status; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The audit file, as text.
    pub fn audit_text(&self) -> String {
        audit_text(self.folder.path())
    }
}

/// A server that serves. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    running: Running,
    address: SocketAddr,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it calls itself unless `public_url` says otherwise.
    pub fn public_url(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.running.folder.path()
    }

    /// Its process.
    pub fn process(&self) -> Option<u32> {
        self.running.child.id()
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> String {
        self.running.stdout.so_far()
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        self.running.stderr.so_far()
    }

    /// Wait until this stands on its standard output, and give back all that does.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub async fn stdout_with(&self, part: &str) -> String {
        self.running.stdout.with(part).await
    }

    /// The same on standard error.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub async fn stderr_with(&self, part: &str) -> String {
        self.running.stderr.with(part).await
    }

    /// The audit records so far, in order. The server writes them behind its answers: wait with
    /// [`Server::audited`] for the one that a test needs.
    pub fn audit(&self) -> Vec<Value> {
        let text = audit_text(self.folder());
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("an audit record is JSON")).collect()
    }

    /// The audit record of the request with this id, once it is written.
    ///
    /// # Panics
    ///
    /// If there is none in time, or more than one.
    pub async fn audited(&self, request_id: &str) -> Value {
        let find = async {
            loop {
                let mut found: Vec<Value> =
                    self.audit().into_iter().filter(|record| record["request_id"] == request_id).collect();
                assert!(found.len() < 2, "more than one record: {found:?}");
                match found.pop() {
                    Some(record) => return record,
                    None => tokio::time::sleep(LOOK_AGAIN).await,
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, find).await;
        found.unwrap_or_else(|_| panic!("the request {request_id} was not audited"))
    }

    /// Send it a signal, such as `TERM`. The shell's own `kill` does, since a crate for it would change the features of
    /// crates that the server is built from, and each would be built twice.
    ///
    /// # Panics
    ///
    /// If it is gone.
    #[cfg(unix)]
    pub async fn signal(&self, name: &str) {
        let pid = self.process().expect("it runs").to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "a signal to our own child");
    }

    /// Tell it to stop, as a supervisor does, and wait until it has.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[cfg(unix)]
    pub async fn terminate(self) -> Finished {
        self.signal("TERM").await;
        self.ended().await
    }

    /// Wait until it has stopped.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn ended(self) -> Finished {
        tokio::time::timeout(PATIENCE, self.running.finish()).await.expect("the server stops when told to")
    }
}

fn audit_text(folder: &Path) -> String {
    // Not there before the server has opened it.
    std::fs::read_to_string(folder.join(AUDIT)).unwrap_or_default()
}
