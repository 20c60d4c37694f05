//! What callers meet: MCP of both eras, the REST face, the documents, the commands. Against the real binary.
//!
//! Each test has a server of its own; none needs the internet.

mod commands;
mod documents;
mod errors;
#[cfg(unix)]
mod foreign;
mod front;
mod house;
mod html;
#[cfg(unix)]
mod life;
mod limits;
mod listening;
mod quickstart;
mod rest;
mod sessions;
mod snippets;
mod stateless;
mod streams;
mod trail;
mod visibility;
