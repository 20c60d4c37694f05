//! The stand-in behaves as the contract says, before anything is concluded from it.

use serde_json::{Value, json};
use toolgate_tests::tavily::{
    KEY, Options, StandIn, UNKNOWN_KEY,
    contract::{Endpoint, list},
    faults::{self, FURTHER},
};

async fn post(stand_in: &StandIn, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}{path}", stand_in.url())).body(body.to_string());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn get(stand_in: &StandIn, path: &str, key: &str) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{}{path}", stand_in.url())).bearer_auth(key).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn keyed(stand_in: &StandIn, path: &str, body: &Value) -> (u16, Value) {
    post(stand_in, path, &[("authorization", &format!("Bearer {KEY}"))], body).await
}

#[tokio::test]
async fn every_vector_is_answered_as_the_contract_says() {
    let stand_in = StandIn::start().await.unwrap();
    for vector in list("test_vectors") {
        let (id, endpoint) = (&vector["id"], Endpoint::named(vector["endpoint"].as_str().unwrap()).unwrap());
        let (status, body) = match endpoint.method() {
            // By the id that the vector names, or else of one that is there.
            "GET" => {
                let begun = keyed(&stand_in, "/research", &json!({ "input": "x" })).await.1;
                let named = vector["path_params"]["request_id"].as_str().or_else(|| begun["request_id"].as_str());
                get(&stand_in, &endpoint.path().replace("{request_id}", named.unwrap()), KEY).await
            }
            _ => keyed(&stand_in, endpoint.path(), &vector["body"]).await,
        };
        let mut expected = vec![vector["expect_status"].as_u64().unwrap()];
        expected.extend(vector["also_accept"].as_array().into_iter().flatten().filter_map(Value::as_u64));
        assert!(expected.contains(&status.into()), "{id}: {status} {body}");
        for field in vector["expect_fields"].as_array().into_iter().flatten() {
            assert!(!body[field.as_str().unwrap()].is_null(), "{id}: no {field} in {body}");
        }
        if status >= 400 {
            assert!(body["detail"]["error"].is_string(), "{id}: {body}");
        }
    }
}

#[tokio::test]
async fn every_documented_bound_is_kept() {
    let stand_in = StandIn::start().await.unwrap();
    for endpoint in list("endpoints") {
        let endpoint = Endpoint::named(endpoint["id"].as_str().unwrap()).unwrap();
        let good = match endpoint.id() {
            "search" => json!({ "query": "x" }),
            "extract" => json!({ "urls": "https://a.example" }),
            "map" | "crawl" => json!({ "url": "https://a.example" }),
            "research_create" => json!({ "input": "x" }),
            "feedback" => json!({ "request_id": "r" }),
            "org_usage" => json!({ "organization_name": "Stand-in" }),
            "logs" => json!({}),
            _ => continue,
        };
        let status = |over: Value| {
            let mut body = good.clone();
            for (name, value) in over.as_object().unwrap() {
                body[name] = value.clone();
            }
            let stand_in = &stand_in;
            async move {
                let headers = [("authorization", "Bearer tvly-owner-1")];
                post(stand_in, endpoint.path(), &headers, &body).await.0
            }
        };
        let accepted = |status: u16| (200..300).contains(&status);
        assert!(accepted(status(json!({})).await), "{}", endpoint.id());
        for (name, field) in endpoint.fields() {
            if matches!(field["status"].as_str(), Some("sdk-only" | "legacy")) {
                continue;
            }
            let told = |value: &Value| format!("{} {name}: {value}", endpoint.id());
            for (bound, step) in [("minimum", -1.0), ("maximum", 1.0)] {
                let Some(bound) = field[bound].as_f64() else { continue };
                let whole = |number: f64| if number.fract() == 0.0 { json!(number as i64) } else { json!(number) };
                let (at, beyond) = (whole(bound), whole(bound + step));
                assert!(accepted(status(json!({ name: at })).await), "{}", told(&at));
                assert_eq!(status(json!({ name: beyond })).await, 400, "{}", told(&beyond));
            }
            if field["enum"].is_array() {
                assert_eq!(status(json!({ name: "no such word" })).await, 400, "{}", told(&Value::Null));
            }
            if field["type"] == "boolean" || field["type"] == "array" {
                assert_eq!(status(json!({ name: 7 })).await, 400, "{}", told(&json!(7)));
            }
        }
    }
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

#[tokio::test]
async fn crawls_and_research_have_rates_of_their_own() {
    let stand_in = StandIn::start_with(Options { enforce_rates: true, ..Options::default() }).await.unwrap();
    for (path, body, most) in
        [("/research", json!({ "input": "x" }), 20), ("/crawl", json!({ "url": "https://a.example" }), 100)]
    {
        for n in 1..=most + 1 {
            let status = keyed(&stand_in, path, &body).await.0;
            assert_eq!(status == 429, n > most, "{path} {n}: {status}");
        }
        assert_eq!(keyed(&stand_in, "/search", &json!({ "query": "x" })).await.0, 200);
    }
}

#[tokio::test]
async fn pages_of_maps_and_crawls_are_billed_and_shown_in_usage() {
    let stand_in = StandIn::start().await.unwrap();
    for (path, over, credits) in [
        ("/map", json!({}), 5),
        ("/map", json!({ "instructions": "docs" }), 10),
        ("/map", json!({ "limit": 7 }), 0),
        ("/map", json!({ "limit": 7 }), 1),
        ("/crawl", json!({ "limit": 46 }), 5 + 9),
        ("/crawl", json!({ "limit": 50, "instructions": "docs", "extract_depth": "advanced" }), 10 + 20),
    ] {
        let mut body = json!({ "url": "https://a.example", "include_usage": true });
        for (name, value) in over.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, answer) = keyed(&stand_in, path, &body).await;
        assert_eq!((status, &answer["usage"]["credits"]), (200, &json!(credits)), "{path} {over}");
    }
    let usage = get(&stand_in, "/usage", KEY).await.1;
    assert_eq!((&usage["key"]["map_usage"], &usage["key"]["crawl_usage"]), (&json!(16), &json!(44)));
    assert_eq!(usage["key"]["usage"], json!(stand_in.used(KEY)));
}

