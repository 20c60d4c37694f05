//! The gate, seen from outside: the real binary behind real authorization servers, over HTTP.
//!
//! One test binary, since each is linked by itself; one module a subject.

mod challenge;
mod house;
mod reply;
mod wire;

mod hostile_requests;
mod hostile_tokens;
mod outages;
mod sign_in;
mod statuses;
