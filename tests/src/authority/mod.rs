//! A stand-in for an authorization server: Scalekit, or any other one with RFC 8414 or OpenID Connect metadata.
//!
//! A real HTTP server on a free loopback port, with real keys. It mints tokens with the claims, algorithm and `kid` that
//! a test asks for (also those that no honest server would mint), rotates its keys, goes down and comes back on the same
//! port, counts what it is asked, and answers any path with anything. It grants nothing by itself: there is no sign-in.
//!
//! The unit tests of the crate `toolgate` include this module by its path, so it uses nothing of this crate.

mod keys;

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
};

pub use keys::{SigningKey, hmac_token};

/// `base` with the members of `over`; a `null` takes one away.
pub fn merged(mut base: Value, over: &Value) -> Value {
    let (Some(members), Some(over)) = (base.as_object_mut(), over.as_object()) else { return base };
    for (name, value) in over {
        if value.is_null() {
            members.shift_remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    base
}

/// Seconds since 1970, now and so many later.
pub fn from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(now).unwrap_or(i64::MAX).saturating_add(seconds)
}

/// What a path answers.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: String,
    /// The `Location`.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A JSON document with status 200.
    pub fn json(document: &Value) -> Self {
        Self { body: document.to_string().into(), ..Self::status(200) }
    }

    /// A status with a short JSON body.
    pub fn status(status: u16) -> Self {
        let body = json!({ "error": format!("status {status}") }).to_string().into();
        Self { status, content_type: "application/json".to_owned(), location: None, body }
    }

    /// A text that claims to be `content_type`.
    pub fn text(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { content_type: content_type.to_owned(), body: body.into(), ..Self::status(200) }
    }

    /// A redirect (307).
    pub fn redirect(to: &str) -> Self {
        Self { location: Some(to.to_owned()), ..Self::status(307) }
    }
}

/// Where a metadata document stands for an issuer with a path; without one, inserted and appended are one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `/.well-known/oauth-authorization-server{path}` (RFC 8414).
    OauthInserted,
    /// `{path}/.well-known/oauth-authorization-server`, which Scalekit serves too.
    OauthAppended,
    /// `/.well-known/openid-configuration{path}`.
    OpenidInserted,
    /// `{path}/.well-known/openid-configuration` (OpenID Connect Discovery).
    OpenidAppended,
}

/// All of them.
const PLACES: [Place; 4] = [Place::OauthInserted, Place::OauthAppended, Place::OpenidInserted, Place::OpenidAppended];

/// The shape of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// A Scalekit environment with this MCP server.
    Scalekit { resource_id: String },
    /// Any authorization server, its issuer below this path (may be empty).
    Generic { path: String },
}

/// A running authorization server. Stops when dropped.
pub struct Authority {
    address: SocketAddr,
    shape: Shape,
    state: Arc<State>,
    server: Mutex<Option<JoinHandle<()>>>,
    /// Bound to the port and never listening, so that nobody else on this machine gets it while the server is down.
    reserved: Mutex<Option<TcpSocket>>,
}

struct State {
    keys: Mutex<Vec<SigningKey>>,
    replies: Mutex<HashMap<String, Reply>>,
    log: Mutex<Vec<Asked>>,
    registration: Option<String>,
    introspection: Option<String>,
    credentials: (String, String),
    active: Mutex<HashMap<String, Value>>,
    open: watch::Sender<bool>,
}

/// A request that the server has seen.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// The client id that the introspection endpoint asks for; with characters that must be encoded.
pub const CLIENT_ID: &str = "toolgate rs:1";
/// The secret that goes with [`CLIENT_ID`].
pub const CLIENT_SECRET: &str = "p%ss+word/ü";

impl Authority {
    /// A Scalekit environment with one MCP server, `resource_id` (`res_…`): keys at `/keys`, metadata in the inserted
    /// form with the resource's issuer, registration where Scalekit has it. One RSA key, `snk_1`.
    pub async fn scalekit(resource_id: &str) -> Self {
        let shape = Shape::Scalekit { resource_id: resource_id.to_owned() };
        let registration = format!("/api/v1/resources/{resource_id}/clients:register");
        Self::start(shape, Some(registration), None, SigningKey::rsa("snk_1")).await
    }

    /// Any authorization server, its issuer below `path` ("" or "/tenant"): RFC 8414 metadata in the inserted form,
    /// keys at `{path}/jwks`, introspection, registration. One RSA key, `key-1`.
    pub async fn generic(path: &str) -> Self {
        let shape = Shape::Generic { path: path.to_owned() };
        let (registration, introspection) = (format!("{path}/register"), format!("{path}/introspect"));
        Self::start(shape, Some(registration), Some(introspection), SigningKey::rsa("key-1")).await
    }

