//! Claims about files that are watched: what rings, and what counts as a change.

use std::fs;

use super::*;

struct Bench {
    folder: tempfile::TempDir,
    watch: Watch,
    bell: Arc<Notify>,
}

impl Bench {
    /// Watches `at/file`, which holds "one".
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("at")).unwrap();
        fs::write(folder.path().join("at/file"), "one").unwrap();
        let bell = Arc::new(Notify::new());
        let mut watch = Watch::new(Arc::clone(&bell));
        assert!(watch.aim(&BTreeSet::from([folder.path().join("at/file")])), "a new file");
        assert!(watch.has_changed(), "nobody has looked before");
        assert!(!watch.has_changed());
        Self { folder, watch, bell }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Wait until the watched file has another content, however often the bell must ring for that.
    async fn changes(&mut self) {
        let changes = async {
            while !self.watch.has_changed() {
                self.bell.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), changes).await.expect("the change is seen");
    }
}

#[tokio::test]
async fn a_file_is_followed_however_it_is_replaced() {
    let mut bench = Bench::new();
    fs::write(bench.path("at/file"), "in place").unwrap();
    bench.changes().await;
    fs::write(bench.path("at/new"), "by another file of its name").unwrap();
    fs::rename(bench.path("at/new"), bench.path("at/file")).unwrap();
    bench.changes().await;
    fs::write(bench.path("elsewhere"), "by a hard link, as cargo does").unwrap();
    fs::remove_file(bench.path("at/file")).unwrap();
    fs::hard_link(bench.path("elsewhere"), bench.path("at/file")).unwrap();
    bench.changes().await;
    fs::create_dir(bench.path("other")).unwrap();
    fs::write(bench.path("other/file"), "with its folder").unwrap();
    fs::rename(bench.path("at"), bench.path("gone")).unwrap();
    fs::rename(bench.path("other"), bench.path("at")).unwrap();
    bench.changes().await;
    fs::write(bench.path("at/file"), "in the folder that came").unwrap();
    bench.changes().await;
    fs::remove_dir_all(bench.path("at")).unwrap();
    bench.changes().await;
    fs::create_dir(bench.path("at")).unwrap();
    fs::write(bench.path("at/file"), "where nothing was").unwrap();
    bench.changes().await;
}

#[test]
fn the_same_content_is_no_change() {
    let mut bench = Bench::new();
    fs::write(bench.path("at/file"), "one").unwrap();
    fs::write(bench.path("at/other"), "two").unwrap();
    assert!(!bench.watch.has_changed());
    assert!(!bench.watch.aim(&BTreeSet::from([bench.path("at/file")])), "the same files");
}

#[cfg(unix)]
#[test]
fn the_way_to_a_file_holds_each_link_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("..one")).unwrap();
    fs::write(root.join("..one/file"), "").unwrap();
    std::os::unix::fs::symlink("..one", root.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/file", root.join("file")).unwrap();
    std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
    let names = ["file", "..data", "..one", "..one/file"];
    assert_eq!(way(&root.join("file")), names.iter().map(|name| root.join(name)).collect());
    assert!(way(&root.join("loop")).contains(&root.join("loop")), "a loop ends");
    assert_eq!(way(&root.join("no/such/file")), BTreeSet::from([root.clone(), root.join("no")]));
}
