//! Where people sign in: what the document, its page, the root's documents and the banner say of each provider.

use serde_json::{Value, json};
use toolgate_tests::{
    authority::Authority,
    server::{Launch, Server},
};

use crate::{
    house::{House, Provider, RESOURCE_ID, client, config, oauth_auth, resource_line, tools},
    reply::Reply,
};

async fn get(server: &Server, path: &str) -> Reply {
    Reply::of(client().get(format!("{}{path}", server.url())).send().await.expect("an answer")).await
}

/// A security scheme of the document.
async fn scheme(server: &Server, name: &str) -> Value {
    get(server, "/openapi.json").await.json()["components"]["securitySchemes"][name].clone()
}

/// How the page signs in, by security scheme.
async fn sign_in(server: &Server) -> Value {
    let page = get(server, "/docs").await;
    let html = std::str::from_utf8(&page.body).expect("text");
    let (_, settings) = html.split_once("application/json\">").expect("settings");
    let (settings, _) = settings.split_once("</script>").expect("their end");
    serde_json::from_str::<Value>(settings).expect("JSON")["signIn"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_and_its_page_say_where_each_provider_signs_people_in() {
    for provider in Provider::ASKING {
        let house = House::of(provider).await;
        let (server, public) = (&house.server, house.server.public_url());
        let (base, issuer) = match provider {
            Provider::Dev => (format!("{public}/dev/auth"), Some(format!("{public}/dev/auth"))),
            Provider::Scalekit => (format!("{}/oauth", house.authority().issuer()), None),
            _ => (format!("{}/oauth", house.authority().issuer()), Some(house.authority().issuer())),
        };
        let flow = scheme(server, "oauth2").await["flows"]["authorizationCode"].clone();
        assert_eq!(flow["authorizationUrl"], format!("{base}/authorize"), "{provider:?}");
        assert_eq!(flow["tokenUrl"], format!("{base}/token"), "{provider:?}");
        assert_eq!(flow["scopes"]["web-search:read"], "Look", "{provider:?}");
        let how = sign_in(server).await["oauth2"].clone();
        assert_eq!(how["tokenUrl"], flow["tokenUrl"], "{provider:?}");
        assert_eq!(how["issuer"], json!(issuer), "{provider:?}");
        assert_eq!(how["registrationUrl"], "oauth/register", "{provider:?}");
        if provider != Provider::Dev {
            let policy = get(server, "/docs").await;
            let policy = policy.header("content-security-policy").expect("a policy").to_owned();
            assert!(policy.contains(&house.authority().url()), "{provider:?}: the page may ask for tokens: {policy}");
        }
    }
    let open = House::of(Provider::None).await;
    assert_eq!(scheme(&open.server, "oauth2").await, Value::Null);
    assert_eq!(sign_in(&open.server).await, json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_provider_is_out_of_reach_the_document_asks_for_a_bearer_token() {
    let authority = Authority::generic("/tenant").await;
    authority.go_down().await;
    let sections = format!("{}{}", oauth_auth(&authority), tools(&resource_line()));
    let server = Launch::new(&config("", &sections)).start().await;
    assert_eq!(scheme(&server, "oauth2").await, json!({ "type": "http", "scheme": "bearer" }));
    assert_eq!(sign_in(&server).await["oauth2"]["tokenUrl"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_at_the_root_is_the_default_endpoints_and_each_endpoint_has_its_own_provider() {
    let authority = Authority::generic("/tenant").await;
    let scalekit = Authority::scalekit(RESOURCE_ID).await;
    let others = format!(
        "[endpoints.trying]\npath = \"/trying\"\nplugins = [\"opening\"]\nauth = {{ provider = \"dev\" }}\n\
         [endpoints.staff]\npath = \"/staff\"\nplugins = [\"reading\"]\n\
         auth = {{ provider = \"scalekit\", environment_url = \"{}\", resource_id = \"{RESOURCE_ID}\" }}\n\
         [endpoints.more]\npath = \"/more\"\nplugins = [\"writing\"]\n\
         [endpoints.open]\npath = \"/open\"\nplugins = [\"opening\"]\nauth = {{ provider = \"none\" }}\n",
        scalekit.url()
    );
    let sections = format!("{}{}{others}", oauth_auth(&authority), tools("default = true"));
    let server = Launch::new(&config("", &sections)).start().await;

    let metadata = get(&server, "/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata, authority.metadata());
    let registration = json!({ "client_name": "a client", "redirect_uris": ["http://localhost/back"] });
    let request = client().post(format!("{}/oauth/register", server.url())).json(&registration);
    let registered = Reply::of(request.send().await.expect("an answer")).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    assert_eq!(authority.asked("/tenant/register"), 1);

    let dev = format!("{}/dev/auth", server.public_url());
    let at_scalekit = format!("{}/api/v1/resources/{RESOURCE_ID}/clients:register", scalekit.url());
    let how = sign_in(&server).await;
    let document = get(&server, "/openapi.json").await.json();
    for (endpoint, authorization, token, issuer, registration) in [
        (
            "web-search",
            format!("{}/oauth/authorize", authority.issuer()),
            format!("{}/oauth/token", authority.issuer()),
            json!(authority.issuer()),
            "oauth/register",
        ),
        (
            "more",
            format!("{}/oauth/authorize", authority.issuer()),
            format!("{}/oauth/token", authority.issuer()),
            json!(authority.issuer()),
            "oauth/register",
        ),
        ("trying", format!("{dev}/authorize"), format!("{dev}/token"), json!(dev), &format!("{dev}/register")),
        (
            "staff",
            format!("{}/oauth/authorize", scalekit.issuer()),
            format!("{}/oauth/token", scalekit.issuer()),
            Value::Null,
            &at_scalekit,
        ),
    ] {
        let scheme = format!("oauth2-{endpoint}");
        let flow = &document["components"]["securitySchemes"][&scheme]["flows"]["authorizationCode"];
        assert_eq!(
            (&flow["authorizationUrl"], &flow["tokenUrl"]),
            (&json!(authorization), &json!(token)),
            "{endpoint}"
        );
        let how = &how[&scheme];
        assert_eq!((&how["tokenUrl"], &how["issuer"]), (&json!(token), &issuer), "{endpoint}");
        assert_eq!(how["registrationUrl"], registration, "{endpoint}");
    }
    assert_eq!(how["oauth2-open"], Value::Null);

    let banner = server.terminate().await.stdout;
    for line in [
        format!("\n  sign-in   OAuth at {}\n", authority.issuer()),
        "/trying\n    sign-in dev, the embedded authorization server".to_owned(),
        format!("/staff\n    sign-in Scalekit at {}\n", scalekit.url()),
        "/open\n    sign-in none: every caller is anonymous".to_owned(),
    ] {
        assert!(banner.contains(&line), "{line:?} in {banner}");
    }
    assert!(!banner.contains("/more\n    sign-in"), "{banner}");
}
