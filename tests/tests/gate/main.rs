//! The gate, seen from outside: the real binary behind real authorization servers, over HTTP.
//!
//! One test binary, since each is linked by itself; one module a subject.

mod challenge;
mod house;
mod outside;
mod reply;
mod wire;

mod client_documents;
mod cors;
mod discovery;
mod documents;
mod hostile_requests;
mod hostile_tokens;
mod outages;
mod registration;
mod secrets;
mod sign_in;
mod startup;
mod statuses;
