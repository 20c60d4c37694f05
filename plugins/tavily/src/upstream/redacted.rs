//! What Tavily says, without our key: some errors name the key that they refuse, and nothing keeps a page or an answer
//! from doing the same. Knows nothing of what the texts mean.

use std::borrow::Cow;

use serde_json::Value;

/// Keys shorter than this would be found in any text.
const SHORTEST: usize = 8;
/// What stands in place of the key.
const INSTEAD: &str = "(the key)";

/// A text without the key.
pub(super) fn text<'a>(said: &'a str, key: &str) -> Cow<'a, str> {
    if key.len() < SHORTEST || !said.contains(key) { said.into() } else { said.replace(key, INSTEAD).into() }
}

/// The same of all texts in a value, names included. After parsing: JSON can write a key so that it is not found in the
/// bytes.
pub(super) fn value(value: &mut Value, key: &str) {
    if key.len() < SHORTEST {
        return;
    }
    match value {
        Value::String(said) => {
            if let Cow::Owned(other) = text(said, key) {
                *said = other;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| self::value(item, key)),
        Value::Object(members) => {
            if members.keys().any(|name| name.contains(key)) {
                let renamed = std::mem::take(members).into_iter();
                *members = renamed.map(|(name, member)| (text(&name, key).into_owned(), member)).collect();
            }
            members.values_mut().for_each(|member| self::value(member, key));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_key_is_found_wherever_and_however_it_is_written() {
        let mut given: Value =
            serde_json::from_str(r#"{"a":["tvly\u002dsecret-1",{"tvly-secret-1":"x tvly-secret-1 y"}],"b":7}"#)
                .unwrap();
        value(&mut given, "tvly-secret-1");
        assert_eq!(given, json!({ "a": ["(the key)", { "(the key)": "x (the key) y" }], "b": 7 }));
        let mut short = json!({ "a": "abc" });
        value(&mut short, "");
        assert_eq!(short, json!({ "a": "abc" }));
    }
}
