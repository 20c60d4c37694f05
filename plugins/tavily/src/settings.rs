//! The plugin's `settings` table: its shape, its checks, and the key that must not be shown.
//!
//! Knows nothing of HTTP beyond what makes a base URL or a header value usable.

mod key;
mod sections;
mod units;

use std::{ops::RangeInclusive, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use toolgate_plugin::{JsonObject, ProviderError};
use url::{Host, Url};

use self::units::Size;
pub(crate) use self::{
    key::ApiKey,
    sections::{Cache, Ceilings, Defaults, Marks, MaxPages, Research, Sites, Stream},
    units::Span,
};

/// Settings of the Tavily plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Tavily's API key (`tvly-…`). Empty or absent: keyless mode, in which only search and extract work.
    pub(crate) api_key: ApiKey,
    /// Where Tavily's API is. HTTPS, or plain HTTP on a loopback address (for a stand-in).
    pub(crate) api_base_url: String,
    /// Tavily project that the usage is booked on (`X-Project-ID`).
    pub(crate) project_id: Option<String>,
    /// Tavily organisation that the usage is booked on (`X-Tavily-Orgid`).
    pub(crate) org_id: Option<String>,
    /// How this server names itself to Tavily (`X-Client-Source`).
    pub(crate) client_source: String,
    /// The longest that one call may take, retries included; maps, crawls and research have times of their own.
    pub(crate) timeout: Span,
    /// The longest that a map or a crawl may take.
    pub(crate) crawl_timeout: Span,
    /// Send Tavily an opaque id for each caller (`X-Human-Id`): a SHA-256 of the caller's subject, made here.
    pub(crate) human_id: bool,
    /// Most tokens that a result's text may have, whatever a caller asks for (an estimate: 7 bytes count as 2 tokens).
    #[schemars(range(min = 200, max = 1_000_000))]
    pub(crate) max_output_tokens: u32,
    /// Most credits that calls may cost.
    pub(crate) credits: Ceilings,
    /// Most pages that a map or a crawl may have.
    pub(crate) max_pages: MaxPages,
    /// How long research is waited for, and how it is followed.
    pub(crate) research: Research,
    /// Remember results for a while. Absent: every call asks Tavily.
    pub(crate) cache: Option<Cache>,
    /// Which pages may be read and shown.
    pub(crate) sites: Sites,
    /// Whether `tavily_usage` shows the figures of the whole account as well: plan and billing.
    pub(crate) account_usage: bool,
    /// What the ids of the marks around untrusted text are made of.
    pub(crate) marks: Marks,
    /// Parameters that fill what a caller leaves out; they never override a caller.
    pub(crate) defaults: Defaults,
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
            crawl_timeout: Span(Duration::from_secs(160)),
            human_id: false,
            max_output_tokens: 20_000,
            credits: Ceilings::default(),
            max_pages: MaxPages::default(),
            research: Research::default(),
            cache: None,
            sites: Sites::default(),
            account_usage: false,
            marks: Marks::Random,
            defaults: Defaults::default(),
        }
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
        let Research { wait, wait_without_progress, silence, longest, .. } = settings.research;
        let mut spans = vec![
            ("timeout", settings.timeout, 1..=600, "1s to 10m"),
            ("crawl_timeout", settings.crawl_timeout, 10..=600, "10s to 10m"),
            ("research.wait", wait, 1..=3600, "1s to 1h"),
            ("research.wait_without_progress", wait_without_progress, 1..=3600, "1s to 1h"),
            ("research.silence", silence, 1..=3600, "1s to 1h"),
            ("research.longest", longest, 1..=7200, "1s to 2h"),
        ];
        spans.extend(settings.cache.map(|cache| ("cache.keep", cache.keep, 1..=86_400, "1s to 1day")));
        for (path, span, seconds, range) in spans {
            within(path, span, seconds, range)?;
        }
        if let Some(Cache { size: Size(size), .. }) = settings.cache
            && !(64 * 1024..=1024 * 1024 * 1024).contains(&size)
        {
            let message = format!("{size} bytes is out of range; use 64 KiB to 1 GiB");
            return Err(ProviderError::settings("cache.size", message));
        }
        Ok(settings)
    }

    /// Whether there is no key.
    pub(crate) fn keyless(&self) -> bool {
        self.api_key.expose().is_empty()
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

fn within(path: &str, span: Span, seconds: RangeInclusive<u64>, range: &str) -> Result<(), ProviderError> {
    let bounds = Duration::from_secs(*seconds.start())..=Duration::from_secs(*seconds.end());
    if bounds.contains(&span.0) {
        return Ok(());
    }
    Err(ProviderError::settings(path, format!("\"{span}\" is out of range; use {range}")))
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
