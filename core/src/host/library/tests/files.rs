//! Claims about files that are no plugin: each says what it is and what to do.

use std::{fs, io::Read, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use toolgate_plugin::HostHandle;

use super::{
    super::{
        Opened, Start,
        border::Library,
        copy::{Copy, fingerprint},
        failure::OpenError,
        shelf::Shelf,
    },
    folder, unruly,
};
use crate::{
    config::{Isolation, Limits},
    host::limits::Limiter,
};

fn refusal(path: &Path) -> OpenError {
    match Library::open(path) {
        Ok(library) => panic!("{library:?} is open"),
        Err(error) => error,
    }
}

/// An ELF header with these fields changed.
fn elf(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    fs::File::open(std::env::current_exe().unwrap()).unwrap().read_exact(&mut bytes).unwrap();
    bytes[16] = 3;
    bytes[56] = 0;
    bytes[57] = 0;
    changes.iter().for_each(|(at, byte)| bytes[*at] = *byte);
    bytes
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn each_way_to_be_no_library_has_its_own_words() {
    let folder = folder();
    let cases: [(&str, Vec<u8>, &str, &str); 13] = [
        ("empty.so", vec![], "\"…\" is an empty file", "build or copy it again"),
        (
            "text.so",
            b"libhello.so (the real one)".into(),
            "\"…\" is a text file, not a library",
            "name the shared library",
        ),
        ("script.so", b"#!/bin/sh\nexit\n".into(), "\"…\" is a script, not a library", "name the shared library"),
        ("archive.a", b"!<arch>\n/ 0".into(), "\"…\" is a static archive, not a library", "crate-type = [\"cdylib\"]"),
        ("noise.so", vec![9, 0, 7, 0], "\"…\" is something else, not a library", "name the shared library"),
        (
            "mac.dylib",
            vec![0xcf, 0xfa, 0xed, 0xfe, 1],
            "\"…\" is a library for macOS (Mach-O), and this server runs on linux",
            "build it for x86_64-unknown-linux-",
        ),
        (
            "universal.dylib",
            vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2],
            "\"…\" is a library for macOS (Mach-O), and this server runs on linux",
            "build it for x86_64-unknown-linux-",
        ),
        (
            "win.dll",
            b"MZ\x90\0".into(),
            "\"…\" is a library for Windows (PE), and this server runs on linux",
            "build it for x86_64-unknown-linux-",
        ),
        (
            "arm.so",
            elf(&[(18, 183)]),
            "\"…\" is built for aarch64, and this server runs on x86_64",
            "build it for x86_64-unknown-linux-",
        ),
        (
            "big.so",
            elf(&[(18, 0), (19, 22), (5, 2)]),
            "\"…\" is built for s390x, and this server runs on x86_64",
            "build it for x86_64-unknown-linux-",
        ),
        (
            "odd.so",
            elf(&[(18, 99)]),
            "\"…\" is built for another machine (ELF number 99), and this server runs on x86_64",
            "build it for",
        ),
        ("object.o", elf(&[(16, 1)]), "\"…\" is an object file, not a library", "linked with -shared"),
        (
            "short.so",
            elf(&[])[..20].into(),
            "\"…\" ends after 20 bytes, where its own header speaks of 64",
            "build or copy it again",
        ),
    ];
    for (name, content, message, help) in cases {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = refusal(&path);
        assert_eq!(error.to_string().replace(path.to_str().unwrap(), "…"), message, "{name}");
        assert!(error.help().contains(help), "{name}: {}", error.help());
    }
}

#[test]
fn a_file_that_is_not_there_a_folder_and_a_device_are_told_apart() {
    let folder = folder();
    let missing = folder.path().join("none.so");
    assert_eq!(refusal(&missing), OpenError::Missing(missing.display().to_string()));
    assert!(matches!(refusal(&missing.join("below")), OpenError::Missing(_)));
    assert_eq!(refusal(folder.path()), OpenError::Folder(folder.path().display().to_string()));
    assert!(matches!(refusal(Path::new("/dev/null")), OpenError::NotALibrary { what: "a device or a pipe", .. }));
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    let folder = folder();
    let path = folder.path().join("secret.so");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing is unreadable to root.
    if fs::read(&path).is_err() {
        assert!(matches!(refusal(&path), OpenError::Unreadable { .. }));
    }
}

#[test]
fn a_library_that_was_cut_off_is_not_given_to_the_linker() {
    let folder = folder();
    let path = unruly(folder.path(), &[]);
    let whole = fs::read(&path).unwrap();
    for part in [whole.len() / 10, whole.len() / 2] {
        fs::write(&path, &whole[..part]).unwrap();
        assert!(matches!(refusal(&path), OpenError::Truncated { found, .. } if found == part as u64), "{part}");
    }
}

#[test]
fn a_header_of_random_bytes_is_refused_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("random.so");
    proptest::proptest!(|(noise in proptest::collection::vec(proptest::num::u8::ANY, 60..400))| {
        // Never a loadable segment that fits: the linker would run it.
        let mut content = elf(&[]);
        content.truncate(4);
        content.extend(&noise);
        content[18] = 62;
        fs::write(&path, &content).unwrap();
        if let Err(error) = super::super::image::check(&path) {
            proptest::prop_assert!(!error.to_string().is_empty() && !error.help().is_empty());
        }
    });
}

