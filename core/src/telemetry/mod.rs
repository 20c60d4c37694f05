//! Logs and the audit sink.
