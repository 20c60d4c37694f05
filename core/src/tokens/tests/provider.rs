//! Who may be spoken to, and how.

use url::Url;

use crate::tokens::{
    ProviderClient, Unreachable,
    provider::{may_be_asked, may_lead_to},
};

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[test]
fn a_server_elsewhere_leads_nowhere_on_this_machine() {
    for (issuer, place, may) in [
        ("https://as.example", "https://keys.example/jwks", true),
        ("https://as.example", "http://as.example/jwks", false),
        ("https://as.example", "http://127.0.0.1:8080/jwks", false),
        ("https://as.example", "https://localhost/jwks", false),
        ("https://as.example", "https://[::1]/jwks", false),
        ("http://127.0.0.1:9000", "http://localhost:9001/jwks", true),
        ("http://127.0.0.1:9000", "https://keys.example/jwks", true),
        ("http://127.0.0.1:9000", "http://keys.example/jwks", false),
        ("http://127.0.0.1:9000", "file:///etc/passwd", false),
    ] {
        assert_eq!(may_lead_to(&url(issuer), &url(place)), may, "{issuer} names {place}");
    }
    assert!(!may_be_asked(&url("https://user@as.example")));
}

#[tokio::test]
async fn a_closed_port_is_no_answer_in_the_clear_and_over_tls() {
    let client = ProviderClient::new();
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for place in [format!("http://127.0.0.1:{port}/keys"), format!("https://127.0.0.1:{port}/keys")] {
        let answer = client.fetch(&url(&place)).await;
        assert!(matches!(answer, Err(Unreachable::NoAnswer { .. })), "{place}: {answer:?}");
    }
}
