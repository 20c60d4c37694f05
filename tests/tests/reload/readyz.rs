//! What `/readyz` tells of the configuration's file: whether it is what serves.

use serde_json::json;

use crate::house::{CONFIG, House, REFUSED, RELOADED, UNCHANGED};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_edit_is_told_until_it_is_mended() {
    let cases = [
        ("no TOML", "builtin = \"echo\"", "builtin = = \"echo\"", "config.toml:18:11: "),
        ("an unknown key", "builtin = \"echo\"", "bultin = \"echo\"", "config.toml:17:1: plugins.echo: "),
        ("no rule", "echo = { scopes = [\"notes:read\"] }", "", "has no rule"),
        ("a secret", "builtin = \"echo\"", "limits.timeout = \"${TOKEN}\"\nbuiltin = \"echo\"", "\"${TOKEN}\" "),
        ("nothing to verify with", "validation = \"jwt\"", "validation = \"introspection\"", "introspection"),
    ];
    let config = CONFIG.replace("[scopes.\"notes:read\"]", "validation = \"jwt\"\n[scopes.\"notes:read\"]");
    let config = config.replace("\n\nvalidation", "\nvalidation");
    let mut house = House::with(&config, |launch| launch.env("TOKEN", "hunter2")).await;
    assert_eq!(house.ready().await.1["configuration"], json!({ "state": "current" }));
    let folder = house.server.folder().display().to_string();
    for (name, from, to, words) in cases {
        house.until(REFUSED, async |house: &mut House| house.edit(from, to)).await;
        let (status, ready) = house.ready().await;
        let told = &ready["configuration"];
        assert_eq!(
            (status, &ready["ready"], &told["state"]),
            (200, &json!(true), &json!("refused")),
            "{name}: {ready}"
        );
        let detail = told["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{name}: {detail}");
        assert!(!detail.contains("hunter2") && !detail.contains(&folder), "{name}: {detail}");
        house.until(UNCHANGED, async |house: &mut House| house.write(&config)).await;
        assert_eq!(house.ready().await.1["configuration"], json!({ "state": "current" }), "{name}");
    }
    house.until(REFUSED, async |house: &mut House| house.edit("builtin = ", "bultin = ")).await;
    house.until(RELOADED, async |house: &mut House| house.write(&config.replace("notes:read", "notes:see"))).await;
    assert_eq!(house.ready().await.1["configuration"], json!({ "state": "current" }), "mended in another way");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_wait_for_the_next_start_are_named() {
    let mut house = House::open().await;
    let edited = CONFIG.replace("127.0.0.1:0", "127.0.0.1:1") + "\n[log]\nlevel = \"debug\"\n";
    house.until("that takes effect now", async |house: &mut House| house.write(&edited)).await;
    let detail = "server.listen, log.level take effect at the next start";
    assert_eq!(house.ready().await.1["configuration"], json!({ "state": "waits", "detail": detail }));
    let other = CONFIG.replace("127.0.0.1:0", "127.0.0.1:1").replace("{ scopes = [\"notes:read\"]", "{ scopes = []");
    house.until(RELOADED, async |house: &mut House| house.write(&other)).await;
    let detail = "server.listen takes effect at the next start";
    assert_eq!(house.ready().await.1["configuration"], json!({ "state": "waits", "detail": detail }));
    house.until(RELOADED, async |house: &mut House| house.write(CONFIG)).await;
    assert_eq!(house.ready().await.1["configuration"], json!({ "state": "current" }));
}