    async fn start(shape: Shape, registration: Option<String>, introspection: Option<String>, key: SigningKey) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().expect("the port");
        let reserved = Mutex::new(Some(bound(address)));
        let listener = socket.listen(BACKLOG).expect("a free port");
        let state = Arc::new(State {
            keys: Mutex::new(vec![key]),
            replies: Mutex::default(),
            log: Mutex::default(),
            registration,
            introspection,
            credentials: (CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned()),
            active: Mutex::default(),
            open: watch::Sender::new(true),
        });
        let server = Mutex::new(Some(serve(listener, Arc::clone(&state))));
        let authority = Self { address, shape, state, server, reserved };
        authority.publish();
        authority.publish_metadata(Place::OauthInserted, &authority.metadata());
        authority
    }

    /// Its origin, such as `http://127.0.0.1:4711`; with Scalekit the environment's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The issuer that its metadata states.
    pub fn issuer(&self) -> String {
        match &self.shape {
            Shape::Scalekit { resource_id } => format!("{}/resources/{resource_id}", self.url()),
            Shape::Generic { path } => format!("{}{path}", self.url()),
        }
    }

    /// Its metadata document.
    pub fn metadata(&self) -> Value {
        let (url, issuer) = (self.url(), self.issuer());
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/oauth/authorize"),
            "token_endpoint": format!("{issuer}/oauth/token"),
            "jwks_uri": format!("{url}{}", self.keys_path()),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        });
        if let Some(path) = &self.state.registration {
            metadata["registration_endpoint"] = json!(format!("{url}{path}"));
        }
        if let Some(path) = &self.state.introspection {
            metadata["introspection_endpoint"] = json!(format!("{url}{path}"));
        }
        metadata
    }

    /// Serve this metadata here and nowhere else.
    pub fn publish_metadata(&self, place: Place, metadata: &Value) {
        for place in PLACES {
            self.forget(&self.path_of(place));
        }
        self.reply(&self.path_of(place), Reply::json(metadata));
    }

    /// The path of a place for its issuer.
    pub fn path_of(&self, place: Place) -> String {
        let path = match &self.shape {
            Shape::Scalekit { resource_id } => format!("/resources/{resource_id}"),
            Shape::Generic { path } => path.clone(),
        };
        match place {
            Place::OauthInserted => format!("/.well-known/oauth-authorization-server{path}"),
            Place::OauthAppended => format!("{path}/.well-known/oauth-authorization-server"),
            Place::OpenidInserted => format!("/.well-known/openid-configuration{path}"),
            Place::OpenidAppended => format!("{path}/.well-known/openid-configuration"),
        }
    }

    /// Where its key set is.
    pub fn keys_path(&self) -> String {
        match &self.shape {
            Shape::Scalekit { .. } => "/keys".to_owned(),
            Shape::Generic { path } => format!("{path}/jwks"),
        }
    }

    /// The key that signs now.
    pub fn key(&self) -> SigningKey {
        locked(&self.state.keys).last().expect("a key").clone()
    }

    /// Sign with this key from now on, and publish it alone.
    pub fn rotate(&self, key: SigningKey) {
        *locked(&self.state.keys) = vec![key];
        self.publish();
    }

    /// Sign with this key from now on, and publish it beside those before.
    pub fn add_key(&self, key: SigningKey) {
        locked(&self.state.keys).push(key);
        self.publish();
    }

    fn publish(&self) {
        let keys: Vec<Value> = locked(&self.state.keys).iter().map(SigningKey::jwk).collect();
        self.reply(&self.keys_path(), Reply::json(&json!({ "keys": keys })));
    }

    /// The claims of an ordinary access token for `audience`, an hour long, with `over` over them (`null` takes away).
    pub fn claims(&self, audience: &Value, over: &Value) -> Value {
        let issuer = match &self.shape {
            // What tokens of most environments still carry.
            Shape::Scalekit { .. } => self.url(),
            Shape::Generic { .. } => self.issuer(),
        };
        let usual = json!({
            "iss": issuer, "aud": audience, "sub": "usr_2001", "client_id": "m2m_3001",
            "scope": "openid search:read", "oid": "org_4001", "jti": "tkn_6001",
            "iat": from_now(0), "nbf": from_now(0), "exp": from_now(3600),
        });
        merged(usual, over)
    }

    /// An ordinary access token for `audience`, with `over` over its claims.
    pub fn token(&self, audience: &Value, over: &Value) -> String {
        self.key().token(&self.claims(audience, over))
    }

    /// Let introspection call this token active, with these members.
    pub fn activate(&self, token: &str, members: &Value) {
        locked(&self.state.active).insert(token.to_owned(), members.clone());
    }

    /// Let introspection call no token active.
    pub fn deactivate_all(&self) {
        locked(&self.state.active).clear();
    }

    /// Answer this path so from now on, whatever the method.
    pub fn reply(&self, path: &str, reply: Reply) {
        locked(&self.state.replies).insert(path.to_owned(), reply);
    }

    /// Answer 404 here from now on.
    pub fn forget(&self, path: &str) {
        locked(&self.state.replies).remove(path);
    }

    /// How often this path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        locked(&self.state.log).iter().filter(|asked| asked.path == path).count()
    }

    /// All that was asked, in order.
    pub fn log(&self) -> Vec<Asked> {
        locked(&self.state.log).clone()
    }

    /// Take requests but answer none until [`Authority::release`].
    pub fn hold(&self) {
        self.state.open.send_replace(false);
    }

    /// Answer what is held.
    pub fn release(&self) {
        self.state.open.send_replace(true);
    }

    /// Go down: the port closes, connections break.
    pub async fn go_down(&self) {
        let server = locked(&self.server).take();
        if let Some(server) = server {
            server.abort();
            // An aborted task is gone, with its listener and connections, once it has been waited for.
            let _ = server.await;
            // A child of this process on its way to `exec` may still have a copy of the listener for a moment.
            while TcpStream::connect(self.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Come back on the same port.
    pub async fn come_up(&self) {
        let socket = locked(&self.reserved).replace(bound(self.address)).expect("a reserve");
        let listener = socket.listen(BACKLOG).expect("the port from before");
        *locked(&self.server) = Some(serve(listener, Arc::clone(&self.state)));
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        if let Some(server) = locked(&self.server).take() {
            server.abort();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A socket that has the address and does not listen. Several can have one address as long as none of them listens; from
/// then on there can be no more, so the reserve is made first.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option of sockets");
    socket.bind(address).expect("a free port");
    socket
}

fn serve(listener: TcpListener, state: Arc<State>) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Dropping the set breaks the connections.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let state = Arc::clone(&state);
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let state = Arc::clone(&state);
                    async move { Ok::<_, Infallible>(state.answer(request).await) }
                });
                // A client that goes away is no concern of ours.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let text = |name| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        let asked = Asked {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            authorization: text(header::AUTHORIZATION),
            content_type: text(header::CONTENT_TYPE),
            user_agent: text(header::USER_AGENT),
            body,
        };
        locked(&self.log).push(asked.clone());
        let mut open = self.open.subscribe();
        // The sender lives as long as we do.
        let _ = open.wait_for(|open| *open).await;
        let scripted = locked(&self.replies).get(&asked.path).cloned();
        let reply = match scripted {
            Some(reply) => reply,
            None if head.method != Method::POST => Reply::status(404),
            None if self.registration.as_deref() == Some(&asked.path) => register(&asked.body),
            None if self.introspection.as_deref() == Some(&asked.path) => self.introspect(&asked),
            None => Reply::status(404),
        };
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, reply.content_type);
        if let Some(location) = reply.location {
            response = response.header(header::LOCATION, location);
        }
        response.body(Full::new(reply.body)).unwrap_or_default()
    }

    /// RFC 7662, for a client that authenticates with Basic.
    fn introspect(&self, asked: &Asked) -> Reply {
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (id, secret) = &self.credentials;
        let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))));
        if asked.authorization.as_deref() != Some(&expected) {
            return Reply::status(401);
        }
        let form: HashMap<_, _> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
        let token = form.get("token").map(String::as_str).unwrap_or_default();
        match locked(&self.active).get(token) {
            Some(members) => Reply::json(&merged(json!({ "active": true }), members)),
            None => Reply::json(&json!({ "active": false })),
        }
    }
}

/// RFC 7591: a public client.
fn register(body: &[u8]) -> Reply {
    let Ok(Value::Object(request)) = serde_json::from_slice::<Value>(body) else {
        let body = json!({ "error": "invalid_client_metadata" }).to_string().into();
        return Reply { body, ..Reply::status(400) };
    };
    let mut client: Map<String, Value> = request;
    client.insert("client_id".to_owned(), json!("m2m_3001"));
    client.insert("client_secret_expires_at".to_owned(), json!(0));
    Reply { status: 201, ..Reply::json(&Value::Object(client)) }
}
