//! The server over a real loopback socket, spoken to as clients and browsers do: no cookie jar, no redirects followed.

mod bounds;
mod consent;
mod documents;
mod refusals;
mod sign_in;
mod state;
mod tokens;

use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::listener::TcpAcceptor;
use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json};

use super::{DevAuth, Settings, opaque};

const RESOURCE: &str = "http://localhost:10000/web-search/mcp";
const OTHER_RESOURCE: &str = "http://localhost:10000/other/mcp";
const CALLBACK: &str = "http://127.0.0.1:7777/callback";
/// A verifier and, by RFC 7636 appendix B, its challenge.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// The server under test; it ends with the test.
struct Server {
    auth: Arc<DevAuth>,
    issuer: String,
    http: reqwest::Client,
}

/// A client as registered.
#[derive(Clone)]
struct Registered {
    id: String,
    secret: Option<String>,
}

/// The consent page as a browser holds it.
struct Consent {
    cookie: String,
    transaction: String,
    html: String,
}

pub(super) fn settings() -> Settings {
    Settings {
        issuer: String::new(),
        port: 0,
        scopes: vec![
            ("web-search:read".to_owned(), "Search the web".to_owned()),
            ("web-search:write".to_owned(), "Crawl sites".to_owned()),
        ],
        resources: vec![RESOURCE.to_owned()],
        state_dir: None,
        access_token_ttl: Duration::from_secs(600),
        refresh_token_ttl: Duration::from_secs(3600),
        loopback_documents: false,
        loopback_documents_setting: "loopback = true",
    }
}

impl Server {
    async fn start() -> Self {
        Self::with(settings()).await
    }

    async fn with_two_resources() -> Self {
        Self::with(Settings { resources: vec![RESOURCE.to_owned(), OTHER_RESOURCE.to_owned()], ..settings() }).await
    }

    async fn with(mut settings: Settings) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        settings.port = listener.local_addr().unwrap().port();
        let issuer = format!("http://127.0.0.1:{}/dev/auth", settings.port);
        settings.issuer.clone_from(&issuer);
        let auth = DevAuth::open(settings).unwrap();
        let app = poem::Route::new().nest("/dev/auth", auth.routes());
        tokio::spawn(poem::Server::new_with_acceptor(TcpAcceptor::from_std(listener).unwrap()).run(app));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { auth, issuer, http }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    async fn register(&self, metadata: Value) -> (StatusCode, Value) {
        let response = self.http.post(self.url("/register")).json(&metadata).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn registered(&self, metadata: Value) -> Registered {
        let (status, body) = self.register(metadata).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        Registered { id: text(&body, "client_id"), secret: body["client_secret"].as_str().map(str::to_owned) }
    }

    /// A public client with refresh tokens.
    async fn public_client(&self) -> Registered {
        self.registered(json!({
            "client_name": "Test client", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        }))
        .await
    }

    /// A client with a secret and no redirect.
    async fn machine(&self) -> Registered {
        self.registered(json!({ "grant_types": ["client_credentials"] })).await
    }

    async fn authorize(&self, parameters: &Pairs<'_>) -> Response {
        self.http.get(self.url("/authorize")).query(parameters).send().await.unwrap()
    }

    async fn consent(&self, parameters: &Pairs<'_>) -> Consent {
        let response = self.authorize(parameters).await;
        assert_eq!(response.status(), StatusCode::OK, "{:?}", response.headers().get(header::LOCATION));
        let set_cookie = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        let html = response.text().await.unwrap();
        let cookie = set_cookie.split(';').next().unwrap().to_owned();
        let start = html.find("name=\"transaction\" value=\"").unwrap() + 26;
        Consent { cookie, transaction: html[start..].split('"').next().unwrap().to_owned(), html }
    }

    async fn decide(&self, consent: &Consent, fields: &[(&str, &str)]) -> Response {
        let mut form = vec![("transaction", consent.transaction.as_str())];
        form.extend(fields);
        let request = self.http.post(self.url("/consent")).header(header::COOKIE, &consent.cookie);
        request.form(&form).send().await.unwrap()
    }

    /// The code of a sign-in in which everything asked for was allowed.
    async fn code(&self, parameters: &Pairs<'_>) -> String {
        let consent = self.consent(parameters).await;
        let mut fields = vec![("user", "ada"), ("decision", "allow")];
        fields.extend(["web-search:read", "web-search:write"].map(|scope| ("scope", scope)));
        let response = self.decide(&consent, &fields).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        answer(&response)["code"].clone()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let response = self.http.post(self.url(path)).form(form).send().await.unwrap();
        let status = response.status();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{path}");
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        self.post("/token", form).await
    }

    async fn redeem(&self, client: &Registered, code: &str) -> (StatusCode, Value) {
        self.token(&redemption(client, code)).await
    }

    async fn refresh(&self, client: &Registered, refresh_token: &str) -> (StatusCode, Value) {
        let form = [("grant_type", "refresh_token"), ("client_id", &client.id), ("refresh_token", refresh_token)];
        self.token(&form).await
    }

    /// The tokens of a whole sign-in.
    async fn sign_in(&self, client: &Registered) -> Value {
        let code = self.code(&request(client)).await;
        let (status, tokens) = self.redeem(client, &code).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    async fn is_active(&self, token: &str) -> bool {
        let asker = self.machine().await;
        let secret = asker.secret.unwrap();
        let form = [("token", token), ("client_id", &asker.id), ("client_secret", &secret)];
        self.post("/introspect", &form).await.1["active"] == json!(true)
    }
}

/// A sound authorization request.
fn request(client: &Registered) -> Pairs<'_> {
    vec![
        ("response_type", "code"),
        ("client_id", &client.id),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "st&te=1"),
    ]
}

/// A sound redemption by a public client.
fn redemption<'a>(client: &'a Registered, code: &'a str) -> Pairs<'a> {
    vec![("grant_type", "authorization_code"), ("client_id", &client.id), ("code", code), ("code_verifier", VERIFIER)]
}

/// The parameters with these set, or left out where the value is empty.
fn changed<'a>(mut parameters: Pairs<'a>, changes: &[(&'a str, &'a str)]) -> Pairs<'a> {
    parameters.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    parameters.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    parameters
}

/// The parameters that a redirect carries back.
fn answer(response: &Response) -> HashMap<String, String> {
    let location = response.headers()[header::LOCATION].to_str().unwrap();
    let url = url::Url::parse(location).unwrap();
    url.query_pairs().into_owned().collect()
}

fn text(body: &Value, member: &str) -> String {
    body[member].as_str().unwrap_or_else(|| panic!("no '{member}' in {body}")).to_owned()
}

/// A token's header and claims, its signature verified against the published keys.
fn verified(server: &Server, token: &str) -> (jsonwebtoken::Header, Value) {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let set = server.auth.key_set();
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims;
    (header, claims)
}

#[test]
fn the_digest_of_a_verifier_is_the_challenge_of_rfc_7636_appendix_b() {
    assert_eq!(opaque::digest(VERIFIER), CHALLENGE);
    assert_eq!(URL_SAFE_NO_PAD.decode(opaque::secret()).unwrap().len(), 32);
}
