//! Claims against a profile: RFC 7519 section 4.1, RFC 9068 section 4, and the answers of RFC 7662 section 2.2, which
//! have the same members.
//!
//! Pure: a JSON object, a profile and the time in, the verdict out. What it returns holds only if the signature does, or
//! if the provider itself said it. Must not know keys or I/O.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};

use crate::config::Scope;

use super::{
    profile::Profile,
    verdict::{InvalidToken, Verified},
};

/// How far our clock and the provider's may differ, for `exp` and `nbf`.
pub(super) const LEEWAY: Duration = Duration::from_secs(60);
/// The last second of the year 9999; later dates are as good as that one.
const LATEST: f64 = 253_402_300_799.0;

/// The claims of a token.
pub(super) struct Claims<'c> {
    members: &'c Map<String, Value>,
}

impl<'c> Claims<'c> {
    pub(super) fn new(members: &'c Map<String, Value>) -> Self {
        Self { members }
    }

    /// Judge the claims of a JWT whose header says `kind` (`typ`).
    pub(super) fn judge(
        &self,
        kind: Option<&str>,
        profile: &Profile,
        now: SystemTime,
    ) -> Result<Verified, InvalidToken> {
        let issuer = self.issuer(profile)?.ok_or(InvalidToken::MissingClaim("iss"))?;
        self.refuse_other_kinds(kind, profile)?;
        let expires_at = self.expiry(now)?.ok_or(InvalidToken::MissingClaim("exp"))?;
        self.refuse_elsewhere(profile, now)?;
        let subject = self.text("sub")?.ok_or(InvalidToken::MissingClaim("sub"))?;
        self.verified(issuer, subject, expires_at, profile)
    }

    /// Judge the members of an introspection answer, whose `active` is true. The provider answers for what it leaves
    /// out, but for the audience: without it any token of the provider would open this resource. Without `exp` the
    /// answer is worth `at_most`.
    pub(super) fn judge_introspected(
        &self,
        profile: &Profile,
        now: SystemTime,
        at_most: Duration,
    ) -> Result<Verified, InvalidToken> {
        let issuer = self.issuer(profile)?.or_else(|| profile.issuers.first().cloned());
        let issuer = issuer.ok_or(InvalidToken::MissingClaim("iss"))?;
        let expires_at = self.expiry(now)?.unwrap_or(now + at_most);
        self.refuse_elsewhere(profile, now)?;
        // A person's name goes before the client's id: as principals, the users of one client must not become one.
        let subject = match self.text("sub")? {
            Some(subject) => Some(subject),
            None => match self.text("username")? {
                Some(name) => Some(name),
                None => self.text("client_id")?,
            },
        };
        self.verified(issuer, subject.ok_or(InvalidToken::MissingClaim("sub"))?, expires_at, profile)
    }

    /// `iss`, byte for byte one of the profile's.
    fn issuer(&self, profile: &Profile) -> Result<Option<Arc<str>>, InvalidToken> {
        let Some(named) = self.text("iss")? else { return Ok(None) };
        let known = profile.issuers.iter().find(|issuer| ***issuer == *named);
        known.cloned().map(Some).ok_or(InvalidToken::WrongIssuer)
    }

    /// Tokens of the same issuer that are not access tokens. A `typ` of RFC 9068 settles it. Otherwise ID tokens are
    /// told by claims that only they have: the hashes of what was issued beside them (OpenID Connect Core 3.1.3.6,
    /// 3.3.2.11), the client's `nonce` where nothing is granted (some providers repeat it in access tokens, which have
    /// a scope), and the `token_use` and `typ` that well-known providers write. An ID token with none of these is told
    /// by its audience, which is the client.
    fn refuse_other_kinds(&self, kind: Option<&str>, profile: &Profile) -> Result<(), InvalidToken> {
        let kind = kind.map(str::to_ascii_lowercase);
        let declared = matches!(kind.as_deref(), Some("at+jwt" | "application/at+jwt"));
        let plain = matches!(kind.as_deref(), None | Some("jwt"));
        if !declared && !plain && !profile.any_type {
            return Err(InvalidToken::WrongType);
        }
        if self.has("at_hash") || self.has("c_hash") {
            return Err(InvalidToken::IdToken);
        }
        if declared {
            return Ok(());
        }
        let says = |name, value| self.members.get(name).and_then(Value::as_str) == Some(value);
        let grants = self.has("scope") || self.has("scopes") || self.has("scp");
        if self.has("nonce") && !grants || says("token_use", "id") || says("typ", "ID") {
            return Err(InvalidToken::IdToken);
        }
        // Logout tokens and other security events (RFC 8417), and refresh tokens that happen to be JWTs.
        if self.has("events") || says("typ", "Refresh") || says("typ", "Offline") || says("typ", "Logout") {
            return Err(InvalidToken::WrongType);
        }
        Ok(())
    }

