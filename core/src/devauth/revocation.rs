//! The end of tokens and questions about them: revocation (RFC 7009) and introspection (RFC 7662).

use serde_json::{Value, json};

use super::{
    DevAuth,
    client::{Credentials, invalid_client},
    form::Form,
    keys::Claims,
    ledger::{Changes, Ledger},
    opaque,
    refusal::{ErrorCode, Refusal},
    token::split_refresh_token,
};

impl DevAuth {
    /// Revokes one access token, or with a refresh token the whole grant. A token that is not known is none to
    /// worry about: that is a success as well (RFC 7009 section 2.2).
    pub(super) fn revoke(&self, authorization: Option<&str>, form: &Form) -> Result<(), Refusal> {
        let (outcome, grants) = {
            let mut ledger = self.ledger();
            (self.end(&mut ledger, authorization, form), ledger.changes.grants)
        };
        outcome?;
        // Up to what there is, whoever changed it: one that could not be saved is asked for again, and changes nothing then.
        self.save(Changes { grants, ..Changes::default() }).map_err(|error| {
            tracing::warn!(%error, "a revocation could not be saved; a restart would forget it");
            Refusal::new(ErrorCode::TemporarilyUnavailable, "the revocation could not be saved; try again later")
        })
    }

    fn end(&self, ledger: &mut Ledger, authorization: Option<&str>, form: &Form) -> Result<(), Refusal> {
        let token = form.required("token")?;
        let shown = Credentials::read(authorization, form)?;
        let now = self.now();
        let (client_id, _) = self.authenticate(ledger, &shown)?;
        let own = |owner: &str| {
            let foreign = || Refusal::new(ErrorCode::InvalidGrant, "the token was issued to another client");
            if owner == client_id { Ok(()) } else { Err(foreign()) }
        };

        if let Some(claims) = self.live_claims(token, now) {
            own(&claims.client_id)?;
            if !self.revocations.add_token(claims.jti, claims.exp, now) {
                let description = "too many revocations are remembered; try again later";
                return Err(Refusal::new(ErrorCode::TemporarilyUnavailable, description));
            }
            ledger.changes.grants += 1;
        } else if let Some((grant_id, _)) = split_refresh_token(token)
            && let Some(grant) = ledger.grants.get(grant_id)
        {
            own(&grant.client_id)?;
            ledger.revoke_grant(grant_id, &self.revocations, now);
        }
        Ok(())
    }

    /// What a token is worth now. Only clients with a secret may ask, about any token.
    pub(super) fn introspect(&self, authorization: Option<&str>, form: &Form) -> Result<Value, Refusal> {
        let token = form.required("token")?;
        let shown = Credentials::read(authorization, form)?;
        let now = self.now();
        let mut ledger = self.ledger();
        let (_, client) = self.authenticate(&mut ledger, &shown)?;
        if client.secret_digest.is_none() {
            return Err(invalid_client("introspection is for clients with a secret"));
        }

        if let Some(claims) = self.live_claims(token, now) {
            let mut answer = serde_json::to_value(claims).unwrap_or_default();
            answer["active"] = json!(true);
            answer["token_type"] = json!("Bearer");
            return Ok(answer);
        }
        let current = split_refresh_token(token).and_then(|(grant_id, secret)| {
            let grant = ledger.grants.get(grant_id).filter(|grant| grant.refresh_until > now)?;
            opaque::equal(grant.refresh_digest.as_ref()?, &opaque::digest(secret)).then_some(grant)
        });
        Ok(match current {
            Some(grant) => json!({
                "active": true,
                "iss": self.settings.issuer,
                "sub": grant.subject,
                "client_id": grant.client_id,
                "scope": grant.scopes.join(" "),
                "iat": grant.refreshed_at,
                "exp": grant.refresh_until,
            }),
            None => json!({ "active": false }),
        })
    }

    /// The claims of an access token that is of this issuer, not expired and not revoked.
    fn live_claims(&self, token: &str, now: u64) -> Option<Claims> {
        let claims = self.key.open(token)?;
        let live = claims.iss == self.settings.issuer && claims.exp > now && !self.revocations.holds(&claims.jti);
        live.then_some(claims)
    }
}
