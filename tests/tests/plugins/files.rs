//! Every way a file can be wrong has its own message, in `check`, at the start and in `/readyz`; the others are served.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::house::{Plan, contrary};

/// A file that is wrong, made at a path, and what is said about it after its name.
struct Row {
    name: &'static str,
    make: fn(&Path),
    expected: &'static str,
}

/// The library that each row spoils.
fn good(path: &Path) -> Vec<u8> {
    contrary(&[], path);
    fs::read(path).expect("the library")
}

const ROWS: &[Row] = &[
    Row { name: "missing", make: |_| {}, expected: "there is no file \"FILE\"; build the plugin, or correct the path" },
    Row {
        name: "a folder",
        make: |path| fs::create_dir(path).expect("a folder"),
        expected: "\"FILE\" is a folder; name the library in it",
    },
    Row {
        name: "empty",
        make: |path| fs::write(path, "").expect("a file"),
        expected: "\"FILE\" is an empty file; build or copy it again",
    },
    Row {
        name: "text",
        make: |path| fs::write(path, "fn main() {}\n").expect("a file"),
        expected: "\"FILE\" is a text file, not a library; name the shared library",
    },
    Row {
        name: "bytes",
        make: |path| fs::write(path, [0, 1, 2, 3, 4, 5, 6, 7]).expect("a file"),
        expected: "\"FILE\" is something else, not a library; name the shared library",
    },
    Row {
        name: "truncated",
        make: |path| {
            let whole = good(path);
            fs::write(path, &whole[..whole.len() / 4]).expect("a file");
        },
        expected: "where its own header speaks of",
    },
    Row {
        name: "another architecture",
        make: |path| {
            let mut library = good(path);
            // `e_machine`: SPARC V9, on which no test of this project runs.
            library[18..20].copy_from_slice(&43_u16.to_ne_bytes());
            fs::write(path, library).expect("a file");
        },
        expected: "\"FILE\" is built for another machine (ELF number 43), and this server runs on",
    },
    Row {
        name: "a library that is no plugin",
        make: |path| contrary(&[("NO_VERSION", "1")], path),
        expected: "\"FILE\" is not a Toolgate plugin: it exports no `toolgate_plugin_abi_version`",
    },
    Row {
        name: "half a plugin",
        make: |path| contrary(&[("NO_CREATE", "1")], path),
        expected: "\"FILE\" is not a Toolgate plugin: it exports no `toolgate_plugin_create`",
    },
    Row {
        name: "an older ABI",
        make: |path| contrary(&[("ABI", "0u")], path),
        expected: "\"FILE\" speaks plugin ABI 0, this server 1; rebuild it with the current kit",
    },
    Row {
        name: "a newer ABI",
        make: |path| contrary(&[("ABI", "2u")], path),
        expected: "\"FILE\" speaks plugin ABI 2, this server 1; update the server, or rebuild the plugin",
    },
    Row {
        name: "a broken manifest",
        make: |path| contrary(&[("MANIFEST", "\"{\"")], path),
        expected: "the manifest of \"FILE\" is broken:",
    },
];

#[tokio::test]
async fn every_way_a_file_can_be_wrong_is_told_and_keeps_nobody_else_from_being_served() {
    let folder = tempfile::tempdir().expect("a folder");
    // Readable to whoever a worker becomes.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    // All of them in one server: each is its own plugin.
    let mut plan = Plan::new();
    for (index, row) in ROWS.iter().enumerate() {
        let file = folder.path().join(format!("lib{index}.so"));
        (row.make)(&file);
        plan = plan.library(&format!("p{index}"), &file, "");
    }
    let expected = |index: usize, row: &Row| {
        let file = folder.path().join(format!("lib{index}.so"));
        row.expected.replace("FILE", &file.display().to_string())
    };

    let house = plan.open().await;
    assert!(house.echoes().await, "the others are served");
    let stderr = house.server.stderr();
    let mut failures = Vec::new();
    for (index, row) in ROWS.iter().enumerate() {
        let (plugin, expected) = (format!("p{index}"), expected(index, row));
        let said = house.readiness(&plugin).await;
        let (message, _) = expected.split_once("; ").unwrap_or((&expected, ""));
        // Anybody may read it, and where the server keeps its files is the log's.
        let shown = message.replace(&format!("{}/", folder.path().display()), "");
        if said["state"] != "failed" || !said["detail"].as_str().unwrap_or_default().contains(&shown) {
            failures.push(format!("{}: /readyz says {said}, not {shown:?}", row.name));
        }
        if !stderr.contains(message) {
            failures.push(format!("{}: the log does not say {message:?}", row.name));
        }
    }
    let ready = house.http.get(format!("{}/readyz", house.server.url())).send().await.expect("an answer").status();
    assert_eq!(ready, 200, "what need not run must not take the server out of a load balancer");

    let checked = plan.launch().command(&["check"]).run().await;
    let told = format!("{}{}", checked.stdout, checked.stderr);
    for (index, row) in ROWS.iter().enumerate() {
        let expected = expected(index, row);
        if !told.contains(&expected) {
            failures.push(format!("{}: `check` does not say {expected:?}", row.name));
        }
    }
    assert!(failures.is_empty(), "{}\n---- check ----\n{told}", failures.join("\n"));
}

#[tokio::test]
async fn a_required_library_that_is_wrong_stops_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("libmissing.so");
    let ended = Plan::new().library("p", &file, "required = true").launch().run().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("there is no file \"{}\"", file.display())), "{ended:?}");
    assert!(!ended.stdout.contains("listens on"), "{ended:?}");
}

#[tokio::test]
async fn a_library_is_found_beside_the_configuration() {
    let plan = Plan::new().library("p", Path::new("libcontrary.so"), "");
    let launch = plan.launch();
    contrary(&[], &launch.folder().join("libcontrary.so"));
    let house = super::house::House { server: launch.start().await, http: super::house::http() };
    assert_eq!(house.text("p", "greet", serde_json::json!({})).await, "hello");
}
