//! The attribute macros of `toolgate-plugin`, which re-exports and documents them; nobody depends on this crate.
//!
//! Everything that they write names its parts through `::toolgate_plugin`, so that a plugin needs no other
//! dependency. They know nothing of the C boundary: `export_plugin!` is an ordinary macro of `toolgate-plugin`.

use proc_macro::TokenStream;

mod derived;
mod options;
mod test;
#[cfg(test)]
mod tests;
mod tool;
mod tools;

/// Turns an `impl` block of documented async functions into tools.
///
/// Each function marked `#[tool]` is one. Its doc comment is what models read, its argument struct the input schema,
/// its return type (anything that is a `Reply`, or a `Result` of it) the output schema. It takes `&self`, at most
/// one argument struct, and a `CallContext` if it wants one, in any order. Functions without a mark stay as they
/// are. The type becomes a `ToolProvider`, whose list of tools is built once.
///
/// ```
/// use toolgate_plugin::{CallContext, ToolError, arguments, tools};
///
/// #[arguments]
/// struct Divide {
///     /// What is divided.
///     dividend: i64,
///     /// By what.
///     divisor: i64,
/// }
///
/// struct Calculator;
///
/// #[tools]
/// impl Calculator {
///     /// Divide two integers, rounding towards zero.
///     #[tool(read_only, idempotent, open_world = false, title = "Divide")]
///     async fn divide(&self, args: Divide) -> Result<String, ToolError> {
///         let quotient = args.dividend.checked_div(args.divisor);
///         Ok(quotient.ok_or_else(|| ToolError::invalid("/divisor", "must not be 0"))?.to_string())
///     }
///
///     /// Say who is asking.
///     #[tool(name = "who_am_i", read_only)]
///     async fn caller(&self, cx: CallContext) -> String {
///         cx.caller.subject.to_string()
///     }
/// }
/// ```
///
/// Options of `#[tool(…)]`, each optional; what is left out is not said:
///
/// | option | says |
/// | --- | --- |
/// | `name = "…"` | the tool's name, if not the function's |
/// | `title = "…"` | a name for people |
/// | `read_only` | it changes nothing (and so destroys nothing) |
/// | `destructive` | it may destroy something |
/// | `idempotent` | calling again with the same arguments changes nothing more |
/// | `open_world` | it reaches an open world, such as the web |
///
/// The last four take `= false` too.
///
/// A call that takes long reports how far it is and ends when nobody waits any more: at the next `.await` its future
/// is dropped, and `cx.cancelled` fires for what it has spawned.
///
/// ```
/// use toolgate_plugin::{CallContext, ToolError, tools};
///
/// struct Files;
///
/// #[tools]
/// impl Files {
///     /// Count the bytes of all files here.
///     #[tool(read_only)]
///     async fn count(&self, cx: CallContext) -> Result<String, ToolError> {
///         let files: Vec<_> = std::fs::read_dir(".").map_err(ToolError::because)?.collect();
///         let (mut bytes, total) = (0, files.len() as f64);
///         for (done, file) in files.into_iter().enumerate() {
///             if cx.cancelled.is_cancelled() {
///                 return Err(ToolError::Cancelled);
///             }
///             bytes += file.and_then(|file| file.metadata()).map_err(ToolError::because)?.len();
///             cx.progress.report((done + 1) as f64, Some(total), None);
///         }
///         Ok(bytes.to_string())
///     }
/// }
/// ```
///
/// `#[health]` marks an `async fn(&self) -> Health`, `#[shutdown]` an
/// `async fn(&self)`; they answer for the whole plugin.
#[proc_macro_attribute]
pub fn tools(attribute: TokenStream, item: TokenStream) -> TokenStream {
    tools::expand(attribute.into(), item.into()).into()
}

/// Makes a struct (or an enum in one) the arguments of a tool: derives `Deserialize` and `JsonSchema` through
/// `toolgate_plugin` and refuses unknown members. Doc comments of fields become their descriptions; `#[serde(…)]`
/// and `#[schemars(…)]` work as usual. A struct with a flattened field takes unknown members, as serde asks.
///
/// It is the mark that `#[tool]` asks of what a tool takes. A tool that takes anything takes a `JsonObject`.
///
/// ```
/// use toolgate_plugin::{arguments, serde_json::json, schema_of};
///
/// #[arguments]
/// struct Find {
///     /// What to look for.
///     query: String,
///     /// How many at most; 10 if left out.
///     limit: Option<u8>,
/// }
///
/// let schema = schema_of::<Find>();
/// assert_eq!(schema["properties"]["query"], json!({ "description": "What to look for.", "type": "string" }));
/// assert_eq!(schema["required"], json!(["query"]));
/// assert_eq!(schema["additionalProperties"], false);
/// ```
#[proc_macro_attribute]
pub fn arguments(attribute: TokenStream, item: TokenStream) -> TokenStream {
    derived::expand(derived::Kind::Arguments, attribute.into(), item.into()).into()
}

/// Makes a struct (or an enum in one) the settings of a plugin; the same as [`macro@arguments`], for
/// `[plugins.<name>.settings]` in the configuration.
#[proc_macro_attribute]
pub fn settings(attribute: TokenStream, item: TokenStream) -> TokenStream {
    derived::expand(derived::Kind::Settings, attribute.into(), item.into()).into()
}

/// Makes a struct the result of a tool: derives `Serialize` and `JsonSchema` through `toolgate_plugin`. A struct
/// with named fields is a `Reply` as it is: its JSON is both `structuredContent` and the text.
///
/// ```
/// use toolgate_plugin::{output, tools};
///
/// #[output]
/// struct Position {
///     /// Degrees north.
///     latitude: f64,
///     /// Degrees east.
///     longitude: f64,
/// }
///
/// struct Ship;
///
/// #[tools]
/// impl Ship {
///     /// Where the ship is.
///     #[tool(read_only)]
///     async fn position(&self) -> Position {
///         Position { latitude: 54.2, longitude: 12.1 }
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn output(attribute: TokenStream, item: TokenStream) -> TokenStream {
    derived::expand(derived::Kind::Output, attribute.into(), item.into()).into()
}

/// Makes a `#[settings]` struct a plugin that holds its settings and nothing else: to start is to read them. A
/// plugin that opens something, or keeps state, implements the trait by hand. A struct without fields takes no settings
/// and needs no `#[settings]`.
#[proc_macro_derive(Plugin)]
pub fn plugin(item: TokenStream) -> TokenStream {
    derived::plugin(item.into()).into()
}

/// Makes an `async fn` a test that runs on a runtime of its own, so that a plugin's tests need no other dependency.
// Here it has another name, because this crate has tests of its own.
#[proc_macro_attribute]
pub fn plugin_test(attribute: TokenStream, item: TokenStream) -> TokenStream {
    test::expand(attribute.into(), item.into()).into()
}
