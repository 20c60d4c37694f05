//! The key that must not be shown.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use toolgate_plugin::ProviderError;

/// Tavily's key; neither `Debug` nor an error shows it.
#[derive(Clone, Default)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// The key itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn check(&self) -> Result<(), ProviderError> {
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
