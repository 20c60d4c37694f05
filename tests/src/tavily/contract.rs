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
        let fits = |template: &str| match template.split_once('{') {
            None => template == path,
            // One segment that is not empty.
            Some((before, _)) => path.strip_prefix(before).is_some_and(|id| !id.is_empty() && !id.contains('/')),
        };
        let found = list("endpoints").iter().filter(|endpoint| endpoint["method"] == method);
        found.map(Self).find(|endpoint| endpoint.0["path"].as_str().is_some_and(fits))
    }

    /// Its id.
    pub fn id(self) -> &'static str {
        self.0["id"].as_str().unwrap_or_default()
    }

    /// Its method.
    pub fn method(self) -> &'static str {
        self.0["method"].as_str().unwrap_or_default()
    }

    /// Its path, with a name in braces where an id goes.
    pub fn path(self) -> &'static str {
        self.0["path"].as_str().unwrap_or_default()
    }

    /// Whether it answers without a key.
    pub fn keyless(self) -> bool {
        self.0["keyless"] == true
    }

    /// The fields of its request; none for one that takes no body.
    pub fn fields(self) -> &'static Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.0["request"]["fields"].as_object().unwrap_or(&NONE)
    }

    /// Which of the rates counts its requests.
    pub fn rate(self) -> &'static str {
        match self.0["rate_limit"].as_str() {
            Some(rate) if contract()["rate_limits"][rate].is_object() => rate,
            _ => "default",
        }
    }

    /// The least and the most that a research costs by its model.
    pub fn span(self, model: &str) -> (u64, u64) {
        let span = &self.0["credits"][model];
        (span[0].as_u64().unwrap_or(0), span[1].as_u64().unwrap_or(0))
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

    /// What the server says to a request that breaks a documented bound, and with which status; the words are
    /// documented for some bounds and ours for the others.
    pub fn refusal(self, body: &Map<String, Value>) -> Option<(u16, Value)> {
        let said = |text: String| Some((400, json!({ "detail": { "error": text } })));
        let has = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
        for (name, field) in self.fields() {
            let Some(value) = body.get(name).filter(|value| !value.is_null()) else {
                if field["required"] == true {
                    return self.documented(name, None).or_else(|| said(format!("{name} is required.")));
                }
                continue;
            };
            if let Some(broken) = broken_bound(field, value) {
                let documented = self.documented(name, Some(value)).filter(|_| broken != Broken::Type);
                return documented.or_else(|| said(format!("Invalid {name}.")));
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
        let groups = self.0["request"]["any_of_required"].as_array();
        let given = |group: &Value| group.as_array().into_iter().flatten().filter_map(Value::as_str).all(has);
        if groups.is_some_and(|groups| !groups.iter().any(given)) {
            return said("Something to refer to is required.".into());
        }
        if self.id() == "search" && has("time_range") && (has("start_date") || has("end_date")) {
            return said("time_range cannot be combined with start_date or end_date.".into());
        }
        if body.get("output_schema").is_some_and(|schema| !schema["properties"].is_object()) {
            return said("output_schema must include properties.".into());
        }
        None
    }

    /// The documented words for a broken bound, if it is the one that they are of.
    fn documented(self, name: &str, value: Option<&Value>) -> Option<(u16, Value)> {
        match (self.id(), name, value) {
            ("search", "topic", Some(_)) | ("extract", "urls", Some(_)) => Some((400, self.error(400))),
            ("map" | "crawl", "url", None) => Some((400, self.error(400))),
            ("research_create", "model", Some(_)) | ("logs", "endpoints", Some(_)) => Some((400, self.error(400))),
            ("org_usage", "organization_name", None) => Some((422, self.error(422))),
            ("org_usage", "start_date", Some(_)) => Some((400, self.error(400))),
            _ => None,
        }
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
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let odd_item = items.iter().any(|item| broken_item(&field["items"], item));
    (!known || below || above || too_many || no_date || empty || odd_item).then_some(Broken::Bound)
}

/// Whether an item of a list breaks what is documented of items.
fn broken_item(items: &Value, item: &Value) -> bool {
    let unknown = items["enum"].as_array().is_some_and(|known| !known.contains(item));
    // Where members are described by more than a word.
    let members = items["fields"].as_object().into_iter().flatten().filter(|(_, member)| member.is_object());
    let odd_member = members.into_iter().any(|(name, member)| match item.get(name).filter(|value| !value.is_null()) {
        None => member["required"] == true,
        Some(value) => {
            let unknown = member["enum"].as_array().is_some_and(|known| !known.contains(value));
            let ends_so = |end: &Value| value.as_str().zip(end.as_str()).is_some_and(|(name, end)| name.ends_with(end));
            unknown || member["extensions"].as_array().is_some_and(|ends| !ends.iter().any(ends_so))
        }
    });
    let is_described = items["fields"].as_object().is_some_and(|fields| fields.values().any(Value::is_object));
    unknown || odd_member || is_described && !item.is_object()
}

fn is_date(text: &str) -> bool {
    time::Date::parse(text, time::macros::format_description!("[year]-[month]-[day]")).is_ok()
}
