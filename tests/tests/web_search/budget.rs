//! What a day may cost, through kills, reloads and commands beside the server.

#![cfg(unix)]

use std::time::Duration;

use serde_json::json;
use toolgate_tests::{
    authority::Authority,
    server::Launch,
    tavily::{KEY, Options, StandIn, faults::Act},
};

use crate::house::{House, config, until};

const CEILINGS: &str = "credits = { per_subject_per_day = 1000, per_day = 2000 }";

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_gives_nothing_back() {
    let state = tempfile::tempdir().expect("a folder");
    let tavily = StandIn::start().await.expect("a stand-in");
    let house = House::start(Authority::generic("").await, &tavily, CEILINGS, Some(state.path())).await;
    let token = house.writer("ann");
    house.result(&token, "tavily_search", &json!({ "query": "x" })).await;
    tavily.play(Act::Hang);
    tavily.take_seen();
    let slow = tokio::spawn(house.post(&token, "tavily_crawl", &json!({ "url": "https://a.example" })).send());
    until("the crawl has left", async || !tavily.take_seen().is_empty()).await;
    let authority = house.kill().await;
    slow.await.expect("no panic").expect_err("the server is gone");
    tavily.play(Act::Serve);
    let house = House::start(authority, &tavily, CEILINGS, Some(state.path())).await;
    // The crawl may have been billed: 15 credits. The search was: 1.
    assert_eq!((house.used("ann", "subject").await, house.used("bob", "day").await), (16.0, 16.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_it_is_killed_nothing_that_was_billed_is_forgotten() {
    let state = tempfile::tempdir().expect("a folder");
    let tavily = StandIn::start().await.expect("a stand-in");
    let mut authority = Authority::generic("").await;
    for round in 0..4 {
        let house = House::start(authority, &tavily, CEILINGS, Some(state.path())).await;
        // Sooner and later, while they come in.
        let enough = tavily.used(KEY) + 5 + 7 * round;
        let calls: Vec<_> = (0..40)
            .map(|n| {
                let token = house.writer(["ann", "bob"][n % 2]);
                tokio::spawn(house.post(&token, "tavily_search", &json!({ "query": format!("q{n}") })).send())
            })
            .collect();
        until("some have arrived", async || tavily.used(KEY) >= enough).await;
        authority = house.kill().await;
        futures_util::future::join_all(calls).await;
    }
    let house = House::start(authority, &tavily, CEILINGS, Some(state.path())).await;
    let (billed, all) = (tavily.used(KEY) as f64, house.used("ann", "day").await);
    assert!(all >= billed, "{all} counted, {billed} billed");
    assert!(all <= 160.0, "never more than was asked for");
    assert_eq!(house.used("ann", "subject").await + house.used("bob", "subject").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_while_calls_run_neither_forgets_nor_forgives() {
    let state = tempfile::tempdir().expect("a folder");
    let tavily = StandIn::start_with(Options { latency: Duration::from_millis(300), ..Options::default() });
    let tavily = tavily.await.expect("a stand-in");
    let house = House::start(Authority::generic("").await, &tavily, CEILINGS, Some(state.path())).await;
    let token = house.writer("ann");
    let extract = json!({ "urls": (0..20).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>() });
    let slow = tokio::spawn(house.post(&token, "tavily_extract", &extract).send());
    until("it has left", async || !tavily.take_seen().is_empty()).await;
    // Another instance of the plugin takes over, with another ceiling.
    let edited = config("credits = { per_subject_per_day = 5 }");
    std::fs::write(house.server.folder().join("config.toml"), edited).expect("the configuration");
    house.server.signal("HUP").await;
    house.server.stderr_with("reloaded in ").await;
    let over = house.result(&token, "tavily_extract", &extract).await;
    assert_eq!(over["structuredContent"]["error"]["budget"]["ceiling"], "subject", "{over}");
    let answer = slow.await.expect("no panic").expect("an answer").text().await.expect("its body");
    assert!(answer.contains("\"isError\":false"), "{answer}");
    // 20 pages came to 4 credits; what was set aside is settled by the instance before.
    until("it is settled", async || house.used("ann", "subject").await == 4.0).await;
    house.result(&token, "tavily_search", &json!({ "query": "x" })).await;
    assert_eq!(house.used("ann", "subject").await, 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_the_server_spends_of_the_same_budget() {
    let state = tempfile::tempdir().expect("a folder");
    let tavily = StandIn::start().await.expect("a stand-in");
    let authority = Authority::generic("").await;
    let issuer = authority.issuer();
    let house = House::start(authority, &tavily, CEILINGS, Some(state.path())).await;
    house.result(&house.writer("ann"), "tavily_search", &json!({ "query": "x" })).await;
    let command = Launch::new(&config(CEILINGS))
        .env("ISSUER", &issuer)
        .env("TAVILY", &tavily.url())
        .env("TOOLGATE_SERVER__STATE_DIR", &state.path().display().to_string())
        .command(&["call", "tavily_search", r#"{"query":"y","search_depth":"advanced"}"#])
        .run()
        .await;
    assert_eq!(command.code(), Some(0), "{command:?}");
    until("both are settled", async || house.used("ann", "day").await == 3.0).await;
}
