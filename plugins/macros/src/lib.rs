//! The attribute macros of `toolgate-plugin`, which re-exports them.