#[test]
fn what_the_linker_refuses_is_told_in_its_words() {
    let folder = folder();
    let path = unruly(folder.path(), &["UNDEFINED"]);
    let OpenError::Unlinkable { why, .. } = refusal(&path) else { panic!("linked") };
    assert!(why.contains("nobody_defines_this"), "{why}");
    let about = refusal(&path).about(Path::new("libhello.so")).to_string();
    assert_eq!(about, "\"libhello.so\" cannot be linked: undefined symbol: nobody_defines_this");
}

#[test]
fn a_library_that_is_no_plugin_says_which_symbol_is_missing() {
    for (definition, expected) in [
        ("NO_VERSION", "toolgate_plugin_abi_version"),
        ("NO_MANIFEST", "toolgate_plugin_manifest"),
        ("NO_CREATE", "toolgate_plugin_create"),
    ] {
        let folder = folder();
        let error = refusal(&unruly(folder.path(), &[definition]));
        assert!(matches!(&error, OpenError::NotAPlugin { symbol, .. } if *symbol == expected), "{error}");
    }
}

#[test]
fn another_abi_says_which_side_to_renew() {
    let folder = folder();
    let older = refusal(&unruly(folder.path(), &["VERSION=0"]));
    assert!(older.to_string().ends_with("speaks plugin ABI 0, this server 1"), "{older}");
    assert_eq!(older.help(), "rebuild it with the current kit");
    let newer = refusal(&unruly(self::folder().path(), &["VERSION=2"]));
    assert!(newer.to_string().ends_with("speaks plugin ABI 2, this server 1"), "{newer}");
    assert_eq!(newer.help(), "update the server, or rebuild the plugin with the kit of this server");
}

