//! Toolgate: an MCP server that hosts tool plugins behind OAuth 2.1.
//!
//! The modules, top floor first; imports only go down: `cli`, `http`, `mcp`, `gate`, `host`, `policy`,
//! `tokens`, `devauth`, `telemetry`, `config`. `ARCHITECTURE.md` is the map.

pub mod cli;
pub mod config;
pub mod devauth;
pub mod gate;
pub mod host;
pub mod http;
pub mod mcp;
pub mod policy;
pub mod telemetry;
pub mod tokens;
