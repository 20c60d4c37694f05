//! What comes from the web, and what may leave for it: text made harmless and bounded ([`text`]), put between
//! marks that it cannot forge ([`envelope`]), and addresses that must not leave ([`address`]).
//!
//! Pure functions; know nothing of Tavily.

pub(crate) mod address;
pub(crate) mod envelope;
mod signs;
pub(crate) mod text;
