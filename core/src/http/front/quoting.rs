//! Values as the languages of the snippets write them. An address is the operator's, an example comes from a plugin:
//! neither may end the string that it stands in.

use serde_json::Value;

/// One word of a POSIX shell.
pub(super) fn shell(word: &str) -> String {
    // A NUL fits into no word, quoted or not.
    let word = word.replace('\0', "");
    shlex::try_quote(&word).map(Into::into).unwrap_or_default()
}

/// A string of JSON, which is one of JavaScript (ECMA-262 since 2019) and of Python too: all three know the escapes
/// that are written here.
pub(super) fn string(text: &str) -> String {
    Value::from(text).to_string()
}

/// An expression of JavaScript.
pub(super) fn javascript(value: &Value) -> String {
    match value {
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", key(name), javascript(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(elements) => {
            format!("[{}]", elements.iter().map(javascript).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

fn key(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match name {
        // As a plain key it would set the prototype.
        "__proto__" => format!("[{}]", string(name)),
        _ if plain => name.to_owned(),
        _ => string(name),
    }
}

/// An expression of Python.
pub(super) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", string(name), python(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(elements) => format!("[{}]", elements.iter().map(python).collect::<Vec<_>>().join(", ")),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_look_as_people_write_them() {
        let value = json!({ "text": "it's", "n": 1, "a-b": [true, null], "__proto__": {}, "class": 0.5 });
        assert_eq!(javascript(&value), r#"{ text: "it's", n: 1, "a-b": [true, null], ["__proto__"]: {}, class: 0.5 }"#);
        assert_eq!(python(&value), r#"{"text": "it's", "n": 1, "a-b": [True, None], "__proto__": {}, "class": 0.5}"#);
        assert_eq!(shell("http://localhost:10000/mcp"), "http://localhost:10000/mcp");
        assert_eq!(shell("https://a.example/o'clock"), r#""https://a.example/o'clock""#);
    }

    /// What a POSIX shell makes of a line: the words, and whether anything else was in it.
    #[cfg(unix)]
    fn words(line: &str) -> Vec<u8> {
        let script = format!("printf %s {line}");
        std::process::Command::new("sh").args(["-c", &script]).output().unwrap().stdout
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let hostile = [
            "",
            "'",
            "\"",
            "`id`",
            "$(id)",
            "$HOME",
            "a b",
            "a\nb",
            ";id",
            "!x",
            "\\",
            "~",
            "*",
            "-n",
            "'\"'",
            "é",
            "a#b",
            "https://a.example/(x)?y=$1&z='",
            "\u{2028}",
        ];
        for text in hostile {
            assert_eq!(words(&shell(text)), text.as_bytes(), "{text:?} as {}", shell(text));
        }
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// An expression with every string in it replaced by the number of its turn.
    fn skeleton(text: &str) -> (String, Vec<String>) {
        let (mut bones, mut strings, mut rest) = (String::new(), Vec::new(), text);
        while let Some(start) = rest.find('"') {
            bones.push_str(&rest[..start]);
            let mut parsed = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<String>();
            strings.push(parsed.next().expect("a string").expect("one of JSON"));
            rest = &rest[start + parsed.byte_offset()..];
            bones.push('@');
        }
        bones.push_str(rest);
        (bones, strings)
    }

    proptest! {
        #[test]
        fn one_word_stays_one_word(text in "[^\\x00]*") {
            prop_assert_eq!(shlex::split(&shell(&text)), Some(vec![text]));
        }

        #[test]
        fn no_string_ends_before_its_end(value in anything()) {
            // Outside of its strings an expression is made of nothing but its own signs and words.
            for (text, words) in [(python(&value), ["None", "True", "False"]), (javascript(&value), ["null", "true", "false"])] {
                let (mut bones, _) = skeleton(&text);
                for word in words {
                    bones = bones.replace(word, "");
                }
                let signs = |letter: char| letter.is_ascii_alphanumeric() || "@{}[],: .+-_e".contains(letter);
                prop_assert!(bones.chars().all(signs), "{text}");
            }
            let (_, strings) = skeleton(&python(&value));
            let (_, expected) = skeleton(&value.to_string());
            prop_assert_eq!(strings, expected);
        }
    }
}
