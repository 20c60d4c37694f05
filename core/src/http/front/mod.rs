//! The pages that people see first: the front page (`route`, `page`, with its parts `endpoint` and `overview`), and a page
//! in place of an error for whoever opens an address in a browser (`errors`). Programs get JSON from the same addresses
//! (`negotiate`, `summary`).
//!
//! How each client is connected is one table (`clients`, `programs`), quoted for its language (`quoting`); it says where
//! a client does not reach the address (`reach`). All is rendered on the server and whole without a script; nothing
//! comes from elsewhere (`files`).

mod clients;
mod endpoint;
mod errors;
mod files;
mod links;
mod negotiate;
mod overview;
mod page;
mod programs;
mod prose;
mod quoting;
mod reach;
mod route;
mod summary;
mod tool;

use http::{HeaderMap, HeaderValue, header};

pub(super) use errors::{Asked, Stranger, for_people};
pub(super) use files::FILES;
pub(super) use route::Front;

/// The headers that every page goes out with: what it may load, and who may look at it from outside.
pub(super) fn guard(headers: &mut HeaderMap, policy: HeaderValue) {
    let fixed = [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            header::HeaderName::from_static("permissions-policy"),
            "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ];
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
