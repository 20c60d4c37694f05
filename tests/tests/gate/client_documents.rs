//! Clients that their metadata document describes, against the real binary: the switch for documents of this machine,
//! what leaves the server, and what outlives it.

use std::net::TcpListener;

use serde_json::{Value, json};
use tempfile::TempDir;
use toolgate_tests::{
    authority::{Authority, Reply as Scripted},
    server::{Launch, Server},
};

use crate::{
    house::{Face, PATH, call_with, client, config, tools},
    outside::{CALLBACK, Identity, Outside, Proxy},
    reply::Reply,
};

const OPEN: &str = "[auth]\nprovider = \"dev\"\n[auth.dev]\nclient_metadata_from_loopback = true\n";
const DOCUMENT: &str = "/client.json";
/// One that outlives the port.
const PUBLIC_URL: &str = "http://localhost:4711";

/// A client's site, with its document.
async fn site() -> (Authority, String) {
    let site = Authority::generic("").await;
    let client_id = format!("{}{DOCUMENT}", site.url());
    let document = json!({
        "client_id": client_id, "client_name": "Editor", "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
    });
    site.reply(DOCUMENT, Scripted::json(&document));
    (site, client_id)
}

async fn metadata(server: &Server) -> Value {
    let request = client().get(format!("{}/.well-known/oauth-authorization-server", server.url()));
    Reply::of(request.send().await.expect("an answer")).await.json()
}

fn outside(server: &Server, public_url: impl Into<String>) -> Outside<'_> {
    Outside { server, public_url: public_url.into(), proxy: Proxy::Keeps }
}

/// What the authorization endpoint answers to a client id alone.
async fn authorize(server: &Server, client_id: &str) -> Reply {
    let request = client().get(format!("{}/dev/auth/authorize", server.url())).query(&[("client_id", client_id)]);
    Reply::of(request.send().await.expect("an answer")).await
}

#[tokio::test]
async fn a_client_of_this_machine_signs_in_by_its_document_past_any_proxy() {
    let (site, client_id) = site().await;
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    proxy.set_nonblocking(true).expect("a socket that does not wait");
    let through = format!("http://{}", proxy.local_addr().expect("its address"));
    let mut launch = Launch::new(&config("", &format!("{OPEN}{}", tools(""))));
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        launch = launch.env(name, &through);
    }
    let server = launch.start().await;
    let metadata = metadata(&server).await;
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
    let signed_in =
        outside(&server, server.public_url()).sign_in(&metadata, Identity::Document(&client_id), None).await;
    assert_eq!((signed_in.client_id.as_str(), site.asked(DOCUMENT)), (&*client_id, 1));
    let reply = call_with(&server, Face::Mcp, "read", signed_in.access_token()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let record = server.audited(reply.request_id()).await;
    assert_eq!((&record["client_id"], &record["principal"]["subject"]), (&json!(client_id), &json!("ada")), "{record}");
    let asked = site.log().into_iter().find(|asked| asked.path == DOCUMENT).expect("it was asked");
    assert_eq!((asked.method.as_str(), asked.authorization), ("GET", None));
    // Who connected would be in the queue by now.
    let nobody = proxy.accept().expect_err("nothing goes through a proxy, which would resolve names by itself");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn the_server_asks_itself_for_no_document_whatever_it_is_called() {
    let lines = format!("public_url = {PUBLIC_URL:?}");
    let server = Launch::new(&config(&lines, &format!("{OPEN}{}", tools("")))).start().await;
    let port = server.address().port();
    for ours in [PUBLIC_URL.to_owned(), format!("http://127.0.0.1:{port}"), format!("http://app.localhost:{port}")] {
        let reply = authorize(&server, &format!("{ours}/dev/auth/jwks")).await;
        let html = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(reply.status == 400 && html.contains("names this server itself"), "{ours}: {html}");
    }
}

#[tokio::test]
async fn without_the_switch_nothing_of_this_machine_is_fetched_and_the_page_names_the_key() {
    let (site, client_id) = site().await;
    let server = Launch::new(&config("", &format!("[auth]\nprovider = \"dev\"\n{}", tools("")))).start().await;
    let port = site.url().rsplit_once(':').expect("a port").1.to_owned();
    for client_id in [
        client_id,
        format!("http://localhost:{port}{DOCUMENT}"),
        format!("https://localhost:{port}{DOCUMENT}"),
        format!("http://[::ffff:127.0.0.1]:{port}{DOCUMENT}"),
        format!("http://2130706433:{port}{DOCUMENT}"),
    ] {
        let reply = authorize(&server, &client_id).await;
        let html = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!((reply.status, reply.header("location")), (400, None), "{client_id}: {reply:?}");
        assert!(html.contains("set client_metadata_from_loopback = true in [auth.dev]."), "{client_id}: {html}");
    }
    // A name that somebody made lead here is no name of this machine, with or without the switch.
    let switched = Launch::new(&config("", &format!("{OPEN}{}", tools("")))).start().await;
    for server in [&server, &switched] {
        for client_id in ["http://client.example/c", "https://10.0.0.1/c", "https://169.254.169.254/latest/meta-data"] {
            assert_eq!(authorize(server, client_id).await.status, 400, "{client_id}");
        }
    }
    assert_eq!(site.log().len(), 0);
}

#[tokio::test]
async fn the_switch_is_not_for_a_server_that_others_reach() {
    let auth = format!("{OPEN}allow_public = true\n");
    let text = config("public_url = \"https://mcp.example.com\"", &format!("{auth}{}", tools("")));
    let finished = Launch::new(&text).run().await;
    assert_eq!(finished.code(), Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("auth.dev.client_metadata_from_loopback"), "{finished:#?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_described_client_refreshes_after_the_server_was_killed_and_its_site_is_gone() {
    let (site, client_id) = site().await;
    let state = TempDir::new().expect("a folder");
    let lines = format!("public_url = {PUBLIC_URL:?}\nstate_dir = {:?}", state.path());
    let text = config(&lines, &format!("{OPEN}persist = true\n{}", tools("")));
    let server = Launch::new(&text).start().await;
    let metadata = metadata(&server).await;
    let signed_in = outside(&server, PUBLIC_URL).sign_in(&metadata, Identity::Document(&client_id), None).await;
    server.signal("KILL").await;
    server.ended().await;
    site.go_down().await;

    let server = Launch::new(&text).start().await;
    let refresh_token = signed_in.tokens["refresh_token"].as_str().expect("a refresh token");
    let form = [("grant_type", "refresh_token"), ("client_id", &*client_id), ("refresh_token", refresh_token)];
    let request = client().post(format!("{}/dev/auth/token", server.url())).form(&form);
    let refreshed = Reply::of(request.send().await.expect("an answer")).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    let token = refreshed.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(outside(&server, PUBLIC_URL).call(&format!("{PUBLIC_URL}{PATH}"), Some(&token)).await.status, 200);
    assert_eq!(site.asked(DOCUMENT), 1);
    // Signing in anew needs the document.
    let reply = authorize(&server, &client_id).await;
    assert_eq!(reply.status, 400, "{reply:?}");
}
