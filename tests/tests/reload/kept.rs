//! What an edit does not change, and that this is said.

use crate::house::{CONFIG, House, REFUSED, RELOADED, UNCHANGED};

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_configuration_is_told_with_its_position_and_the_one_before_serves_on() {
    let cases = [
        ("no TOML", "builtin = \"echo\"", "builtin = = \"echo\"", "config.toml:18:11: "),
        ("an unknown key", "builtin = \"echo\"", "bultin = \"echo\"", "did you mean \"builtin\"?"),
        ("no rule", "echo = { scopes = [\"notes:read\"] }", "", "has no rule"),
        ("an unset reference", "${ISSUER}", "${NOBODY}", "NOBODY"),
    ];
    let mut house = House::open().await;
    let reader = house.token("notes:read");
    for (name, from, to, words) in cases {
        let log = house.until(REFUSED, async |house: &mut House| house.edit(from, to)).await;
        assert!(log.contains(words), "{name}: {log}");
        assert_eq!(house.call(&reader, "echo").await, 200, "{name}");
        let log = house.until(UNCHANGED, async |house: &mut House| house.write(CONFIG)).await;
        assert!(!log.contains(RELOADED), "{name}: {log}");
    }
    house.reload(r#"echo = { scopes = ["notes:read"]"#, r#"echo = { scopes = ["notes:write"]"#).await;
    assert_eq!(house.call(&reader, "echo").await, 403, "after all of them a good one takes effect");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_whose_new_settings_are_wrong_serves_as_before_under_the_new_rules() {
    let mut house = House::open().await;
    let edited = CONFIG
        .replace("[plugins.echo.tools]", "settings = { x = 1 }\n[plugins.echo.tools]")
        .replace("echo = { scopes = [\"notes:read\"]", "echo = { scopes = [\"notes:write\"]");
    let log = house.until(RELOADED, async |house: &mut House| house.write(&edited)).await;
    assert!(log.contains("config.toml:19:18: ") && log.contains("kept as before \"echo\""), "{log}");
    assert_eq!(house.call(&house.token("notes:read"), "echo").await, 403);
    assert_eq!(house.call(&house.token("notes:write"), "echo").await, 200);
    let (status, ready) = house.ready().await;
    let echo = &ready["plugins"]["echo"];
    assert_eq!((status, echo["state"].as_str()), (200, Some("degraded")), "{ready}");
    assert!(echo["detail"].as_str().is_some_and(|detail| detail.ends_with("; the one before serves on")), "{ready}");
    house.until(RELOADED, async |house: &mut House| house.write(CONFIG)).await;
    assert_eq!(house.ready().await.1["plugins"]["echo"]["state"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_change_live_is_told_with_its_position_and_the_rest_takes_effect() {
    let mut house = House::open().await;
    let edited = CONFIG
        .replace(
            "listen = \"127.0.0.1:0\"",
            "listen = \"127.0.0.1:1\"\nmax_connections = 7\nstate_dir = \"elsewhere\"\nmax_body = \"1 MiB\"\nallowed_origins = [\"https://app.example\"]",
        )
        .replace("echo = { scopes = [\"notes:read\"]", "echo = { scopes = [\"notes:write\"]")
        + "\n[log]\nlevel = \"debug\"\n[audit]\narguments = true\n";
    let log = house.until(RELOADED, async |house: &mut House| house.write(&edited)).await;
    for key in [
        "server.listen",
        "server.max_connections",
        "server.state_dir",
        "server.max_body",
        "log.level",
        "audit.arguments",
    ] {
        let line =
            log.lines().find(|line| line.contains(&format!(" {key}: "))).unwrap_or_else(|| panic!("{key}: {log}"));
        assert!(line.contains("config.toml:") && line.contains("it takes effect at the next start"), "{line}");
    }
    assert_eq!(log.matches("next start").count(), 6, "{log}");
    assert_eq!(house.call(&house.token("notes:read"), "echo").await, 403, "where it listened before");
    let from_page = house.get("/api/tools").header("origin", "https://app.example").send().await.expect("an answer");
    assert_eq!(from_page.status(), 200, "an origin that the edit allowed");
    let log = house.until(UNCHANGED, async |house: &mut House| house.server.signal("HUP").await).await;
    assert_eq!(log.matches("next start").count(), 6, "told as long as it is so: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_server_stays_as_it_was_started() {
    let dev = |lines: &str| {
        let section = format!("provider = \"dev\"\n[auth.dev]\nallow_public = true\n{lines}");
        CONFIG.replace("provider = \"oauth\"", &section)
    };
    let mut house = House::with(&dev(""), |launch| launch).await;
    let edited = dev(
        "client_metadata_from_loopback = true\npersist = true\naccess_token_ttl = \"5m\"\nrefresh_token_ttl = \"6m\"",
    );
    let log = house.until(UNCHANGED, async |house: &mut House| house.write(&edited)).await;
    for key in ["client_metadata_from_loopback", "persist", "access_token_ttl", "refresh_token_ttl"] {
        let line = log.lines().find(|line| line.contains(&format!(" auth.dev.{key}: ")));
        assert!(line.is_some_and(|line| line.contains("it takes effect at the next start")), "{key}: {log}");
    }
    let asked = house.get("/dev/auth/authorize?client_id=http%3A%2F%2Flocalhost%3A1%2Fclient.json");
    let page = asked.send().await.expect("an answer").text().await.expect("a page");
    assert!(page.contains("client_metadata_from_loopback = true"), "nothing is fetched from this machine yet: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_made_under_a_rate_count_on_after_an_edit() {
    let mut house =
        House::with(&CONFIG.replace("[\"notes:read\"] }", "[\"notes:read\"], rate = \"1/h\" }"), |launch| launch).await;
    let reader = house.token("notes:read");
    assert_eq!(house.call(&reader, "echo").await, 200);
    house.reload("rate = \"1/h\"", "rate = \"1/h\", timeout = \"5s\"").await;
    assert_eq!(house.call(&reader, "echo").await, 429);
    house.reload("rate = \"1/h\"", "rate = \"2/h\"").await;
    assert_eq!(house.call(&reader, "echo").await, 200, "another rate counts anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_would_open_the_address_that_stays_is_refused_whole() {
    let public = "public_url = \"https://mcp.example.com\"\n";
    let all = CONFIG.replace("127.0.0.1:0", "0.0.0.0:0");
    let dev = CONFIG
        .replace("[auth]\n", &format!("{public}[auth]\n"))
        .replace("provider = \"oauth\"", "provider = \"dev\"\n[auth.dev]\nallow_public = true");
    let cases = [
        ("none on all addresses", &all, all.replace("0.0.0.0:0", "127.0.0.1:0").replace("\"oauth\"", "\"none\"")),
        ("dev on all addresses", &all, all.replace("0.0.0.0:0", "127.0.0.1:0").replace("\"oauth\"", "\"dev\"")),
        ("dev at a public address", &dev, dev.replace(public, "").replace("allow_public = true", "")),
        (
            "none at a public address",
            &dev,
            dev.replace(public, "").replace("allow_public = true", "").replace("\"dev\"", "\"none\""),
        ),
    ];
    for (name, config, edited) in cases {
        let mut house = House::with(config, |launch| launch).await;
        let log = house.until(REFUSED, async |house: &mut House| house.write(&edited)).await;
        assert!(log.contains("what stays as it is while the server runs") && log.contains("restart"), "{name}: {log}");
        let anonymous = house.http.post(format!("{}/api/tools/notes/echo", house.server.url()));
        let host = format!("localhost:{}", house.server.address().port());
        let anonymous = anonymous.header("host", host).json(&serde_json::json!({ "text": "x" }));
        assert_eq!(anonymous.send().await.expect("an answer").status(), 401, "{name}");
        assert_eq!(house.told(RELOADED), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_edit_starts_no_development_server() {
    let mut house = House::open().await;
    let refused = CONFIG.replace("\"oauth\"", "\"dev\"").replace("echo = { scopes = [\"notes:read\"] }", "");
    house.until(REFUSED, async |house: &mut House| house.write(&refused)).await;
    let edited = CONFIG.replace("[auth]\n", "public_url = \"http://localhost:4711\"\n[auth]\n");
    let log = house.until(RELOADED, async |house: &mut House| house.write(&edited)).await;
    assert!(!log.contains("next start"), "{log}");
    let metadata = house.json("/.well-known/oauth-protected-resource/notes/mcp").await;
    assert_eq!(metadata["resource"], "http://localhost:4711/notes/mcp");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_in_the_file_for_a_moment_what_stands_there_in_the_end_holds() {
    let mut house = House::open().await;
    let broken = CONFIG.replace("builtin", "bultin");
    let other = CONFIG.replace(r#"echo = { scopes = ["notes:read"]"#, r#"echo = { scopes = ["notes:write"]"#);
    for round in 0..60 {
        // Sometimes in the middle of a look, sometimes between two.
        for passing in [&broken, &other, &broken] {
            house.write(passing);
            for _ in 0..round * 20 {
                tokio::task::yield_now().await;
            }
        }
        house.write(CONFIG);
    }
    let reader = house.token("notes:read");
    let settled = async {
        loop {
            let (_, ready) = house.ready().await;
            if ready["configuration"]["state"] == "current" && house.call(&reader, "echo").await == 200 {
                return;
            }
        }
    };
    let settled = tokio::time::timeout(toolgate_tests::server::PATIENCE, settled).await;
    assert!(settled.is_ok(), "the server does not serve what the file says: {:?}", house.ready().await);
}
