//! The pages for people: consent, and refusals that must not be redirected.
//!
//! Owns wording and rendering. The templates escape everything they are given; there is no script, and nothing is
//! loaded.

use askama::Template;

use super::{
    documents::{DocumentUrl, Fault},
    label,
    ledger::{Applicant, Origin},
    opaque,
    redirect::{self, Destination},
    refusal::Refusal,
};

/// Longest text that a client chose, in characters.
const MAX_NAME: usize = 80;
const MAX_URL: usize = 300;

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
    pub(super) applicant: &'a Applicant,
    pub(super) client_id: &'a str,
    /// Whether this client was allowed something in this browser that has not ended.
    pub(super) known: bool,
    pub(super) redirect_uri: &'a str,
    pub(super) choices: Vec<Choice<'a>>,
    pub(super) resources: &'a [String],
    /// What stands in the field for the user's name.
    pub(super) user: &'a str,
    /// Who signed in last in this browser.
    pub(super) remembered: Option<&'a str>,
    /// What was wrong with the form as it was sent before.
    pub(super) complaint: Option<Complaint>,
    /// Seconds since the epoch.
    pub(super) now: u64,
}

/// One scope to tick.
pub(super) struct Choice<'a> {
    pub(super) scope: &'a str,
    pub(super) description: &'a str,
    pub(super) ticked: bool,
    /// Whether the client has it already, from this user.
    pub(super) held: bool,
}

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    UserName,
    UserIsClient,
    NoScope,
}

impl Complaint {
    fn text(self) -> &'static str {
        match self {
            Self::UserName => "A user name has 1 to 64 letters, digits or . _ @ + -",
            Self::UserIsClient => "That name belongs to a client; choose another.",
            Self::NoScope => "Tick at least one permission, or decline.",
        }
    }

    fn is_about_user(self) -> bool {
        self != Self::NoScope
    }
}

#[derive(Template)]
#[template(path = "devauth/consent.html")]
struct ConsentTemplate<'a> {
    nonce: &'a str,
    ask: &'a Consent<'a>,
    name: String,
    destination: Destination,
    /// For a client that its document describes: where that is, and the client id.
    described: Option<(&'a DocumentUrl, String)>,
    registered: String,
    redirect_uri: String,
    warnings: Vec<String>,
}

impl ConsentTemplate<'_> {
    fn fresh(&self) -> impl Iterator<Item = &Choice<'_>> {
        self.ask.choices.iter().filter(|choice| !choice.held)
    }

    fn held(&self) -> impl Iterator<Item = &Choice<'_>> {
        self.ask.choices.iter().filter(|choice| choice.held)
    }

    /// Whether the client asks for more than it has.
    fn steps_up(&self) -> bool {
        self.held().next().is_some() && self.fresh().next().is_some()
    }

    fn complains_about_user(&self) -> bool {
        self.ask.complaint.is_some_and(Complaint::is_about_user)
    }

    fn complains_about_scopes(&self) -> bool {
        self.ask.complaint == Some(Complaint::NoScope)
    }
}

#[derive(Template)]
#[template(path = "devauth/refused.html")]
struct RefusedTemplate<'a> {
    nonce: &'a str,
    title: &'a str,
    explanation: &'a str,
    /// What somebody who mends it needs to see: names and values.
    facts: &'a [(&'static str, String)],
    /// Where the answer would go, and what that is called.
    onward: Option<(&'a str, String)>,
}

pub(super) fn consent(ask: Consent<'_>) -> Page {
    let status = if ask.complaint.is_some() { 400 } else { 200 };
    // The URI was checked when it was registered.
    let destination =
        redirect::destination(ask.redirect_uri).unwrap_or_else(|_| Destination::Site(ask.redirect_uri.to_owned()));
    let name = ask.applicant.name.as_deref().and_then(|name| label::line(name, MAX_NAME));
    let registered = match &ask.applicant.origin {
        Origin::Registration(at) => ago(ask.now.saturating_sub(*at)),
        Origin::Document(_) => String::new(),
    };
    let described = match &ask.applicant.origin {
        Origin::Document(at) => Some((at, label::line(ask.client_id, MAX_URL).unwrap_or_default())),
        Origin::Registration(_) => None,
    };
    let warnings = warnings(&ask, &destination, &registered);
    render(status, |nonce| {
        let name = name.unwrap_or_else(|| "An unnamed client".to_owned());
        let redirect_uri = label::line(ask.redirect_uri, MAX_URL).unwrap_or_default();
        ConsentTemplate { nonce, ask: &ask, name, destination, described, registered, redirect_uri, warnings }.render()
    })
}

