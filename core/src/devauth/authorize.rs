//! The authorization endpoint (RFC 6749 section 4.1.1) and the decision of the person it asks.
//!
//! Owns the order of the checks: until the client and its redirect URI are known, nothing is ever redirected;
//! from then on every outcome is, with `iss` (RFC 9207).

use super::{
    DevAuth,
    form::Form,
    ledger::{CODE_TTL, Code, Ledger, TRANSACTION_TTL, Transaction},
    opaque,
    page::{self, Page},
    redirect,
    refusal::{ErrorCode, Refusal},
};

/// Longest query taken, in bytes: what a sign-in that awaits its decision may cost in memory.
const MAX_QUERY: usize = 8192;

/// How the cookie of a transaction is called; each has its own, so that two tabs do not disturb each other.
const COOKIE_PREFIX: &str = "devauth-";

/// Who signs in if the person does not care.
const DEFAULT_USER: &str = "dev-user";

/// What the browser gets.
pub(super) enum Answer {
    /// A page, perhaps with a cookie.
    Page { page: Page, set_cookie: Option<String> },
    /// The way back to the client.
    Redirect { location: String, set_cookie: Option<String> },
}

/// The way back to a client whose redirect URI was found good.
struct Return<'a> {
    issuer: &'a str,
    redirect_uri: &'a str,
    state: Option<&'a str>,
}

impl Return<'_> {
    fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        all.extend(self.state.map(|state| ("state", state)));
        all.push(("iss", self.issuer));
        redirect::with_parameters(self.redirect_uri, &all)
    }

    fn refused(&self, refusal: &Refusal) -> String {
        self.with(&[("error", refusal.code.as_str()), ("error_description", &refusal.description)])
    }
}

fn refused(status: u16, title: &str, explanation: impl Into<String>) -> Answer {
    Answer::Page { page: page::refused(status, title, explanation.into()), set_cookie: None }
}

/// What the person may be asked, when everything in the request is in order.
struct Request {
    code_challenge: String,
    scopes: Vec<String>,
    resources: Vec<String>,
}

impl DevAuth {
    /// Answers the browser that a client sent: with the consent page, or a redirect with an error.
    pub(super) fn authorize(&self, query: &str) -> Answer {
        if query.len() > MAX_QUERY {
            return refused(400, "This request is too long", "Its query is longer than 8 KiB.");
        }
        let form = Form::parse(query.as_bytes());
        let mut ledger = self.ledger();
        let (client_id, redirect_uri) = match self.addressed_client(&mut ledger, &form) {
            Ok(known) => known,
            Err(explanation) => return refused(400, "This sign-in cannot go on", explanation),
        };
        let back = Return {
            issuer: &self.settings.issuer,
            redirect_uri: &redirect_uri,
            // A state given twice is refused below, with neither of the two.
            state: form.one("state").unwrap_or_default(),
        };
        let request = match self.check(&ledger, &client_id, &form) {
            Ok(request) => request,
            Err(refusal) => return Answer::Redirect { location: back.refused(&refusal), set_cookie: None },
        };

        let transaction = opaque::secret();
        let browser = opaque::secret();
        let set_cookie = self.cookie(&transaction, &browser, TRANSACTION_TTL);
        let pending = Transaction {
            browser_digest: opaque::digest(&browser),
            client_id,
            state: back.state.map(str::to_owned),
            redirect_uri,
            code_challenge: request.code_challenge,
            scopes: request.scopes,
            resources: request.resources,
        };
        let page = self.consent_page(&ledger, &transaction, &pending, DEFAULT_USER, None);
        ledger.transactions.add(transaction, pending, self.now(), TRANSACTION_TTL);
        Answer::Page { page, set_cookie: Some(set_cookie) }
    }

