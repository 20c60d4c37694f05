//! Where calls may go, and what may come back: addresses that stay inside, filters that hold, the operator's own rules.

use serde_json::{Value, json};
use toolgate_tests::tavily::faults::Act;

use crate::{Bench, invalid, structured, text};

/// Addresses that point inside, in all kinds of spelling.
const INSIDE: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.0.0.1.:8080/",
    "http://１２７.0.0.1/",
    "http://①②⑦.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1:3000/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://ⓛocalhost/",
    "http://app.localhost:8080/",
    "http://intranet/",
    "http://wiki.corp/",
    "http://printer.local/",
    "http://nas.home.arpa/",
    "http://db.internal/",
    "http://metadata.google.internal/",
    "http://metadata.goog/",
    "http://127.0.0.1.nip.io/",
    "http://168.63.129.16/metadata/instance",
    "http://kubernetes.default/api",
    "http://10.0.0.1.xip.name/",
    "http://make-10.0.0.1-rr.1u.ms/",
    "http://db.service.consul/",
    "http://fritz.box/",
    "http://a..example/",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "http://example.com@127.0.0.1/",
    "ftp://example.com/",
    "file:///etc/passwd",
];

#[tokio::test]
async fn addresses_that_point_inside_never_leave() {
    let bench = Bench::new().await;
    for given in INSIDE {
        for tool in ["tavily_map", "tavily_crawl"] {
            let (path, _) = invalid(&bench, tool, json!({ "url": given })).await;
            assert_eq!(path, "/url", "{tool} {given}");
        }
        let (path, message) = invalid(&bench, "tavily_extract", json!({ "urls": [given] })).await;
        assert_eq!(path, "/urls/0", "{given}");
        assert!(!message.contains("secret"), "{message}");
        // Without a scheme as well.
        if let Some(bare) = given.strip_prefix("http://") {
            assert_eq!(invalid(&bench, "tavily_crawl", json!({ "url": bare })).await.0, "/url", "{bare}");
        }
    }
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn filters_that_name_the_inside_never_leave() {
    let bench = Bench::new().await;
    for given in [
        "localhost",
        "intranet",
        "10.0.0.1",
        "127.1",
        "[::1]",
        "wiki.corp",
        "*.local",
        "https://nas.lan/x",
        "metadata.google.internal",
    ] {
        for name in ["include_domains", "exclude_domains"] {
            for (tool, main) in [("tavily_search", "query"), ("tavily_research", "input")] {
                let (path, _) = invalid(&bench, tool, json!({ main: "x", name: ["a.example", given] })).await;
                assert_eq!(path, format!("/{name}/1"), "{tool} {given}");
            }
        }
    }
    for (name, given) in [
        ("select_domains", "^intranet\\.corp$"),
        ("exclude_domains", "localhost"),
        ("select_domains", ".*\\.internal$"),
    ] {
        for tool in ["tavily_map", "tavily_crawl"] {
            let (path, _) = invalid(&bench, tool, json!({ "url": "https://a.example", name: [given] })).await;
            assert_eq!(path, format!("/{name}/0"), "{tool} {given}");
        }
    }
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn a_scheme_may_be_left_out_where_a_walk_begins() {
    let bench = Bench::new().await;
    for (given, sent) in [
        ("a.example", "https://a.example/"),
        ("a.example/docs", "https://a.example/docs"),
        ("http://a.example", "http://a.example/"),
    ] {
        for tool in ["tavily_map", "tavily_crawl"] {
            let result = bench.call(tool, json!({ "url": given, "limit": 2 })).await;
            assert!(!result.is_error, "{}", text(&result));
            assert_eq!(bench.sent()[0]["url"], sent);
        }
    }
}

fn urls(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|source| source["url"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_comes_back_from_a_walk_keeps_to_its_filters() {
    let bench = Bench::new().await;
    bench.stand_in.play(Act::Alter(|answer| {
        let page = |url: &str| {
            if answer["results"][0].is_string() { json!(url) } else { json!({ "url": url, "raw_content": "x" }) }
        };
        answer["results"] = [
            "https://a.example/",
            "https://docs.a.example/x",
            "https://a.example.evil.test/",
            "https://elsewhere.example/",
            "javascript:alert(1)",
        ]
        .map(page)
        .into();
    }));
    for tool in ["tavily_map", "tavily_crawl"] {
        let all = [
            "https://a.example/",
            "https://docs.a.example/x",
            "https://a.example.evil.test/",
            "https://elsewhere.example/",
        ];
        let cases = [
            (json!({}), all.as_slice(), "no http or https address"),
            (json!({ "allow_external": true }), &all, "no http or https address"),
            (json!({ "allow_external": false }), &all[..2], "external, and allow_external is false"),
            (json!({ "select_domains": ["^docs\\.a\\.example$"] }), &all[1..2], "not within select_domains"),
            (json!({ "select_domains": ["(^|\\.)a\\.example$"] }), &all[..2], "not within select_domains"),
            (json!({ "exclude_domains": ["evil", "^elsewhere"] }), &all[..2], "within exclude_domains"),
        ];
        for (mut arguments, expected, reason) in cases {
            arguments["url"] = "https://www.a.example".into();
            let result = bench.call(tool, arguments.clone()).await;
            let value = structured(&result);
            assert_eq!(urls(&value["sources"]), expected, "{tool} {arguments}");
            let dropped = value["dropped"].as_array().unwrap();
            assert_eq!(dropped.len() + expected.len(), 5, "{tool} {arguments}: all are accounted for");
            assert!(dropped.iter().any(|dropped| dropped["reason"] == reason), "{tool} {arguments}: {dropped:?}");
            assert!(text(&result).contains(&format!("left out: {reason}")), "{}", text(&result));
        }
    }
}

#[tokio::test]
async fn the_operators_sites_are_the_only_ones_that_are_read_and_shown() {
    let settings = json!({ "sites": { "allow": ["blog.example", "docs.example", "a.example"], "deny": ["docs.example/secret", "evil.a.example"] } });
    let bench = Bench::with(settings).await;
    // Asked for, where the caller names none of its own.
    let result = bench.search(json!({ "query": "x" })).await;
    assert_eq!(bench.sent()[0]["include_domains"], json!(["blog.example", "docs.example", "a.example"]));
    assert!(!structured(&result)["sources"].as_array().unwrap().is_empty());
    let result = bench.search(json!({ "query": "x", "include_domains": ["news.example"] })).await;
    assert_eq!(bench.sent()[0]["include_domains"], json!(["news.example"]));
    assert_eq!(urls(&structured(&result)["sources"]), [""; 0]);
    assert_eq!(structured(&result)["dropped"][0]["reason"], "a site that this server's operator leaves out");
    for given in ["https://other.example/", "https://docs.example/secret/x", "https://evil.a.example/"] {
        assert_eq!(invalid(&bench, "tavily_extract", json!({ "urls": given })).await.0, "/urls");
        assert_eq!(invalid(&bench, "tavily_map", json!({ "url": given })).await.0, "/url");
        assert_eq!(invalid(&bench, "tavily_crawl", json!({ "url": given })).await.0, "/url");
    }
    assert!(bench.sent().is_empty());
    let result = bench.call("tavily_map", json!({ "url": "https://a.example" })).await;
    assert!(urls(&structured(&result)["sources"]).iter().all(|url| url.contains("a.example")), "{result:?}");
    assert!(!structured(&result)["dropped"].as_array().unwrap().is_empty());
    bench.sent();
    let result = bench.call("tavily_research", json!({ "input": "x" })).await;
    let sent = bench.sent().remove(0);
    assert_eq!(sent["exclude_domains"], json!(["docs.example/secret", "evil.a.example"]));
    assert_eq!(sent["include_domains"], json!(["blog.example", "docs.example", "a.example"]));
    assert_eq!(urls(&structured(&result)["sources"]), ["https://blog.example/rt"]);
}

#[tokio::test]
async fn results_of_little_relevance_are_left_out_on_request() {
    let bench = Bench::new().await;
    let result = bench.search(json!({ "query": "x", "min_score": 0.9 })).await;
    let value = structured(&result);
    assert_eq!(value["sources"].as_array().unwrap().len(), 2, "0.95 and 0.91");
    assert!(value["dropped"].as_array().unwrap().iter().all(|dropped| dropped["reason"] == "score below min_score"));
    assert!(bench.sent()[0].get("min_score").is_none());
    assert_eq!(invalid(&bench, "tavily_search", json!({ "query": "x", "min_score": 1.5 })).await.0, "/min_score");
}

#[tokio::test]
async fn domain_filters_hold_in_every_spelling_or_are_refused() {
    let bench = Bench::new().await;
    for given in [
        "HTTPS://blog.example",
        "blog.example:443",
        "https://blog.example:443/",
        "blog。example。",
        "blog.example%2e",
        "*.blog.example",
    ] {
        let result = bench.search(json!({ "query": "x", "exclude_domains": [given] })).await;
        let hosts = urls(&structured(&result)["sources"]).join(" ");
        assert!(!hosts.contains("blog.example") && hosts.contains("docs.example"), "{given}: {hosts}");
    }
    bench.sent();
    for given in ["*blog.example", "blog.*", "a..example", "*"] {
        for name in ["include_domains", "exclude_domains"] {
            assert_eq!(
                invalid(&bench, "tavily_search", json!({ "query": "x", name: [given] })).await.0,
                format!("/{name}/0"),
                "{given}"
            );
        }
    }
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn a_path_that_the_operator_denies_is_not_read_in_any_spelling() {
    let bench = Bench::with(json!({ "sites": { "deny": ["secret.example/admin"] } })).await;
    for path in ["admin", "%61dmin/x", "x/..%2fadmin", "admin%2fx", "admin;x", "ADMIN", "%2561dmin", "x/..%5cadmin"] {
        let given = format!("https://secret.example/{path}");
        assert_eq!(invalid(&bench, "tavily_extract", json!({ "urls": given })).await.0, "/urls", "{path}");
        assert_eq!(invalid(&bench, "tavily_crawl", json!({ "url": given })).await.0, "/url", "{path}");
    }
    assert!(bench.sent().is_empty());
    let result = bench.extract(json!({ "urls": "https://secret.example/administration" })).await;
    assert!(!result.is_error, "{}", text(&result));
}
