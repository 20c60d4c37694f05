//! The consent page: what it tells of a client, what it remembers, and what stepping up looks like.

use super::*;
use crate::devauth::{
    documents::tests::site::{Reply, Site},
    ledger::Origin,
};

/// The cookies that an answer sets, by name.
fn set_cookies(response: &Response) -> HashMap<String, String> {
    let lines = response.headers().get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    lines.map(|line| line.split_once('=').unwrap()).map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

/// The page that a browser gets with these cookies.
async fn page_for(server: &Server, cookies: &str, parameters: &Pairs<'_>) -> String {
    let request = server.http.get(server.url("/authorize")).query(parameters);
    let response = request.header(header::COOKIE, format!("a=b; {cookies}")).send().await.unwrap();
    response.text().await.unwrap()
}

/// Allows this as somebody, redeems the code, and gives the cookies that the browser has then.
async fn allow(server: &Server, parameters: &Pairs<'_>, user: &str, scopes: &[&str]) -> String {
    let consent = server.consent(parameters).await;
    let mut fields = vec![("user", user), ("decision", "allow")];
    fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
    let decided = server.decide(&consent, &fields).await;
    let client = parameters.iter().find(|(name, _)| *name == "client_id").unwrap().1;
    let client = Registered { id: client.to_owned(), secret: None };
    assert_eq!(server.redeem(&client, &answer(&decided)["code"]).await.0, StatusCode::OK);
    let kept =
        set_cookies(&decided).into_iter().filter(|(name, _)| ["devauth-user", "devauth-browser"].contains(&&**name));
    kept.map(|(name, rest)| format!("{name}={}", rest.split(';').next().unwrap())).collect::<Vec<_>>().join("; ")
}

/// The part of the page from one text to the next.
fn between<'a>(html: &'a str, from: &str, to: &str) -> &'a str {
    let start = html.find(from).unwrap_or_else(|| panic!("no {from:?} in {html}"));
    let part = &html[start..];
    &part[..part.find(to).unwrap_or_else(|| panic!("no {to:?} after {from:?} in {html}"))]
}

#[tokio::test]
async fn a_client_that_a_person_does_not_know_is_told_from_one_that_was_allowed_before() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let new = "This client is new here: it registered itself";
    let html = page_for(&server, "devauth-user=ada", &request(&client)).await;
    assert!(html.contains(&format!("{new} moments ago, and you have not")), "{html}");
    server.auth.advance(Duration::from_secs(3 * 3600));
    let html = page_for(&server, "devauth-user=ada", &request(&client)).await;
    assert!(html.contains(&format!("{new} 3 hours ago, and you have not")), "{html}");
    let mine = allow(&server, &request(&client), "ada", &["web-search:read"]).await;
    let html = page_for(&server, &mine, &request(&client)).await;
    assert!(!html.contains(new), "{html}");
    assert!(html.contains("It registered 3 hours ago, and you have allowed it in this browser before."), "{html}");
    // Who sends people here can sign in here as well, under any name, but not in their browsers.
    let other = server.public_client().await;
    let elsewhere = allow(&server, &request(&other), "ada", &["web-search:read"]).await;
    for html in [
        page_for(&server, "devauth-user=ada", &request(&client)).await,
        page_for(&server, "devauth-user=ada; devauth-browser=", &request(&client)).await,
        page_for(&server, &elsewhere, &request(&client)).await,
        server.consent(&request(&client)).await.html,
        page_for(&server, &mine, &request(&other)).await,
    ] {
        assert!(html.contains(new), "{html}");
    }
    server.auth.advance(Duration::from_secs(3601));
    assert!(page_for(&server, &mine, &request(&client)).await.contains(new), "what ended is forgotten");
}

