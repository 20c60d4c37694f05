//! The stand-in behaves as the contract says, before anything is concluded from it.

use serde_json::{Value, json};
use toolgate_tests::tavily::{
    KEY, Options, StandIn, UNKNOWN_KEY,
    contract::list,
    faults::{self, FURTHER, is_elsewhere},
};

async fn post(stand_in: &StandIn, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}{path}", stand_in.url())).body(body.to_string());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn keyed(stand_in: &StandIn, path: &str, body: &Value) -> (u16, Value) {
    post(stand_in, path, &[("authorization", &format!("Bearer {KEY}"))], body).await
}

#[tokio::test]
async fn every_vector_of_search_and_extract_is_answered_as_the_contract_says() {
    let stand_in = StandIn::start().await.unwrap();
    let mut ran = 0;
    for vector in list("test_vectors") {
        let (id, endpoint) = (&vector["id"], vector["endpoint"].as_str().unwrap());
        if !matches!(endpoint, "search" | "extract") {
            continue;
        }
        let (status, body) = keyed(&stand_in, &format!("/{endpoint}"), &vector["body"]).await;
        assert_eq!(u64::from(status), vector["expect_status"].as_u64().unwrap(), "{id}: {body}");
        for field in vector["expect_fields"].as_array().into_iter().flatten() {
            assert!(!body[field.as_str().unwrap()].is_null(), "{id}: no {field} in {body}");
        }
        if status != 200 {
            assert!(body["detail"]["error"].is_string(), "{id}: {body}");
        }
        ran += 1;
    }
    assert!(ran >= 15, "only {ran} vectors");
}

#[tokio::test]
async fn keys_are_read_from_the_header_only() {
    let stand_in = StandIn::start().await.unwrap();
    let bearer = format!("Bearer {KEY}");
    let unknown = format!("Bearer {UNKNOWN_KEY}");
    let body = json!({ "query": "x", "api_key": KEY });
    let cases: [(&[(&str, &str)], u16); 7] = [
        (&[], 401),
        (&[("authorization", &unknown)], 401),
        (&[("authorization", "Bearer sk-other")], 401),
        (&[("authorization", KEY)], 401),
        (&[("authorization", &bearer)], 200),
        (&[("x-tavily-access-mode", "keyless")], 200),
        (&[("x-tavily-access-mode", "other")], 401),
    ];
    for (headers, expected) in cases {
        assert_eq!(post(&stand_in, "/search", headers, &body).await.0, expected, "{headers:?}");
    }
    assert_eq!(
        post(&stand_in, "/map", &[("x-tavily-access-mode", "keyless")], &json!({ "url": "a.example" })).await.0,
        401
    );
    assert_eq!(keyed(&stand_in, "/nowhere", &body).await.0, 404);
}

#[tokio::test]
async fn credits_are_metered_in_blocks_of_five_pages() {
    let stand_in = StandIn::start().await.unwrap();
    let pages = |n: usize| (0..n).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>();
    let mut billed = Vec::new();
    for (n, depth) in [(4, "basic"), (1, "basic"), (10, "advanced"), (3, "basic")] {
        let body = json!({ "urls": pages(n), "extract_depth": depth, "include_usage": true });
        billed.push(keyed(&stand_in, "/extract", &body).await.1["usage"]["credits"].as_u64().unwrap());
    }
    assert_eq!(billed, [0, 1, 4, 0]);
    for (depth, credits) in [("basic", 1), ("fast", 1), ("ultra-fast", 1), ("advanced", 2)] {
        let body = json!({ "query": "x", "search_depth": depth, "include_usage": true });
        assert_eq!(keyed(&stand_in, "/search", &body).await.1["usage"]["credits"], credits, "{depth}");
    }
}

#[tokio::test]
async fn requests_beyond_the_documented_rate_are_refused() {
    let stand_in = StandIn::start_with(Options { enforce_rates: true, ..Options::default() }).await.unwrap();
    let headers = [("authorization", "Bearer tvly-dev-1")];
    for n in 1..=101 {
        let expected = if n <= 100 { 200 } else { 429 };
        assert_eq!(post(&stand_in, "/search", &headers, &json!({ "query": "x" })).await.0, expected, "request {n}");
    }
    assert_eq!(keyed(&stand_in, "/search", &json!({ "query": "x" })).await.0, 200, "another key has its own count");
}

#[test]
fn every_fault_of_the_contract_can_be_played() {
    for case in list("fault_cases") {
        let name = case["id"].as_str().unwrap();
        assert_eq!(faults::named(name).is_some(), !is_elsewhere(name), "{name}");
    }
    for name in FURTHER {
        assert!(faults::named(name).is_some(), "{name}");
    }
    assert!(faults::named("no such fault").is_none());
}
