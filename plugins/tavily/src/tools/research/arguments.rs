//! The arguments of `tavily_research`: their schema, what contradicts itself, and what may not leave.

use base64::{Engine, engine::general_purpose::STANDARD};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toolgate_plugin::{JsonObject, ProviderError, ToolError};

use super::super::{Tokens, Whole, fill_gaps, optional_arguments, read_defaults, says_something};
use crate::{
    research::Plan,
    safety::text,
    settings::Stream,
    sites::{self, Rules},
};

/// The most words of all files together.
const MOST_WORDS: usize = 80_000;
/// How deep an output schema may be.
const DEEPEST: usize = 10;

/// Arguments of `tavily_research`; what is left out or null takes the operator's default, or else Tavily's.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResearchArgs {
    /// The question or task, in whole sentences: what to find out, for what purpose, what to leave out.
    #[schemars(length(min = 1), regex(pattern = r"\S"))]
    input: String,
    /// "mini" for a narrow question (4 to 110 credits), "pro" for a broad one (15 to 250), "auto" to let Tavily choose
    /// (default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
    /// Have the report as an object of this form instead of text: a JSON Schema with `properties`, each with a `type`
    /// ("object", "string", "integer", "number" or "array") and a `description`; `properties` for an object, `items` for
    /// an array; and optionally `required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "output_schema_schema")]
    output_schema: Option<JsonObject>,
    /// How the report cites: "numbered" (default), "mla", "apa" or "chicago".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    citation_format: Option<CitationFormat>,
    /// Prefer these domains and what is below them; others may be used all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 300)))]
    include_domains: Option<Vec<String>>,
    /// Use nothing from these domains and what is below them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 300)))]
    exclude_domains: Option<Vec<String>>,
    /// "short", "standard" (default) or "long".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_length: Option<OutputLength>,
    /// Texts to take into account, at most 5 and 80,000 words. They are uploaded to Tavily.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    files: Option<Vec<UploadedFile>>,
    /// Whether to wait for the report (default true). With false, the answer is a request_id at once, to ask
    /// tavily_get_research with.
    #[serde(default, skip_serializing)]
    pub(super) wait: Option<bool>,
    /// Most tokens of the result's text; a longer report is cut at a paragraph's end.
    #[serde(default, skip_serializing)]
    pub(super) max_output_tokens: Option<Tokens>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
enum Model {
    Mini,
    Pro,
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
enum CitationFormat {
    Numbered,
    Mla,
    Apa,
    Chicago,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
enum OutputLength {
    Short,
    Standard,
    Long,
}

/// A text to take into account.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
struct UploadedFile {
    /// Its name, ending in .txt, .md or .json.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\.([tT][xX][tT]|[mM][dD]|[jJ][sS][oO][nN])$"))]
    name: String,
    /// Its bytes (UTF-8 text) in base64.
    #[schemars(length(min = 1))]
    data: String,
    /// "base64".
    #[serde(rename = "type", default)]
    kind: Encoding,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Base64,
}

fn output_schema_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "properties": {
            "properties": { "type": "object", "minProperties": 1 },
            "required": { "type": "array", "items": { "type": "string" } },
        },
        "required": ["properties"],
    })
}

/// The schema of the default parameters.
pub(crate) fn defaults_schema(_: &mut SchemaGenerator) -> Schema {
    optional_arguments::<ResearchArgs>(&["input", "files", "output_schema"])
}

/// The default parameters, checked.
pub(crate) fn defaults(given: &JsonObject) -> Result<ResearchArgs, ProviderError> {
    read_defaults("research", given, ("input", "-".into()), ResearchArgs::conflict)
}

impl ResearchArgs {
    /// What contradicts itself; schema and types have checked the rest.
    pub(super) fn conflict(&self) -> Result<(), ToolError> {
        says_something("/input", &self.input, "the input is empty; say what to find out")?;
        for (name, list) in [("include_domains", &self.include_domains), ("exclude_domains", &self.exclude_domains)] {
            let list = list.as_deref();
            if list.is_some_and(|list| list.len() > 20) {
                return Err(ToolError::invalid(format!("/{name}"), "at most 20 domains; leave some out"));
            }
            sites::read(name, list)?;
        }
        if let Some(schema) = &self.output_schema {
            fits("/output_schema", schema, DEEPEST)?;
        }
        self.files_fit()
    }

    fn files_fit(&self) -> Result<(), ToolError> {
        let files = self.files.as_deref().unwrap_or_default();
        if files.len() > 5 {
            return Err(ToolError::invalid("/files", "at most 5 files; leave some out"));
        }
        let mut words = 0;
        for (n, file) in files.iter().enumerate() {
            let wrong = |member: &str, message: &str| Err(ToolError::invalid(format!("/files/{n}/{member}"), message));
            let name = file.name.to_ascii_lowercase();
            if ![".txt", ".md", ".json"].iter().any(|end| name.ends_with(end)) {
                return wrong("name", "only .txt, .md and .json files are taken; rename or convert it");
            }
            let Ok(bytes) = STANDARD.decode(&file.data) else {
                return wrong("data", "this is not base64; encode the file's bytes");
            };
            let Ok(text) = String::from_utf8(bytes) else {
                return wrong("data", "this is not UTF-8 text; convert it");
            };
            words += text.split_whitespace().count();
            if words > MOST_WORDS {
                return wrong("data", "the files have more than 80000 words together; shorten them");
            }
        }
        Ok(())
    }

