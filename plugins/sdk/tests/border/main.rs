//! What `export_plugin!` exports, driven through the C boundary as a host drives it.
//!
//! Also run under AddressSanitizer, where a mistake at the border shows even if every answer is right.

mod answers;
mod faults;
mod host;
mod life;
mod plugin;
