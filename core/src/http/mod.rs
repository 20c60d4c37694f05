//! HTTP: our accept loop (`accept`), the poem app and its route table (`app`), which path a request means (`place`),
//! who may knock at all (`doors`), the REST face of the tools (`rest`), the OpenAPI document and its page ([`openapi`]),
//! the pages that people see first (`front`), and the server put together (`standing`, from `providers` to `state`), its
//! life (`server`), and how it follows its files (`reload`, `watch`, `changes`, `outlook`).
//!
//! What follows from the registry and from who looks (`sight`) is made once and kept (`kept`, `tagged`); how the server is
//! (`readiness`) is told without what is the operator's business alone (`discreet`).
//!
//! Asks the gate who calls and the policy whether they may; decides neither.

mod accept;
mod app;
mod backend;
mod changes;
mod discreet;
mod document;
mod doors;
mod front;
mod kept;
mod leftover;
mod live;
mod mcp_route;
pub mod openapi;
mod outlook;
mod pages;
mod place;
mod providers;
mod readiness;
mod refusal;
mod reload;
mod requests;
mod rest;
mod server;
mod sight;
mod standing;
mod state;
mod tagged;
mod timed;
mod watch;

pub use document::openapi_document;
pub use providers::ProviderError;
pub use server::{Server, StartError, check_start};
