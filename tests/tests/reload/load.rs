//! Reloads under load.
//!
//! `TOOLGATE_ROUNDS` says how often a server with a library reloads; a gate makes fewer rounds than one has patience for.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use toolgate_tests::{library, process::children, server::workspace};

use crate::house::{CONFIG, House, RELOADED};

/// How many calls are under way at a time, half of them through each face.
const CALLERS: usize = 4;
/// How often the server reloads.
const RELOADS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reloads_lose_no_call() {
    let mut house = House::open().await;
    lose_no_call(&mut house, "echo", RELOADS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_lose_no_call_through_a_library_that_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("libplugin.so");
    library::of_c(&workspace().join("tests/tests/plugins/contrary.c"), &[], &library);
    let config = CONFIG.replace("plugins = [\"echo\"]", "plugins = [\"echo\", \"p\"]");
    let section =
        format!("library = {:?}\ntools.greet = {{ scopes = [\"notes:read\"] }}", library.display().to_string());
    let mut house = House::with(&format!("{config}\n[plugins.p]\n{section}\n"), |launch| launch).await;
    let server = house.server.process().expect("it runs");
    let workers = children(server);
    let rounds = std::env::var("TOOLGATE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(40);
    lose_no_call(&mut house, "greet", rounds).await;
    assert_eq!(house.told("kept \"echo\", \"p\""), rounds);
    assert_eq!((workers.len(), children(server)), (1, workers), "the worker of the start");
}

/// Reload this often under calls of a tool that takes any arguments.
async fn lose_no_call(house: &mut House, tool: &'static str, reloads: usize) {
    let both = house.token("notes:read notes:write");
    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (over, calls) = (Arc::clone(&over), Arc::clone(&calls));
            let body = serde_json::json!({ "text": "x" });
            let request = if caller % 2 == 0 {
                let rest = house.http.post(format!("{}/api/tools/notes/{tool}", house.server.url()));
                rest.bearer_auth(&both).json(&body)
            } else {
                let params = serde_json::json!({ "name": tool, "arguments": body });
                house.mcp("/notes/mcp", &both, "tools/call", params).header("mcp-name", tool)
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
    for reload in 0..reloads {
        let before = house.told(RELOADED);
        house.edit(scopes[reload % 2], scopes[(reload + 1) % 2]);
        house.server.signal("HUP").await;
        house.again(RELOADED, before).await;
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("each call is answered");
    }
    assert_eq!(house.told(RELOADED), reloads);
    assert!(calls.load(Ordering::Relaxed) > reloads, "there was load");
}
