//! Many callers at once, through both faces, while Tavily goes wrong in one way after the other.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use toolgate_tests::tavily::{KEY, Options, StandIn, faults::Act};

use crate::house::{House, messages, until};

const FAULTS: &[&str] = &[
    "none",
    "500-then-200",
    "optional-missing",
    "429-then-200",
    "432",
    "none",
    "433",
    "502-html",
    "odd-shapes",
    "not-json",
    "close",
    "none",
    "cut",
    "no-auth-header",
    "string-detail",
    "hostile-content",
    "numeric-string-time",
    "stream-done-no-blank",
    "none",
    "stream-cut",
    "stream-error-data",
    "redirect",
    "empty-body",
    "error-as-success",
    "422-list-detail",
    "off-list",
    "retry-after-3600",
    "keyless-limit",
    "none",
];

const CODES: &[&str] = &[
    "upstream_bad_request",
    "upstream_unauthorized",
    "rate_limited",
    "plan_limit",
    "paygo_limit",
    "keyless_limit",
    "upstream_error",
    "upstream_unreachable",
    "timeout",
    "upstream_invalid_response",
    "research_failed",
    "not_found",
];

const WORKERS: usize = 48;
const CALLS: usize = 16;

/// A call of a worker; the words tell whose it is.
fn call(words: &str, n: usize) -> (&'static str, Value) {
    let url = format!("https://{words}.example/");
    match n % 8 {
        0 | 1 => ("tavily_search", json!({ "query": words, "include_answer": true })),
        2 => ("tavily_extract", json!({ "urls": [url], "query": words })),
        3 => ("tavily_map", json!({ "url": url, "limit": 12 })),
        4 => ("tavily_crawl", json!({ "url": url, "limit": 6, "instructions": words })),
        5 => ("tavily_research", json!({ "input": words, "model": "mini" })),
        6 => ("tavily_feedback", json!({ "request_id": words })),
        _ => ("tavily_get_research", json!({})),
    }
}

/// What a result says, checked; its cost.
fn checked(tool: &str, words: &str, result: &Value) -> f64 {
    let structured = &result["structuredContent"];
    let told = || format!("{tool} {words}: {result}");
    let cost = match result["isError"] == true {
        true => {
            let error = &structured["error"];
            assert!(CODES.contains(&error["code"].as_str().unwrap_or_default()), "{}", told());
            assert!(error["retryable"].is_boolean() && error["cost"]["credits"].is_number(), "{}", told());
            &error["cost"]
        }
        false => &structured["cost"],
    };
    assert!(result["content"][0]["text"].as_str().is_some_and(|text| !text.is_empty()), "{}", told());
    // Nobody sees another's words, nor the key.
    let whole = result.to_string();
    for other in whole.split("worker-").skip(1) {
        let other: String = other.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
        let same = match tool {
            // The caller's latest, of an earlier call.
            "tavily_get_research" => other.split('-').next() == words.split('-').nth(1),
            _ => format!("worker-{}", other.trim_end_matches('-')) == words,
        };
        assert!(same, "{}", told());
    }
    assert!(!whole.contains(KEY), "{}", told());
    cost["credits"].as_f64().unwrap_or_else(|| panic!("{}", told()))
}

/// What a caller has spent by what it was told. A research may turn out to be cheaper than it was thought to be.
#[derive(Default)]
struct Purse {
    calls: f64,
    research: HashMap<String, f64>,
}

impl Purse {
    fn note(&mut self, tool: &str, result: &Value, cost: f64) {
        let structured = &result["structuredContent"];
        let id = structured["request_id"].as_str().or_else(|| structured["error"]["request_id"].as_str());
        match (tool, id) {
            ("tavily_research", Some(id)) => drop(self.research.insert(id.to_owned(), cost)),
            ("tavily_get_research", Some(id)) if structured["status"] == "completed" => {
                self.research.insert(id.to_owned(), cost);
            }
            // Free, though its research may have cost.
            ("tavily_get_research", _) => {}
            _ => self.calls += cost,
        }
    }

