//! Values that mean nothing but themselves: codes, secrets, handles. Owns how they are drawn, kept and compared.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// 256 random bits in base64url: 43 characters.
pub(super) fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Whether a value can be one that [`secret`] drew.
pub(super) fn is_secret(value: &str) -> bool {
    URL_SAFE_NO_PAD.decode(value).is_ok_and(|bytes| bytes.len() == 32)
}

/// 128 random bits in base64url: 22 characters, for names that need not be secret.
pub(super) fn name() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// The SHA-256 of a value in base64url. What is remembered of a secret; and, for a code verifier, exactly the
/// S256 challenge of RFC 7636 section 4.2. The values hold 256 random bits, so no slow hash is needed.
pub(super) fn digest(value: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(value.as_bytes()))
}

/// Whether two strings are equal, in time that does not depend on where they differ.
pub(super) fn equal(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}
