//! The token endpoint: codes, refresh tokens and client credentials become access tokens.
//!
//! Owns PKCE (RFC 7636), rotation and reuse detection (RFC 9700 section 4.14), and what a token may narrow to.

use serde::Serialize;

use super::{
    DevAuth,
    client::{Client, Credentials, GRANT_TYPES},
    form::Form,
    keys::Claims,
    ledger::{Grant, Ledger, series},
    narrow_resources, opaque,
    refusal::{ErrorCode, Refusal},
    scope_tokens,
};

/// A successful answer (RFC 6749 section 5.1).
#[derive(Serialize)]
pub(super) struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

fn invalid_grant(description: &str) -> Refusal {
    Refusal::new(ErrorCode::InvalidGrant, description)
}

/// A refresh token as sent: the grant it belongs to and the secret that changes with each rotation.
pub(super) fn split_refresh_token(token: &str) -> Option<(&str, &str)> {
    token.split_once('.')
}

impl DevAuth {
    /// Answers one token request.
    pub(super) fn token(&self, authorization: Option<&str>, form: &Form) -> Result<Tokens, Refusal> {
        let (outcome, changed) = self.change(|ledger| self.exchange(ledger, authorization, form));
        // Also after a refusal, which may have ended a grant.
        self.save_or_warn(changed);
        outcome
    }

    fn exchange(&self, ledger: &mut Ledger, authorization: Option<&str>, form: &Form) -> Result<Tokens, Refusal> {
        let grant_type = form.required("grant_type")?;
        let shown = Credentials::read(authorization, form)?;
        let (client_id, client) = self.authenticate(ledger, &shown)?;
        if !GRANT_TYPES.contains(&grant_type) {
            let description = format!("'{grant_type}' is no grant type of this server");
            return Err(Refusal::new(ErrorCode::UnsupportedGrantType, description));
        }
        if !client.may_use(grant_type) {
            let description = format!("this client did not register the grant type '{grant_type}'");
            return Err(Refusal::new(ErrorCode::UnauthorizedClient, description));
        }
        match grant_type {
            "authorization_code" => self.redeem(ledger, &client_id, form),
            "refresh_token" => self.refresh(ledger, &client_id, form),
            _ => self.client_credentials(&client_id, &client, form),
        }
    }

    /// RFC 6749 section 4.1.3. A code that was once presented by its own client is spent, whatever came of it.
    fn redeem(&self, ledger: &mut Ledger, client_id: &str, form: &Form) -> Result<Tokens, Refusal> {
        let now = self.now();
        let code_digest = opaque::digest(form.required("code")?);
        let verifier = form.required("code_verifier")?;
        let redirect_uri = form.one("redirect_uri")?;

        let Some(code) = ledger.codes.peek(&code_digest, now) else {
            self.revoke_replayed(ledger, &code_digest, client_id);
            return Err(invalid_grant("the code is unknown, expired or was used before"));
        };
        if code.client_id != client_id {
            return Err(invalid_grant("the code was issued to another client"));
        }
        let Some(code) = ledger.codes.take(&code_digest, now) else {
            return Err(invalid_grant("the code is unknown, expired or was used before"));
        };
        if redirect_uri.is_some_and(|uri| uri != code.redirect_uri) {
            return Err(invalid_grant("'redirect_uri' is not the one of the authorization request"));
        }
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return Err(invalid_grant("'code_verifier' is not 43 to 128 unreserved characters"));
        }
        if !opaque::equal(&opaque::digest(verifier), &code.code_challenge) {
            return Err(invalid_grant("'code_verifier' does not fit the code challenge"));
        }
        let asked: Vec<&str> = form.all("resource").collect();
        let audience = narrow_resources(&code.resources, &asked)?;

