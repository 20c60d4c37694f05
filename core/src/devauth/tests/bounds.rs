//! How much is remembered, and who makes room when that is reached.

use super::*;
use crate::devauth::{
    client::Client,
    ledger::{
        Code, Grant, Ledger, MAX_CLIENTS, MAX_GRANTS, MAX_PENDING, MAX_REVOCATIONS, MAX_REVOCATIONS_OF_ONE, OfClient,
        Pending, Revocations,
    },
};

/// Something of a client.
struct Of(&'static str);

impl OfClient for Of {
    fn client_id(&self) -> &str {
        self.0
    }
}

fn client(issued_at: u64, last_used: u64) -> Client {
    Client { issued_at, last_used, ..Client::described() }
}

fn grant(client_id: &str, ends_at: u64) -> Grant {
    Grant {
        client_id: client_id.to_owned(),
        subject: "ada".to_owned(),
        scopes: vec![],
        resources: vec![],
        browser_digest: String::new(),
        code_digest: String::new(),
        refresh_digest: None,
        refreshed_at: 0,
        refresh_until: 0,
        access_until: ends_at,
    }
}

fn code(client_id: &str) -> Code {
    Code {
        client_id: client_id.to_owned(),
        redirect_uri: CALLBACK.to_owned(),
        code_challenge: CHALLENGE.to_owned(),
        subject: "ada".to_owned(),
        scopes: vec![],
        resources: vec![],
        refreshes: false,
        browser_digest: String::new(),
    }
}

#[test]
fn what_is_pending_is_taken_once_and_ends() {
    let mut pending = Pending::default();
    for key in ["a", "b", "c"] {
        pending.add(key.to_owned(), Of("client"), 0, 60);
    }
    assert!(pending.take("a", 1).is_some());
    assert!(pending.take("a", 1).is_none(), "taken once");
    assert!(pending.peek("b", 59).is_some());
    assert!(pending.peek("b", 60).is_none() && pending.take("b", 60).is_none(), "ended");
}

#[test]
fn sign_ins_without_number_push_out_those_of_the_same_client_alone() {
    let mut pending = Pending::default();
    pending.add("of another".to_owned(), Of("honest"), 0, 60);
    for n in 0..2 * MAX_PENDING {
        pending.add(n.to_string(), Of("greedy"), 0, 60);
    }
    assert!(pending.peek("of another", 1).is_some());
    let left = (0..2 * MAX_PENDING).filter(|n| pending.peek(&n.to_string(), 1).is_some()).count();
    assert_eq!(left, MAX_PENDING - 1);
    let newest = (2 * MAX_PENDING - 1).to_string();
    assert!(pending.peek(&newest, 1).is_some() && pending.peek("0", 1).is_none(), "the oldest left");
}

#[test]
fn registrations_without_number_push_out_no_client_that_is_in_use() {
    let mut ledger = Ledger::default();
    let now = 100;
    ledger.add_client("idle".to_owned(), client(50, 50), now);
    ledger.add_client("granted".to_owned(), client(0, 0), now);
    ledger.add_grant("grant".to_owned(), grant("granted", 1000), now);
    ledger.add_client("ended".to_owned(), client(0, 0), now);
    ledger.grants.insert("ended grant".to_owned(), grant("ended", now));
    ledger.add_client("signing in".to_owned(), client(0, 0), now);
    ledger.codes.add("code".to_owned(), code("signing in"), now, 60);
    ledger.add_client("machine".to_owned(), client(0, 1), now);
    for n in 0..2 * MAX_CLIENTS {
        ledger.add_client(n.to_string(), client(now, now), now);
        assert!(ledger.clients.len() <= MAX_CLIENTS);
    }
    let kept = ["idle", "granted", "ended", "signing in", "machine"].map(|id| ledger.clients.contains_key(id));
    assert_eq!(kept, [false, true, false, true, true]);
    assert!(ledger.clients.contains_key(&(2 * MAX_CLIENTS - 1).to_string()), "a new one is always taken");

    // Where all have been allowed something, the longest unused leaves.
    let mut ledger = Ledger::default();
    for n in 0..=MAX_CLIENTS as u64 {
        ledger.add_grant(n.to_string(), grant(&n.to_string(), 1000), 0);
        ledger.add_client(n.to_string(), client(0, if n == 7 { 0 } else { n + 1 }), 0);
    }
    assert!(ledger.clients.len() == MAX_CLIENTS && !ledger.clients.contains_key("7"));
}

#[test]
fn grants_without_number_push_out_those_of_the_same_client_alone() {
    let mut ledger = Ledger::default();
    ledger.add_grant("of another".to_owned(), grant("honest", 10), 0);
    for n in 0..MAX_GRANTS + 5 {
        ledger.add_grant(n.to_string(), grant("greedy", 100 + n as u64), 0);
    }
    assert_eq!(ledger.grants.len(), MAX_GRANTS);
    assert!(ledger.grants.contains_key("of another") && !ledger.grants.contains_key("0"));
    ledger.add_grant("later".to_owned(), grant("greedy", 1000), 50);
    assert!(!ledger.grants.contains_key("of another"), "what ended leaves in any case");
}

#[test]
fn a_revocation_is_refused_rather_than_another_forgotten() {
    let remembered = (0..MAX_REVOCATIONS).map(|n| (format!("{}.{n}", n / MAX_REVOCATIONS_OF_ONE), 100));
    let revocations = Revocations::restore(remembered.collect());
    assert!(!revocations.add_token("new.0".to_owned(), 100, 0));
    assert!(revocations.add_token("0.0".to_owned(), 100, 0), "it is remembered already");
    assert!(revocations.add_token("new.0".to_owned(), 200, 100), "there is room once the others expired");
    assert!(!revocations.holds("0.0"));
}

#[tokio::test]
async fn one_clients_revocations_leave_room_for_those_of_the_others() {
    let server = Server::start().await;
    let machine = server.machine().await;
    let secret = machine.secret.clone().unwrap();
    let by_machine = |form: &[(&'static str, String)]| {
        let own = [("client_id", machine.id.clone()), ("client_secret", secret.clone())];
        form.iter().cloned().chain(own).collect::<Vec<_>>()
    };
    let mut last = (StatusCode::OK, json!(null));
    for n in 0..=MAX_REVOCATIONS_OF_ONE {
        assert_eq!(last.0, StatusCode::OK, "{n}: {}", last.1);
        let (_, tokens) =
            server.post("/token", &borrowed(&by_machine(&[("grant_type", "client_credentials".into())]))).await;
        last = server.post("/revoke", &borrowed(&by_machine(&[("token", text(&tokens, "access_token"))]))).await;
    }
    assert_eq!((last.0, &last.1["error"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("temporarily_unavailable")));

    let client = server.public_client().await;
    let tokens = server.sign_in(&client).await;
    let access_token = text(&tokens, "access_token");
    let form = [("token", access_token.as_str()), ("client_id", &client.id)];
    assert_eq!(server.post("/revoke", &form).await.0, StatusCode::OK);
    assert!(!server.is_active(&access_token).await);
}

fn borrowed<'a>(form: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    form.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
