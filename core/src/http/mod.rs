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
mod mcp_route;
pub mod openapi;
mod pages;
mod refusal;
mod requests;
mod rest;
mod server;
mod timed;

pub use document::openapi_document;
pub use server::{Server, StartError, check_start};
