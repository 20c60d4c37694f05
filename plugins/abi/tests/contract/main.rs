//! The contract against compilers and against the example that is written to it.

mod compiler;
mod example;
mod header;
mod words;
