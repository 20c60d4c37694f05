//! The decision of the person: what the consent page asks, and what is made of the answer.
//!
//! Owns the cookies. One ties a page to the browser that it was shown in. Another remembers the name that was typed there,
//! because who steps up under another name is another person, whose sessions and grants are not carried over. The third is
//! drawn for a browser when something is allowed in it, and tells what was allowed there from what somebody else allowed
//! under the same name: anyone can sign in as anyone.

use super::{
    DevAuth,
    authorize::Return,
    form::Form,
    ledger::{CODE_TTL, Code, Grant, Ledger, Transaction},
    opaque,
    page::{self, Complaint, Page},
    refusal::{ErrorCode, Refusal},
};

/// How cookies are called; each transaction has its own, so that two tabs do not disturb each other.
const COOKIE_PREFIX: &str = "devauth-";
/// The cookie with the name that was typed last.
const USER_COOKIE: &str = "devauth-user";
/// The cookie that was drawn for this browser.
const BROWSER_COOKIE: &str = "devauth-browser";
/// How long these two are remembered, in seconds.
const COOKIE_TTL: u64 = 30 * 24 * 60 * 60;

/// Who signs in if the person does not care.
const DEFAULT_USER: &str = "dev-user";

/// What the browser gets.
pub(super) enum Answer {
    /// A page, perhaps with cookies.
    Page { page: Page, cookies: Vec<String> },
    /// The way back to the client.
    Redirect { location: String, cookies: Vec<String> },
}

impl Answer {
    /// A page that says what is wrong, where nobody can be redirected to.
    pub(super) fn refused(status: u16, title: &str, explanation: &str) -> Self {
        Self::Page { page: page::refused(status, title, explanation), cookies: Vec::new() }
    }

    pub(super) fn redirect(location: String) -> Self {
        Self::Redirect { location, cookies: Vec::new() }
    }
}

/// A form as it was sent, and what is wrong with it.
pub(super) struct Sent<'a> {
    form: &'a Form,
    complaint: Complaint,
}

/// What a browser says of itself by its cookies.
pub(super) struct Visitor<'a> {
    /// Who signed in there last. It may say what it likes: who can send it a cookie can type a name as well.
    pub(super) user: Option<&'a str>,
    /// What was drawn for it.
    browser: Option<&'a str>,
}

impl Visitor<'_> {
    /// The grants of this client that were given in this browser and have not ended.
    fn grants<'l>(&self, ledger: &'l Ledger, client_id: &str, now: u64) -> impl Iterator<Item = &'l Grant> {
        let digest = self.browser.map(opaque::digest);
        let here = move |grant: &&Grant| digest.as_ref().is_some_and(|digest| *digest == grant.browser_digest);
        ledger.grants_of(client_id, now).filter(here)
    }
}

impl DevAuth {
    /// Takes the decision from the consent page. `origin` and `cookies` are the headers of these names.
    pub(super) fn decide(&self, origin: Option<&str>, cookies: &[&str], form: &Form) -> Answer {
        let unfit = || {
            Answer::refused(
                403,
                "This form cannot be used",
                "It was opened in another browser, was used already or is older than ten minutes. \
                 Start the sign-in again from your client.",
            )
        };
        if origin.is_some_and(|origin| origin != self.origin) {
            return Answer::refused(
                403,
                "This form came from elsewhere",
                "It must be sent from this server's own page.",
            );
        }
        let now = self.now();
        let visitor = self.visitor(cookies);
        let mut ledger = self.ledger();
        let Ok(Some(transaction)) = form.one("transaction") else { return unfit() };
        let Some(pending) = ledger.transactions.peek(transaction, now) else { return unfit() };
        let bound = self
            .cookie_value(cookies, &cookie_name(transaction))
            .is_some_and(|browser| opaque::equal(&pending.browser_digest, &opaque::digest(browser)));
        if !bound {
            return unfit();
        }

        let allowed = match form.one("decision") {
            Ok(Some("deny")) => None,
            Ok(Some("allow")) => match allowed(&ledger, pending, form) {
                Ok(allowed) => Some(allowed),
                Err(complaint) => {
                    let sent = Some(Sent { form, complaint });
                    let page = self.consent_page(&ledger, transaction, pending, &visitor, sent);
                    return Answer::Page { page, cookies: Vec::new() };
                }
            },
            _ => return Answer::refused(400, "No decision was sent", "'decision' must be 'allow' or 'deny'."),
        };
        let Some(pending) = ledger.transactions.take(transaction, now) else { return unfit() };
        let mut set_cookies = vec![self.transaction_cookie(transaction, "", 0)];
        let back = Return {
            issuer: &self.settings.issuer,
            redirect_uri: &pending.redirect_uri,
            state: pending.state.as_deref(),
        };
        let Some((subject, scopes)) = allowed else {
            let refusal = Refusal::new(ErrorCode::AccessDenied, "the request was declined");
            return Answer::Redirect { location: back.refused(&refusal), cookies: set_cookies };
        };
        let browser = visitor.browser.map_or_else(opaque::secret, str::to_owned);
        set_cookies.push(self.cookie(USER_COOKIE, &subject, COOKIE_TTL));
        set_cookies.push(self.cookie(BROWSER_COOKIE, &browser, COOKIE_TTL));
        let code = opaque::secret();
        let location = back.with(&[("code", &code)]);
        let issued = Code {
            client_id: pending.client_id,
            redirect_uri: pending.redirect_uri,
            code_challenge: pending.code_challenge,
            subject,
            scopes,
            resources: pending.resources,
            refreshes: pending.applicant.refreshes,
            browser_digest: opaque::digest(&browser),
        };
        ledger.codes.add(opaque::digest(&code), issued, now, CODE_TTL);
        Answer::Redirect { location, cookies: set_cookies }
    }

