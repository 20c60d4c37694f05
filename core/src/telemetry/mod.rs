//! What the server tells its operator: the log ([`log`]) and the audit trail ([`audit`]).
//!
//! The lowest floor: it knows none of the other modules but `config`.

pub mod audit;
pub mod log;
