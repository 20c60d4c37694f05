//! The OpenAPI 3.1 document and the page around it: the operations that never change ([`api`]), their
//! rewriting from 3.0 ([`upgrade`]), the schemas of the tools ([`schemas`]), the whole ([`document`]) and the
//! page to browse and try it ([`page`]).
//!
//! Pure: everything arrives as plain data or through [`Backend`]. This module must not know the gate, the
//! registry or the configuration.

pub mod api;
pub mod document;
mod example;
pub mod page;
mod schemas;
mod upgrade;

pub use api::{Api, Backend, CatalogueTool, ErrorBody, PluginReadiness, PluginState, Raw, Readiness, base_document};
pub use document::{Document, EndpointOperations, SecurityScheme, ToolOperation, merge};
pub use page::{Asset, Page, SignIn, asset, docs_page};
