//! A folder of documents, and the plugin over it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use toolgate_plugin::{
    Health, HostHandle, LogLevel, Notice,
    testing::{Answer, Host},
};

/// How long to wait for what should come at once; a loaded machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place of its own: documents in `docs`, the plugin's state in `state`, and an outside around them.
pub(super) struct House {
    around: TempDir,
}

/// The plugin that runs, and what it has written to the log.
pub(super) struct Plugin {
    host: Host,
    log: Arc<Mutex<Vec<(LogLevel, String)>>>,
}

impl House {
    /// With these documents.
    pub(super) fn with(documents: &[(&str, &str)]) -> Self {
        let house = Self { around: TempDir::with_prefix("docs-").expect("a folder") };
        fs::create_dir(house.docs()).expect("a folder");
        for (name, text) in documents {
            house.write(name, text);
        }
        house
    }

    pub(super) fn around(&self) -> &Path {
        self.around.path()
    }

    pub(super) fn docs(&self) -> PathBuf {
        self.around().join("docs")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.around().join("state")
    }

    /// Write a document.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.docs().join(name);
        fs::create_dir_all(path.parent().expect("its folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// The plugin over `docs`.
    pub(super) async fn start(&self) -> Plugin {
        self.start_with(json!({ "folders": ["docs"], "wait": "60s" })).await
    }

    /// The plugin with these settings.
    pub(super) async fn start_with(&self, settings: Value) -> Plugin {
        self.start_in(settings, self.state()).await
    }

    /// The plugin with these settings and its state in this folder.
    pub(super) async fn start_in(&self, settings: Value, state: PathBuf) -> Plugin {
        let log: Arc<Mutex<Vec<(LogLevel, String)>>> = Arc::default();
        let ears = Arc::clone(&log);
        let handle = HostHandle::new("docs", state, move |notice| {
            if let Notice::Log { level, message } = notice {
                ears.lock().expect("nobody panics").push((level, message));
            }
        });
        let provider = crate::provider(settings, handle.with_base_dir(self.around())).expect("the settings fit");
        Plugin { host: Host::of(provider).await.expect("the plugin starts"), log }
    }
}

impl Plugin {
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// A search that succeeds; its structured content.
    pub(super) async fn search(&self, arguments: Value) -> Value {
        let answer = self.host.call("docs_search", arguments).await;
        assert!(!answer.is_error, "{}", answer.text());
        answer.structured().clone()
    }

    /// The ids of what a query finds, sorted.
    pub(super) async fn found(&self, query: &str) -> Vec<String> {
        let found = self.search(json!({ "query": query })).await;
        let ids = found["results"].as_array().expect("results").iter();
        let mut ids: Vec<String> = ids.map(|result| result["id"].as_str().expect("an id").to_owned()).collect();
        ids.sort();
        ids
    }

    /// Search again until a query finds exactly this.
    pub(super) async fn finds(&self, query: &str, expected: &[&str]) {
        let begun = Instant::now();
        loop {
            let found = self.found(query).await;
            if found == expected {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{query:?} finds {found:?} and not {expected:?}; {:#?}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn fetch(&self, id: &str) -> Answer {
        self.host.call("docs_fetch", json!({ "id": id })).await
    }

    /// What is wrong, once it is this or something like it.
    pub(super) async fn health_with(&self, part: &str) -> String {
        let begun = Instant::now();
        loop {
            let health = match self.host.health().await {
                Health::Ready => String::new(),
                Health::Degraded(why) => why,
                other => panic!("{other:?}"),
            };
            if health.contains(part) && (!part.is_empty() || health.is_empty()) {
                return health;
            }
            assert!(begun.elapsed() < PATIENCE, "{health:?} without {part:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn log(&self) -> Vec<(LogLevel, String)> {
        self.log.lock().expect("nobody panics").clone()
    }

    /// The lines of the log that have this.
    pub(super) fn logged(&self, part: &str) -> Vec<String> {
        self.log().into_iter().map(|(_, line)| line).filter(|line| line.contains(part)).collect()
    }

    /// Wait for a line of the log.
    pub(super) async fn logs(&self, part: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(line) = self.logged(part).into_iter().next() {
                return line;
            }
            assert!(begun.elapsed() < PATIENCE, "{part:?} is not among {:#?}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn stop(self) {
        self.host.shutdown().await;
    }
}
