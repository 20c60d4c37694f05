//! The walls of the house, as ARCHITECTURE.md has them: imports go down, rmcp stays in its room, plugins do not know
//! the server.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Top floor first.
const FLOORS: [&str; 10] = ["cli", "http", "mcp", "gate", "host", "policy", "tokens", "devauth", "telemetry", "config"];

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            found.push((path, text));
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The modules of the crate that a source names: after `crate::`, alone or in braces.
fn named(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    text.split("crate::")
        .skip(1)
        .flat_map(|after| {
            let Some(list) = after.strip_prefix('{') else { return vec![word(after)] };
            let mut depth = 0;
            let mut starts = vec![0];
            for (index, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => starts.push(index + 1),
                    _ => {}
                }
            }
            starts.into_iter().map(|start| word(list[start..].trim_start())).collect()
        })
        .collect()
}

#[test]
fn imports_go_down() {
    let floor = |name: &str| FLOORS.iter().position(|floor| *floor == name);
    for (level, module) in FLOORS.iter().enumerate() {
        for (path, text) in sources(&root().join("src").join(module)) {
            // Tests may look up the stairs: some compare what two floors make of one thing.
            if path.components().any(|part| part.as_os_str() == "tests") {
                continue;
            }
            for import in named(&text) {
                let below = floor(&import).is_none_or(|to| to >= level);
                assert!(below, "{} is on the floor of {module} and names {import}, which is above", path.display());
            }
        }
    }
}

#[test]
fn every_module_has_its_floor() {
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let mut modules: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut floors = FLOORS.to_vec();
    modules.sort_unstable();
    floors.sort_unstable();
    assert_eq!(modules, floors);
}

#[test]
fn the_development_server_knows_nothing_of_the_rest() {
    for (path, text) in sources(&root().join("src/devauth")) {
        assert_eq!(named(&text).iter().find(|name| *name != "devauth"), None, "{}", path.display());
    }
}

#[test]
fn what_a_stranger_names_is_fetched_in_one_place() {
    for (path, text) in sources(&root().join("src/devauth")) {
        let tests = path.components().any(|part| part.as_os_str() == "tests");
        let rooms: [(&str, &[&str]); 3] = [
            ("documents/connect.rs", &["lookup_host", "TcpStream"]),
            ("documents/fetch.rs", &["hyper::client"]),
            ("tests", &["reqwest"]),
        ];
        for (room, words) in rooms.into_iter().filter(|(room, _)| !tests && !path.ends_with(room)) {
            for word in words {
                assert!(!text.contains(word), "{} has {word}, which lives in {room}", path.display());
            }
        }
    }
}

#[test]
fn rmcp_stays_in_its_room() {
    for module in FLOORS.into_iter().filter(|module| *module != "mcp") {
        for (path, text) in sources(&root().join("src").join(module)) {
            assert!(!text.contains("rmcp::"), "{} names rmcp", path.display());
        }
    }
}

#[test]
fn the_policy_waits_for_nothing() {
    for (path, text) in sources(&root().join("src/policy")).into_iter().filter(|(path, _)| !path.ends_with("tests.rs"))
    {
        for word in ["async fn", ".await", "std::fs", "std::net", "tokio::", "reqwest::"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn plugins_do_not_know_the_server() {
    let plugins = root().join("../plugins");
    for entry in fs::read_dir(plugins).expect("the plugins") {
        let manifest = entry.expect("an entry").path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap_or_default();
        let knows = text.lines().any(|line| {
            line.starts_with("toolgate.")
                || line.starts_with("toolgate =")
                || line.contains("package = \"toolgate\"")
                || line.contains("dependencies.toolgate]")
        });
        assert!(!knows, "{} depends on the server", manifest.display());
    }
}

#[test]
fn unsafe_code_has_one_room_on_each_side_of_the_border() {
    let rooms = [("src", "src/host/library/border.rs"), ("../plugins/sdk/src", "../plugins/sdk/src/export/border.rs")];
    for (folder, room) in rooms {
        for (path, text) in sources(&root().join(folder)).into_iter().filter(|(path, _)| *path != root().join(room)) {
            for (index, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                // `#[unsafe(no_mangle)]` is not among them: what a plugin exports is written where its macro is.
                let words =
                    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern", "allow(unsafe_code"];
                let named = words.iter().any(|word| code.contains(word));
                assert!(!named, "{}:{} has `unsafe`, which lives in {room}", path.display(), index + 1);
            }
        }
    }
}

#[test]
fn every_unsafe_block_has_its_argument() {
    for room in ["src/host/library/border.rs", "../plugins/sdk/src/export/border.rs"] {
        let text = fs::read_to_string(root().join(room)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !code.contains("unsafe {") && !code.contains("unsafe impl") {
                continue;
            }
            // Right above the statement that the block is in.
            let before = &lines[index.saturating_sub(6)..index];
            assert!(before.iter().any(|line| line.starts_with("// SAFETY:")), "{room}:{} has no argument", index + 1);
        }
    }
}
