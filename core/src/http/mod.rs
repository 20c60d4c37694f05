//! Our accept loop, the poem app, the route table, OpenAPI documents and pages, health, CORS, limits.

pub mod openapi;
