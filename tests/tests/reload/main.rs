//! A server that follows its files: what an edit changes while clients are connected, and what it does not. Against the
//! real binary.
//!
//! Each test has a server of its own; none needs the internet.

mod edits;
mod front;
mod house;
#[cfg(unix)]
mod kept;
#[cfg(unix)]
mod load;
mod plugins;
mod readyz;
#[cfg(unix)]
mod tools;
#[cfg(unix)]
mod triggers;
