//! How long results are: by the caller's wish and the server's ceiling, cut at paragraph ends, told.

use serde_json::{Value, json};
use toolgate_plugin::ToolResult;
use toolgate_tests::tavily::faults::Act;

use crate::{Bench, structured, text};

/// As the plugin estimates.
fn tokens(result: &ToolResult) -> usize {
    (text(result).len() * 2).div_ceil(7)
}

/// Paragraphs of 60 bytes.
fn paragraphs(answer: &mut Value, name: &str, each: usize) {
    for result in answer["results"].as_array_mut().unwrap() {
        let text: Vec<String> =
            (0..each).map(|n| format!("Paragraph {n:04} says something of some length, and ends here.")).collect();
        result[name] = text.join("\n\n").into();
    }
}

#[tokio::test]
async fn a_result_has_no_more_tokens_than_were_asked_for() {
    let bench = Bench::new().await;
    bench.stand_in.play(Act::Alter(|answer| {
        for name in ["content", "raw_content"] {
            paragraphs(answer, name, 400);
        }
        answer["answer"] = "An answer. ".repeat(500).into();
    }));
    for most in [300, 1000, 5000, 20_000] {
        for (tool, mut arguments) in [
            ("tavily_search", json!({ "query": "x", "include_answer": true, "include_raw_content": true })),
            ("tavily_search", json!({ "query": "x", "max_results": 20 })),
            (
                "tavily_extract",
                json!({ "urls": (0..20).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>() }),
            ),
            ("tavily_crawl", json!({ "url": "https://a.example" })),
        ] {
            arguments["max_output_tokens"] = most.into();
            let result = bench.call(tool, arguments.clone()).await;
            assert!(tokens(&result) <= most, "{tool} {most}: {}", tokens(&result));
            assert!(
                most < 1000 || tokens(&result) > most / 2,
                "{tool} {most}: {} is less than there is room for",
                tokens(&result)
            );
            let value = structured(&result);
            assert_eq!(value["truncated"], true, "{tool} {most}");
            let said: usize = ["sources", "dropped"].iter().map(|name| value[name].as_array().unwrap().len()).sum();
            assert!(said >= 5, "{tool} {most}: what has no room is told");
            for source in value["sources"].as_array().unwrap() {
                assert_eq!(source["truncated"], true, "{tool} {most}");
                assert!(source["omitted_tokens"].as_u64().unwrap() > 0);
                let shown = source["text"].as_str().unwrap();
                // Where not even one paragraph fits, a part of it is better than nothing.
                let whole = shown.len() < 60 || shown.ends_with("ends here.");
                assert!(whole, "{tool} {most}: {shown:?}");
            }
            assert!(
                text(&result).contains("(cut: about ") && text(&result).contains("tokens of this were left out"),
                "{tool}"
            );
        }
    }
}

