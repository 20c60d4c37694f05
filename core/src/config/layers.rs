//! Defaults below the file below the environment: merged by figment, then put back into the file's order.
//!
//! The defaults are those of the section types, so the lowest layer here is empty. Figment sorts keys; people
//! order endpoints, tools and scopes on purpose, so the file's order is kept and new keys follow.

use figment::{Figment, providers::Serialized};
use serde_json::{Map, Value};

/// The file's values with the environment's above them.
///
/// # Errors
/// Figment's, which plain JSON tables do not cause.
pub(super) fn merge(file: &Value, environment: &Value) -> Result<Value, String> {
    let figment = Figment::new().merge(Serialized::defaults(file)).merge(Serialized::defaults(environment));
    let merged: Value = figment.extract().map_err(|error| error.to_string())?;
    Ok(in_order_of(file, merged))
}

fn in_order_of(file: &Value, merged: Value) -> Value {
    match (file, merged) {
        (Value::Object(file), Value::Object(mut merged)) => {
            let mut ordered = Map::with_capacity(merged.len());
            for (key, value) in file {
                if let Some(found) = merged.shift_remove(key) {
                    ordered.insert(key.clone(), in_order_of(value, found));
                }
            }
            ordered.extend(merged);
            Value::Object(ordered)
        }
        (_, merged) => merged,
    }
}
