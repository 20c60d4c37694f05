//! No text makes the loader panic, and no text makes it show a secret.

use std::{fs, sync::LazyLock};

use proptest::prelude::*;

use super::{Folder, default_text};
use crate::config::Environment;

/// Words of which configurations are made, right and wrong.
const WORDS: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'",
    "\n",
    " ",
    "#",
    "server",
    "listen",
    "auth",
    "provider",
    "scalekit",
    "oauth",
    "endpoints",
    "plugins",
    "tools",
    "scopes",
    "implies",
    "settings",
    "path",
    "builtin",
    "echo",
    "\"echo\"",
    "\"*\"",
    "true",
    "false",
    "0",
    "-1",
    "1e400",
    "nan",
    "1979-05-27",
    "\"${A}\"",
    "\"${A:-}\"",
    "\"$${\"",
    "\"${\"",
    "[]",
    "{}",
    "\"127.0.0.1:0\"",
    "\"é\"",
    "\u{feff}",
    "default",
    "auth.oauth.issuer",
    "0x",
    "\"\\u00e9\"",
];

/// Secrets of many shapes: each is right in some place and wrong in others.
const VALUES: &[&str] = &[
    "hush hush",
    "hush",
    "http://hush.example",
    "http://me:hush@localhost",
    "https://hush.example/?a=b",
    "0.0.0.0:4791",
    "127.0.0.1:4791",
    "res_hush",
    "hush/mcp",
    "/hush/mcp",
    "/api/hush",
    "4791",
    "4791s",
    "4791 TiB",
    "4791/min",
    "0/4791",
    "info,hush",
    "hush/",
    "oauth",
    "scalekit",
    "none",
];

static DEFAULT: LazyLock<Vec<char>> = LazyLock::new(|| default_text().chars().collect());

fn load(text: &str, environment: &Environment) -> String {
    thread_local! { static FOLDER: Folder = Folder::with(""); }
    FOLDER.with(|folder| {
        fs::write(folder.path(), text).expect("config.toml is written");
        match folder.load(environment) {
            Ok(loaded) => format!("{loaded:?}"),
            Err(diagnostics) => diagnostics.to_string(),
        }
    })
}

/// Where the texts in quotes are, but those in comments.
fn texts_in(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split('#').next().unwrap_or_default();
        let quotes: Vec<usize> = code.match_indices('"').map(|(at, _)| start + at).collect();
        found.extend(quotes.chunks_exact(2).map(|pair| (pair[0], pair[1] + 1)));
        start += line.len();
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_in_any_order_do_not_panic(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        load(&words.concat(), &Environment::from([("A", "x")]));
    }

    #[test]
    fn any_text_does_not_panic(text in any::<String>()) {
        load(&text, &Environment::default());
    }

    #[test]
    fn a_default_file_with_a_part_replaced_does_not_panic(
        from in 0..DEFAULT.len(), length in 0..200_usize, words in prop::collection::vec(prop::sample::select(WORDS), 0..6),
    ) {
        let before: String = DEFAULT.iter().take(from).collect();
        let after: String = DEFAULT.iter().skip(from + length).collect();
        load(&format!("{before}{}{after}", words.concat()), &Environment::default());
    }

    #[test]
    fn any_variable_does_not_panic(
        name in "TOOLGATE_(SERVER|AUTH|SCOPES|PLUGINS|ENDPOINTS|AUDIT)?(__[A-Z_]{0,12}){0,4}",
        value in prop_oneof![any::<String>(), prop::sample::select(WORDS).prop_map(str::to_owned)],
        port in any::<String>(), resource in any::<String>(),
    ) {
        let environment = Environment::from([(name.as_str(), value.as_str()), ("PORT", &port), ("RESOURCE_IDENTIFIER", &resource)]);
        load(&default_text(), &environment);
    }

    /// Wherever a referenced value is put, no finding and no `Debug` shows it.
    #[test]
    fn a_referenced_value_is_never_shown(place in 0..1000_usize, value in prop::sample::select(VALUES)) {
        let text: String = DEFAULT.iter().collect();
        let texts = texts_in(&text);
        let (from, to) = texts[place % texts.len()];
        let (before, after) = (&text[..from], &text[to..]);
        let shown = load(&format!("{before}\"${{SECRET}}\"{after}"), &Environment::from([("SECRET", value)]));
        // A text that may hold anything, such as a description, is part of `Debug`; a finding is not.
        prop_assert!(shown.starts_with("Loaded") || !(shown.contains("hush") || shown.contains("4791")), "{}", shown);
    }
}
