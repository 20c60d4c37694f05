//! Claims about files that are watched.
