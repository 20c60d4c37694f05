//! Verifying a token: JWT and JWKS, introspection, cache; provider profiles.
