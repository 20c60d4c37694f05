//! Texts for the operator as anybody may read them: without the folders that the server keeps its files in, and cut where
//! a plugin has a lot to say. The log has them whole.

use std::{collections::BTreeSet, path::MAIN_SEPARATOR};

use crate::config::{Config, PluginKind};

/// Longest text that is shown, in characters.
const LONGEST: usize = 300;
/// Most texts of a kind.
const MOST: usize = 20;

/// Folders that are nobody's business.
pub(super) struct Discreet {
    /// Each with a separator at its end; one that lies in another comes before it.
    folders: Vec<String>,
}

impl Discreet {
    /// The folders of a configuration's libraries and of its state, and those that they lie in.
    pub(super) fn of(config: &Config) -> Self {
        let libraries = config.plugins.values().filter_map(|section| match section.kind()? {
            PluginKind::Library(path) => Some(path),
            PluginKind::Builtin(_) => None,
        });
        let files = libraries.chain(std::iter::once(config.server.state_dir.as_path()));
        let folders: BTreeSet<String> = files
            .flat_map(|file| file.ancestors().skip(1))
            .filter(|folder| folder.is_absolute() && folder.parent().is_some())
            .map(|folder| format!("{}{MAIN_SEPARATOR}", folder.display()))
            .collect();
        // What begins another comes before it in this order.
        Self { folders: folders.into_iter().rev().collect() }
    }

    /// A text as it is shown.
    pub(super) fn text(&self, text: &str) -> String {
        let told = self.folders.iter().fold(text.to_owned(), |text, folder| without(text, folder));
        match told.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", told[..end].trim_end()),
            None => told,
        }
    }

    /// Texts as they are shown, and how many there are beside those.
    pub(super) fn texts(&self, texts: &[String]) -> Vec<String> {
        let mut told: Vec<String> = texts.iter().take(MOST).map(|text| self.text(text)).collect();
        if texts.len() > MOST {
            told.push(format!("{} more are in the log", texts.len() - MOST));
        }
        told
    }
}

/// What a finding about the configuration says, without the folders of files that it quotes. `of` is what it is about:
/// the paths of endpoints are everybody's.
pub(super) fn finding(of: &str, text: &str) -> String {
    const REFERENCE: &str = "${file:";
    let all = !of.starts_with("endpoints") && !of.contains("public_url");
    let (mut told, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(MAIN_SEPARATOR) {
        told.push_str(&rest[..at]);
        let path = &rest[at..];
        let begins = told.ends_with(REFERENCE)
            || all
                && !path[1..].starts_with(MAIN_SEPARATOR)
                && told.chars().next_back().is_none_or(|before| before.is_whitespace() || "\"'(=`".contains(before));
        // In quotation marks a path may hold blanks.
        let quoted = told.ends_with('"');
        let closes = |c: char| if quoted { c == '"' } else { c.is_whitespace() || "\"')}`,;:".contains(c) };
        let path = &path[..path.find(closes).unwrap_or(path.len())];
        let name = path.rsplit(MAIN_SEPARATOR).find(|part| !part.is_empty());
        match name.filter(|_| begins) {
            Some(name) => told.push_str(name),
            None => told.push(MAIN_SEPARATOR),
        }
        rest = &rest[at + if begins && name.is_some() { path.len() } else { 1 }..];
    }
    told + rest
}

/// The text without this folder where a path begins with it. Within another word, such as an address, it is another's.
fn without(text: String, folder: &str) -> String {
    let (mut kept, mut from) = (String::new(), 0);
    for (at, _) in text.match_indices(folder) {
        kept.push_str(&text[from..at]);
        let within = kept.ends_with(|before: char| before.is_alphanumeric() || "-_.~%".contains(before));
        kept.push_str(if within { folder } else { "" });
        from = at + folder.len();
    }
    if from == 0 { text } else { kept + &text[from..] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn discreet() -> Discreet {
        let mut config = Config::default();
        config.server.state_dir = "/var/lib/tool gate/state".into();
        let plugin = serde_json::json!({ "library": "/home/operator/tools/target/libgone.so" });
        config.plugins.insert("gone".into(), serde_json::from_value(plugin).unwrap());
        Discreet::of(&config)
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_named_without_its_folder() {
        let cases = [
            ("there is no file \"/home/operator/tools/target/libgone.so\"", "there is no file \"libgone.so\""),
            (
                "\"/home/operator/tools/target/libgone.so\" cannot be copied to \"/var/lib/tool gate/state/libraries\": full",
                "\"libgone.so\" cannot be copied to \"state/libraries\": full",
            ),
            ("/home/operator/.ssh/id: no", ".ssh/id: no"),
            ("the search at /v1/search answered 500", "the search at /v1/search answered 500"),
            ("https://a.example/home/x", "https://a.example/home/x"),
        ];
        for (text, expected) in cases {
            assert_eq!(discreet().text(text), expected, "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_finding_quotes_files_by_their_names() {
        let cases = [
            ("plugins.x", "\"${file:/srv/secret/key}\" cannot be read", "\"${file:key}\" cannot be read"),
            ("plugins.x", "there is no file \"/srv/a b/lib.so\"; build it", "there is no file \"lib.so\"; build it"),
            ("audit.sink", "cannot write to /var/log/a/trail.log: no", "cannot write to trail.log: no"),
            ("auth.oauth.issuer", "\"https://as.example/a/b\" is not it", "\"https://as.example/a/b\" is not it"),
            ("endpoints.e.path", "\"/web/mcp\" is taken", "\"/web/mcp\" is taken"),
            ("endpoints.e.resource", "\"${file:/srv/secret/key}\" is empty", "\"${file:key}\" is empty"),
            ("plugins.x", "write 10/min or 1/s", "write 10/min or 1/s"),
            ("plugins.x", "\"/\" is no library", "\"/\" is no library"),
            ("plugins.x", "é/ü \"/é/ü", "é/ü \"ü"),
        ];
        for (of, text, expected) in cases {
            assert_eq!(finding(of, text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_story_is_cut_and_many_are_counted() {
        let long = discreet().text(&"é ".repeat(1000));
        assert!(long.chars().count() <= LONGEST + 1 && long.ends_with('…'), "{long}");
        assert_eq!(discreet().text(&"x".repeat(LONGEST)).len(), LONGEST);
        let many: Vec<String> = (0..50).map(|index| format!("warning {index}")).collect();
        let told = discreet().texts(&many);
        assert_eq!(
            (told.len(), told[0].as_str(), told[MOST].as_str()),
            (MOST + 1, "warning 0", "30 more are in the log")
        );
        assert_eq!(discreet().texts(&many[..MOST]).len(), MOST);
    }

    proptest! {
        #[test]
        fn any_finding_can_be_shown(text in "(/|/a|b |\"|é|:|\\$\\{file:|\\}){0,40}") {
            finding("plugins.x", &text);
        }

        #[test]
        fn any_text_can_be_shown(text in "(/home/|/home/operator/|/var/lib/tool gate/|tools/|x|é|\"| ){0,60}") {
            let told = discreet().text(&text);
            prop_assert!(told.chars().count() <= LONGEST + 1);
            #[cfg(unix)]
            prop_assert!(!told.starts_with("/home/") && !told.contains("\"/home/") && !told.contains(" /home/"), "{told}");
        }
    }
}
