//! The MCP endpoint: turns a message into an operation and back.