    /// `exp` with the leeway, if it has not passed.
    fn expiry(&self, now: SystemTime) -> Result<Option<SystemTime>, InvalidToken> {
        let Some(expires) = self.date("exp")? else { return Ok(None) };
        let end = expires + LEEWAY;
        if end <= now { Err(InvalidToken::Expired) } else { Ok(Some(end)) }
    }

    /// Not yet, not here, or not for bearers. A future `iat` says nothing about validity and is not looked at.
    fn refuse_elsewhere(&self, profile: &Profile, now: SystemTime) -> Result<(), InvalidToken> {
        if self.date("nbf")?.is_some_and(|start| start > now + LEEWAY) {
            return Err(InvalidToken::NotYetValid);
        }
        let audience = self.texts("aud")?.ok_or(InvalidToken::MissingClaim("aud"))?;
        if !audience.iter().any(|named| profile.audiences.iter().any(|ours| ours == named)) {
            return Err(InvalidToken::WrongAudience);
        }
        if profile.resource_claim
            && let Some(named) = self.texts("resource")?
            && !named.iter().any(|named| *named == profile.resource)
        {
            return Err(InvalidToken::WrongAudience);
        }
        if self.has("cnf") {
            return Err(InvalidToken::SenderConstrained);
        }
        Ok(())
    }

    fn verified(
        &self,
        issuer: Arc<str>,
        subject: &str,
        expires_at: SystemTime,
        profile: &Profile,
    ) -> Result<Verified, InvalidToken> {
        let token_id = self.text("jti")?.map(Arc::from);
        if token_id.is_none() && profile.token_id_required {
            return Err(InvalidToken::MissingClaim("jti"));
        }
        Ok(Verified {
            provider: Arc::clone(&profile.provider),
            issuer,
            subject: subject.into(),
            client_id: self.first_of(&["client_id", "azp", "cid"])?,
            scopes: self.scopes()?,
            expires_at,
            organisation: self.first_of(profile.organisation)?,
            token_id,
        })
    }

    /// The union of `scope`, `scopes` and `scp`: providers and their own kits disagree on which it is, and on whether
    /// it is a string with spaces or an array. What is no scope token (RFC 6749 section 3.3) grants nothing.
    fn scopes(&self) -> Result<Arc<[Arc<str>]>, InvalidToken> {
        let mut union: Vec<Arc<str>> = Vec::new();
        let mut add = |text: &str| {
            if let Ok(scope) = text.parse::<Scope>()
                && !union.iter().any(|known| **known == *text)
            {
                union.push(scope.shared());
            }
        };
        for name in ["scope", "scopes", "scp"] {
            match self.members.get(name) {
                Some(Value::String(text)) => text.split(' ').for_each(&mut add),
                _ => self.texts(name)?.unwrap_or_default().into_iter().for_each(&mut add),
            }
        }
        Ok(union.into())
    }

    fn first_of(&self, names: &[&'static str]) -> Result<Option<Arc<str>>, InvalidToken> {
        for name in names {
            if let Some(text) = self.text(name)? {
                return Ok(Some(text.into()));
            }
        }
        Ok(None)
    }

    fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// A claim that is a string; an empty one says nothing, like one that is absent.
    fn text(&self, name: &'static str) -> Result<Option<&'c str>, InvalidToken> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(InvalidToken::MalformedClaim(name)),
        }
    }

    /// A claim that is a string or an array of strings.
    fn texts(&self, name: &'static str) -> Result<Option<Vec<&'c str>>, InvalidToken> {
        let malformed = InvalidToken::MalformedClaim(name);
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text])),
            Some(Value::Array(values)) => {
                values.iter().map(|value| value.as_str().ok_or(malformed)).collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(malformed),
        }
    }

    /// A NumericDate (RFC 7519 section 2): seconds since 1970, with or without a fraction. Dates before then and after
    /// the year 9999 are moved to those ends.
    fn date(&self, name: &'static str) -> Result<Option<SystemTime>, InvalidToken> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                let seconds = number.as_f64().filter(|seconds| seconds.is_finite());
                let seconds = seconds.ok_or(InvalidToken::MalformedClaim(name))?.clamp(0.0, LATEST);
                Ok(Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)))
            }
            Some(_) => Err(InvalidToken::MalformedClaim(name)),
        }
    }
}