#[tokio::test]
async fn nobody_is_sent_on_unasked_to_a_place_that_they_have_no_reason_to_trust() {
    let server = Server::start().await;
    let away = "https://client.example/cb?a=b&c=d".to_owned();
    let client = server
        .registered(json!({
            "redirect_uris": [away, "cursor://app/cb", CALLBACK], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        }))
        .await;
    let wrong = |redirect_uri| changed(request(&client), &[("redirect_uri", redirect_uri), ("scope", "admin:<all>")]);
    for (redirect_uri, place) in
        [(&*away, "<strong>client.example</strong>"), ("cursor://app/cb", "the application that opens cursor: links")]
    {
        let response = server.authorize(&wrong(redirect_uri)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{redirect_uri}");
        assert!(response.headers().get(header::LOCATION).is_none(), "{redirect_uri}");
        let html = response.text().await.unwrap();
        assert!(html.contains(place) && html.contains("invalid_scope") && !html.contains("<all>"), "{html}");
        // The way on is there to be taken, with what the client is owed.
        let link = between(&html, "<a href=\"", "\" rel=\"noreferrer\"").trim_start_matches("<a href=\"");
        let link = url::Url::parse(&link.replace("&#38;", "&").replace("&amp;", "&")).unwrap();
        assert!(link.as_str().starts_with(redirect_uri), "{link}");
        let given: HashMap<_, _> = link.query_pairs().into_owned().collect();
        assert_eq!((&*given["error"], &*given["state"], &given["iss"]), ("invalid_scope", "st&te=1", &server.issuer));
    }
    let response = server.authorize(&wrong(CALLBACK)).await;
    assert_eq!(answer(&response)["error"], "invalid_scope", "a program on this computer is told at once");

    // Who has allowed the client something, in this browser, is sent on.
    let mine =
        allow(&server, &changed(request(&client), &[("redirect_uri", &away)]), "ada", &["web-search:read"]).await;
    for (cookies, status) in [(&*mine, StatusCode::SEE_OTHER), ("devauth-user=ada", StatusCode::BAD_REQUEST)] {
        let request = server.http.get(server.url("/authorize")).query(&wrong(&away));
        let response = request.header(header::COOKIE, cookies).send().await.unwrap();
        assert_eq!(response.status(), status, "{cookies}");
    }
}

#[tokio::test]
async fn to_ask_without_a_persons_notice_leads_to_places_that_they_know_alone() {
    let server = Server::start().await;
    let client = server
        .registered(json!({ "redirect_uris": ["https://client.example/cb"], "token_endpoint_auth_method": "none" }))
        .await;
    let plain = changed(request(&client), &[("redirect_uri", "https://client.example/cb")]);
    let asked = changed(plain.clone(), &[("prompt", "none")]);
    let cases = [
        (asked.clone(), "login_required"),
        (changed(asked.clone(), &[("code_challenge", "")]), "invalid_request"),
        (changed(asked, &[("prompt", "login none")]), "login_required"),
    ];
    for (asked, error) in &cases {
        let response = server.authorize(asked).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{asked:?}");
        assert!(response.text().await.unwrap().contains(error), "{asked:?}");
    }
    let mine = allow(&server, &plain, "ada", &["web-search:read"]).await;
    for (asked, error) in &cases {
        let request = server.http.get(server.url("/authorize")).query(asked);
        let response = request.header(header::COOKIE, &mine).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{asked:?}");
        let answer = answer(&response);
        assert_eq!((&*answer["error"], &*answer["state"]), (*error, "st&te=1"), "{asked:?}");
    }
}

#[tokio::test]
async fn stepping_up_shows_what_is_new_and_what_is_held() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let mine = allow(&server, &request(&client), "ada", &["web-search:read"]).await;

    let html = page_for(&server, &mine, &request(&client)).await;
    assert!(html.contains("to do more with your tools?"), "{html}");
    let fresh = between(&html, "<legend>New: it asks for this as well", "</fieldset>");
    assert!(fresh.contains("value=\"web-search:write\" checked") && !fresh.contains("web-search:read"), "{fresh}");
    let held = between(&html, "<legend>Already allowed for <bdi>ada</bdi>", "</fieldset>");
    assert!(held.contains("value=\"web-search:read\" checked") && !held.contains("web-search:write"), "{held}");

    // Somebody else, another client, another resource: nothing is held.
    let other = server.public_client().await;
    for html in [
        page_for(&server, &mine.replace("user=ada", "user=grace"), &request(&client)).await,
        page_for(&server, "devauth-user=ada", &request(&client)).await,
        server.consent(&request(&client)).await.html,
        page_for(&server, &mine, &request(&other)).await,
    ] {
        assert!(html.contains("<legend>It may</legend>") && !html.contains("Already allowed"), "{html}");
    }
    server.auth.offer(settings().scopes, vec![RESOURCE.to_owned(), OTHER_RESOURCE.to_owned()]);
    let elsewhere = changed(request(&client), &[("resource", OTHER_RESOURCE)]);
    assert!(!page_for(&server, &mine, &elsewhere).await.contains("Already allowed"));

    // Nothing new: the same again.
    let again = changed(request(&client), &[("scope", "web-search:read"), ("resource", RESOURCE)]);
    let html = page_for(&server, &mine, &again).await;
    assert!(html.contains("Already allowed") && !html.contains("as well") && !html.contains("do more"), "{html}");
}