    fn sum(&self) -> f64 {
        self.calls + self.research.values().sum::<f64>()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_right_and_every_credit_is_counted_while_faults_rotate() {
    let tavily = StandIn::start_with(Options { looks: 0, ..Options::default() }).await.expect("a stand-in");
    let tavily = Arc::new(tavily);
    let settings = "timeout = \"20s\"\ncrawl_timeout = \"20s\"\ncredits = { per_subject_per_day = 100000, per_day = 1000000 }\n\
                    research = { wait_without_progress = \"20s\" }";
    let house = Arc::new(House::open(&tavily, settings).await);
    let files_before = open_files(&house);
    let over = Arc::new(AtomicBool::new(false));
    let rotation = {
        let (tavily, over) = (Arc::clone(&tavily), Arc::clone(&over));
        tokio::spawn(async move {
            for fault in FAULTS.iter().cycle() {
                if over.load(Ordering::Acquire) {
                    break;
                }
                tavily.fail(fault);
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            tavily.play(Act::Serve);
        })
    };
    let spent: Arc<Mutex<HashMap<String, f64>>> = Arc::default();
    let outcomes: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let workers = (0..WORKERS).map(|worker| {
        let (house, spent, outcomes) = (Arc::clone(&house), Arc::clone(&spent), Arc::clone(&outcomes));
        tokio::spawn(async move {
            let subject = format!("subject-{worker}");
            let token = house.writer(&subject);
            let mut purse = Purse::default();
            for n in 0..CALLS {
                let words = format!("worker-{worker}-{n}");
                let (tool, arguments) = call(&words, worker + n);
                let result = if n % 2 == 0 {
                    house.result(&token, tool, &arguments).await
                } else {
                    let response = house.mcp(&token, tool, &arguments, false).send().await.expect("an answer");
                    assert_eq!(response.status(), 200, "{tool} {words}");
                    let body = response.text().await.expect("its body");
                    messages(&body).pop().expect("a message")["result"].clone()
                };
                purse.note(tool, &result, checked(tool, &words, &result));
                let how = result["structuredContent"]["error"]["code"].as_str().unwrap_or("ok").to_owned();
                *outcomes.lock().unwrap().entry(how).or_default() += 1;
            }
            spent.lock().unwrap().insert(subject, purse.sum());
        })
    });
    for worker in futures_util::future::join_all(workers).await {
        worker.expect("a worker");
    }
    over.store(true, Ordering::Release);
    rotation.await.expect("the rotation");
    let outcomes = outcomes.lock().unwrap().clone();
    assert!(outcomes["ok"] > WORKERS && outcomes.len() > 6, "it was more than one kind of weather: {outcomes:?}");

    // Each credit that a caller was told of is counted, and none besides; Tavily has billed no more than that.
    let spent = spent.lock().unwrap().clone();
    for (subject, spent) in &spent {
        let what = format!("{subject} has used {spent}");
        until(&what, async || (house.used(subject, "subject").await - spent).abs() < 1e-6).await;
    }
    let all: f64 = spent.values().sum();
    assert!((house.used("nobody", "day").await - all).abs() < 1e-6);
    assert!(all >= tavily.used(KEY) as f64, "{all} counted, {} billed", tavily.used(KEY));

    // Nothing is left behind.
    until("streams are closed", async || tavily.open_streams() == 0).await;
    let result = house.result(&house.writer("late"), "tavily_search", &json!({ "query": "x" })).await;
    assert_eq!(result["isError"], false, "{result}");
    if let Some(before) = files_before {
        // Kept connections, to callers and to Tavily, are far fewer than there were calls.
        let pool = 4 * WORKERS;
        until("files are closed", async || open_files(&house).is_some_and(|now| now <= before + pool)).await;
    }
    let log = house.server.stderr();
    assert!(!log.contains("panicked") && !log.contains(KEY), "{log}");
}

/// How many files the server has open, where the system tells.
fn open_files(house: &House) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{}/fd", house.server.process()?)).ok()?.count())
}