        let grant_id = opaque::name();
        let refresh = code.refreshes.then(opaque::secret);
        let access_until = now.saturating_add(self.settings.access_token_ttl.as_secs());
        let access_token = self.access_token(Claims {
            iss: self.settings.issuer.clone(),
            sub: code.subject.clone(),
            aud: audience.into(),
            client_id: client_id.to_owned(),
            scope: code.scopes.join(" "),
            iat: now,
            exp: access_until,
            jti: format!("{}.{}", series(&grant_id), opaque::name()),
        })?;
        let tokens = self.tokens(access_token, &code.scopes, refresh.as_ref().map(|secret| (&grant_id, secret)));
        let grant = Grant {
            client_id: code.client_id,
            subject: code.subject,
            scopes: code.scopes,
            resources: code.resources,
            browser_digest: code.browser_digest,
            code_digest,
            refresh_until: refresh
                .as_ref()
                .map_or(0, |_| now.saturating_add(self.settings.refresh_token_ttl.as_secs())),
            refresh_digest: refresh.as_deref().map(opaque::digest),
            refreshed_at: now,
            access_until,
        };
        ledger.add_grant(grant_id, grant, now);
        Ok(tokens)
    }

    /// A code presented twice means that two hold it: what the first got is revoked (RFC 6749 section 4.1.2).
    fn revoke_replayed(&self, ledger: &mut Ledger, code_digest: &str, client_id: &str) {
        let Some(grant_id) = ledger.grant_of_code(code_digest) else { return };
        if ledger.grants.get(&grant_id).is_some_and(|grant| grant.client_id == client_id) {
            tracing::warn!(client_id, "a code was presented twice; the tokens it led to are revoked");
            ledger.revoke_grant(&grant_id, &self.revocations, self.now());
        }
    }

    /// RFC 6749 section 6, with rotation: each refresh token is good once, and one that comes again takes the
    /// whole grant with it, for then two hold it. There is no grace period.
    fn refresh(&self, ledger: &mut Ledger, client_id: &str, form: &Form) -> Result<Tokens, Refusal> {
        let now = self.now();
        let token = form.required("refresh_token")?;
        let scope = form.one("scope")?;
        let resources: Vec<&str> = form.all("resource").collect();

        let unknown = || invalid_grant("the refresh token is unknown, expired or revoked; sign in again");
        let (grant_id, secret) = split_refresh_token(token).ok_or_else(unknown)?;
        let Some(grant) = ledger.grants.get(grant_id).filter(|grant| grant.refresh_until > now) else {
            return Err(unknown());
        };
        if grant.client_id != client_id {
            return Err(invalid_grant("the refresh token was issued to another client"));
        }
        let current =
            grant.refresh_digest.as_ref().is_some_and(|digest| opaque::equal(digest, &opaque::digest(secret)));
        if !current {
            tracing::warn!(client_id, "a refresh token was used twice; the sign-in it belongs to is revoked");
            ledger.revoke_grant(grant_id, &self.revocations, now);
            return Err(invalid_grant("the refresh token was used before; all tokens of this sign-in are revoked"));
        }
        let scopes = self.narrow_scopes(&grant.scopes, scope)?;
        // What the configuration no longer knows is no longer granted, whatever was stored.
        let offer = self.offered();
        let still_known: Vec<String> =
            grant.resources.iter().filter(|granted| offer.resources.contains(granted)).cloned().collect();
        if still_known.is_empty() {
            let description = "none of the granted resources is served here any more; sign in again";
            return Err(Refusal::new(ErrorCode::InvalidTarget, description));
        }
        let audience = narrow_resources(&still_known, &resources)?;

        let mut grant = grant.clone();
        let access_until = now.saturating_add(self.settings.access_token_ttl.as_secs());
        let access_token = self.access_token(Claims {
            iss: self.settings.issuer.clone(),
            sub: grant.subject.clone(),
            aud: audience.into(),
            client_id: client_id.to_owned(),
            scope: scopes.join(" "),
            iat: now,
            exp: access_until,
            jti: format!("{}.{}", series(grant_id), opaque::name()),
        })?;
        let next = opaque::secret();
        grant.refresh_digest = Some(opaque::digest(&next));
        grant.refreshed_at = now;
        grant.refresh_until = now.saturating_add(self.settings.refresh_token_ttl.as_secs());
        grant.access_until = grant.access_until.max(access_until);
        ledger.put_grant(grant_id.to_owned(), grant);
        Ok(self.tokens(access_token, &scopes, Some((&grant_id.to_owned(), &next))))
    }

    /// RFC 6749 section 4.4: the client is its own subject and gets no refresh token.
    fn client_credentials(&self, client_id: &str, client: &Client, form: &Form) -> Result<Tokens, Refusal> {
        let now = self.now();
        let scopes = self.select_scopes(form.one("scope")?.or(client.metadata.scope.as_deref()))?;
        let asked: Vec<&str> = form.all("resource").collect();
        let audience = self.select_resources(&asked)?;
        let access_token = self.access_token(Claims {
            iss: self.settings.issuer.clone(),
            sub: client_id.to_owned(),
            aud: audience.into(),
            client_id: client_id.to_owned(),
            scope: scopes.join(" "),
            iat: now,
            exp: now.saturating_add(self.settings.access_token_ttl.as_secs()),
            jti: format!("{}.{}", series(client_id), opaque::name()),
        })?;
        Ok(self.tokens(access_token, &scopes, None))
    }

    /// The granted scopes that are asked for and still configured; more than was granted is refused.
    fn narrow_scopes(&self, granted: &[String], asked: Option<&str>) -> Result<Vec<String>, Refusal> {
        let asked: Vec<&str> = scope_tokens(asked.unwrap_or_default()).collect();
        if let Some(more) = asked.iter().find(|asked| !granted.iter().any(|granted| granted == *asked)) {
            let description = format!("'{more}' was not granted; sign in again to ask for it");
            return Err(Refusal::new(ErrorCode::InvalidScope, description));
        }
        let offer = self.offered();
        let configured = |scope: &&String| offer.scopes.iter().any(|(known, _)| known == *scope);
        let wanted = |scope: &&String| asked.is_empty() || asked.contains(&scope.as_str());
        Ok(granted.iter().filter(wanted).filter(configured).cloned().collect())
    }

    fn access_token(&self, claims: Claims) -> Result<String, Refusal> {
        self.key.sign(&claims).ok_or_else(|| Refusal::new(ErrorCode::ServerError, "the token could not be signed"))
    }

    fn tokens(&self, access_token: String, scopes: &[String], refresh: Option<(&String, &String)>) -> Tokens {
        Tokens {
            access_token,
            token_type: "Bearer",
            expires_in: self.settings.access_token_ttl.as_secs(),
            refresh_token: refresh.map(|(grant_id, secret)| format!("{grant_id}.{secret}")),
            scope: scopes.join(" "),
        }
    }
}
