//! Who the plugin is, as the host reads it before anything runs.

use std::{any::TypeId, panic::catch_unwind, sync::OnceLock};

use serde_json::json;
use toolgate_abi::Bytes;

use crate::{plugin::Plugin, tool::JsonObject, typed::schema_of};

/// The manifest, made when first asked for; lives as long as the library.
pub struct Manifest(OnceLock<Vec<u8>>);

impl Manifest {
    /// Not made yet.
    #[expect(clippy::new_without_default, reason = "only ever a static of `export_plugin!`")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The manifest of `T` as JSON; empty if its schema cannot be made, which a host refuses.
    pub fn lend<T: Plugin>(&'static self, name: &str, version: &str, description: &str) -> Bytes {
        Bytes::lend(self.0.get_or_init(|| {
            catch_unwind(settings_schema::<T>).map_or_else(
                |_| Vec::new(),
                |schema| {
                    let manifest = json!({
                        "name": name,
                        "version": version,
                        "description": description,
                        "kit": concat!("toolgate-plugin ", env!("CARGO_PKG_VERSION")),
                        "blocking": false,
                        "settingsSchema": schema,
                    });
                    manifest.to_string().into_bytes()
                },
            )
        }))
    }
}

/// Whether `T` takes no settings.
pub(super) fn takes_none<T: Plugin>() -> bool {
    TypeId::of::<T::Settings>() == TypeId::of::<()>()
}

/// The schema of `[plugins.<name>.settings]`.
pub(super) fn settings_schema<T: Plugin>() -> JsonObject {
    if !takes_none::<T>() {
        return schema_of::<T::Settings>();
    }
    // In the configuration the settings are a table, and `()` is an empty one.
    let mut schema = JsonObject::new();
    schema.insert("type".into(), "object".into());
    schema.insert("additionalProperties".into(), false.into());
    schema
}
