//! Tavily's API as `contracts/tavily-contract.json` describes it: which requests are refused, and with what words.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

static CONTRACT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../contracts/tavily-contract.json")).expect("the contract is JSON")
});

/// The whole contract.
pub fn contract() -> &'static Value {
    &CONTRACT
}

/// A list of the contract, such as `test_vectors` or `fault_cases`.
pub fn list(name: &str) -> &'static [Value] {
    CONTRACT[name].as_array().map_or(&[], Vec::as_slice)
}

/// One endpoint of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint(&'static Value);

impl Endpoint {
    /// The endpoint with this id, such as `search`.
    pub fn named(id: &str) -> Option<Self> {
        list("endpoints").iter().find(|endpoint| endpoint["id"] == id).map(Self)
    }

    /// The endpoint behind a method and a path.
    pub fn at(method: &str, path: &str) -> Option<Self> {
        list("endpoints").iter().find(|endpoint| endpoint["method"] == method && endpoint["path"] == path).map(Self)
    }

    /// Its id.
    pub fn id(self) -> &'static str {
        self.0["id"].as_str().unwrap_or_default()
    }

    /// Whether it answers without a key.
    pub fn keyless(self) -> bool {
        self.0["keyless"] == true
    }

    /// The fields of its request.
    pub fn fields(self) -> &'static Map<String, Value> {
        self.0["request"]["fields"].as_object().expect("the endpoint takes a body")
    }

    /// The documented body of an error.
    pub fn error(self, status: u16) -> Value {
        self.0["errors"][status.to_string()]["body"].clone()
    }

    /// A further body of an error that has several.
    pub fn other_error(self, status: u16) -> Value {
        self.0["errors"][status.to_string()]["other_bodies"][0].clone()
    }

    /// What a request costs by its depth: credits, and for how many pages they are.
    pub fn price(self, depth: &str) -> (u64, u64) {
        let price = &self.0["credits"][depth];
        if let Some(credits) = price.as_u64() {
            return (credits, 1);
        }
        // "1 per 5 successful URLs"
        let mut numbers = price.as_str().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(1))
    }

    /// What the server says to a request that breaks a documented bound; the words are documented for some bounds
    /// and ours for the others.
    pub fn refusal(self, body: &Map<String, Value>) -> Option<Value> {
        let said = |text: String| Some(json!({ "detail": { "error": text } }));
        for (name, field) in self.fields() {
            let Some(value) = body.get(name).filter(|value| !value.is_null()) else {
                if field["required"] == true {
                    return said(format!("{name} is required."));
                }
                continue;
            };
            if let Some(broken) = broken_bound(field, value) {
                // One bound of each endpoint has documented words.
                let documented = matches!((self.id(), name.as_str()), ("search", "topic") | ("extract", "urls"));
                let documented = documented && broken != Broken::Type;
                return if documented { Some(self.error(400)) } else { said(format!("Invalid {name}.")) };
            }
            for (other, values) in field["forbidden_when"].as_object().into_iter().flatten() {
                if values.as_array().is_some_and(|values| body.get(other).is_some_and(|given| values.contains(given))) {
                    return said(format!("{name} cannot be used with this {other}."));
                }
            }
            if let Some(topic) = field["requires"].get("topic")
                && body.get("topic").is_some_and(|given| given != topic)
            {
                return said(format!("{name} needs topic {topic}."));
            }
        }
        let has = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
        if has("time_range") && (has("start_date") || has("end_date")) {
            return said("time_range cannot be combined with start_date or end_date.".into());
        }
        None
    }
}

#[derive(PartialEq)]
enum Broken {
    Type,
    Bound,
}

fn broken_bound(field: &Value, value: &Value) -> Option<Broken> {
    let is = |kind: &str| match kind {
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the contract names the type {other:?}"),
    };
    if field["status"] == "sdk-only" || field["status"] == "legacy" {
        return None;
    }
    if !field["type"].as_str().is_some_and(|kinds| kinds.split('|').any(is)) {
        return Some(Broken::Type);
    }
    let known = field["enum"].as_array().is_none_or(|known| known.contains(value));
    let number = value.as_f64();
    let below = number.zip(field["minimum"].as_f64()).is_some_and(|(number, least)| number < least);
    let above = number.zip(field["maximum"].as_f64()).is_some_and(|(number, most)| number > most);
    let items = value.as_array().map(Vec::len).zip(field["max_items"].as_u64());
    let too_many = items.is_some_and(|(items, most)| items as u64 > most);
    let no_date = field["format"] == "date" && value.as_str().is_some_and(|text| !is_date(text));
    let empty = field["required"] == true && value.as_str().is_some_and(|text| text.trim().is_empty());
    (!known || below || above || too_many || no_date || empty).then_some(Broken::Bound)
}

fn is_date(text: &str) -> bool {
    time::Date::parse(text, time::macros::format_description!("[year]-[month]-[day]")).is_ok()
}