    /// The client and the redirect URI, or what to tell the person instead.
    fn addressed_client(&self, ledger: &mut Ledger, form: &Form) -> Result<(String, String), String> {
        let now = self.now();
        let client_id = form.required("client_id").map_err(|refusal| refusal.description)?;
        let redirect_uri = form.one("redirect_uri").map_err(|refusal| refusal.description)?;
        let Some(client) = ledger.clients.get_mut(client_id) else {
            return Err("The client that sent you here is not registered with this server. \
                        Make it forget its registration and connect again."
                .to_owned());
        };
        let redirect_uri = match (redirect_uri, client.metadata.redirect_uris.as_slice()) {
            (Some(uri), registered) if registered.iter().any(|known| redirect::matches(known, uri)) => uri.to_owned(),
            (Some(_), _) => {
                return Err("The client wants the answer at an address that it did not register, so nothing \
                            was sent there."
                    .to_owned());
            }
            (None, [only]) => only.clone(),
            (None, _) => return Err("'redirect_uri' is missing.".to_owned()),
        };
        client.last_used = now;
        Ok((client_id.to_owned(), redirect_uri))
    }

    fn check(&self, ledger: &Ledger, client_id: &str, form: &Form) -> Result<Request, Refusal> {
        let invalid = |description: &str| Refusal::new(ErrorCode::InvalidRequest, description);
        form.one("state")?;
        let response_type = form.required("response_type")?;
        if response_type != "code" {
            let description = format!("'{response_type}' is no response type of this server; use 'code'");
            return Err(Refusal::new(ErrorCode::UnsupportedResponseType, description));
        }
        if !ledger.clients.get(client_id).is_some_and(|client| client.may_use("authorization_code")) {
            let description = "this client did not register the grant type 'authorization_code'";
            return Err(Refusal::new(ErrorCode::UnauthorizedClient, description));
        }
        if form.one("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(invalid("only the response mode 'query' is served"));
        }
        let Some(code_challenge) = form.one("code_challenge")? else {
            return Err(invalid("'code_challenge' is missing; this server requires PKCE with S256"));
        };
        if form.one("code_challenge_method")? != Some("S256") {
            return Err(invalid("'code_challenge_method' must be 'S256'"));
        }
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if code_challenge.len() != 43 || !code_challenge.bytes().all(base64url) {
            return Err(invalid("'code_challenge' is not a SHA-256 in base64url, 43 characters"));
        }
        if form.one("prompt")?.is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
            let description = "this server always asks; 'prompt=none' cannot be answered";
            return Err(Refusal::new(ErrorCode::LoginRequired, description));
        }
        let scopes = self.select_scopes(form.one("scope")?)?;
        let resources = self.select_resources(&form.all("resource").collect::<Vec<_>>())?;
        Ok(Request { code_challenge: code_challenge.to_owned(), scopes, resources })
    }

    /// Takes the decision from the consent page. `origin` and `cookies` are the headers of these names.
    pub(super) fn decide(&self, origin: Option<&str>, cookies: &[&str], form: &Form) -> Answer {
        let unfit = || {
            refused(
                403,
                "This form cannot be used",
                "It was opened in another browser, was used already or is older than ten minutes. \
                 Start the sign-in again from your client.",
            )
        };
        if origin.is_some_and(|origin| origin != self.origin) {
            return refused(403, "This form came from elsewhere", "It must be sent from this server's own page.");
        }
        let now = self.now();
        let mut ledger = self.ledger();
        let Ok(Some(transaction)) = form.one("transaction") else { return unfit() };
        let Some(pending) = ledger.transactions.peek(transaction, now) else { return unfit() };
        let bound = cookie_value(cookies, &cookie_name(transaction))
            .is_some_and(|browser| opaque::equal(&pending.browser_digest, &opaque::digest(browser)));
        if !bound {
            return unfit();
        }

        let allowed = match form.one("decision") {
            Ok(Some("deny")) => None,
            Ok(Some("allow")) => match self.allowed(&ledger, pending, form) {
                Ok(allowed) => Some(allowed),
                Err(complaint) => {
                    let sent = Some((form, complaint));
                    let user = form.one("user").ok().flatten().unwrap_or_default();
                    let page = self.consent_page(&ledger, transaction, pending, user, sent);
                    return Answer::Page { page, set_cookie: None };
                }
            },
            _ => return refused(400, "No decision was sent", "'decision' must be 'allow' or 'deny'."),
        };
        let Some(pending) = ledger.transactions.take(transaction, now) else { return unfit() };
        let set_cookie = Some(self.cookie(transaction, "", 0));
        let back = Return {
            issuer: &self.settings.issuer,
            redirect_uri: &pending.redirect_uri,
            state: pending.state.as_deref(),
        };
        let Some((subject, scopes)) = allowed else {
            let refusal = Refusal::new(ErrorCode::AccessDenied, "the request was declined");
            return Answer::Redirect { location: back.refused(&refusal), set_cookie };
        };
        let code = opaque::secret();
        let location = back.with(&[("code", &code)]);
        let issued = Code {
            client_id: pending.client_id,
            redirect_uri: pending.redirect_uri,
            code_challenge: pending.code_challenge,
            subject,
            scopes,
            resources: pending.resources,
        };
        ledger.codes.add(opaque::digest(&code), issued, now, CODE_TTL);
        Answer::Redirect { location, set_cookie }
    }

    /// Who signs in and for which scopes, or what is wrong with the form.
    fn allowed(
        &self,
        ledger: &Ledger,
        pending: &Transaction,
        form: &Form,
    ) -> Result<(String, Vec<String>), &'static str> {
        let user = form.one("user").ok().flatten().unwrap_or_default();
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'+' | b'-');
        if !(1..=64).contains(&user.len()) || !user.bytes().all(fit) {
            return Err("A user name has 1 to 64 letters, digits or . _ @ + -");
        }
        // A person must not pass for a machine, whose subject is its client id (RFC 9068 section 5).
        if ledger.clients.contains_key(user) {
            return Err("That name belongs to a client; choose another.");
        }
        let ticked: Vec<&str> = form.all("scope").collect();
        let scopes: Vec<String> =
            pending.scopes.iter().filter(|scope| ticked.contains(&scope.as_str())).cloned().collect();
        if scopes.is_empty() && !pending.scopes.is_empty() {
            return Err("Tick at least one permission, or decline.");
        }
        Ok((user.to_owned(), scopes))
    }

    fn consent_page(
        &self,
        ledger: &Ledger,
        transaction: &str,
        pending: &Transaction,
        user: &str,
        sent: Option<(&Form, &'static str)>,
    ) -> Page {
        let client_name =
            ledger.clients.get(&pending.client_id).and_then(|client| client.metadata.client_name.as_deref());
        // What a person unticked stays so when the form is shown again.
        let ticked = |scope: &str| sent.is_none_or(|(form, _)| form.all("scope").any(|sent| sent == scope));
        let offer = self.offered();
        let scopes = offer.scopes.iter().filter(|(scope, _)| pending.scopes.contains(scope));
        let scopes = scopes.map(|(scope, description)| page::Choice { scope, description, ticked: ticked(scope) });
        page::consent(page::Consent {
            action: format!("{}/consent", self.settings.issuer),
            transaction,
            client_name: client_name.unwrap_or("An unnamed client"),
            redirect_uri: &pending.redirect_uri,
            scopes: scopes.collect(),
            resources: &pending.resources,
            user,
            complaint: sent.map(|(_, complaint)| complaint),
        })
    }

    /// A `Set-Cookie` value. `Lax` is enough: the form is posted from our own page.
    fn cookie(&self, transaction: &str, value: &str, max_age: u64) -> String {
        let secure = if self.origin.starts_with("https:") { "; Secure" } else { "" };
        let path = if self.base_path.is_empty() { "/" } else { &self.base_path };
        let name = cookie_name(transaction);
        format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
    }
}

fn cookie_name(transaction: &str) -> String {
    // Only the start: the id in full is what the form must carry besides the cookie.
    format!("{COOKIE_PREFIX}{}", transaction.get(..8).unwrap_or_default())
}

fn cookie_value<'a>(headers: &[&'a str], name: &str) -> Option<&'a str> {
    let pairs = headers.iter().flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}
