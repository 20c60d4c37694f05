//! Reading the credential (RFC 6750 section 2.1): the `Authorization` header alone, never the query or the body.

use http::{HeaderMap, header::AUTHORIZATION};

/// What a request brings.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// Nothing that this resource takes.
    None,
    /// A bearer token, unverified.
    Bearer(&'a str),
}

/// More than one credential, or one that is none. The text says which; it never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("more than one Authorization header")]
    Several,
    #[error("the Authorization header is not one scheme and one token")]
    Blanks,
}

/// Read the credential. The scheme is matched without case (RFC 9110 section 11.1); another scheme than
/// `Bearer` is no credential of ours.
pub(super) fn read(headers: &HeaderMap) -> Result<Credential<'_>, Malformed> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Credential::None) };
    if values.next().is_some() {
        return Err(Malformed::Several);
    }
    // Bytes that are no text are in no token; as what they are taken for, the verifier refuses them.
    let value = value.to_str().unwrap_or("Bearer \u{fffd}").trim_matches([' ', '\t']);
    let (scheme, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Credential::None);
    }
    let token = rest.trim_matches([' ', '\t']);
    if token.contains([' ', '\t']) {
        return Err(Malformed::Blanks);
    }
    Ok(Credential::Bearer(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap())).collect()
    }

    type Case = (&'static str, &'static [&'static [u8]], Result<Option<&'static str>, Malformed>);

    #[test]
    fn one_bearer_token_and_nothing_else_is_a_credential() {
        let cases: &[Case] = &[
            ("no header", &[], Ok(None)),
            ("bearer", &[b"Bearer abc"], Ok(Some("abc"))),
            ("lower case", &[b"bearer abc"], Ok(Some("abc"))),
            ("upper case", &[b"BEARER abc"], Ok(Some("abc"))),
            ("two blanks before the token", &[b"Bearer  abc"], Ok(Some("abc"))),
            ("nothing behind the scheme", &[b"Bearer"], Ok(Some(""))),
            ("a blank behind the scheme", &[b"Bearer "], Ok(Some(""))),
            ("another scheme", &[b"Basic YTpi"], Ok(None)),
            ("a scheme that begins alike", &[b"BearerX abc"], Ok(None)),
            ("two headers", &[b"Bearer abc", b"Bearer abc"], Err(Malformed::Several)),
            ("a blank inside", &[b"Bearer abc def"], Err(Malformed::Blanks)),
            ("a list", &[b"Bearer abc, Bearer def"], Err(Malformed::Blanks)),
            ("a tab inside", &[b"Bearer abc\tdef"], Err(Malformed::Blanks)),
            ("bytes", &[b"Bearer \xff"], Ok(Some("\u{fffd}"))),
        ];
        for (name, values, expected) in cases {
            let headers = headers(values);
            let read = read(&headers).map(|credential| match credential {
                Credential::Bearer(token) => Some(token),
                Credential::None => None,
            });
            assert_eq!(read, *expected, "{name}");
        }
    }
}
