//! What outlives a restart, what writing it holds up, and what a damaged state folder says.

use std::{fs, path::PathBuf};

use super::*;
use crate::devauth::OpenError;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("devauth-{}", opaque::name())))
    }

    fn settings(&self) -> Settings {
        Settings { state_dir: Some(self.0.clone()), ..settings() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn key_clients_grants_and_revocations_outlive_a_restart() {
    let folder = Folder::new();
    let before = Server::with(folder.settings()).await;
    let client = before.public_client().await;
    let machine = before.machine().await;
    let tokens = before.sign_in(&client).await;
    let ended = before.sign_in(&client).await;
    let form = [("token", text(&ended, "access_token")), ("client_id", client.id.clone())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(before.post("/revoke", &form).await.0, StatusCode::OK);

    let after = Server::with(folder.settings()).await;
    assert_eq!(before.auth.key_set(), after.auth.key_set());
    let ended_id = text(&verified(&after, &text(&ended, "access_token")).1, "jti");
    assert!(after.auth.is_revoked(&ended_id));
    let (status, next) = after.refresh(&client, &text(&tokens, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{next}");
    let secret = machine.secret.unwrap();
    let form = [("grant_type", "client_credentials"), ("client_id", &machine.id), ("client_secret", &secret)];
    assert_eq!(after.token(&form).await.0, StatusCode::OK);

    // The rotated token is known as such also after one more restart.
    let last = Server::with(folder.settings()).await;
    assert_eq!(last.refresh(&client, &text(&tokens, "refresh_token")).await.1["error"], "invalid_grant");
    let next_id = text(&verified(&last, &text(&next, "access_token")).1, "jti");
    assert!(last.auth.is_revoked(&next_id));
}

#[tokio::test]
async fn what_the_configuration_no_longer_knows_is_no_longer_granted() {
    let folder = Folder::new();
    let before = Server::with(folder.settings()).await;
    let client = before.public_client().await;
    let tokens = before.sign_in(&client).await;
    let fewer = vec![("web-search:read".to_owned(), String::new())];
    let after = Server::with(Settings { scopes: fewer, ..folder.settings() }).await;
    let (_, next) = after.refresh(&client, &text(&tokens, "refresh_token")).await;
    assert_eq!(next["scope"], "web-search:read");
    let elsewhere = vec![OTHER_RESOURCE.to_owned()];
    let moved = Server::with(Settings { resources: elsewhere, ..folder.settings() }).await;
    assert_eq!(moved.refresh(&client, &text(&next, "refresh_token")).await.1["error"], "invalid_target");
}

#[cfg(unix)]
#[tokio::test]
async fn the_state_is_for_its_owner_alone_and_holds_no_secret_but_the_key() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let server = Server::with(folder.settings()).await;
    let client = server.public_client().await;
    let secret = server.machine().await.secret.unwrap();
    let refresh_token = text(&server.sign_in(&client).await, "refresh_token");
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0), 0o700);
    let files: Vec<PathBuf> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
        let content = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!content.contains(&secret), "{file:?}");
        assert!(!content.contains(refresh_token.split_once('.').unwrap().1), "{file:?}");
    }
    assert!(!format!("{:?}", server.auth).contains("secret"));
}

#[tokio::test]
async fn damaged_state_stops_the_start_and_names_the_file() {
    for (file, content) in [
        ("signing-key.der", "nonsense"),
        ("clients.json", "{\"clients\": {\"a\": 1}}"),
        ("grants.json", "{\"grants\":"),
    ] {
        let folder = Folder::new();
        drop(Server::with(folder.settings()).await);
        fs::write(folder.0.join(file), content).unwrap();
        let issuer = "http://localhost:1/dev/auth".to_owned();
        let error = DevAuth::open(Settings { issuer, ..folder.settings() }).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, OpenError::Damaged { .. }), "{message}");
        assert!(
            message.contains(file) && message.contains("is damaged") && message.contains("; delete it"),
            "{message}"
        );
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for issuer in ["", "localhost", "ftp://a/b", "http://a/b?c", "http://a/b#c", "http://a/b/", "http://u@a/b"] {
        let refused = DevAuth::open(Settings { issuer: issuer.to_owned(), ..settings() });
        assert!(matches!(refused, Err(OpenError::Issuer(_))), "{issuer}");
    }
    let issuer = "http://localhost:1/dev/auth".to_owned();
    let refused = DevAuth::open(Settings { issuer, resources: vec![], ..settings() });
    assert!(matches!(refused, Err(OpenError::NoResource)));
    let file = Folder::new();
    fs::write(&file.0, "").unwrap();
    let refused = DevAuth::open(Settings { issuer: "http://localhost:1".to_owned(), ..file.settings() });
    assert!(matches!(refused, Err(OpenError::StateFile { .. })));
    fs::remove_file(&file.0).unwrap();
}

#[tokio::test]
async fn a_revocation_that_could_not_be_saved_is_saved_when_it_is_asked_for_again() {
    let folder = Folder::new();
    let server = Server::with(folder.settings()).await;
    let client = server.public_client().await;
    let tokens = server.sign_in(&client).await;
    let refresh_token = text(&tokens, "refresh_token");
    let form = [("token", refresh_token.as_str()), ("client_id", &client.id)];
    fs::remove_dir_all(&folder.0).unwrap();
    for _ in 0..2 {
        assert_eq!(server.post("/revoke", &form).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
    fs::create_dir(&folder.0).unwrap();
    assert_eq!(server.post("/revoke", &form).await.0, StatusCode::OK);
    let kept: Value = serde_json::from_slice(&fs::read(folder.0.join("grants.json")).unwrap()).unwrap();
    assert_eq!((kept["grants"].as_object().unwrap().len(), kept["revoked"].as_object().unwrap().len()), (0, 1));
}

#[tokio::test]
async fn a_slow_disk_holds_up_nobody_who_writes_nothing() {
    let folder = Folder::new();
    let server = Server::with(folder.settings()).await;
    let client = server.public_client().await;
    let machine = server.machine().await;
    let code = server.code(&request(&client)).await;
    let writing = server.auth.state_dir.as_ref().unwrap().hold_grants();
    let redemption = server.redeem(&client, &code);
    let others = async {
        while server.auth.ledger().grants.is_empty() {
            tokio::task::yield_now().await;
        }
        let secret = machine.secret.clone().unwrap();
        let form = [("grant_type", "client_credentials"), ("client_id", &machine.id), ("client_secret", &secret)];
        assert_eq!(server.token(&form).await.0, StatusCode::OK);
        server.public_client().await;
        server.consent(&request(&client)).await;
        drop(writing);
    };
    let both = async { tokio::join!(redemption, others) };
    let ((status, tokens), ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("nobody waits");
    assert_eq!(status, StatusCode::OK, "{tokens}");
}
