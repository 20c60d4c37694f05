//! The authorization endpoint (RFC 6749 section 4.1.1): what a client asks for, before the person is asked (`consent`).
//!
//! Owns the order of the checks: until the client and its redirect URI are known, nothing is ever redirected; from then on
//! every outcome is, with `iss` (RFC 9207), unless the person has no reason to trust where it leads.

use std::sync::Arc;

use super::{
    DevAuth,
    consent::Answer,
    documents::{Described, DocumentUrl, Fault},
    form::Form,
    ledger::{Applicant, Ledger, Origin, TRANSACTION_TTL, Transaction},
    opaque, page,
    redirect::{self, Destination},
    refusal::{ErrorCode, Refusal},
};

/// Longest query taken, in bytes: what a sign-in that awaits its decision may cost in memory.
const MAX_QUERY: usize = 8192;

/// The way back to a client whose redirect URI was found good.
pub(super) struct Return<'a> {
    pub(super) issuer: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) state: Option<&'a str>,
}

impl Return<'_> {
    pub(super) fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        all.extend(self.state.map(|state| ("state", state)));
        all.push(("iss", self.issuer));
        redirect::with_parameters(self.redirect_uri, &all)
    }

    pub(super) fn refused(&self, refusal: &Refusal) -> String {
        self.with(&[("error", refusal.code.as_str()), ("error_description", &refusal.description)])
    }
}

/// An authorization request, and the document that its client id names, if it names one.
pub(super) struct Asked {
    form: Form,
    described: Option<Result<Arc<Described>, Fault>>,
}

/// Who asks and where the answer goes.
struct Client {
    id: String,
    applicant: Applicant,
    signs_in: bool,
    redirect_uri: String,
}

/// What the person may be asked, when everything in the request is in order.
struct Request {
    code_challenge: String,
    scopes: Vec<String>,
    resources: Vec<String>,
}

impl DevAuth {
    /// Reads an authorization request, and fetches the document of its client if that is what its id is for.
    pub(super) async fn asked(&self, query: &str) -> Result<Asked, Answer> {
        if query.len() > MAX_QUERY {
            return Err(Answer::refused(400, "This request is too long", "Its query is longer than 8 KiB."));
        }
        let form = Form::parse(query.as_bytes());
        // What is given twice is told later.
        let one = |name| form.one(name).ok().flatten();
        let described = match one("client_id").filter(|client_id| DocumentUrl::is_meant(client_id)) {
            Some(client_id) => Some(self.documents.describe(client_id, one("redirect_uri"), self.now()).await),
            None => None,
        };
        Ok(Asked { form, described })
    }

    /// Answers the browser that a client sent: with the consent page, or a redirect with an error. `cookies` are the
    /// headers of that name.
    pub(super) fn authorize(&self, asked: Asked, cookies: &[&str]) -> Answer {
        let form = &asked.form;
        let visitor = self.visitor(cookies);
        let mut ledger = self.ledger();
        let client = match self.addressed_client(&mut ledger, form, asked.described) {
            Ok(client) => client,
            Err(page) => return page,
        };
        let back = Return {
            issuer: &self.settings.issuer,
            redirect_uri: &client.redirect_uri,
            // A state given twice is refused below, with neither of the two.
            state: form.one("state").unwrap_or_default(),
        };
        let request = match self.check(&client, form) {
            Ok(request) => request,
            Err(refusal) => {
                let location = back.refused(&refusal);
                // Also one who asks without a person's notice: that leads away just as well (RFC 9700 section 4.11.2).
                if self.leads_home(back.redirect_uri) || self.knows(&ledger, &client.id, &visitor) {
                    return Answer::redirect(location);
                }
                return Answer::Page { page: page::detained(&refusal, back.redirect_uri, &location), cookies: vec![] };
            }
        };

        let transaction = opaque::secret();
        let browser = opaque::secret();
        let set_cookie = self.transaction_cookie(&transaction, &browser, TRANSACTION_TTL);
        let pending = Transaction {
            browser_digest: opaque::digest(&browser),
            state: back.state.map(str::to_owned),
            client_id: client.id,
            applicant: client.applicant,
            redirect_uri: client.redirect_uri,
            code_challenge: request.code_challenge,
            scopes: request.scopes,
            resources: request.resources,
        };
        let page = self.consent_page(&ledger, &transaction, &pending, &visitor, None);
        ledger.transactions.add(transaction, pending, self.now(), TRANSACTION_TTL);
        Answer::Page { page, cookies: vec![set_cookie] }
    }