#[tokio::test]
async fn the_name_that_was_typed_is_remembered_in_that_browser_once_it_was_used() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let consent = server.consent(&request(&client)).await;
    assert!(consent.html.contains("value=\"dev-user\""), "{}", consent.html);
    let declined = server.decide(&consent, &[("user", "ada"), ("decision", "deny")]).await;
    assert!(!set_cookies(&declined).contains_key("devauth-user"));

    let consent = server.consent(&request(&client)).await;
    let allowed =
        server.decide(&consent, &[("user", "ada"), ("scope", "web-search:read"), ("decision", "allow")]).await;
    let cookies = set_cookies(&allowed);
    assert_eq!(cookies["devauth-user"], "ada; Path=/dev/auth; Max-Age=2592000; HttpOnly; SameSite=Lax");
    let (browser, rest) = cookies["devauth-browser"].split_once(';').unwrap();
    assert_eq!((browser.len(), rest), (43, " Path=/dev/auth; Max-Age=2592000; HttpOnly; SameSite=Lax"));
    assert_eq!(cookies.len(), 3, "and the transaction's own is taken away: {cookies:?}");
    let mut again = server.consent(&request(&client)).await;
    again.cookie = format!("{}; devauth-browser={browser}", again.cookie);
    let allowed = server.decide(&again, &[("user", "ada"), ("scope", "web-search:read"), ("decision", "allow")]).await;
    assert!(set_cookies(&allowed)["devauth-browser"].starts_with(browser), "a browser stays the same");
    let html = page_for(&server, "devauth-user=ada", &request(&client)).await;
    assert!(html.contains("value=\"ada\"") && html.contains("You were <bdi>ada</bdi> here last time."), "{html}");
    for forged in ["", "a b", "\"><script>", &"a".repeat(65), "%61", "ada;x"] {
        let html = page_for(&server, &format!("devauth-user={forged}"), &request(&client)).await;
        let expected = if forged == "ada;x" { "ada" } else { "dev-user" };
        assert!(html.contains(&format!("value=\"{expected}\"")) && !html.contains("<script"), "{forged}: {html}");
    }
}

#[tokio::test]
async fn over_https_the_cookies_can_be_set_by_this_host_alone() {
    // The server's own origin decides, for a proxy ends the TLS.
    let issuer = "https://mcp.example.com/tools/dev/auth".to_owned();
    let auth = DevAuth::open(Settings { issuer, ..settings() }).unwrap();
    let cookie = auth.transaction_cookie("abcdefghij", "secret", 600);
    let expected = "__Host-devauth-abcdefgh=secret; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure";
    assert_eq!(cookie, expected);
    assert_eq!(auth.visitor(&["devauth-user=eve; __Host-devauth-user=ada"]).user, Some("ada"));
    assert_eq!(auth.visitor(&["devauth-user=eve"]).user, None);
}

