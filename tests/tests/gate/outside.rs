//! The server as clients see it from outside: through a proxy that gives it another scheme, host, port and path, and a
//! person with a browser who signs in.
//!
//! The proxy is a mapping of addresses and no process: what it would send on is sent to the server.

use serde_json::{Value, json};
use toolgate_tests::server::Server;
use url::Url;

use crate::{
    house::{client, message},
    reply::Reply,
};

/// A verifier and, by RFC 7636 appendix B, its challenge.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Where a native client waits for the answer.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:7777/callback";

/// What a proxy does with requests for a public URL that has a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// Sends on all of the host, and takes the path off.
    Strips,
    /// Sends on all of the host as it is.
    Keeps,
    /// Sends on what is below the path alone, and takes it off: the host's root is somebody else's.
    StripsAndKnowsNothingElse,
}

/// The server at its public URL.
pub(crate) struct Outside<'a> {
    pub(crate) server: &'a Server,
    pub(crate) public_url: String,
    pub(crate) proxy: Proxy,
}

/// How a client gets its client id.
pub(crate) enum Identity<'a> {
    /// It registers.
    Registers,
    /// Its id is where its document is.
    Document(&'a str),
}

/// What a client has after signing in.
pub(crate) struct SignedIn {
    pub(crate) client_id: String,
    pub(crate) tokens: Value,
}

impl SignedIn {
    pub(crate) fn access_token(&self) -> &str {
        self.tokens["access_token"].as_str().unwrap_or_else(|| panic!("no access token in {}", self.tokens))
    }
}

impl Outside<'_> {
    /// A request to a public address.
    pub(crate) fn request(&self, method: &str, address: &str) -> reqwest::RequestBuilder {
        let (to, public) = (Url::parse(address).expect("a URL"), Url::parse(&self.public_url).expect("a URL"));
        assert_eq!(to.origin(), public.origin(), "the client was led elsewhere: {address}");
        let prefix = public.path().trim_end_matches('/');
        let below = to.path().strip_prefix(prefix).filter(|rest| rest.starts_with('/'));
        let path = match (self.proxy, below) {
            (Proxy::Strips | Proxy::StripsAndKnowsNothingElse, Some(below)) => below,
            (Proxy::Strips | Proxy::Keeps, _) => to.path(),
            // Somebody else's answer; here nobody has anything there.
            (Proxy::StripsAndKnowsNothingElse, None) => "/nothing/of/ours",
        };
        let query = to.query().map(|query| format!("?{query}")).unwrap_or_default();
        let host = &to[url::Position::BeforeHost..url::Position::AfterPort];
        let method = method.parse().expect("a method");
        client().request(method, format!("{}{path}{query}", self.server.url())).header("host", host)
    }

    pub(crate) async fn get(&self, address: &str) -> Reply {
        Reply::of(self.request("GET", address).send().await.expect("an answer")).await
    }

    /// The document at this address; `None` if there is none.
    pub(crate) async fn document(&self, address: &str) -> Option<Value> {
        let reply = self.get(address).await;
        assert!(matches!(reply.status, 200 | 404), "{address}: {reply:?}");
        (reply.status == 200).then(|| reply.json())
    }

    /// A call of `read` in the newest revision, with this token.
    pub(crate) async fn call(&self, endpoint: &str, token: Option<&str>) -> Reply {
        let request = self.request("POST", endpoint).header("accept", "application/json, text/event-stream");
        let request = request
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "read")
            .json(&message("read", &json!({ "text": "hello" })));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Reply::of(request.send().await.expect("an answer")).await
    }

    /// Signs in with what the authorization server's metadata says, as a person who allows everything.
    pub(crate) async fn sign_in(&self, metadata: &Value, identity: Identity<'_>, resource: Option<&str>) -> SignedIn {
        let endpoint = |name: &str| metadata[name].as_str().unwrap_or_else(|| panic!("no {name} in {metadata}"));
        let client_id = match identity {
            Identity::Document(client_id) => client_id.to_owned(),
            Identity::Registers => {
                let registration = json!({
                    "client_name": "a client", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
                    "grant_types": ["authorization_code", "refresh_token"],
                });
                let request = self.request("POST", endpoint("registration_endpoint")).json(&registration);
                let registered = Reply::of(request.send().await.expect("an answer")).await;
                registered.json()["client_id"].as_str().unwrap_or_else(|| panic!("{registered:?}")).to_owned()
            }
        };
        let mut address = Url::parse(endpoint("authorization_endpoint")).expect("a URL");
        let state = "a state";
        address.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &client_id),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", state),
        ]);
        address.query_pairs_mut().extend_pairs(resource.map(|resource| ("resource", resource)));
        let answer = self.consent(address.as_str()).await;
        let back = Url::parse(answer.header("location").unwrap_or_else(|| panic!("{answer:?}"))).expect("a URL");
        let given = |name| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert!(back.as_str().starts_with(CALLBACK), "{back}");
        assert_eq!(given("state").as_deref(), Some(state), "{back}");
        assert_eq!(given("iss").as_deref(), Some(endpoint("issuer")), "{back}");
        let code = given("code").unwrap_or_else(|| panic!("no code in {back}"));

        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &client_id),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        form.extend(resource.map(|resource| ("resource", resource)));
        let request = self.request("POST", endpoint("token_endpoint")).form(&form);
        let issued = Reply::of(request.send().await.expect("an answer")).await;
        assert_eq!(issued.status, 200, "{issued:?}");
        SignedIn { tokens: issued.json(), client_id }
    }

    /// The consent page at this address, read, and its form sent with everything allowed, as a browser does.
    async fn consent(&self, address: &str) -> Reply {
        let page = self.get(address).await;
        assert_eq!(page.status, 200, "{page:?}");
        let html = std::str::from_utf8(&page.body).expect("text");
        let between = |from: &str| {
            let (_, after) = html.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {html}"));
            after.split_once('"').expect("a quote").0
        };
        let action =
            Url::parse(address).expect("a URL").join(between("<form method=\"post\" action=\"")).expect("a URL");
        let cookie = page.header("set-cookie").expect("a cookie");
        let (pair, attributes) = cookie.split_once("; ").expect("attributes");
        let path = attributes.strip_prefix("Path=").expect("a path").split(';').next().unwrap_or_default();
        assert!(action.path().starts_with(path), "the browser would not send {cookie:?} to {action}");
        let secure = attributes.ends_with("; Secure");
        assert_eq!(secure, action.scheme() == "https", "{cookie}");
        let mut form =
            vec![("transaction", between("name=\"transaction\" value=\"")), ("user", "ada"), ("decision", "allow")];
        let boxes = html.split("<input type=\"checkbox\"").skip(1);
        form.extend(boxes.filter_map(|part| Some(("scope", part.split_once("value=\"")?.1.split_once('"')?.0))));
        let origin = action.origin().ascii_serialization();
        let request = self.request("POST", action.as_str()).header("origin", origin).header("cookie", pair).form(&form);
        let answer = Reply::of(request.send().await.expect("an answer")).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer
    }
}
