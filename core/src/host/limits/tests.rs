//! Claims about the bounds alone: who may run, who waits, what fits, and what is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;
use toolgate_plugin::{Content, JsonObject, ToolResult};

use super::{Limiter, Met, recent::Recent, size, watched};
use crate::config::{Limits, Size};

const MINUTE: Duration = Duration::from_secs(60);

fn limiter(concurrency: usize, queue: usize) -> Arc<Limiter> {
    Arc::new(Limiter::new("p", &Limits { concurrency, queue, result: Size(1000), ..Limits::default() }))
}

/// Let every other task come as far as it can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_waits_is_served_in_order() {
    let limiter = limiter(1, 100);
    let place = limiter.enter().await.expect("a place");
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut waiting = JoinSet::new();
    for turn in 0..100 {
        let (limiter, told) = (Arc::clone(&limiter), told.clone());
        waiting.spawn(async move {
            let _place = limiter.enter().await.expect("a place");
            told.send(turn).expect("it is heard");
        });
        settle().await;
    }
    drop(place);
    waiting.join_all().await;
    drop(told);
    let mut served = Vec::new();
    while let Some(turn) = order.recv().await {
        served.push(turn);
    }
    assert_eq!(served, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_neither_runs_nor_waits_is_told_to_try_again() {
    let limiter = limiter(2, 1);
    let places = [limiter.enter().await.expect("a place"), limiter.enter().await.expect("a place")];
    let waiter = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { limiter.enter().await.is_ok() }
    });
    settle().await;
    let busy = limiter.enter().await.err().expect("no place");
    assert!(busy.is_error);
    assert_eq!(
        busy.content,
        [Content::text(
            "the plugin \"p\" is busy: it has as many calls running (2) and waiting (1) as it takes; try again in a moment"
        )]
    );
    drop(places);
    assert!(waiter.await.expect("it ends"));
    assert!(limiter.enter().await.is_ok(), "all places are given back");
}

#[tokio::test]
async fn a_waiter_that_goes_away_makes_room_at_once() {
    let limiter = limiter(1, 1);
    let place = limiter.enter().await.expect("a place");
    for _ in 0..3 {
        let waiter = tokio::spawn({
            let limiter = Arc::clone(&limiter);
            async move { limiter.enter().await.is_ok() }
        });
        settle().await;
        assert!(limiter.enter().await.is_err(), "the queue is full");
        waiter.abort();
        assert!(waiter.await.is_err_and(|error| error.is_cancelled()));
    }
    drop(place);
    assert!(limiter.enter().await.is_ok(), "no place was lost to those who left");
}

#[test]
fn a_result_fits_up_to_its_bound_and_no_byte_more() {
    let object: JsonObject = json!({ "a": 1 }).as_object().cloned().unwrap_or_default();
    let rows = [
        ("text", ToolResult::text("x".repeat(600))),
        ("text that JSON escapes", ToolResult::text("\u{1}\"\\\n".repeat(60))),
        ("much text in little", ToolResult { content: vec![Content::text(""); 30], ..ToolResult::default() }),
        ("an image", {
            let image = Content::Image { data: "A".repeat(600), mime_type: "image/png".into() };
            ToolResult { content: vec![image], ..ToolResult::default() }
        }),
        ("a value for programs", ToolResult::text("").with_structured(json!({ "x": vec![1.5; 100] }))),
        ("an error", ToolResult::error("x".repeat(600))),
        ("text with _meta", {
            let text = Content::Text { text: "x".repeat(600), annotations: None, meta: Some(object.clone()) };
            ToolResult { content: vec![text], meta: Some(object), ..ToolResult::default() }
        }),
    ];
    for (name, result) in rows {
        let exact = serde_json::to_vec(&result).expect("JSON").len() as u64;
        assert!(size::fits(&result, exact), "{name}: {exact} bytes");
        assert!(size::fits(&result, u64::MAX), "{name}");
        assert!(!size::fits(&result, exact - 1), "{name}: {exact} bytes");
    }
}

#[tokio::test]
async fn a_replaced_result_is_noticed_where_the_call_is_watched() {
    let limiter = limiter(1, 1);
    let (result, replaced) = watched(async { limiter.oversized(2048) }).await;
    assert!(replaced);
    assert_eq!(
        result.content,
        [Content::text("the result has 2.0 KiB, more than the 1000 B that are allowed; ask for less")]
    );
    assert!(!watched(async {}).await.1);
    assert!(limiter.oversized(1).is_error, "nobody has to watch");
}

#[test]
fn what_is_told_is_of_the_last_hour() {
    let limiter = limiter(1, 1);
    assert_eq!(limiter.told(), Vec::<String>::new());
    let _ = limiter.oversized(2048);
    limiter.timed_out();
    limiter.timed_out();
    let one = "1 call in the last hour had a result larger than limits.result";
    assert_eq!(limiter.told(), [one], "two timeouts say nothing yet");
    limiter.timed_out();
    let _ = (limiter.waited(MINUTE), limiter.waited(MINUTE));
    let told = [
        "2 calls in the last hour found limits.concurrency and limits.queue full",
        one,
        "3 calls in the last hour took longer than their timeout",
    ];
    assert_eq!(limiter.told(), told);
    assert_eq!(limiter.told_at(Instant::now() + 50 * MINUTE), told);
    assert_eq!(limiter.told_at(Instant::now() + 60 * MINUTE), Vec::<String>::new());
}

#[test]
fn a_burst_is_said_once() {
    let start = Instant::now();
    let mut recent = Recent::default();
    let minutes = [0, 0, 1, 2, 3, 3, 5, 5, 6, 100];
    let first: Vec<bool> = minutes.iter().map(|&minute| recent.add(start + minute * MINUTE)).collect();
    assert_eq!(first, [true, false, false, false, false, false, true, false, false, true]);
}

#[test]
fn counts_of_hours_past_take_no_room() {
    let start = Instant::now();
    let mut recent = Recent::default();
    for second in (0..36_000).step_by(10) {
        recent.add(start + Duration::from_secs(second));
    }
    let counted = recent.within_the_hour(start + Duration::from_secs(36_000));
    assert!((354..=360).contains(&counted), "{counted}");
    assert!(format!("{recent:?}").matches("Instant").count() <= 62, "{recent:?}");
}

#[test]
fn each_bound_has_a_count_of_its_own() {
    for (index, bound) in Met::ALL.into_iter().enumerate() {
        assert_eq!(bound as usize, index);
    }
}
