//! The way of a plugin's author: a new plugin in an empty folder outside of any workspace is built, looked at, served,
//! called, changed and called again; in Rust, in C, and by the letter of `docs/write-a-plugin.md`.
//!
//! Runs cargo and cc as an author does. Nothing is fetched: what the kit needs was fetched to build this.
#![cfg(unix)]

mod begin;
mod desk;
mod journey;
mod look;
mod page;
mod slips;
