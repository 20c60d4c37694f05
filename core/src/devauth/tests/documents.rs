//! Signing in as a client that its metadata document describes.

use super::*;
use crate::devauth::documents::tests::site::{Reply, Site};

fn open() -> Settings {
    Settings { loopback_documents: true, ..settings() }
}

/// The client that a site's document describes.
fn described(site: &Site) -> Registered {
    Registered { id: site.url("/client.json"), secret: None }
}

async fn page(server: &Server, parameters: &Pairs<'_>) -> (StatusCode, String) {
    let response = server.authorize(parameters).await;
    assert!(response.headers().get(header::LOCATION).is_none(), "not a redirect");
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_described_client_signs_in_and_refreshes_without_its_document_being_fetched_again() {
    let server = Server::with(open()).await;
    let site = Site::plain(Reply::document()).await;
    let client = described(&site);
    let tokens = server.sign_in(&client).await;
    assert_eq!(site.requests(), 1);
    let claims = verified(&server, &text(&tokens, "access_token")).1;
    assert_eq!((&claims["client_id"], &claims["sub"]), (&json!(client.id), &json!("ada")));

    // Its site may go away: what it may have was settled at the sign-in.
    site.reply(Reply::json("500 Internal Server Error", "", "{}"));
    let (status, next) = server.refresh(&client, &text(&tokens, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{next}");
    let (_, body) = server.refresh(&client, &text(&tokens, "refresh_token")).await;
    assert_eq!(body["error"], "invalid_grant", "rotated like any other");
    let form = [("token", text(&next, "access_token")), ("client_id", client.id.clone())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(server.post("/revoke", &form).await.0, StatusCode::OK);
    assert_eq!(site.requests(), 1, "the token endpoint reaches nobody");
}

#[tokio::test]
async fn a_described_client_refreshes_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let persistent = || Settings { state_dir: Some(folder.path().join("state")), ..open() };
    let site = Site::plain(Reply::document()).await;
    let client = described(&site);
    let tokens = Server::with(persistent()).await.sign_in(&client).await;
    let after = Server::with(persistent()).await;
    let (status, next) = after.refresh(&client, &text(&tokens, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{next}");
    assert_eq!(site.requests(), 1);

    // With the switch off, what it let in is not served any more.
    let closed = Server::with(Settings { loopback_documents: false, ..persistent() }).await;
    let (status, body) = closed.refresh(&client, &text(&next, "refresh_token")).await;
    assert_eq!((status, &body["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
    assert!(text(&body, "error_description").contains("set loopback = true"), "{body}");
}

#[tokio::test]
async fn a_described_client_that_does_not_ask_for_refresh_tokens_gets_none() {
    let server = Server::with(open()).await;
    let site = Site::plain(Reply::with("\"grant_types\":[\"authorization_code\"]")).await;
    assert!(server.sign_in(&described(&site)).await.get("refresh_token").is_none());
}

#[tokio::test]
async fn a_described_client_has_no_secret_and_signs_in_people_alone() {
    let server = Server::with(open()).await;
    let site = Site::plain(Reply::document()).await;
    let client = described(&site);
    // what is wrong, the changes to a sound redemption, status, error
    let cases: [(&str, Pairs<'_>, u16, &str); 5] = [
        ("a secret", vec![("client_secret", "x")], 401, "invalid_client"),
        ("a machine's grant", vec![("grant_type", "client_credentials")], 400, "unauthorized_client"),
        ("an unknown code", vec![("code", "nonsense")], 400, "invalid_grant"),
        ("another client", vec![("client_id", "https://other.example/client.json")], 400, "invalid_grant"),
        (
            "a client id that is no place for a document",
            vec![("client_id", "http://a.example/c")],
            401,
            "invalid_client",
        ),
    ];
    for (what, changes, status, error) in cases {
        let code = server.code(&request(&client)).await;
        let (got, body) = server.token(&changed(redemption(&client, &code), &changes)).await;
        assert_eq!((got.as_u16(), body["error"].as_str().unwrap_or_default()), (status, error), "{what}: {body}");
    }
    let (status, body) = server.post("/introspect", &[("token", "x"), ("client_id", &client.id)]).await;
    assert_eq!((status, &body["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
    let basic = server.http.post(server.url("/token")).basic_auth(client.id.replace(':', "%3A"), Some("x"));
    let response = basic.form(&[("grant_type", "authorization_code")]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_redirect_uris_are_those_of_the_document() {
    let server = Server::with(open()).await;
    let site = Site::plain(Reply::document()).await;
    let client = described(&site);
    for (redirect_uri, good) in [
        (CALLBACK, true),
        ("http://127.0.0.1:50123/callback", true),
        ("https://editor.example/cb", true),
        ("https://editor.example/cb/", false),
        ("https://evil.example/cb", false),
        ("http://localhost:7777/callback", false),
        ("", false),
    ] {
        let (status, html) = page(&server, &changed(request(&client), &[("redirect_uri", redirect_uri)])).await;
        assert_eq!(status == StatusCode::OK, good, "{redirect_uri}");
        let told =
            html.contains("that its document does not list") && html.contains(&format!("<code>{redirect_uri}</code>"));
        assert_eq!(told, !good && !redirect_uri.is_empty(), "{redirect_uri}: {html}");
    }
    // Wrong in another way, it is told to the client, whose address is known to be its own.
    let back = answer(&server.authorize(&changed(request(&client), &[("scope", "nothing:here")])).await);
    assert_eq!((back["error"].as_str(), &back["iss"]), ("invalid_scope", &server.issuer));
}

#[tokio::test]
async fn a_document_that_is_of_no_use_gives_a_page_that_says_why() {
    let server = Server::with(open()).await;
    let site = Site::plain(Reply::json("404 Not Found", "", "{}")).await;
    let client = described(&site);
    let (status, html) = page(&server, &request(&client)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(html.contains("answers 404 and not 200."), "{html}");
    assert!(html.contains(&client.id), "{html}");
    site.reply(Reply::with("\"client_secret\":\"s3cret\""));
    let (_, html) = page(&server, &request(&client)).await;
    assert!(html.contains("&#34;client_secret&#34;") && !html.contains("s3cret"), "{html}");
    site.reply(Reply::with("\"token_endpoint_auth_method\":\"<script>alert(1)</script>\u{202e}\""));
    let (_, html) = page(&server, &request(&client)).await;
    assert!(!html.contains("<script") && !html.contains('\u{202e}'), "{html}");
    site.reply(Reply::document());
    assert_eq!(server.authorize(&request(&client)).await.status(), StatusCode::OK, "mended, it works at once");

    let closed = Server::start().await;
    let before = site.connections();
    let (status, html) = page(&closed, &request(&client)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(html.contains("while you develop a client, set loopback = true."), "{html}");
    for (client_id, said) in [
        ("https://10.0.0.1/client.json", "not public (private)"),
        ("https://user@client.example/c", "holds a user name"),
        ("ftp://client.example/c", "not an https URL"),
        (&*format!("{}/client.json", closed.issuer), "names this machine"),
    ] {
        let (status, html) = page(&closed, &vec![("client_id", client_id)]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(html.contains(said), "{client_id}: {html}");
    }
    assert_eq!(site.connections(), before);
    for ours in [server.issuer.clone(), server.issuer.replace("127.0.0.1", "localhost")] {
        let (_, html) = page(&server, &vec![("client_id", &*format!("{ours}/authorize?client_id=x"))]).await;
        assert!(html.contains("names this server itself"), "{ours}: {html}");
    }
}

#[tokio::test]
async fn the_page_for_a_described_client_names_who_vouches_and_where_the_answer_goes() {
    let server = Server::with(open()).await;
    let image = "https://editor.example/logo.png";
    let members = format!("\"logo_uri\":\"{image}\",\"client_uri\":\"https://editor.example\"");
    let site = Site::plain(Reply::with(&members)).await;
    let consent = server.consent(&request(&described(&site))).await;
    let host = format!("Described by <strong>localhost:{}</strong>, on this computer", site.port());
    for part in [
        &*host,
        "<strong>127.0.0.1:7777</strong>, a program on this computer",
        "Any program on this computer could be listening at 127.0.0.1:7777.",
        "a document on this computer, which vouches for nobody",
    ] {
        assert!(consent.html.contains(part), "{part}: {}", consent.html);
    }
    assert!(!consent.html.contains(image) && !consent.html.contains("<img"), "nothing of the client's is loaded");
    assert!(!consent.html.contains("It registered"), "{}", consent.html);
}

#[tokio::test]
async fn metadata_says_that_documents_are_read() {
    let server = Server::start().await;
    assert_eq!(server.auth.oauth_metadata()["client_id_metadata_document_supported"], true);
    assert_eq!(server.auth.openid_configuration()["client_id_metadata_document_supported"], true);
}
