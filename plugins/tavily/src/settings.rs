//! The plugin's `settings` table: its shape, its checks, and the key that must not be shown.
//!
//! Knows nothing of HTTP beyond what makes a base URL or a header value usable.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use toolgate_plugin::{JsonObject, ProviderError};
use url::{Host, Url};

use crate::tools::{extract, search};

/// Settings of the Tavily plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Tavily's API key (`tvly-…`). Empty or absent: keyless mode, which offers search and extract only.
    pub(crate) api_key: ApiKey,
    /// Where Tavily's API is. HTTPS, or plain HTTP on a loopback address (for a stand-in).
    pub(crate) api_base_url: String,
    /// Tavily project that the usage is booked on (`X-Project-ID`).
    pub(crate) project_id: Option<String>,
    /// Tavily organisation that the usage is booked on (`X-Tavily-Orgid`).
    pub(crate) org_id: Option<String>,
    /// How this server names itself to Tavily (`X-Client-Source`).
    pub(crate) client_source: String,
    /// The longest that one call may take, retries included.
    pub(crate) timeout: Span,
    /// Send Tavily an opaque id for each caller (`X-Human-Id`): a SHA-256 of the caller's subject, made here.
    pub(crate) human_id: bool,
    /// How much text of web pages a result may hold.
    pub(crate) max_output: MaxOutput,
    /// Parameters that fill what a caller leaves out; they never override a caller.
    pub(crate) defaults: Defaults,
}

/// How much text of web pages a result may hold; what is longer is cut and marked `truncated`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MaxOutput {
    /// Text of one source, in UTF-8.
    pub(crate) per_source: Size,
    /// Text of all sources together, in UTF-8.
    pub(crate) total: Size,
}

/// Parameters that fill what a caller leaves out.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    /// For `tavily_search`: any of its arguments except `query`.
    #[schemars(schema_with = "search::defaults_schema")]
    pub(crate) search: JsonObject,
    /// For `tavily_extract`: any of its arguments except `urls` and `query`.
    #[schemars(schema_with = "extract::defaults_schema")]
    pub(crate) extract: JsonObject,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_key: ApiKey::default(),
            api_base_url: "https://api.tavily.com".into(),
            project_id: None,
            org_id: None,
            client_source: "toolgate".into(),
            timeout: Span(Duration::from_secs(60)),
            human_id: false,
            max_output: MaxOutput::default(),
            defaults: Defaults::default(),
        }
    }
}

impl Default for MaxOutput {
    fn default() -> Self {
        Self { per_source: Size(32 * 1024), total: Size(128 * 1024) }
    }
}

// === impl Settings ===

impl Settings {
    /// Read and check a `settings` table; null is an empty one.
    pub(crate) fn read(value: Value) -> Result<Self, ProviderError> {
        let value = if value.is_null() { Value::Object(JsonObject::new()) } else { value };
        conforms(&value)?;
        let settings: Self = serde_json::from_value(value).map_err(|e| ProviderError::settings("", e.to_string()))?;
        settings.api_key.check()?;
        settings.base_url()?;
        header_value("client_source", &settings.client_source)?;
        for (path, id) in [("project_id", &settings.project_id), ("org_id", &settings.org_id)] {
            id.as_ref().map_or(Ok(()), |id| header_value(path, id))?;
        }
        if settings.timeout.0 < Duration::from_secs(1) || settings.timeout.0 > Duration::from_secs(600) {
            let given = settings.timeout;
            return Err(ProviderError::settings("timeout", format!("\"{given}\" is out of range; use 1s to 10m")));
        }
        for (path, Size(size)) in [("per_source", settings.max_output.per_source), ("total", settings.max_output.total)]
        {
            if !(256..=16 * 1024 * 1024).contains(&size) {
                let message = format!("{size} bytes is out of range; use 256 B to 16 MiB");
                return Err(ProviderError::settings(format!("max_output.{path}"), message));
            }
        }
        Ok(settings)
    }

