//! Black-box tests of the toolgate binary, and stand-ins for the systems outside.

pub mod authority;
pub mod corpus;
pub mod library;
pub mod process;
pub mod server;
pub mod tavily;