#[tokio::test]
async fn a_name_that_would_deceive_is_shown_as_what_it_is() {
    let server = Server::start().await;
    for (name, shown) in [
        ("Cla\u{200b}ude\u{202e}", "<bdi>Claude</bdi>"),
        ("\u{2066}Editor\u{2069}  Pro", "<bdi>Editor Pro</bdi>"),
        ("\u{200b}\u{3164}", "<bdi>An unnamed client</bdi>"),
        (&*"n".repeat(200), &*format!("<bdi>{}…</bdi>", "n".repeat(80))),
    ] {
        let client = server
            .registered(json!({
                "client_name": name, "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
            }))
            .await;
        let html = server.consent(&request(&client)).await.html;
        assert!(html.contains(shown), "{name:?}: {html}");
    }
}

#[tokio::test]
async fn a_form_that_must_be_mended_says_what_and_where() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let consent = server.consent(&request(&client)).await;
    let sent = [("user", "a b"), ("scope", "web-search:read"), ("decision", "allow")];
    let html = server.decide(&consent, &sent).await.text().await.unwrap();
    assert!(html.contains("<a href=\"#user\">A user name has"), "{html}");
    assert!(html.contains("aria-describedby=\"complaint user-hint\" aria-invalid=\"true\""), "{html}");
    assert!(html.contains("<title>Please correct the form: "), "{html}");
    let sent = [("user", "ada"), ("decision", "allow")];
    let html = server.decide(&consent, &sent).await.text().await.unwrap();
    assert!(html.contains("<a href=\"#scope-1\">Tick at least one") && html.contains("id=\"scope-1\""), "{html}");
    assert!(!html.contains("aria-invalid"), "{html}");
}

#[tokio::test]
async fn a_site_that_vouches_for_a_client_is_told_from_where_the_answer_goes() {
    // A document of the web cannot be fetched in a test of the whole server, so its page is made from what it left.
    let server = Server::with(Settings { loopback_documents: true, ..settings() }).await;
    let site = Site::plain(Reply::document()).await;
    let id = site.url("/client.json");
    let client = Registered { id: id.clone(), secret: None };
    let to = |redirect_uri| changed(request(&client), &[("redirect_uri", redirect_uri)]);
    server.consent(&to("https://editor.example/cb")).await;
    let mut pending = {
        let ledger = server.auth.ledger();
        let only = ledger.transactions.only().unwrap().clone();
        assert!(matches!(only.applicant.origin, Origin::Document(_)));
        only
    };
    let mine = allow(&server, &to("https://editor.example/cb"), "ada", &["web-search:read"]).await;
    let at = |host: &str| crate::devauth::documents::DocumentUrl::of(&format!("https://{host}/client.json"));
    for (vouches, redirect_uri, warned) in [
        ("editor.example", "https://editor.example/cb", None),
        ("other.example", "https://editor.example/cb", Some("goes to editor.example, not to other.example,")),
        (
            "editor.example:8443",
            "https://editor.example/cb",
            Some("goes to editor.example, not to editor.example:8443"),
        ),
        ("editor.example", "http://127.0.0.1:7/cb", Some("at 127.0.0.1:7; editor.example cannot know which")),
    ] {
        pending.applicant.origin = Origin::Document(at(vouches));
        redirect_uri.clone_into(&mut pending.redirect_uri);
        let page = |cookies: &str| {
            server.auth.consent_page(&server.auth.ledger(), "t", &pending, &server.auth.visitor(&[cookies]), None).html
        };
        let html = page("devauth-user=ada");
        assert!(html.contains("This client is new here: you have not"), "{html}");
        let html = page(&mine);
        assert!(html.contains(&format!("<strong>{vouches}</strong> vouches")), "{html}");
        assert_eq!(html.contains("class=\"note\""), warned.is_some(), "{vouches} {redirect_uri}: {html}");
        assert!(warned.is_none_or(|warned| html.contains(warned)), "{vouches} {redirect_uri}: {html}");
    }
}
