//! The stand-in authorization server does what the tests built on it take for granted.

use serde_json::{Value, json};
use toolgate_tests::authority::{Authority, CLIENT_ID, CLIENT_SECRET, Place, Reply, SigningKey};

async fn json_at(url: String) -> (u16, Value) {
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn it_serves_metadata_at_one_place_at_a_time() {
    let authority = Authority::scalekit("res_1").await;
    let at = |place| format!("{}{}", authority.url(), authority.path_of(place));
    let (status, metadata) = json_at(at(Place::OauthInserted)).await;
    assert_eq!((status, &metadata), (200, &authority.metadata()));
    assert_eq!(metadata["issuer"], format!("{}/resources/res_1", authority.url()));
    assert_eq!(json_at(at(Place::OauthAppended)).await.0, 404);
    authority.publish_metadata(Place::OauthAppended, &metadata);
    assert_eq!(json_at(at(Place::OauthInserted)).await.0, 404);
    assert_eq!(json_at(at(Place::OauthAppended)).await, (200, metadata));
    assert_eq!(authority.asked(&authority.path_of(Place::OauthInserted)), 2);
}

#[tokio::test]
async fn it_publishes_the_keys_that_it_signs_with() {
    let authority = Authority::generic("/tenant").await;
    let keys = format!("{}{}", authority.url(), authority.keys_path());
    assert_eq!(json_at(keys.clone()).await.1["keys"], json!([SigningKey::rsa("key-1").jwk()]));
    let new = SigningKey::ec("key-2");
    authority.add_key(new.clone());
    assert_eq!(json_at(keys.clone()).await.1["keys"].as_array().unwrap().len(), 2);
    authority.rotate(new.clone());
    assert_eq!(json_at(keys).await.1["keys"], json!([new.jwk()]));
    assert_eq!(authority.key().kid.as_deref(), Some("key-2"));
}

#[tokio::test]
async fn it_goes_down_and_comes_back_on_the_same_port() {
    let authority = Authority::generic("").await;
    let keys = format!("{}/jwks", authority.url());
    // A connection that is kept open must break as well.
    let client = reqwest::Client::new();
    assert!(client.get(&keys).send().await.is_ok());
    authority.go_down().await;
    assert!(client.get(&keys).send().await.is_err());
    authority.come_up().await;
    assert_eq!(client.get(&keys).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn it_introspects_for_its_own_client_alone() {
    let authority = Authority::generic("").await;
    authority.activate("t1", &json!({ "sub": "u" }));
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let ask = async |token: &str, id: &str, secret: &str| {
        let request = reqwest::Client::new().post(format!("{}/introspect", authority.url()));
        let response = request.basic_auth(encoded(id), Some(encoded(secret))).form(&[("token", token)]);
        let response = response.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    assert_eq!(ask("t1", CLIENT_ID, CLIENT_SECRET).await, (200, json!({ "active": true, "sub": "u" })));
    assert_eq!(ask("t2", CLIENT_ID, CLIENT_SECRET).await, (200, json!({ "active": false })));
    assert_eq!(ask("t1", CLIENT_ID, "x").await.0, 401);
}

#[tokio::test]
async fn it_registers_clients_and_can_be_told_to_fail() {
    let authority = Authority::scalekit("res_1").await;
    let endpoint = authority.metadata()["registration_endpoint"].as_str().unwrap().to_owned();
    let post = async || {
        let request = reqwest::Client::new().post(&endpoint).json(&json!({ "client_name": "x" }));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (status, client) = post().await;
    assert_eq!((status, &client["client_id"]), (201, &json!("m2m_3001")));
    authority.reply("/api/v1/resources/res_1/clients:register", Reply::status(500));
    assert_eq!(post().await.0, 500);
}
