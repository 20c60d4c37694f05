//! The HTTP face: the route table, what is read from a request, and the headers of each kind of answer.
//!
//! Owns statuses, CORS and caching. Decisions are made in the other modules, off the async threads, because
//! they may write files; one that has begun is finished even if the client goes away.

use std::sync::Arc;

use poem::{
    Body, Endpoint, EndpointExt, IntoResponse, Request, Response, Route, RouteMethod,
    endpoint::make,
    error::{MethodNotAllowedError, ReadBodyError},
    http::{HeaderMap, Method, StatusCode, header},
};
use serde::Serialize;
use serde_json::json;

use super::{
    DevAuth,
    consent::Answer,
    form::Form,
    page::Page,
    refusal::{ErrorCode, Refusal},
};

/// Largest request body, in bytes: the longest registration, and what its client may cost in memory.
pub(super) const MAX_BODY: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// Whether scripts of other origins may read an endpoint's answers. The endpoints that are open use no cookies.
#[derive(Clone, Copy, PartialEq)]
enum Cors {
    AnyOrigin,
    Closed,
}

pub(super) fn routes(auth: &Arc<DevAuth>) -> Route {
    use Cors::{AnyOrigin, Closed};
    Route::new()
        .at("/authorize", methods(RouteMethod::new().get(authorize(auth)), "GET, HEAD", Closed))
        .at("/consent", post(auth, Closed, consent))
        .at("/token", post(auth, AnyOrigin, token))
        .at("/register", post(auth, AnyOrigin, register))
        .at("/introspect", post(auth, Closed, introspect))
        .at("/revoke", post(auth, AnyOrigin, revoke))
        .at("/jwks", get(auth, AnyOrigin, |auth, _| document(auth.key.key_set())))
        // Clients append the well-known name to the issuer as often as they insert it.
        .at("/.well-known/openid-configuration", get(auth, AnyOrigin, |auth, _| document(&auth.openid_configuration())))
        .at("/.well-known/oauth-authorization-server", get(auth, AnyOrigin, |auth, _| document(&auth.oauth_metadata())))
        .at("/", make(|_| async { not_found() }))
        .at("/*rest", make(|_| async { not_found() }))
}

/// A request whose body was read.
struct Call {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call {
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        // One that is not text must not pass for one that is not there.
        self.headers.get(name).map(|value| value.to_str().unwrap_or("?"))
    }

    fn media_type(&self) -> &str {
        let content_type = self.header(header::CONTENT_TYPE).unwrap_or_default();
        content_type.split(';').next().unwrap_or_default().trim()
    }

    fn form(&self) -> Result<Form, Refusal> {
        if self.media_type().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok(Form::parse(&self.body));
        }
        let description = "the body must be a form, with 'Content-Type: application/x-www-form-urlencoded'";
        Err(Refusal::new(ErrorCode::InvalidRequest, description))
    }
}

fn token(auth: &DevAuth, call: Call) -> Response {
    answer(StatusCode::OK, call.form().and_then(|form| auth.token(call.header(header::AUTHORIZATION), &form)))
}

fn introspect(auth: &DevAuth, call: Call) -> Response {
    answer(StatusCode::OK, call.form().and_then(|form| auth.introspect(call.header(header::AUTHORIZATION), &form)))
}

fn revoke(auth: &DevAuth, call: Call) -> Response {
    match call.form().and_then(|form| auth.revoke(call.header(header::AUTHORIZATION), &form)) {
        Ok(()) => Response::builder().header(header::CACHE_CONTROL, "no-store").finish(),
        Err(refusal) => refused(&refusal),
    }
}

fn register(auth: &DevAuth, call: Call) -> Response {
    if !call.media_type().eq_ignore_ascii_case("application/json") {
        let description = "the body must be JSON, with 'Content-Type: application/json'";
        return refused(&Refusal::new(ErrorCode::InvalidClientMetadata, description));
    }
    answer(StatusCode::CREATED, auth.register(&call.body))
}

fn consent(auth: &DevAuth, call: Call) -> Response {
    let form = match call.form() {
        Ok(form) => form,
        Err(refusal) => return refused(&refusal),
    };
    browser(auth.decide(call.header(header::ORIGIN), &cookies(&call.headers), &form))
}

/// The authorization endpoint, which may have to wait for a client's document before anything is decided.
fn authorize(auth: &Arc<DevAuth>) -> impl Endpoint + use<> {
    let auth = auth.clone();
    make(move |request: Request| {
        let auth = auth.clone();
        async move {
            let asked = match auth.asked(request.uri().query().unwrap_or_default()).await {
                Ok(asked) => asked,
                Err(answer) => return browser(answer),
            };
            let headers = request.headers().clone();
            decided(move || browser(auth.authorize(asked, &cookies(&headers)))).await
        }
    })
}

fn cookies(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).collect()
}

fn answer(status: StatusCode, outcome: Result<impl Serialize, Refusal>) -> Response {
    match outcome {
        Ok(body) => {
            let mut response = json(status, &body);
            no_store(&mut response);
            response
        }
        Err(refusal) => refused(&refusal),
    }
}

