//! The walls of the house, as ARCHITECTURE.md has them: imports go down, rmcp stays in its room, plugins do not know
//! the server.

use std::{
    collections::{BTreeMap, BTreeSet},
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

/// The paths that begin with `crate` or `super` in a source without comments, each as its parts.
fn paths(text: &str) -> Vec<Vec<String>> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let within = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    let starts = ["crate::", "super::"].into_iter().flat_map(|start| code.match_indices(start).collect::<Vec<_>>());
    starts.filter(|(at, _)| !within(&code[..*at])).flat_map(|(at, _)| branches(&code[at..]).0).collect()
}

/// The paths of a use tree, and what follows it.
fn branches(text: &str) -> (Vec<Vec<String>>, &str) {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut all = Vec::new();
        while !rest.trim_start().is_empty() && !rest.trim_start().starts_with('}') {
            let (found, after) = branches(rest);
            all.extend(found);
            rest = after.find([',', '}']).map_or("", |at| after[at..].trim_start_matches(','));
        }
        return (all, rest.trim_start().strip_prefix('}').unwrap_or_default());
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, rest) = (text[..end].to_owned(), &text[end..]);
    match rest.strip_prefix("::") {
        Some(after) if !word.is_empty() => {
            let (found, rest) = branches(after);
            (found.into_iter().map(|path| std::iter::once(word.clone()).chain(path).collect()).collect(), rest)
        }
        _ => (vec![vec![word]], rest),
    }
}

/// Which room of a floor names which others.
fn rooms(floor: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folder = root().join("src").join(floor);
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources(&folder).into_iter().filter(|(path, _)| !path.to_string_lossy().ends_with("tests.rs")) {
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let place = path.strip_prefix(&folder).expect("it is in the folder").with_extension("");
        let mut place: Vec<String> = place.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        place.retain(|part| part != "mod");
        let Some(room) = place.first().cloned() else { continue };
        for named in paths(text) {
            let ups = named.iter().take_while(|part| *part == "super").count();
            let named: Vec<String> = match named.strip_prefix(&["crate".to_owned(), floor.to_owned()]) {
                Some(rest) => rest.to_vec(),
                None if ups > 0 && ups <= place.len() => {
                    place[..place.len() - ups].iter().chain(&named[ups..]).cloned().collect()
                }
                None => continue,
            };
            // What begins with a capital stands in the floor's own file.
            if let Some(other) = named.first().filter(|other| **other != room && other.starts_with(char::is_lowercase))
            {
                all.entry(room.clone()).or_default().insert(other.clone());
            }
        }
    }
    all
}

/// Rooms that lead to each other in a circle.
fn circle(rooms: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(rooms: &BTreeMap<String, BTreeSet<String>>, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let here = way.last().cloned().unwrap_or_default();
        for next in rooms.get(&here).into_iter().flatten() {
            let met = way.contains(next);
            way.push(next.clone());
            if met || (!done.contains(next) && walk(rooms, way, done)) {
                return true;
            }
            way.pop();
        }
        done.insert(here);
        false
    }
    let mut done = BTreeSet::new();
    rooms.keys().find_map(|room| {
        let mut way = vec![room.clone()];
        walk(rooms, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_room_of_http_leads_back_to_itself() {
    let rooms = rooms("http");
    assert!(rooms["app"].contains("front") && rooms["front"].contains("state"), "they are read: {rooms:?}");
    assert_eq!(circle(&rooms), None, "{rooms:?}");
}

#[test]
fn a_circle_is_seen() {
    let rooms = |edges: &[(&str, &str)]| {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            all.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        all
    };
    assert_eq!(circle(&rooms(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])), None);
    let found = circle(&rooms(&[("a", "b"), ("b", "c"), ("c", "b")]));
    assert_eq!(found.as_deref(), Some(["a", "b", "c", "b"].map(str::to_owned).as_slice()));
    let read = paths(
        "use super::{\n    a::{B, c::D},\n    e,\n};\nfn x() -> crate::http::f::G { super::super::h() } // crate::no",
    );
    let read: Vec<String> = read.iter().map(|path| path.join("::")).collect();
    assert_eq!(read, ["crate::http::f::G", "super::a::B", "super::a::c::D", "super::e", "super::super::h"]);
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
