//! What Tavily answers, read without stumbling over what it leaves out or writes differently.

use serde_json::Value;
use toolgate_plugin::JsonObject;

use super::{
    failure::{self, Failure},
    redacted,
};
use crate::{credits::Credits, safety::text};

/// The JSON object of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    members: JsonObject,
    size: usize,
}

impl Answer {
    /// The body of an answer that is a success, without our key.
    pub(super) fn read(body: &[u8], key: &str) -> Result<Self, Failure> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut value = serde_json::from_slice(body).unwrap_or_default();
        redacted::value(&mut value, key);
        match value {
            Value::Object(members) => Ok(Self { members, size: body.len() }),
            _ => Err(Failure::invalid_response("an answer in an unknown form")),
        }
    }

    /// One that says nothing.
    pub(super) fn empty() -> Self {
        Self { members: JsonObject::new(), size: 0 }
    }

    /// All of it.
    pub(super) fn members(&self) -> &JsonObject {
        &self.members
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        2 * self.size + 1024
    }

    /// A member.
    pub(crate) fn get(&self, name: &str) -> &Value {
        self.members.get(name).unwrap_or(&Value::Null)
    }

    /// A member, taken out.
    pub(crate) fn take(&mut self, name: &str) -> Value {
        self.members.get_mut(name).map(Value::take).unwrap_or_default()
    }

    /// A list; one that is null is empty.
    ///
    /// # Errors
    /// There is none, or the member is no list, or an error stands beside a list without anything in it.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Value>, Failure> {
        let is_empty = self.get(name).as_array().is_none_or(Vec::is_empty);
        if is_empty && failure::said(self.get("error")).is_some_and(|said| !said.trim().is_empty()) {
            return Err(self.unusable());
        }
        match self.members.get_mut(name).map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(self.unusable()),
        }
    }

    /// Why this is no answer: the error that it is in truth, or else its form.
    pub(crate) fn unusable(&self) -> Failure {
        let said = ["detail", "error", "message"].iter().find_map(|name| failure::said(self.get(name)));
        match said {
            Some(said) => Failure::invalid_response(&format!("an error in place of a result: {said}")),
            None => Failure::invalid_response("an answer in an unknown form"),
        }
    }

    /// What it cost, if it says so.
    pub(crate) fn credits(&self) -> Option<Credits> {
        number(&self.get("usage")["credits"]).and_then(Credits::read)
    }

    /// Tavily's id of the request.
    pub(crate) fn request_id(&self) -> Option<String> {
        id(self.get("request_id")).map(|id| text::line(&id, 100)).filter(|id| !id.is_empty())
    }

    /// How long it took, in seconds.
    pub(crate) fn response_time(&self) -> Option<f64> {
        number(self.get("response_time"))
    }
}

/// A name, or a number that is used as one.
pub(crate) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id.clone()).filter(|id| !id.trim().is_empty()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// A number, or a string that holds one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(value: Value) -> Answer {
        Answer::read(value.to_string().as_bytes(), "").unwrap()
    }

    #[test]
    fn numbers_may_be_strings_and_lists_may_be_null() {
        let mut given = answer(json!({
            "response_time": "1.67", "usage": { "credits": " 2 " }, "results": null, "odd": "x", "request_id": 7,
        }));
        assert_eq!(given.response_time(), Some(1.67));
        assert_eq!(given.credits(), Some(Credits::whole(2)));
        assert_eq!(given.list("results").unwrap(), Vec::<Value>::new());
        assert!(given.list("odd").is_err() && given.list("missing").is_err());
        assert_eq!(given.request_id().as_deref(), Some("7"));
        for usage in [json!({ "credits": -1 }), json!({ "credits": "many" }), json!([]), json!(3), json!(null)] {
            assert_eq!(answer(json!({ "usage": usage })).credits(), None);
        }
    }

    #[test]
    fn an_error_in_place_of_a_result_is_told() {
        for (given, part) in [
            (json!({ "detail": { "error": "not today" } }), "not today"),
            (json!({ "error": "not today" }), "not today"),
            (json!({ "results": [], "error": "boom" }), "boom"),
            (json!({ "results": null, "error": { "message": "boom" } }), "boom"),
            (json!({ "x": 1 }), "unknown form"),
        ] {
            let failure = answer(given).list("results").unwrap_err();
            assert!(failure.text().unwrap().contains(part), "{failure:?}");
        }
        for body in ["", "[]", "7", "<html>", "{"] {
            assert!(Answer::read(body.as_bytes(), "").is_err(), "{body}");
        }
        assert!(Answer::read(b"\xef\xbb\xbf{}", "").is_ok());
        let mut beside = answer(json!({ "results": [1], "error": "boom" }));
        assert!(beside.list("results").is_ok(), "what there is, is there");
        assert!(answer(json!({ "results": [], "error": "" })).list("results").is_ok());
    }
}
