//! A plugin that misbehaves in every way that a host has to survive. Tests load it; nobody should.
//!
//! Written against the C boundary alone, without the kit, which would not let it. Each tool in `tools` is one way to
//! misbehave; settings do the same for the start (`at_create`) and the list of tools (`dup`, `bad_schema`, `list_once`). The
//! features `abi-0`, `abi-2` and `no-symbol` make libraries that a loader must refuse.

#![allow(unsafe_code, reason = "speaks the C boundary itself, and has to break what Rust keeps whole")]

#[cfg(not(feature = "no-symbol"))]
mod border;
#[cfg(not(feature = "no-symbol"))]
mod tools;