    /// Whether there is no key.
    pub(crate) fn keyless(&self) -> bool {
        self.api_key.0.is_empty()
    }

    /// The base of every endpoint, its path ending in a slash.
    pub(crate) fn base_url(&self) -> Result<Url, ProviderError> {
        let given = self.api_base_url.trim();
        let wrong = |what: &str| {
            let message = format!("{what}; write an https URL such as \"https://api.tavily.com\"");
            ProviderError::settings("api_base_url", message)
        };
        let mut url = Url::parse(given).map_err(|_| wrong("this is not a URL"))?;
        // Not shown: someone may have put credentials into it.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a user name or password in the URL is not sent"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("a query or fragment has no meaning here"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(wrong("plain http would show the key on the network")),
            other => return Err(wrong(&format!("the scheme \"{other}\" cannot be used"))),
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(url)
    }
}

/// Whether a URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn header_value(path: &str, value: &str) -> Result<(), ProviderError> {
    if value.is_empty() || value.len() > 200 || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = "must be 1 to 200 printable ASCII characters without spaces; remove what is not";
        return Err(ProviderError::settings(path, message));
    }
    Ok(())
}

/// The schema's verdict; bounds of default parameters are checked nowhere else.
fn conforms(value: &Value) -> Result<(), ProviderError> {
    let schema = Value::Object(crate::settings_schema());
    let validator = jsonschema::validator_for(&schema).map_err(|e| ProviderError::settings("", e.to_string()))?;
    let Err(error) = validator.validate(value) else { return Ok(()) };
    let mut path = error.instance_path().to_string().trim_start_matches('/').replace('/', ".");
    let message = match error.kind() {
        jsonschema::error::ValidationErrorKind::AdditionalProperties { unexpected } => {
            let unknown = unexpected.first().map_or("", String::as_str);
            path = if path.is_empty() { unknown.to_owned() } else { format!("{path}.{unknown}") };
            format!("unknown setting \"{unknown}\"; remove it or correct its name")
        }
        // Whatever was written there may be the key.
        _ if path == "api_key" => "must be a string; write it in quotes".to_owned(),
        _ => error.to_string(),
    };
    Err(ProviderError::settings(path, message))
}

/// Tavily's key; neither `Debug` nor an error shows it.
#[derive(Clone, Default)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// The key itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    fn check(&self) -> Result<(), ProviderError> {
        if self.0.is_empty() || (self.0.len() <= 512 && self.0.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Ok(());
        }
        let message = "holds a blank, a control character or a character outside ASCII, or is longer than 512; \
                       copy it again from app.tavily.com";
        Err(ProviderError::settings("api_key", message))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "ApiKey(none)" } else { "ApiKey(…)" })
    }
}

impl<'de> Deserialize<'de> for ApiKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Line ends are what files and shells leave behind; anything else inside is refused later.
        let key = String::deserialize(deserializer)?;
        Ok(Self(key.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl JsonSchema for ApiKey {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ApiKey".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

/// A span of time, written as "30s" or "2m".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes, written as "32 KiB".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) usize);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytesize::ByteSize(self.0 as u64).fmt(f)
    }
}

fn span(text: &str) -> Result<Span, String> {
    let wrong = |_| format!("\"{text}\" is not a duration; write it as \"30s\" or \"2m\"");
    humantime::parse_duration(text).map(Span).map_err(wrong)
}

fn size(text: &str) -> Result<Size, String> {
    let bytes = text.parse::<bytesize::ByteSize>().ok().and_then(|size| usize::try_from(size.as_u64()).ok());
    bytes.map(Size).ok_or_else(|| format!("\"{text}\" is not a size; write it as \"32 KiB\""))
}

macro_rules! written_as_string {
    ($type:ident, $parse:ident, $pattern:literal, $example:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

written_as_string!(Span, span, r"^\s*([0-9]+\s*[a-zA-Z]+\s*)+$", "60s");
written_as_string!(Size, size, r"^\s*[0-9]+(\.[0-9]+)?\s*[a-zA-Z]*\s*$", "32 KiB");