    pub(super) fn fill_gaps(&mut self, defaults: &Self) {
        fill_gaps!(self, defaults;
            model, citation_format, include_domains, exclude_domains, output_length, wait, max_output_tokens,
        );
    }

    /// The most that it costs by what is known of Tavily's prices.
    fn most(&self) -> u32 {
        match self.model {
            Some(Model::Mini) => 110,
            Some(Model::Pro | Model::Auto) | None => 250,
        }
    }

    /// The research that they ask for; `heard` says whether the caller listens to progress.
    pub(super) fn plan(&self, stream: Stream, heard: bool, rules: &Rules) -> Result<Plan, ToolError> {
        let mut request = match serde_json::to_value(self) {
            Ok(Value::Object(request)) => request,
            _ => return Err(ToolError::failed("no request")),
        };
        let mut exclude = self.exclude_domains.clone().unwrap_or_default();
        // As many of the operator's as Tavily takes; all of them hold for what comes back.
        let room = 20_usize.saturating_sub(exclude.len());
        exclude.extend(
            rules.denied().iter().filter(|denied| !exclude.contains(denied)).take(room).cloned().collect::<Vec<_>>(),
        );
        if !exclude.is_empty() {
            request.insert("exclude_domains".into(), exclude.clone().into());
        }
        let nobody_asked = self.include_domains.as_ref().is_none_or(Vec::is_empty);
        if nobody_asked && !rules.allowed().is_empty() {
            request.insert("include_domains".into(), rules.allowed().iter().take(20).cloned().collect());
        }
        let model = self.model.and_then(|model| serde_json::to_value(model).ok()?.as_str().map(str::to_owned));
        Ok(Plan {
            request,
            model,
            most: self.most(),
            exclude,
            wants_object: self.output_schema.is_some(),
            stream: stream == Stream::Auto && heard && self.wait != Some(false),
        })
    }
}

/// Whether a schema is one that Tavily takes.
fn fits(path: &str, schema: &JsonObject, depth: usize) -> Result<(), ToolError> {
    if depth == 0 {
        return Err(ToolError::invalid(path, "the schema is nested too deep; flatten it"));
    }
    let Some(Value::Object(properties)) =
        schema.get("properties").filter(|given| given != &&Value::Object(JsonObject::new()))
    else {
        return Err(ToolError::invalid(path, "the schema needs properties; say what the report should hold"));
    };
    let required = schema.get("required").map(|required| required.as_array().map(Vec::as_slice));
    let known = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
    if required.is_some_and(|required| required.is_none_or(|names| !names.iter().all(known))) {
        return Err(ToolError::invalid(format!("{path}/required"), "required is a list of names in properties"));
    }
    for (name, property) in properties {
        let path = format!("{path}/properties/{}", text::line(name, 60).replace('~', "~0").replace('/', "~1"));
        property_fits(&path, property, depth)?;
    }
    Ok(())
}

fn property_fits(path: &str, property: &Value, depth: usize) -> Result<(), ToolError> {
    let wrong = |message: &str| Err(ToolError::invalid(path, message));
    let Some(object) = property.as_object() else { return wrong("a property is an object with type and description") };
    let kind = property["type"].as_str().unwrap_or_default();
    if !["object", "string", "integer", "number", "array"].contains(&kind) {
        return wrong("a property's type is \"object\", \"string\", \"integer\", \"number\" or \"array\"");
    }
    if property["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
        return wrong("a property needs a description; say what it holds");
    }
    match kind {
        "object" => fits(path, object, depth - 1),
        "array" if !property["items"].is_object() => wrong("an array needs items; say what it holds"),
        _ => Ok(()),
    }
}

impl super::super::Offers {
    /// What fills the gaps of a research.
    pub(super) fn research_defaults(&self) -> &ResearchArgs {
        &self.research.defaults
    }
}

/// So that its number is known outside.
pub(super) fn number(tokens: Option<Tokens>) -> Option<u32> {
    tokens.map(Whole::number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn output_schemas_are_of_the_form_that_tavily_takes() {
        let check = |schema: Value| fits("/output_schema", schema.as_object().unwrap(), DEEPEST);
        let text = || json!({ "type": "string", "description": "x" });
        for good in [
            json!({ "properties": { "a": text() } }),
            json!({ "properties": { "a": text() }, "required": ["a"], "type": "object" }),
            json!({ "properties": { "a": { "type": "array", "description": "x", "items": { "type": "string" } } } }),
            json!({ "properties": { "a": { "type": "object", "description": "x", "properties": { "b": text() } } } }),
        ] {
            assert!(check(good.clone()).is_ok(), "{good}");
        }
        let mut deep = json!({ "properties": { "a": text() } });
        for _ in 0..20 {
            deep = json!({ "properties": { "a": { "type": "object", "description": "x", "properties": deep["properties"] } } });
        }
        for bad in [
            json!({}),
            json!({ "properties": {} }),
            json!({ "properties": [] }),
            json!({ "properties": { "a": "string" } }),
            json!({ "properties": { "a": { "type": "string" } } }),
            json!({ "properties": { "a": { "description": "x" } } }),
            json!({ "properties": { "a": { "type": "boolean", "description": "x" } } }),
            json!({ "properties": { "a": { "type": "array", "description": "x" } } }),
            json!({ "properties": { "a": { "type": "object", "description": "x" } } }),
            json!({ "properties": { "a": text() }, "required": ["b"] }),
            json!({ "properties": { "a": text() }, "required": "a" }),
            deep,
        ] {
            assert!(check(bad.clone()).is_err(), "{bad}");
        }
    }
}
