//! The plugin's side of the C boundary: what `export_plugin!` puts into a library.
//!
//! `border` is the only module of this crate with `unsafe` code and the only one that sees a pointer. `instance`
//! answers requests, on a runtime of its own (`runtime`); `wire` is the JSON. Nothing here knows a server: hosts find
//! nothing to use in this module.

mod answer;
mod border;
mod gate;
mod instance;
mod manifest;
mod runtime;
mod wire;

#[doc(hidden)]
pub use border::{Completion, Context, HostPeer, Lent, Room, create};
#[doc(hidden)]
pub use manifest::Manifest;
#[doc(hidden)]
pub use toolgate_abi::{Bytes, VERSION};

/// Make this crate a plugin library: export the three functions of `toolgate_plugin.h` for a [`Plugin`](crate::Plugin).
///
/// Once a crate, in one whose `Cargo.toml` says `crate-type = ["cdylib"]` (`"rlib"` beside it lets integration tests
/// use the crate). Name, version and description are the crate's; `name = "…"` gives another name.
///
/// The expansion holds no `unsafe` block, and it compiles under `#![forbid(unsafe_code)]`: its three
/// `#[unsafe(no_mangle)]` are this crate's, which vouches for the names.
///
/// A request begins on the thread of the server that asks, and goes on, once it has to wait, on two threads of the
/// plugin's own. What computes for long or blocks belongs into `tokio::task::spawn_blocking`.
///
/// Panics of the plugin stop at the border: the call is answered with an error, the server is told in its log, and the
/// plugin goes on. That takes `panic = "unwind"`, which is Cargo's default; with `panic = "abort"` a panic ends the
/// process that the plugin runs in.
///
/// ```
/// #![forbid(unsafe_code)]
///
/// use toolgate_plugin::{HostHandle, Outcome, Plugin, ProviderError, Tool, ToolCall, ToolError, ToolProvider};
///
/// struct Nothing;
///
/// #[toolgate_plugin::async_trait]
/// impl ToolProvider for Nothing {
///     async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
///         Ok(Vec::new())
///     }
///
///     async fn call(&self, call: ToolCall, _cx: toolgate_plugin::CallContext) -> Result<Outcome, ToolError> {
///         Err(ToolError::UnknownTool(call.name))
///     }
/// }
///
/// impl Plugin for Nothing {
///     type Settings = ();
///
///     async fn start((): (), _host: HostHandle) -> Result<Self, ProviderError> {
///         Ok(Self)
///     }
/// }
///
/// toolgate_plugin::export_plugin!(Nothing);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty $(,)?) => {
        $crate::export_plugin!($plugin, name = ::core::env!("CARGO_PKG_NAME"));
    };
    ($plugin:ty, name = $name:expr $(,)?) => {
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn toolgate_plugin_abi_version() -> u32 {
                $crate::export::VERSION
            }

            #[unsafe(no_mangle)]
            extern "C" fn toolgate_plugin_manifest() -> $crate::export::Bytes {
                static MANIFEST: $crate::export::Manifest = $crate::export::Manifest::new();
                MANIFEST.lend::<$plugin>(
                    $name,
                    ::core::env!("CARGO_PKG_VERSION"),
                    ::core::env!("CARGO_PKG_DESCRIPTION"),
                )
            }

            #[unsafe(no_mangle)]
            extern "C" fn toolgate_plugin_create(
                host: $crate::export::HostPeer,
                params: $crate::export::Lent,
                plugin: $crate::export::Room,
                complete: $crate::export::Completion,
                context: $crate::export::Context,
            ) -> i32 {
                $crate::export::create::<$plugin>(host, params, plugin, complete, context)
            }
        };
    };
}
