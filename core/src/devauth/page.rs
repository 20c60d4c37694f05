//! The pages for people: consent, and refusals that must not be redirected.
//!
//! Owns rendering. The templates escape everything they are given; there is no script, and nothing is loaded.

use askama::Template;

use super::{
    opaque,
    redirect::{self, Destination},
};

/// A rendered page.
pub(super) struct Page {
    pub(super) status: u16,
    /// Allows the one style sheet within the page.
    pub(super) nonce: String,
    pub(super) html: String,
}

/// What the consent page asks.
pub(super) struct Consent<'a> {
    pub(super) action: String,
    pub(super) transaction: &'a str,
    pub(super) client_name: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) scopes: Vec<Choice<'a>>,
    pub(super) resources: &'a [String],
    /// What stands in the field for the user's name.
    pub(super) user: &'a str,
    /// What was wrong with the form as it was sent before.
    pub(super) complaint: Option<&'static str>,
}

/// One scope to tick.
pub(super) struct Choice<'a> {
    pub(super) scope: &'a str,
    pub(super) description: &'a str,
    pub(super) ticked: bool,
}

#[derive(Template)]
#[template(path = "devauth/consent.html")]
struct ConsentTemplate<'a> {
    nonce: &'a str,
    ask: Consent<'a>,
    destination: Destination,
}

#[derive(Template)]
#[template(path = "devauth/refused.html")]
struct RefusedTemplate<'a> {
    nonce: &'a str,
    title: &'a str,
    explanation: &'a str,
}

pub(super) fn consent(ask: Consent<'_>) -> Page {
    let status = if ask.complaint.is_some() { 400 } else { 200 };
    // The URI was checked when it was registered.
    let destination =
        redirect::destination(ask.redirect_uri).unwrap_or_else(|_| Destination::Site(ask.redirect_uri.to_owned()));
    render(status, |nonce| ConsentTemplate { nonce, ask, destination }.render())
}

pub(super) fn refused(status: u16, title: &str, explanation: String) -> Page {
    render(status, |nonce| RefusedTemplate { nonce, title, explanation: &explanation }.render())
}

fn render(status: u16, template: impl FnOnce(&str) -> askama::Result<String>) -> Page {
    let nonce = opaque::name();
    match template(&nonce) {
        Ok(html) => Page { status, nonce, html },
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            Page { status: 500, nonce, html: "The page could not be rendered.".to_owned() }
        }
    }
}