#[tokio::test]
async fn room_goes_to_sources_by_their_score_and_what_one_does_not_need_to_the_others() {
    let bench = Bench::new().await;
    bench.stand_in.play(Act::Alter(|answer| {
        paragraphs(answer, "content", 400);
        for (n, score) in [0.9, 0.45, 0.9].into_iter().enumerate() {
            answer["results"][n]["score"] = score.into();
        }
        answer["results"][2]["content"] = "Short.".into();
    }));
    let result = bench.search(json!({ "query": "x", "max_results": 3, "max_output_tokens": 4000 })).await;
    let lengths: Vec<usize> = structured(&result)["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["text"].as_str().unwrap().len())
        .collect();
    assert_eq!(lengths[2], "Short.".len());
    let ratio = lengths[0] as f64 / lengths[1] as f64;
    assert!((1.8..2.2).contains(&ratio), "{lengths:?}");
    assert_eq!(structured(&result)["sources"][2]["truncated"], false);
    assert!(lengths.iter().sum::<usize>() > 4000 * 7 / 2 * 8 / 10, "{lengths:?}");
}

#[tokio::test]
async fn the_servers_ceiling_holds_for_every_caller_and_defaults_fill_gaps() {
    let bench = Bench::with(json!({
        "max_output_tokens": 2000, "defaults": { "search": { "max_output_tokens": 800 } },
    }))
    .await;
    bench.stand_in.play(Act::Alter(|answer| paragraphs(answer, "content", 400)));
    let mut lengths = Vec::new();
    for asked in [json!({}), json!({ "max_output_tokens": 1500 }), json!({ "max_output_tokens": 100_000 })] {
        let mut arguments = asked.clone();
        arguments["query"] = "x".into();
        lengths.push(tokens(&bench.search(arguments).await));
    }
    assert!(
        lengths[0] <= 800 && lengths[1] > 800 && lengths[1] <= 1500 && lengths[2] > 1500 && lengths[2] <= 2000,
        "{lengths:?}"
    );
}

#[tokio::test]
async fn what_fits_is_not_touched() {
    let bench = Bench::new().await;
    for (tool, arguments) in [
        ("tavily_search", json!({ "query": "x", "include_raw_content": true })),
        ("tavily_extract", json!({ "urls": "https://a.example/" })),
        ("tavily_map", json!({ "url": "https://a.example" })),
        ("tavily_crawl", json!({ "url": "https://a.example", "limit": 5 })),
    ] {
        let result = bench.call(tool, arguments).await;
        assert_eq!(structured(&result)["truncated"], false, "{tool}");
        assert!(!text(&result).contains("(cut"), "{}", text(&result));
    }
}

#[tokio::test]
async fn addresses_without_room_are_told() {
    let bench = Bench::new().await;
    let result = bench.call("tavily_map", json!({ "url": "https://a.example", "max_output_tokens": 300 })).await;
    let value = structured(&result);
    let (kept, dropped) = (value["sources"].as_array().unwrap().len(), value["dropped"].as_array().unwrap());
    assert!(kept > 3 && kept + dropped.len() == 50, "{kept}");
    assert!(dropped.iter().all(|dropped| dropped["reason"] == "no room within max_output_tokens"));
    assert!(tokens(&result) <= 300 && value["truncated"] == true, "{}", tokens(&result));
    assert!(text(&result).contains("results were left out: no room within max_output_tokens"), "{}", text(&result));
}

#[tokio::test]
async fn a_report_is_cut_and_can_be_asked_for_again_with_more_room() {
    let bench = Bench::new().await;
    bench.stand_in.play(Act::Alter(|answer| {
        if answer["status"] == "completed" {
            let text: Vec<String> =
                (0..400).map(|n| format!("Paragraph {n:04} says something of some length, and ends here.")).collect();
            answer["content"] = text.join("\n\n").into();
        }
    }));
    let result = bench.call("tavily_research", json!({ "input": "x", "max_output_tokens": 1000 })).await;
    assert!(tokens(&result) <= 1000 && structured(&result)["truncated"] == true, "{}", tokens(&result));
    assert!(structured(&result)["content"].as_str().unwrap().ends_with("ends here."));
    assert!(
        text(&result).contains("ask tavily_get_research for it with a larger max_output_tokens"),
        "{}",
        text(&result)
    );
    let id = structured(&result)["request_id"].clone();
    let whole = bench.call("tavily_get_research", json!({ "request_id": id })).await;
    assert_eq!(structured(&whole)["truncated"], false);
    assert!(structured(&whole)["content"].as_str().unwrap().contains("Paragraph 0399"));
}

#[tokio::test]
async fn pages_of_any_size_are_cut() {
    let bench = Bench::with(json!({ "max_output_tokens": 1000 })).await;
    bench.stand_in.fail("huge-raw-content");
    for (tool, arguments) in [
        ("tavily_extract", json!({ "urls": ["https://a.example/1", "https://a.example/2"] })),
        ("tavily_search", json!({ "query": "x", "include_raw_content": true })),
        ("tavily_crawl", json!({ "url": "https://a.example", "limit": 2 })),
    ] {
        let result = bench.call(tool, arguments).await;
        let value = structured(&result);
        assert_eq!(
            (&value["sources"][0]["truncated"], &value["sources"][1]["truncated"]),
            (&json!(true), &json!(false)),
            "{tool}"
        );
        assert!(tokens(&result) <= 1000, "{tool}: {}", tokens(&result));
        assert!(value["sources"][0]["omitted_tokens"].as_u64().unwrap() > 1_000_000, "{tool}");
    }
}

#[tokio::test]
async fn long_addresses_titles_and_images_keep_to_the_room_as_well() {
    let bench = Bench::new().await;
    bench.stand_in.play(Act::Alter(|answer| {
        let long = |n: usize| format!("https://a.example/{n}/{}", "x".repeat(900));
        for (n, hit) in answer["results"].as_array_mut().unwrap().iter_mut().enumerate() {
            hit["url"] = long(n).into();
            hit["title"] = "A title ".repeat(40).into();
            hit["images"] = (0..9).map(long).collect();
        }
        answer["images"] = (0..9).map(long).collect();
        answer["answer"] = "An answer. ".repeat(50).into();
    }));
    for most in [200, 300, 500, 1000] {
        for arguments in [
            json!({ "query": "x", "max_results": 1 }),
            json!({ "query": "x", "max_results": 5 }),
            json!({ "query": "x", "include_images": true, "include_answer": true }),
        ] {
            let mut arguments = arguments;
            arguments["max_output_tokens"] = most.into();
            let result = bench.search(arguments.clone()).await;
            assert!(tokens(&result) <= most, "{most} {arguments}: {} {}", tokens(&result), text(&result));
            let value = structured(&result);
            let url = value["sources"][0]["url"].as_str().unwrap();
            assert!(url.len() > 900, "{most} {arguments}: programs get the whole address: {url}");
            assert!(text(&result).contains("[1] A title"), "{most} {arguments}: {}", text(&result));
        }
    }
}

#[tokio::test]
async fn sources_of_high_scores_are_kept_and_shown_in_their_order_with_numbers_without_holes() {
    let bench = Bench::new().await;
    bench.stand_in.play(Act::Alter(|answer| {
        paragraphs(answer, "content", 40);
        for (n, score) in [0.1, 0.9, 0.2, 0.8, 0.3].into_iter().enumerate() {
            answer["results"][n]["score"] = score.into();
            answer["results"][n]["title"] = "A title of some length ".repeat(5).into();
        }
    }));
    for (most, expected) in [(300, vec![0.9]), (600, vec![0.9, 0.8])] {
        let result = bench.search(json!({ "query": "x", "max_results": 5, "max_output_tokens": most })).await;
        let sources = structured(&result)["sources"].as_array().unwrap();
        let scores: Vec<f64> = sources.iter().map(|source| source["score"].as_f64().unwrap()).collect();
        assert!(scores.starts_with(&expected) && scores.len() < 5, "{most}: {scores:?}");
        assert!(tokens(&result) <= most, "{most}: {}", tokens(&result));
        for (n, source) in sources.iter().enumerate() {
            assert_eq!(source["n"], n + 1);
            let line = format!("[{}] A title", n + 1);
            assert!(text(&result).contains(&line), "{most}: {}", text(&result));
        }
        assert_eq!(sources.len() + structured(&result)["dropped"].as_array().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn lists_for_programs_are_bounded_and_that_is_told() {
    let bench = Bench::new().await;
    bench.stand_in.play(Act::Alter(|answer| {
        let long = |n: usize| format!("https://a.example/{n}/{}", "x".repeat(3000));
        answer["images"] = (0..100).map(long).collect();
        answer["failed_results"] = (0..40).map(|n| json!({ "url": long(n), "error": "no" })).collect();
        let odd = (0..1000).map(|n| json!({ "url": format!("ftp://a.example/{n}/{}", "x".repeat(900)) }));
        let results: Vec<Value> = odd.chain(answer["results"].as_array().unwrap().iter().cloned()).collect();
        answer["results"] = results.into();
    }));
    for (result, lists) in [
        (
            bench.search(json!({ "query": "x", "include_images": true, "max_output_tokens": 500 })).await,
            &["dropped", "images"][..],
        ),
        (
            bench.extract(json!({ "urls": "https://a.example/", "max_output_tokens": 500 })).await,
            &["dropped", "failed"],
        ),
    ] {
        let value = structured(&result);
        for name in lists {
            let list = &value[*name];
            assert!(!list.as_array().unwrap().is_empty() && list.to_string().len() < 25_000, "{name}");
        }
        assert_eq!(value["truncated"], true);
        assert!(value.to_string().len() < 70_000, "{}", value.to_string().len());
        assert!(text(&result).contains("1000 results were left out: no http or https address."), "{}", text(&result));
    }
}
