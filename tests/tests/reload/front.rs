//! The front page after an edit: it shows what serves now, and what somebody should look at.

use serde_json::Value;

use crate::house::{CONFIG, House, REFUSED, RELOADED};

async fn page(house: &House, query: &str) -> String {
    let answer = house.get(&format!("/{query}")).header("accept", "text/html").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("a page")
}

async fn state(house: &House) -> Value {
    house.json("/").await["state"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_follows_edits_of_tools_and_endpoints() {
    let mut house = House::open().await;
    let before = page(&house, "").await;
    assert!(before.contains("needs <code>notes:read</code>") && before.contains(">echo</code>"), "{before}");
    house.reload(r#"echo = { scopes = ["notes:read"] }"#, r#"echo = { scopes = ["notes:write"], name = "say" }"#).await;
    let after = page(&house, "").await;
    assert!(after.contains("needs <code>notes:write</code>") && after.contains(">say</code>"), "{after}");
    assert!(!after.contains("notes:read"), "{after}");
    assert!(after.contains("/api/tools/notes/say"), "what there is to copy follows too");
    let more = "[endpoints.more]\npath = \"/more/mcp\"\nplugins = [\"echo\"]\n\n[plugins.echo]";
    house.reload("[plugins.echo]", more).await;
    assert!(page(&house, "?endpoint=more").await.contains("/more/mcp</code>"));
    assert!(page(&house, "").await.contains("href=\"?endpoint=more\""));
    house.reload("plugins = [\"echo\"]", "plugins = [\"echo\"]\non_missing_scope = \"hide\"").await;
    let hidden = page(&house, "?endpoint=more").await;
    assert!(!hidden.contains(">say</code>") && hidden.contains("when a client has signed in"), "{hidden}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_edit_shows_until_it_is_mended() {
    let mut house = House::open().await;
    assert_eq!(state(&house).await, "ready");
    house.until(REFUSED, async |house: &mut House| house.edit("builtin = ", "bultin = ")).await;
    assert_eq!(state(&house).await, "degraded");
    let refused = page(&house, "").await;
    assert!(refused.contains("Degraded") && refused.contains("The edited configuration is refused"), "{refused}");
    assert!(refused.contains("config.toml:17:1: plugins.echo"), "{refused}");
    house.until(RELOADED, async |house: &mut House| house.write(&CONFIG.replace("notes:read", "notes:see"))).await;
    let mended = page(&house, "").await;
    assert!(mended.contains("Ready") && !mended.contains("refused"), "{mended}");
    assert_eq!(state(&house).await, "ready");
    // What waits for the next start is worth a word, and no alarm.
    let edited = CONFIG.replace("127.0.0.1:0", "127.0.0.1:1");
    house.until(RELOADED, async |house: &mut House| house.write(&edited)).await;
    let waits = page(&house, "").await;
    assert!(waits.contains("server.listen takes effect at the next start"), "{waits}");
    assert_eq!(state(&house).await, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_asked_for_all_the_time_is_whole_through_edits() {
    let mut house = House::open().await;
    let (client, url) = (house.http.clone(), format!("{}/", house.server.url()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let looking = tokio::spawn(async move {
        let mut stopped = stopped;
        let mut looked = 0;
        while stopped.try_recv().is_err_and(|error| error == tokio::sync::oneshot::error::TryRecvError::Empty) {
            let answer = client.get(&url).header("accept", "text/html").send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
            let page = answer.text().await.expect("a page");
            assert!(page.trim_end().ends_with("</html>") && page.contains("id=\"client-python\""), "{page}");
            looked += 1;
        }
        looked
    });
    for (from, to) in
        [("name = \"a\"", "name = \"b\""), ("name = \"b\"", "name = \"c\""), ("name = \"c\"", "name = \"d\"")]
    {
        if from == "name = \"a\"" {
            house.reload("[\"notes:read\"] }", "[\"notes:read\"], name = \"a\" }").await;
        }
        house.reload(from, to).await;
        assert!(page(&house, "").await.contains(&format!(">{}</code>", &to[8..9])));
    }
    stop.send(()).expect("it looks on");
    assert!(looking.await.expect("no page that is not whole") > 0);
}
