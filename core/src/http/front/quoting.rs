//! Values as the languages of the snippets write them. An address is the operator's, an example comes from a plugin:
//! neither may end the string that it stands in.

use serde_json::Value;
use unicode_general_category::{GeneralCategory, get_general_category};

/// One word of a POSIX shell.
pub(super) fn shell(word: &str) -> String {
    // A NUL fits into no word, quoted or not.
    let word = word.replace('\0', "");
    shlex::try_quote(&word).map(Into::into).unwrap_or_default()
}

/// A value as JSON in which everything can be seen: a letter that turns those after it around, or that a terminal takes
/// for a command, is written as its number (RFC 8259 section 7).
pub(super) fn json(value: &Value) -> String {
    visible(&value.to_string(), |letter, shown| {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            shown.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

/// A string of JSON, which is one of JavaScript (ECMA-262 since 2019) and of Python too, where it has no letter beyond
/// the first 65,536 that must be written as a number.
pub(super) fn string(text: &str) -> String {
    json(&Value::from(text))
}

/// A string of Python, which has no pairs of numbers.
fn python_string(text: &str) -> String {
    visible(&Value::from(text).to_string(), |letter, shown| {
        let number = u32::from(letter);
        shown.push_str(&if number > 0xffff { format!("\\U{number:08x}") } else { format!("\\u{number:04x}") });
    })
}

/// The text of a value with each letter that cannot be seen as `escaped` writes it. Such letters stand in strings alone.
fn visible(text: &str, escaped: impl Fn(char, &mut String)) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_seen(letter) { shown.push(letter) } else { escaped(letter, &mut shown) }
    }
    shown
}

fn is_seen(letter: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    letter.is_ascii_graphic()
        || letter == ' '
        || !matches!(get_general_category(letter), Control | Format | LineSeparator | ParagraphSeparator)
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
        plain => json(plain),
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
            let members = members.iter().map(|(name, value)| format!("{}: {}", python_string(name), python(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(elements) => format!("[{}]", elements.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::String(text) => python_string(text),
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
            hidden().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(prop_oneof![any::<String>(), hidden()], inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn what_cannot_be_seen_is_written_as_its_number() {
        let value = json!({ "a\u{7f}\u{9b}\u{202e}b": "\u{200b}\u{2028}\u{feff}\u{e0041}é\u{301} 👍🏽", "n": "\n" });
        assert_eq!(
            json(&value),
            "{\"a\\u007f\\u009b\\u202eb\":\"\\u200b\\u2028\\ufeff\\udb40\\udc41é\u{301} 👍🏽\",\"n\":\"\\n\"}"
        );
        assert_eq!(serde_json::from_str::<Value>(&json(&value)).unwrap(), value);
        assert!(javascript(&value).contains("\\udb40\\udc41"));
        assert!(python(&value).contains("\"\\u200b\\u2028\\ufeff\\U000e0041é"), "{}", python(&value));
    }

    /// Hostile letters among others, and backslashes, which stand before numbers.
    fn hidden() -> impl Strategy<Value = String> {
        "[\u{7f}-\u{9f}\u{ad}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2066}-\u{2069}\u{feff}\u{e0001}\u{e0020}-\u{e007f}\\\\\"'uUa ]{0,12}"
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

    /// A text of Python with its long numbers as the pairs that JSON has.
    fn paired(text: &str) -> String {
        let (mut pairs, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('\\') {
            pairs.push_str(&rest[..at]);
            let (escape, length) = match rest.as_bytes()[at + 1] {
                b'U' => {
                    let number = u32::from_str_radix(&rest[at + 2..at + 10], 16).unwrap();
                    let mut units = [0; 2];
                    let units = char::from_u32(number).unwrap().encode_utf16(&mut units);
                    (units.iter().map(|unit| format!("\\u{unit:04x}")).collect(), 10)
                }
                _ => (rest[at..at + 2].to_owned(), 2),
            };
            pairs.push_str(&escape);
            rest = &rest[at + length..];
        }
        pairs + rest
    }

    proptest! {
        #[test]
        fn one_word_stays_one_word(text in "[^\\x00]*") {
            prop_assert_eq!(shlex::split(&shell(&text)), Some(vec![text]));
        }

        #[test]
        fn no_string_ends_before_its_end(value in anything()) {
            // Outside of its strings an expression is made of nothing but its own signs and words.
            for (text, words) in [(paired(&python(&value)), ["None", "True", "False"]), (javascript(&value), ["null", "true", "false"])] {
                let (mut bones, _) = skeleton(&text);
                for word in words {
                    bones = bones.replace(word, "");
                }
                let signs = |letter: char| letter.is_ascii_alphanumeric() || "@{}[],: .+-_e".contains(letter);
                prop_assert!(bones.chars().all(signs), "{text}");
                prop_assert!(text.chars().all(is_seen), "{text}");
            }
            let (_, strings) = skeleton(&paired(&python(&value)));
            let (_, expected) = skeleton(&value.to_string());
            prop_assert_eq!(strings, expected);
            prop_assert_eq!(serde_json::from_str::<Value>(&json(&value)).unwrap(), value);
        }
    }
}
