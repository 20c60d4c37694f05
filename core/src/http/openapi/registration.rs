//! The JSON Schema of a registration (RFC 7591), which poem-openapi's 3.0 schemas cannot say: lists that must hold a
//! certain member, members that depend on each other.
//!
//! It is the one of the embedded development authorization server, which takes what fits. Another authorization server
//! may ask for less or more; its answer says so.

use serde_json::{Value, json};

use crate::devauth::registration_schema;

/// The name of the schema in the document.
pub(super) const NAME: &str = "ClientMetadata";

/// The schema, in place of the one that only tells types.
pub(super) fn client_metadata() -> Value {
    let mut schema = registration_schema();
    schema["title"] = json!(NAME);
    schema
}
