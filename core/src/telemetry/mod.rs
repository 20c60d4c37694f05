//! What the server tells its operator: the log ([`log`]) and the audit trail ([`audit`]).
//!
//! Knows none of the other modules but `config`.

pub mod audit;
pub mod log;
