//! Quantities that are written as text: spans of time and sizes.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
