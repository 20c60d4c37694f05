//! The handlers: what a backend answers goes out as it is.

use http::{Method, StatusCode, header};
use poem::Endpoint;
use poem_openapi::types::Any;
use serde_json::json;

use super::{
    super::shapes::{PluginReadiness, PluginState},
    *,
};

/// Answers with what it was asked.
struct Mirror;

fn raw(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Raw {
    let mut raw = Raw::new(body.into());
    *raw.status_mut() = StatusCode::from_u16(status).unwrap();
    raw.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    raw
}

#[async_trait]
impl Backend for Mirror {
    async fn protected_resource(&self, _: &Request, path: Option<&str>) -> Raw {
        raw(200, "application/json", format!("{path:?}"))
    }
    async fn authorization_server_metadata(&self, _: &Request) -> Raw {
        raw(200, "application/json; charset=UTF-8", "{ \"issuer\" : \"x\" }\n")
    }
    async fn openid_configuration(&self, _: &Request) -> Raw {
        raw(503, "application/json", "{}")
    }
    async fn register(&self, request: &Request, body: Body) -> Raw {
        let mut answer = raw(418, "text/plain", body.into_bytes().await.unwrap());
        answer.headers_mut().insert("x-was", request.headers()[header::CONTENT_TYPE].clone());
        answer
    }
    async fn ready(&self) -> Readiness {
        let plugin = PluginReadiness { state: PluginState::Starting, detail: None, warnings: vec!["w".to_owned()] };
        Readiness {
            ready: false,
            configuration: Default::default(),
            plugins: [("web-search".to_owned(), plugin)].into(),
        }
    }
    async fn catalogue(&self, request: &Request) -> Raw {
        if request.header(header::AUTHORIZATION).is_some() {
            return raw(401, "application/json", "{\"error\":\"invalid_token\"}");
        }
        let tool = CatalogueTool {
            tool: "echo".to_owned(),
            plugin: "echo".to_owned(),
            endpoint: "main".to_owned(),
            title: None,
            description: None,
            input_schema: Any(json!({"type": "object"}).as_object().cloned().unwrap()),
            output_schema: None,
            required_scopes: vec!["echo:use".to_owned()],
        };
        raw(200, "application/json", super::catalogue(vec![tool]))
    }
}

async fn ask(request: poem::RequestBuilder) -> (StatusCode, String, String) {
    let service = poem::Route::new().nest("/", Api::new(Arc::new(Mirror)).service());
    let response = service.get_response(request.finish()).await;
    let kind = response.content_type().unwrap_or_default().to_owned();
    (response.status(), kind, response.into_body().into_string().await.unwrap())
}

fn get(path: &'static str) -> poem::RequestBuilder {
    Request::builder().uri(http::Uri::from_static(path))
}

#[tokio::test]
async fn an_answer_keeps_its_status_its_type_and_its_bytes() {
    let cases = [
        ("/.well-known/oauth-authorization-server", 200, "application/json; charset=UTF-8", "{ \"issuer\" : \"x\" }\n"),
        ("/.well-known/openid-configuration", 503, "application/json", "{}"),
        ("/.well-known/oauth-protected-resource", 200, "application/json", "None"),
        (
            "/.well-known/oauth-protected-resource/web-search/m%20cp?x=1",
            200,
            "application/json",
            "Some(\"/web-search/m%20cp\")",
        ),
        ("/healthz", 200, "application/json; charset=utf-8", "{\"status\":\"ok\"}"),
        (
            "/readyz",
            503,
            "application/json; charset=utf-8",
            "{\"ready\":false,\"configuration\":{\"state\":\"current\"},\"plugins\":{\"web-search\":{\"state\":\"starting\",\"warnings\":[\"w\"]}}}",
        ),
        (
            "/api/tools",
            200,
            "application/json",
            "{\"tools\":[{\"tool\":\"echo\",\"plugin\":\"echo\",\"endpoint\":\"main\",\"input_schema\":{\"type\":\"object\"},\
             \"required_scopes\":[\"echo:use\"]}]}",
        ),
    ];
    for (path, status, kind, body) in cases {
        let expected = (StatusCode::from_u16(status).unwrap(), kind.to_owned(), body.to_owned());
        assert_eq!(ask(get(path)).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_registration_reaches_the_backend_unread() {
    for body in ["{\"redirect_uris\": [] }", "no json at all", ""] {
        let request = get("/oauth/register").method(Method::POST).content_type("application/json").body(body);
        let service = Api::new(Arc::new(Mirror)).service();
        let response = poem::Route::new().nest("/", service).get_response(request).await;
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.headers()["x-was"], "application/json");
        assert_eq!(response.into_body().into_string().await.unwrap(), body);
    }
}

#[tokio::test]
async fn a_refused_caller_gets_the_refusal_as_it_is() {
    let answer = ask(get("/api/tools").header(header::AUTHORIZATION, "Bearer x")).await;
    assert_eq!(
        answer,
        (StatusCode::UNAUTHORIZED, "application/json".to_owned(), "{\"error\":\"invalid_token\"}".to_owned())
    );
}
