//! Whatever comes in: no panic, and nothing accepted that was not signed so.

use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Runtime;

use super::{
    RESOURCE, Subject,
    authority::{Authority, SigningKey},
};
use crate::tokens::{Verified, VerifyError};

/// One server with all kinds of keys for all cases, and a good token of each.
struct World {
    runtime: Runtime,
    subject: Subject,
    tokens: Vec<String>,
    _authority: Authority,
}

impl World {
    fn verify(&self, token: &str) -> Result<Arc<Verified>, VerifyError> {
        self.runtime.block_on(self.subject.verify(token))
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let authority = runtime.block_on(Authority::generic(""));
        authority.add_key(SigningKey::ec("ec"));
        let ec = authority.key();
        authority.add_key(SigningKey::ed("ed"));
        let claims = authority.claims(&json!(RESOURCE), &json!({}));
        let tokens = vec![SigningKey::rsa("key-1").token(&claims), ec.token(&claims), authority.key().token(&claims)];
        let subject = Subject::oauth(&authority);
        let world = World { runtime, subject, tokens, _authority: authority };
        for token in &world.tokens {
            world.verify(token).unwrap();
        }
        world
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_text_is_refused(text in any::<String>()) {
        prop_assert!(matches!(world().verify(&text), Err(VerifyError::Invalid(_))));
    }

    #[test]
    fn arbitrary_parts_are_refused(header in ".{0,40}", claims in ".{0,80}", signature in prop::collection::vec(any::<u8>(), 0..80)) {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
        let token = format!("{}.{}.{}", BASE64.encode(header), BASE64.encode(claims), BASE64.encode(signature));
        prop_assert!(matches!(world().verify(&token), Err(VerifyError::Invalid(_))));
    }

    #[test]
    fn arbitrary_claims_that_are_honestly_signed_do_not_panic(
        name in prop::sample::select(vec!["iss", "aud", "sub", "exp", "nbf", "scope", "scopes", "scp", "jti", "client_id", "azp", "org_id"]),
        number in any::<f64>(), integer in any::<i64>(), text in any::<String>(), which in 0..6,
    ) {
        let value = match which {
            0 => json!(number),
            1 => json!(integer),
            2 => json!(text),
            3 => json!([text, number]),
            4 => json!({ "a": integer }),
            _ => json!([text]),
        };
        let world = world();
        let claims = world._authority.claims(&json!(RESOURCE), &json!({ name: value }));
        let verdict = world.verify(&SigningKey::rsa("key-1").token(&claims));
        let told = !matches!(verdict, Err(VerifyError::Unavailable { .. }));
        prop_assert!(told);
    }

    #[test]
    fn a_changed_token_is_refused(which in 0..3usize, at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.-]") {
        let world = world();
        let token = &world.tokens[which];
        let at = at.index(token.len());
        let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != *token);
        prop_assert!(matches!(world.verify(&changed), Err(VerifyError::Invalid(_))));
    }

    #[test]
    fn a_cut_or_grown_token_is_refused(which in 0..3usize, at in any::<prop::sample::Index>(), more in "[A-Za-z0-9_=-]{1,8}") {
        let world = world();
        let token = &world.tokens[which];
        prop_assert!(world.verify(&token[..at.index(token.len())]).is_err());
        let (longer, later) = (format!("{token}{more}"), format!("{more}{token}"));
        prop_assert!(world.verify(&longer).is_err());
        prop_assert!(world.verify(&later).is_err());
    }
}
