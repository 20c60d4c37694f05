//! Reloads under load.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::house::{House, RELOADED};

/// How many calls are under way at a time, half of them through each face.
const CALLERS: usize = 4;
/// How often the server reloads.
const RELOADS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reloads_lose_no_call() {
    let mut house = House::open().await;
    let both = house.token("notes:read notes:write");
    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (over, calls) = (Arc::clone(&over), Arc::clone(&calls));
            let body = serde_json::json!({ "text": "x" });
            let request = if caller % 2 == 0 {
                let rest = house.http.post(format!("{}/api/tools/notes/echo", house.server.url()));
                rest.bearer_auth(&both).json(&body)
            } else {
                let params = serde_json::json!({ "name": "echo", "arguments": body });
                house.mcp("/notes/mcp", &both, "tools/call", params).header("mcp-name", "echo")
            };
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let request = request.try_clone().expect("a body in memory");
                    let answer = request.send().await.expect("an answer");
                    let status = answer.status();
                    let text = answer.text().await.expect("the whole answer");
                    assert!(status == 200 && text.contains("\"isError\":false"), "{caller}: {status} {text}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let scopes = ["[\"notes:read\"]", "[\"notes:write\"]"];
    for reload in 0..RELOADS {
        let before = house.told(RELOADED);
        house.edit(scopes[reload % 2], scopes[(reload + 1) % 2]);
        house.server.signal("HUP").await;
        house.again(RELOADED, before).await;
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("each call is answered");
    }
    assert_eq!(house.told(RELOADED), RELOADS);
    assert!(calls.load(Ordering::Relaxed) > RELOADS, "there was load");
}
