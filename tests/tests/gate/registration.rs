//! Registration as real clients do it: what the API description says of it, and what is answered.

use serde_json::{Value, json};
use toolgate_tests::server::{Launch, Server};

use crate::{
    house::{client, config, tools},
    reply::Reply,
};

/// Where clients of all kinds want to be answered.
const REDIRECT_URIS: [&str; 40] = [
    "https://claude.ai/api/mcp/auth_callback",
    "https://claude.com/api/mcp/auth_callback",
    "https://chatgpt.com/connector_platform_oauth_redirect",
    "https://vscode.dev/redirect",
    "https://insiders.vscode.dev/redirect",
    "https://oauth.pstmn.io/v1/callback",
    "https://raycast.com/redirect?packageName=Extension",
    "https://example-corp.app.n8n.cloud/rest/oauth2-credential/callback",
    "https://global.consent.azure-apim.net/redirect/example-5f6a",
    "https://203.0.113.7/cb",
    "https://[2001:db8::7]/cb",
    "https://Client.example/cb",
    "https://client.xn--p1ai/cb",
    "https://xn--bcher-kva.example/cb",
    "http://localhost:10000/docs/oauth-receiver.html",
    "http://localhost:6274/oauth/callback",
    "http://localhost:6274/oauth/callback/debug",
    "http://localhost:54545/callback",
    "http://localhost:3334/oauth/callback",
    "http://localhost:63342/callback",
    "http://localhost:65535/callback",
    "http://127.0.0.1:19876/mcp/oauth/callback",
    "http://127.0.0.1:33418/",
    "http://127.0.0.1:1455/auth/callback",
    "http://127.0.0.1:49152/oauth/callback/2f0c2a",
    "http://[::1]:33418/",
    "http://127.0.0.1/",
    "http://localhost/",
    "http://localhost",
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "cursor://anysphere.cursor-retrieval/oauth/user-web-search/callback",
    "vscode://vscode.github-authentication/did-authenticate",
    "vscode-insiders://publisher.extension/callback?window=1",
    "windsurf://a/b",
    "zed://x/y",
    "warp://mcp/oauth2callback",
    "goose://oauth/callback",
    "myapp://cb",
    "com.raycast:/oauth?package_name=Extension",
    "com.example.app:/oauth2redirect",
];

/// What is refused, whoever asks.
const REFUSED: [&str; 15] = [
    "http://client.example/cb",
    "http://localhost:65536/cb",
    "https://client.example/cb#fragment",
    "https://user@client.example/cb",
    "https://client.example:443443/cb",
    "javascript:alert(1)",
    "intent://scan/#Intent;end",
    "shell:startup",
    "ms-cxh-full://0",
    "search:query=x",
    "java:x",
    "itms://x",
    "chrome-extension://x/y",
    "x-apple.systempreferences:x",
    "/cb",
];

fn registration(redirect_uri: &str) -> Value {
    json!({
        "client_name": "A client", "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
    })
}

async fn register(server: &Server, registration: &Value) -> Reply {
    let request = client().post(format!("{}/oauth/register", server.url())).json(registration);
    Reply::of(request.send().await.expect("an answer")).await
}

async fn server() -> Server {
    Launch::new(&config("", &format!("[auth]\nprovider = \"dev\"\n{}", tools("")))).start().await
}

/// Whether the API description has a registration as one that can be sent.
async fn described(server: &Server) -> jsonschema::Validator {
    let request = client().get(format!("{}/openapi.json", server.url()));
    let document = Reply::of(request.send().await.expect("an answer")).await.json();
    let schema = document["components"]["schemas"]["ClientMetadata"].clone();
    assert!(schema["properties"]["redirect_uris"]["items"]["anyOf"].is_array(), "{schema}");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

#[tokio::test]
async fn redirect_uris_of_real_clients_are_described_and_registered() {
    let server = server().await;
    let described = described(&server).await;
    for uri in REDIRECT_URIS {
        let asked = registration(uri);
        assert!(described.is_valid(&asked), "{uri} does not fit what is described");
        let reply = register(&server, &asked).await;
        assert_eq!((reply.status, &reply.json()["redirect_uris"][0]), (201, &json!(uri)), "{uri}: {reply:?}");
    }
    for uri in REFUSED {
        let asked = registration(uri);
        assert!(!described.is_valid(&asked), "{uri} fits what is described");
        let reply = register(&server, &asked).await;
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_redirect_uri")), "{uri}: {reply:?}");
    }
}

#[tokio::test]
async fn a_registration_keeps_no_more_than_it_may() {
    let server = server().await;
    let described = described(&server).await;
    let sound = registration("http://127.0.0.1:33418/");
    let with = |name: &str, value: Value| {
        let mut registration = sound.clone();
        registration[name] = value;
        registration
    };
    // what is large, and the status
    let cases = [
        (with("redirect_uris", json!(vec!["https://client.example/cb"; 16])), 201),
        (with("redirect_uris", json!(vec!["https://client.example/cb"; 17])), 400),
        (registration(&format!("https://client.example/{}", "a".repeat(489))), 201),
        (registration(&format!("https://client.example/{}", "a".repeat(490))), 400),
        (with("logo_uri", json!("a".repeat(512))), 201),
        (with("logo_uri", json!("a".repeat(513))), 400),
        (with("contacts", json!(vec!["a".repeat(128); 8])), 201),
        (with("contacts", json!(vec!["a".repeat(128); 9])), 400),
        (with("contacts", json!(["a".repeat(129)])), 400),
    ];
    for (asked, status) in cases {
        let reply = register(&server, &asked).await;
        assert_eq!((reply.status, described.is_valid(&asked)), (status, status == 201), "{asked}: {reply:?}");
    }
    // What nobody asks for is not kept, but it would have to be read.
    for (length, status) in [(15_000, 201), (17_000, 413), (70_000, 413)] {
        let reply = register(&server, &with("other", json!("a".repeat(length)))).await;
        assert_eq!(reply.status, status, "{length}: {reply:?}");
    }
}