    /// The client and the redirect URI, or what to tell the person instead.
    fn addressed_client(
        &self,
        ledger: &mut Ledger,
        form: &Form,
        described: Option<Result<Arc<Described>, Fault>>,
    ) -> Result<Client, Answer> {
        let refused = |explanation: &str| Answer::refused(400, "This sign-in cannot go on", explanation);
        let mistaken = |mistake: &str| {
            refused(&format!("The client that sent you here made a mistake in its request: {mistake}."))
        };
        let client_id = form.required("client_id").map_err(|refusal| mistaken(&refusal.description))?;
        let redirect_uri = form.one("redirect_uri").map_err(|refusal| mistaken(&refusal.description))?;
        let (metadata, origin) = match &described {
            Some(Ok(described)) => (&described.metadata, Origin::Document(described.at.clone())),
            Some(Err(fault)) => {
                return Err(Answer::Page { page: page::undescribed(client_id, fault), cookies: vec![] });
            }
            None => match ledger.clients.get_mut(client_id) {
                Some(client) => {
                    client.last_used = self.now();
                    (&*client.metadata, Origin::Registration(client.issued_at))
                }
                None => {
                    return Err(refused(
                        "The client that sent you here is not registered with this server. \
                         Make it forget its registration and connect again.",
                    ));
                }
            },
        };
        let redirect_uri = match (redirect_uri, metadata.redirect_uris.as_slice()) {
            (Some(uri), registered) if registered.iter().any(|known| redirect::matches(known, uri)) => uri.to_owned(),
            (Some(uri), _) => {
                let page = page::misdirected(client_id, uri, described.is_some());
                return Err(Answer::Page { page, cookies: vec![] });
            }
            (None, [only]) => only.clone(),
            (None, _) => return Err(mistaken("'redirect_uri' is missing")),
        };
        let uses = |grant_type: &str| metadata.grant_types.iter().any(|used| used == grant_type);
        Ok(Client {
            id: client_id.to_owned(),
            applicant: Applicant { name: metadata.client_name.clone(), origin, refreshes: uses("refresh_token") },
            signs_in: uses("authorization_code"),
            redirect_uri,
        })
    }

    /// Whether a redirect URI leads to a program on this computer or to a page of our own: nobody's trap.
    fn leads_home(&self, redirect_uri: &str) -> bool {
        let ours = |url: url::Url| url.origin().ascii_serialization() == self.origin;
        matches!(redirect::destination(redirect_uri), Ok(Destination::Loopback(_)))
            || url::Url::parse(redirect_uri).is_ok_and(ours)
    }

    fn check(&self, client: &Client, form: &Form) -> Result<Request, Refusal> {
        let invalid = |description: &str| Refusal::new(ErrorCode::InvalidRequest, description);
        form.one("state")?;
        let response_type = form.required("response_type")?;
        if response_type != "code" {
            let description = format!("'{response_type}' is no response type of this server; use 'code'");
            return Err(Refusal::new(ErrorCode::UnsupportedResponseType, description));
        }
        if !client.signs_in {
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
        if form.one("prompt")?.is_some_and(is_silent) {
            let description = "this server always asks; 'prompt=none' cannot be answered";
            return Err(Refusal::new(ErrorCode::LoginRequired, description));
        }
        let scopes = self.select_scopes(form.one("scope")?)?;
        let resources = self.select_resources(&form.all("resource").collect::<Vec<_>>())?;
        Ok(Request { code_challenge: code_challenge.to_owned(), scopes, resources })
    }
}

/// Whether a `prompt` asks to go without the person (OpenID Connect Core section 3.1.2.1).
fn is_silent(prompt: &str) -> bool {
    prompt.split(' ').any(|word| word == "none")
}
