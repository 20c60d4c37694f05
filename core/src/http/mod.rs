//! HTTP: our accept loop (`accept`), the poem app and its route table (`app`), who may knock at all
//! (`doors`), the REST face of the tools (`rest`), the OpenAPI document and its page ([`openapi`]), and
//! the server put together (`server`).
//!
//! Asks the gate who calls and the policy whether they may; decides neither.

mod accept;
mod app;
mod backend;
mod document;
mod doors;
mod leftover;
pub mod openapi;
mod opening;
mod refusal;
mod rest;
mod server;

pub use document::openapi_document;
pub use server::{Server, StartError, check_providers};