    /// The page, for the first time or again with what was sent.
    pub(super) fn consent_page(
        &self,
        ledger: &Ledger,
        transaction: &str,
        pending: &Transaction,
        visitor: &Visitor<'_>,
        sent: Option<Sent<'_>>,
    ) -> Page {
        let now = self.now();
        let typed = sent.as_ref().map(|sent| sent.form.one("user").ok().flatten().unwrap_or_default());
        let user = typed.unwrap_or_else(|| visitor.user.unwrap_or(DEFAULT_USER));
        // What a person unticked stays so when the form is shown again.
        let ticked = |scope: &str| sent.as_ref().is_none_or(|sent| sent.form.all("scope").any(|sent| sent == scope));
        let held = |scope: &String| {
            let grants = visitor.grants(ledger, &pending.client_id, now).filter(|grant| grant.subject == user);
            let mut fit = grants.filter(|grant| pending.resources.iter().all(|asked| grant.resources.contains(asked)));
            fit.any(|grant| grant.scopes.contains(scope))
        };
        let offer = self.offered();
        let asked = offer.scopes.iter().filter(|(scope, _)| pending.scopes.contains(scope));
        let choices = asked.map(|(scope, description)| page::Choice {
            scope,
            description,
            ticked: ticked(scope),
            held: held(scope),
        });
        page::consent(page::Consent {
            action: format!("{}/consent", self.settings.issuer),
            transaction,
            applicant: &pending.applicant,
            client_id: &pending.client_id,
            known: self.knows(ledger, &pending.client_id, visitor),
            redirect_uri: &pending.redirect_uri,
            choices: choices.collect(),
            resources: &pending.resources,
            user,
            remembered: visitor.user,
            complaint: sent.map(|sent| sent.complaint),
            now,
        })
    }

    /// Whether this client was allowed something in this browser, by whomever, that has not ended.
    pub(super) fn knows(&self, ledger: &Ledger, client_id: &str, visitor: &Visitor<'_>) -> bool {
        visitor.grants(ledger, client_id, self.now()).next().is_some()
    }

    /// What the browser that sent these cookies says of itself.
    pub(super) fn visitor<'a>(&self, cookies: &[&'a str]) -> Visitor<'a> {
        Visitor {
            user: self.cookie_value(cookies, USER_COOKIE).filter(|user| is_user_name(user)),
            browser: self.cookie_value(cookies, BROWSER_COOKIE).filter(|browser| opaque::is_secret(browser)),
        }
    }

    /// A `Set-Cookie` value for a transaction. Empty and of no age, it takes the cookie away.
    pub(super) fn transaction_cookie(&self, transaction: &str, value: &str, max_age: u64) -> String {
        self.cookie(&cookie_name(transaction), value, max_age)
    }

    /// A `Set-Cookie` value. `Lax` is enough: the form is posted from our own page. Over https the name keeps servers on
    /// neighbouring hosts from setting it (RFC 6265bis section 4.1.3.2), which asks for the path "/".
    fn cookie(&self, name: &str, value: &str, max_age: u64) -> String {
        let (path, secure) = match self.is_secure() {
            true => ("/", "; Secure"),
            false if self.base_path.is_empty() => ("/", ""),
            false => (self.base_path.as_str(), ""),
        };
        let name = self.full_name(name);
        format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
    }

    fn cookie_value<'a>(&self, headers: &[&'a str], name: &str) -> Option<&'a str> {
        let name = self.full_name(name);
        let pairs = headers.iter().flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
    }

    fn full_name(&self, name: &str) -> String {
        if self.is_secure() { format!("__Host-{name}") } else { name.to_owned() }
    }

    fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

/// Who signs in and for which scopes, or what is wrong with the form.
fn allowed(ledger: &Ledger, pending: &Transaction, form: &Form) -> Result<(String, Vec<String>), Complaint> {
    let user = form.one("user").ok().flatten().unwrap_or_default();
    if !is_user_name(user) {
        return Err(Complaint::UserName);
    }
    // A person must not pass for a machine, whose subject is its client id (RFC 9068 section 5).
    if ledger.clients.contains_key(user) {
        return Err(Complaint::UserIsClient);
    }
    let ticked: Vec<&str> = form.all("scope").collect();
    let scopes: Vec<String> = pending.scopes.iter().filter(|scope| ticked.contains(&scope.as_str())).cloned().collect();
    if scopes.is_empty() && !pending.scopes.is_empty() {
        return Err(Complaint::NoScope);
    }
    Ok((user.to_owned(), scopes))
}

fn is_user_name(user: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'+' | b'-');
    (1..=64).contains(&user.len()) && user.bytes().all(fit)
}

fn cookie_name(transaction: &str) -> String {
    // Only the start: the id in full is what the form must carry besides the cookie.
    format!("{COOKIE_PREFIX}{}", transaction.get(..8).unwrap_or_default())
}
