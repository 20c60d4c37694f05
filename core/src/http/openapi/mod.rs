//! The OpenAPI 3.1 document and the page around it: the operations that never change ([`api`], with their
//! [`shapes`]), their rewriting from 3.0 (`upgrade`), what may be registered (`registration`), what is given ([`inputs`]), the schemas
//! of the tools (`schemas`, `keywords`), an example of their arguments (`example`), what they answer with (`answers`), the
//! whole ([`document`]) and the page to browse and try it ([`page`]).
//!
//! Pure: everything arrives as plain data or through [`Backend`]. This module must not know the gate, the
//! registry or the configuration.

mod answers;
pub mod api;
pub mod document;
mod example;
pub mod inputs;
mod keywords;
pub mod page;
mod registration;
mod schemas;
pub mod shapes;
mod upgrade;

pub use api::{Api, Backend, Raw, base_document, catalogue};
pub use document::{Merged, Operation, Operations, merge};
pub use inputs::{Document, EndpointOperations, Refused, SecurityScheme, ToolOperation};
pub use page::{Asset, Page, Rendered, SignIn, asset, docs_page, receiver_page};
pub use shapes::{
    CatalogueTool, ConfigurationReadiness, ConfigurationState, ErrorBody, PluginReadiness, PluginState, Readiness,
};