/// What makes this sign-in more than usual a matter of trust (MCP 2026-07-28,
/// `basic/authorization/security-considerations`).
fn warnings(ask: &Consent<'_>, destination: &Destination, registered: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    match &ask.applicant.origin {
        _ if ask.known => {}
        Origin::Registration(_) => warnings.push(format!(
            "This client is new here: it registered itself {registered}, and you have not allowed it anything in this \
             browser yet."
        )),
        Origin::Document(_) => {
            warnings.push("This client is new here: you have not allowed it anything in this browser yet.".into());
        }
    }
    match &ask.applicant.origin {
        Origin::Document(at) if at.is_loopback() => {
            warnings.push("The client is described by a document on this computer, which vouches for nobody.".into());
        }
        Origin::Document(at) => match destination {
            Destination::Site(host) if host != at.host() => {
                warnings
                    .push(format!("The answer goes to {host}, not to {}, which vouches for the client.", at.host()));
            }
            _ => {}
        },
        Origin::Registration(_) => {}
    }
    match (destination, &ask.applicant.origin) {
        (Destination::Loopback(host), Origin::Document(at)) if !at.is_loopback() => warnings.push(format!(
            "Any program on this computer could be listening at {host}; {} cannot know which one does.",
            at.host()
        )),
        (Destination::Loopback(host), _) => {
            warnings.push(format!("Any program on this computer could be listening at {host}."));
        }
        _ => {}
    }
    warnings
}

/// How long ago something was, for people.
fn ago(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => return "moments ago".to_owned(),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit} ago")
}

/// A page instead of an answer to a client.
pub(super) fn refused(status: u16, title: &str, explanation: &str) -> Page {
    render(status, |nonce| RefusedTemplate { nonce, title, explanation, facts: &[], onward: None }.render())
}

/// The page for a client whose redirect URI is not one of its own.
pub(super) fn misdirected(client_id: &str, redirect_uri: &str, described: bool) -> Page {
    let title = "This sign-in cannot go on";
    let explanation = match described {
        true => "The client wants the answer at an address that its document does not list, so nothing was sent there.",
        false => "The client wants the answer at an address that it did not register, so nothing was sent there.",
    };
    let facts = [fact("Address", redirect_uri), fact("Client id", client_id)];
    render(400, |nonce| RefusedTemplate { nonce, title, explanation, facts: &facts, onward: None }.render())
}

/// The page for a client whose metadata document is of no use, which its developer should be able to mend.
pub(super) fn undescribed(client_id: &str, fault: &Fault) -> Page {
    let (status, title) = match fault {
        Fault::Busy => (503, "This sign-in must wait"),
        _ => (400, "This client cannot be identified"),
    };
    let explanation = label::line(&sentence(&fault.to_string()), 1000).unwrap_or_default();
    let facts = [fact("Client id, where its document is", client_id)];
    render(status, |nonce| {
        RefusedTemplate { nonce, title, explanation: &explanation, facts: &facts, onward: None }.render()
    })
}

/// The page for a request that is to be answered with an error, at an address that this person has no reason to trust:
/// whoever sends people here must not be able to send them on unasked (RFC 9700 section 4.11.2).
pub(super) fn detained(refusal: &Refusal, redirect_uri: &str, location: &str) -> Page {
    let title = "This sign-in cannot go on";
    let explanation = sentence(&format!("the client sent a request that cannot be granted: {}", refusal.description));
    let facts = [fact("Error", refusal.code.as_str()), fact("Address", redirect_uri)];
    let place = match redirect::destination(redirect_uri) {
        Ok(Destination::Site(host) | Destination::Loopback(host)) => host,
        Ok(Destination::Application(scheme)) => format!("the application that opens {scheme}: links"),
        Err(_) => redirect_uri.to_owned(),
    };
    let onward = Some((location, place));
    render(400, |nonce| RefusedTemplate { nonce, title, explanation: &explanation, facts: &facts, onward }.render())
}

fn fact(name: &'static str, value: &str) -> (&'static str, String) {
    (name, label::line(value, MAX_URL).unwrap_or_default())
}

/// An error's text as prose.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| format!("{}{}.", first.to_uppercase(), chars.as_str())).unwrap_or_default()
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
