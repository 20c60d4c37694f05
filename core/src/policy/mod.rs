//! Scopes, implications, per-tool rules, the decision. Pure data, no I/O.
