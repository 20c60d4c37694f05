//! Cancelling, many requests at once, and the end of an instance.

use std::thread;

use serde_json::json;
use toolgate_abi::{ERROR, OK};
use toolgate_plugin::{LogLevel, serde_json};

use crate::{
    host::{Plugin, start},
    plugin::KEPT,
};

fn cancelled() -> (i32, serde_json::Value) {
    (ERROR, json!({ "code": -32800, "message": "the call was cancelled" }))
}

#[test]
fn cancelling_drops_the_work_and_answers() {
    let plugin = start();
    plugin.call(1, "wait", &json!({}));
    plugin.call(2, "wait", &json!({}));
    plugin.cancel(1);
    assert_eq!(plugin.answer(1), cancelled());
    let said = plugin.heard.now();
    let dropped = said.told.iter().filter(|(_, params)| params["data"] == "dropped").count();
    assert_eq!(dropped, 1, "before the answer, and not the other");
    assert!(!said.answers.contains_key(&2));
    drop(said);
    plugin.release();
}

#[test]
fn a_tool_may_see_that_it_is_cancelled() {
    let plugin = start();
    plugin.call(1, "obey", &json!({}));
    plugin.cancel(1);
    assert_eq!(plugin.answer(1), cancelled());
    plugin.release();
}

#[test]
fn cancelling_what_is_not_there_does_nothing() {
    let plugin = start();
    plugin.call(1, "echo", &json!({}));
    plugin.cancel(1);
    plugin.cancel(99);
    for params in ["", "{}", "{\"requestId\": \"x\"}", "\u{0}"] {
        plugin.tell("notifications/cancelled", params);
    }
    plugin.tell("notifications/of/another/version", "{}");
    assert_eq!(plugin.answer(1).0, OK);
    plugin.call(1, "later", &json!({}));
    let said = plugin.heard.until("the second request of that id", |said| said.answers[&1].len() == 2);
    assert_eq!(said.answers[&1][1].0, OK, "an id may come again after its answer");
    drop(said);
    plugin.release();
}

#[test]
fn every_one_of_many_requests_is_answered_once() {
    const THREADS: u64 = 8;
    const EACH: u64 = 400;
    const TOOLS: [&str; 6] = ["echo", "later", "wait", "panic_later", "timer", "fail"];
    let plugin = start();
    thread::scope(|scope| {
        for first in (0..THREADS).map(|thread| thread * EACH + 1) {
            scope.spawn(move || {
                for (id, tool) in (first..first + EACH).zip(TOOLS.iter().cycle()) {
                    plugin.call(id, tool, &json!({}));
                    if *tool == "wait" {
                        plugin.cancel(id);
                    }
                }
            });
        }
    });
    let all = THREADS * EACH;
    let said = plugin.heard.until("all answers", |said| said.answers.len() as u64 == all);
    for (id, answers) in &said.answers {
        assert_eq!(answers.len(), 1, "answers to {id}");
    }
    drop(said);
    plugin.release();
}

#[test]
fn nothing_comes_after_the_release() {
    let plugin = start();
    for id in 1..50 {
        plugin.call(id, ["wait", "timer", "later"][id as usize % 3], &json!({}));
    }
    assert_eq!(plugin.text(100, "keep"), "kept");
    plugin.release();
    let count = |plugin: &Plugin| {
        let said = plugin.heard.now();
        (said.answers.len(), said.told.len())
    };
    let before = count(&plugin);
    for host in KEPT.lock().expect("nobody panics with it").drain(..) {
        host.log(LogLevel::Error, "too late");
        host.tools_changed();
    }
    plugin.release();
    plugin.call(200, "echo", &json!({}));
    plugin.ask(201, "ping", &json!({}));
    plugin.cancel(1);
    // Another instance has done work meanwhile, on the same processors.
    let other = start();
    assert_eq!(other.text(1, "timer"), "slept");
    other.release();
    assert_eq!(count(&plugin), before);
}

#[test]
fn a_release_amid_requests_ends_them_all() {
    let plugin = start();
    thread::scope(|scope| {
        for first in [1, 10_000, 20_000] {
            scope.spawn(move || {
                for id in first..first + 300 {
                    plugin.call(id, ["echo", "later", "wait"][id as usize % 3], &json!({}));
                }
            });
        }
        scope.spawn(move || {
            drop(plugin.heard.until("some answers", |said| said.answers.len() > 50));
            plugin.release();
            plugin.release();
            let after = plugin.heard.now().answers.len();
            thread::yield_now();
            assert_eq!(plugin.heard.now().answers.len(), after);
        });
    });
}

#[test]
fn instances_know_nothing_of_each_other() {
    let (one, other) = (start(), start());
    one.call(1, "wait", &json!({}));
    other.call(1, "wait", &json!({}));
    one.release();
    other.cancel(1);
    assert_eq!(other.answer(1), cancelled());
    assert!(one.heard.now().answers.is_empty());
    other.release();
}