/// An error as JSON (RFC 6749 section 5.2).
fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response =
        json(status, &json!({ "error": refusal.code.as_str(), "error_description": refusal.description }));
    no_store(&mut response);
    let headers = response.headers_mut();
    match refusal.code {
        ErrorCode::InvalidClient => {
            let challenge = header::HeaderValue::from_static("Basic realm=\"development authorization server\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        ErrorCode::TemporarilyUnavailable => {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("60"));
        }
        _ => {}
    }
    response
}

/// A public document: fresh enough for a while, so that clients do not ask at every step.
fn document(body: &impl Serialize) -> Response {
    let mut response = json(StatusCode::OK, body);
    let fresh = header::HeaderValue::from_static("public, max-age=60");
    response.headers_mut().insert(header::CACHE_CONTROL, fresh);
    response
}

fn browser(answer: Answer) -> Response {
    let (mut response, cookies) = match answer {
        Answer::Page { page, cookies } => (html(page), cookies),
        Answer::Redirect { location, cookies } => {
            // 303, so that the form's fields are not posted on to the client (RFC 9700 section 4.12).
            let response = Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, location);
            (response.header(header::REFERRER_POLICY, "no-referrer").finish(), cookies)
        }
    };
    no_store(&mut response);
    for value in cookies.into_iter().filter_map(|cookie| header::HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("10"));
    }
    response
}

fn html(page: Page) -> Response {
    // No `form-action`: browsers hold it against every redirect that follows the form as well, so it would stop
    // clients whose redirect URI leads on to another origin or to an application.
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{}'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
        page.nonce
    );
    Response::builder()
        .status(StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, policy)
        .header(header::X_FRAME_OPTIONS, "DENY")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        // Not `no-referrer`: with that, browsers send the form with `Origin: null`, and it would be refused.
        .header(header::REFERRER_POLICY, "same-origin")
        .body(page.html)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => Response::builder()
            .status(status)
            .content_type("application/json")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .body(bytes),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn no_store(response: &mut Response) {
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
}

fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, &json!({ "error": "not_found", "error_description": "there is nothing here" }))
}

fn get(auth: &Arc<DevAuth>, cors: Cors, decide: fn(&DevAuth, Call) -> Response) -> impl Endpoint + use<> {
    methods(RouteMethod::new().get(handler(auth, decide)), "GET, HEAD", cors)
}

fn post(auth: &Arc<DevAuth>, cors: Cors, decide: fn(&DevAuth, Call) -> Response) -> impl Endpoint + use<> {
    methods(RouteMethod::new().post(handler(auth, decide)), "POST", cors)
}

/// Reads the body and decides.
fn handler(auth: &Arc<DevAuth>, decide: fn(&DevAuth, Call) -> Response) -> impl Endpoint + use<> {
    let auth = auth.clone();
    make(move |mut request: Request| {
        let auth = auth.clone();
        async move {
            let body = request.take_body();
            let call = match read(&request, body).await {
                Ok(call) => call,
                Err(response) => return response,
            };
            decided(move || decide(&auth, call)).await
        }
    })
}

async fn decided(decide: impl FnOnce() -> Response + Send + 'static) -> Response {
    let failed = |_| refused(&Refusal::new(ErrorCode::ServerError, "the request could not be answered"));
    tokio::task::spawn_blocking(decide).await.unwrap_or_else(failed)
}

async fn read(request: &Request, body: Body) -> Result<Call, Response> {
    let Ok(body) = tokio::time::timeout(BODY_TIME, body.into_bytes_limit(MAX_BODY)).await else {
        let mut response = refused(&Refusal::new(ErrorCode::InvalidRequest, "the body did not arrive in time"));
        response.set_status(StatusCode::REQUEST_TIMEOUT);
        return Err(response);
    };
    let body = body.map_err(|error| {
        let too_large = matches!(error, ReadBodyError::PayloadTooLarge);
        let description = if too_large { "the body is larger than 16 KiB" } else { "the body could not be read" };
        let mut response = refused(&Refusal::new(ErrorCode::InvalidRequest, description));
        if too_large {
            response.set_status(StatusCode::PAYLOAD_TOO_LARGE);
        }
        response
    })?;
    Ok(Call { headers: request.headers().clone(), body: body.into() })
}

/// Adds what every endpoint answers alike: other methods, and preflights.
fn methods(route: RouteMethod, allow: &'static str, cors: Cors) -> impl Endpoint {
    let route = route.catch_error(move |_: MethodNotAllowedError| async move {
        let description = format!("this endpoint answers {allow}");
        let mut response = json(
            StatusCode::METHOD_NOT_ALLOWED,
            &json!({ "error": "invalid_request", "error_description": description }),
        );
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allow));
        response
    });
    route.around(move |route, request| async move {
        if cors == Cors::AnyOrigin && request.method() == Method::OPTIONS {
            return Ok(Response::builder()
                .status(StatusCode::NO_CONTENT)
                .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
                .header(header::ACCESS_CONTROL_ALLOW_METHODS, allow)
                .header(header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, MCP-Protocol-Version")
                .header(header::ACCESS_CONTROL_MAX_AGE, "7200")
                .finish());
        }
        let mut response = route.call(request).await?.into_response();
        if cors == Cors::AnyOrigin {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, header::HeaderValue::from_static("*"));
            let exposed = header::HeaderValue::from_static("WWW-Authenticate, Retry-After");
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        Ok(response)
    })
}
