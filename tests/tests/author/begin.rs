//! `toolgate plugin new`: what it writes, and what it refuses.

use std::fs;

use tempfile::TempDir;
use toolgate_tests::server::workspace;

use crate::desk::{library_name, new, shell, toolgate};

fn folder() -> TempDir {
    TempDir::with_prefix("author-").expect("an empty folder")
}

#[test]
fn a_name_that_cannot_be_one_is_refused_with_one_that_can() {
    let folder = folder();
    for (name, offered) in [
        ("Hello", "write \"hello\""),
        ("my plugin", "write \"my-plugin\""),
        ("1st", "write \"my-1st\""),
        ("fn", "write \"my-fn\""),
        ("toolgate-plugin", "write \"my-toolgate-plugin\""),
        ("deep/er/Name", "write \"name\""),
    ] {
        let refused = toolgate(folder.path(), &["plugin", "new", name]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{name}: {refused:?}");
        assert!(refused.stderr.contains(offered), "{name}: {}", refused.stderr);
    }
    let left: Vec<_> = fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "nothing is written: {left:?}");
}

#[test]
fn nothing_is_overwritten() {
    let folder = folder();
    fs::create_dir(folder.path().join("hello")).expect("a folder");
    fs::write(folder.path().join("hello/notes.txt"), "mine").expect("a file");
    fs::write(folder.path().join("there"), "mine").expect("a file");
    for (name, options) in [("hello", ["--lang", "rust"]), ("hello", ["--lang", "c"]), ("there", ["--lang", "c"])] {
        let refused = toolgate(folder.path(), &[&["plugin", "new", name], options.as_slice()].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{name}: {refused:?}");
        assert!(refused.stderr.contains("nothing is overwritten; choose another name"), "{}", refused.stderr);
    }
    let files: Vec<_> = fs::read_dir(folder.path().join("hello")).expect("the folder").flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(fs::read_to_string(folder.path().join("there")).ok().as_deref(), Some("mine"));

    fs::create_dir(folder.path().join("empty")).expect("a folder");
    new(folder.path(), "empty", &["--lang", "c"]);
    assert!(folder.path().join("empty/empty.c").exists(), "an empty folder is as good as none");
}

#[test]
fn a_folder_that_is_not_the_kit_is_refused_with_what_to_give() {
    let folder = folder();
    let other = workspace().join("plugins/echo");
    for (kit, why) in [("nowhere", "there is no Cargo.toml"), (other.to_str().expect("text"), "of another crate")] {
        let refused = toolgate(folder.path(), &["plugin", "new", "hello", "--sdk", kit]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{kit}: {refused:?}");
        assert!(refused.stderr.contains(why) && refused.stderr.contains("--sdk PATH"), "{kit}: {}", refused.stderr);
        assert!(!folder.path().join("hello").exists(), "{kit}: nothing is written");
    }
}

#[test]
fn the_kit_may_be_elsewhere_and_the_folder_deep() {
    let folder = folder();
    let kit = workspace().join("plugins/sdk");
    new(folder.path(), "deep/er/web-search", &["--sdk", kit.to_str().expect("text")]);
    let manifest = fs::read_to_string(folder.path().join("deep/er/web-search/Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains("name = \"web-search\""), "{manifest}");
    assert!(manifest.contains(&format!("path = \"{}\"", kit.display())), "{manifest}");
    let source = fs::read_to_string(folder.path().join("deep/er/web-search/src/lib.rs")).expect("lib.rs");
    assert!(source.contains("pub struct WebSearch") && !source.contains("{{"), "{source}");
    assert!(source.lines().count() <= 30, "the hello plugin is at most 30 lines");
}

#[test]
fn it_says_how_to_build_and_what_to_add_to_the_configuration() {
    let folder = folder();
    let told = new(folder.path(), "hello", &[]).told;
    let library = folder.path().join("hello/target/release").join(library_name("hello"));
    for line in [
        "  cargo test".to_owned(),
        "  cargo build --release".to_owned(),
        "[plugins.hello]".to_owned(),
        "# [plugins.hello.limits]".to_owned(),
        "# network = true      # if it calls out".to_owned(),
        format!("library = \"{}\"", library.display()),
        "greet = { scopes = [\"hello:use\"] }".to_owned(),
        "[scopes.\"hello:use\"]".to_owned(),
        "[endpoints.hello]".to_owned(),
        "plugins = [\"hello\"]".to_owned(),
    ] {
        assert!(told.lines().any(|told| told == line), "{line:?} in\n{told}");
    }

    fs::copy(workspace().join("config.toml"), folder.path().join("config.toml")).expect("a configuration");
    let told = new(folder.path(), "in-c", &["--lang", "c"]).told;
    for line in [
        format!("library = \"in-c/{}\"", library_name("in-c")),
        "# and in [endpoints.web-search]:".to_owned(),
        "# plugins = [\"web-search\", \"docs\", \"echo\", \"in-c\"]".to_owned(),
    ] {
        assert!(told.lines().any(|told| told == line), "{line:?} in\n{told}");
    }
}

#[test]
fn paths_are_shown_as_a_shell_and_a_reader_take_them() {
    let folder = folder();
    let below = folder.path().join("my plugins");
    fs::create_dir(&below).expect("a folder");
    let real = folder.path().canonicalize().expect("the folder");

    let told = new(&below, "../up", &["--lang", "c"]).told;
    let library = format!("library = \"{}\"", real.join("up").join(library_name("up")).display());
    assert!(told.lines().any(|line| line == library), "{library} in\n{told}");

    let told = new(folder.path(), "my plugins/in-c", &["--lang", "c"]).told;
    let steps: Vec<&str> = told.lines().filter(|line| line.starts_with("  ") && !line.contains("inspect")).collect();
    assert_eq!(steps[0], "  cd 'my plugins/in-c'");
    shell(folder.path(), &steps.join("\n")).well();
    assert!(below.join("in-c").join(library_name("in-c")).exists(), "the steps are as one types them");

    let elsewhere = shell(folder.path(), "CARGO_TARGET_DIR=/srv/built toolgate plugin new hello").well();
    let library = format!("/srv/built/release/{}", library_name("hello"));
    assert!(elsewhere.contains(&format!("  toolgate plugin inspect {library}\n")), "{elsewhere}");
    assert!(elsewhere.contains(&format!("library = \"{library}\"")), "{elsewhere}");
}

#[test]
fn a_crate_whose_name_means_something_in_its_source_compiles() {
    let folder = folder();
    for (name, renamed) in [("greet", "GreetPlugin"), ("option", "OptionPlugin"), ("value", "ValuePlugin")] {
        let folder = new(folder.path(), name, &[]).folder;
        let source = fs::read_to_string(folder.join("src/lib.rs")).expect("lib.rs");
        assert!(source.contains(&format!("pub struct {renamed} {{")), "{name}: {source}");
        shell(&folder, "cargo fmt --check").well();
        shell(&folder, "RUSTFLAGS='-D warnings' cargo check --quiet --all-targets").well();
    }
}

#[test]
fn a_new_crate_is_in_order_for_the_usual_judges() {
    let folder = folder();
    // Inside another workspace too.
    fs::write(folder.path().join("Cargo.toml"), "[workspace]\nmembers = []\n").expect("a workspace");
    for name in ["judged", "web-search-with-words", "z2"] {
        let folder = new(folder.path(), name, &[]).folder;
        shell(&folder, "cargo fmt --check").well();
        shell(&folder, "cargo clippy --quiet --all-targets -- -D warnings").well();
    }
}

#[test]
fn the_header_is_the_one_in_the_repository() {
    let folder = folder();
    let kept = fs::read_to_string(workspace().join("schemas/toolgate_plugin.h")).expect("the header");
    assert_eq!(toolgate(folder.path(), &["schema", "plugin"]).well(), kept);
    let beside = new(folder.path(), "hello", &["--lang", "c"]).folder.join("toolgate_plugin.h");
    assert_eq!(fs::read_to_string(beside).expect("the header beside it"), kept);
}

#[test]
fn every_command_has_an_example() {
    let folder = folder();
    for command in [["plugin"].as_slice(), &["plugin", "new"], &["plugin", "inspect"], &["plugin", "run"]] {
        let help = toolgate(folder.path(), &[command, &["--help"]].concat()).well();
        let example = help.split("Example:\n").nth(1).unwrap_or_else(|| panic!("{command:?} has none"));
        assert!(example.trim().starts_with("toolgate plugin"), "{command:?}: {example}");
    }
}
