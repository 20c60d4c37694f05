//! The embedded development authorization server; knows nothing of the rest.
