//! Plugins: loading, limits, the registry.