#[tokio::test]
async fn a_research_is_pending_then_under_way_then_done() {
    let stand_in = StandIn::start().await.unwrap();
    let (status, created) = keyed(&stand_in, "/research", &json!({ "input": "tea", "model": "mini" })).await;
    assert_eq!((status, &created["status"]), (201, &json!("pending")));
    let path = format!("/research/{}?include_usage=true", created["request_id"].as_str().unwrap());
    for (status, word) in [(202, "pending"), (202, "in_progress"), (200, "completed"), (200, "completed")] {
        let (found, answer) = get(&stand_in, &path, KEY).await;
        assert_eq!((found, &answer["status"]), (status, &json!(word)));
    }
    assert_eq!(get(&stand_in, &path, KEY).await.1["usage"]["credits"], 4);
    assert_eq!(stand_in.used(KEY), 4, "charged once");
    assert_eq!(get(&stand_in, "/research/unknown", KEY).await.0, 404);
    let stand_in = StandIn::start_with(Options { created: 200, looks: 0, ..Options::default() }).await.unwrap();
    let (status, created) = keyed(&stand_in, "/research", &json!({ "input": "tea" })).await;
    let path = format!("/research/{}", created["request_id"].as_str().unwrap());
    assert_eq!((status, get(&stand_in, &path, KEY).await.0), (200, 200));
}

#[tokio::test]
async fn a_plan_has_an_end_and_organisations_an_owner() {
    let stand_in = StandIn::start_with(Options { plan_limit: Some(2), ..Options::default() }).await.unwrap();
    for expected in [200, 200, 432] {
        assert_eq!(keyed(&stand_in, "/search", &json!({ "query": "x" })).await.0, expected);
    }
    assert_eq!(get(&stand_in, "/usage", KEY).await.0, 200);
    let organisation = json!({ "organization_name": "Stand-in" });
    let owner = [("authorization", "Bearer tvly-owner-1")];
    assert_eq!(keyed(&stand_in, "/org-usage", &organisation).await.0, 403);
    assert_eq!(post(&stand_in, "/org-usage", &owner, &organisation).await.0, 200);
    assert_eq!(post(&stand_in, "/org-usage", &owner, &json!({ "organization_name": "Other" })).await.0, 404);
    assert_eq!(post(&stand_in, "/org-usage", &owner, &json!({})).await.0, 422);
    assert_eq!(post(&stand_in, "/logs", &[("authorization", "Bearer tvly-dev-1")], &json!({})).await.0, 403);
    assert_eq!(keyed(&stand_in, "/logs", &json!({})).await.0, 200);
}

#[tokio::test]
async fn a_key_can_name_its_fault() {
    let stand_in = StandIn::start().await.unwrap();
    let body = json!({ "query": "x" });
    for (key, expected) in [("432", 432), ("500-then-200", 500), ("500-then-200", 200), ("432", 432), ("no-such", 200)]
    {
        let bearer = format!("Bearer tvly-fault-{key}");
        assert_eq!(post(&stand_in, "/search", &[("authorization", &bearer)], &body).await.0, expected, "{key}");
    }
    assert_eq!(keyed(&stand_in, "/search", &body).await.0, 200);
    // What is behind a dot tells keys apart.
    for (key, expected) in [("a", 500), ("b", 500), ("a", 200), ("b", 200)] {
        let bearer = format!("Bearer tvly-fault-500-then-200.{key}");
        assert_eq!(post(&stand_in, "/search", &[("authorization", &bearer)], &body).await.0, expected, "{key}");
    }
    let requests = get(&stand_in, "/stand-in/requests", KEY).await.1;
    let last = requests.as_array().unwrap().last().unwrap();
    assert_eq!((&last["path"], &last["key"]), (&json!("/search"), &json!("tvly-fault-500-then-200.b")));
    assert_eq!(get(&stand_in, "/stand-in/requests", KEY).await.1, json!([]));
}

#[test]
fn every_fault_of_the_contract_can_be_played() {
    for case in list("fault_cases") {
        let name = case["id"].as_str().unwrap();
        assert!(faults::named(name).is_some(), "{name}");
    }
    for name in FURTHER {
        assert!(faults::named(name).is_some(), "{name}");
    }
    assert!(faults::named("no such fault").is_none());
}