#[test]
fn a_broken_manifest_says_what_it_lacks() {
    let cases = [
        ("NULL_MANIFEST", "it is no JSON"),
        (r#"MANIFEST="not json""#, "it is no JSON"),
        (r#"MANIFEST="{}""#, "missing field `name`"),
        (r#"MANIFEST="{\"name\":\"x\"}""#, "missing field `version`"),
        (r#"MANIFEST="{\"name\":\"\",\"version\":\"1\"}""#, "its `name` is empty"),
        (r#"MANIFEST="{\"name\":\"x\",\"version\":\"1\",\"settingsSchema\":{\"type\":7}}""#, "is no valid JSON Schema"),
    ];
    for (definition, expected) in cases {
        let folder = folder();
        let OpenError::Manifest { why, .. } = refusal(&unruly(folder.path(), &[definition])) else {
            panic!("{definition}: another error")
        };
        assert!(why.contains(expected), "{definition}: {why}");
    }
}

#[test]
fn a_manifest_without_a_word_on_blocking_may_block() {
    let folder = folder();
    let path = unruly(folder.path(), &[r#"MANIFEST="{\"name\":\"x\",\"version\":\"1\"}""#]);
    assert!(Library::open(&path).unwrap().manifest().blocking);
}

#[test]
fn a_copy_is_private_named_after_its_content_and_gone_when_dropped() {
    let folder = folder();
    let copies = folder.path().join("state/libraries");
    let path = unruly(folder.path(), &[]);
    let print = fingerprint(&path).unwrap();
    let one = Copy::make(&path, &copies, "my/plug in").unwrap();
    let two = Copy::make(&path, &copies, "my/plug in").unwrap();
    assert_ne!(one.path(), two.path());
    assert_eq!((one.fingerprint(), print.len()), (print.as_str(), 64));
    let name = one.path().file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with(&format!("my_plug_in-{}-{}-", &print[..12], std::process::id())), "{name}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(one.path()), mode(&copies)), (0o600, 0o700));
    drop((one, two));
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 0);
}

#[test]
fn what_earlier_processes_have_left_is_removed_and_what_others_hold_is_not() {
    let folder = folder();
    let copies = folder.path().join("libraries");
    fs::create_dir(&copies).unwrap();
    let suffix = std::env::consts::DLL_SUFFIX;
    let (dead, held, other) =
        (copies.join(format!("x-0-1-0{suffix}")), copies.join(format!("x-0-1-1{suffix}")), copies.join("README"));
    let young = copies.join("1-1.partial");
    for path in [&dead, &held, &other, &young] {
        fs::write(path, "x").unwrap();
    }
    let lock = fs::File::open(&held).unwrap();
    lock.lock_shared().unwrap();
    let copy = Copy::make(&unruly(folder.path(), &[]), &copies, "x").unwrap();
    assert_eq!([&dead, &held, &other, &young].map(|path| path.exists()), [false, true, true, true]);
    drop(copy);
}

#[test]
fn a_folder_that_cannot_be_written_to_says_so() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Copy::make(&unruly(folder.path(), &[]), &file.join("libraries"), "x").unwrap_err();
    assert!(matches!(error, OpenError::Copy { .. }), "{error}");
}

#[test]
fn a_process_opens_a_bounded_number_of_libraries_and_takes_free_ones_again() {
    static SHELF: Shelf = Shelf::new(2);
    let folder = folder();
    let path = unruly(folder.path(), &[]);
    let open = || SHELF.open(&path, &folder.path().join("libraries"), "x");
    let (one, two) = (open().unwrap(), open().unwrap());
    let Err(error) = open() else { panic!("a third one") };
    assert_eq!(error, OpenError::TooMany(2));
    assert!(error.help().contains("isolation = \"process\""));
    drop(one);
    let again = open().unwrap();
    assert!(open().is_err());
    drop((two, again));
    // Where another file has come, the free ones are of no use.
    fs::remove_file(&path).unwrap();
    unruly(folder.path(), &["VERSION=1u"]);
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"x"))
        .unwrap();
    assert!(matches!(open(), Err(OpenError::TooMany(2))));
}

#[tokio::test]
async fn an_error_names_the_key_and_the_file_that_the_operator_wrote() {
    let folder = folder();
    let library = unruly(folder.path(), &["VERSION=0"]);
    let limits = Limits::default();
    let start = Start {
        plugin: "hello",
        library: &library,
        isolation: Isolation::None,
        settings: serde_json::json!({}),
        limits: &limits,
        limiter: Arc::new(Limiter::new("hello", &limits)),
        copies: &folder.path().join("libraries"),
        host: HostHandle::for_tests(),
        down: Arc::default(),
    };
    let Err(error) = Opened::open(&start).await else { panic!("open") };
    assert_eq!(error.path, ["plugins", "hello", "library"]);
    assert_eq!(error.message, format!("\"{}\" speaks plugin ABI 0, this server 1", library.display()));
}
