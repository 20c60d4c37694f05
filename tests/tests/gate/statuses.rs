//! The statuses of the gate: each row with each provider, through both faces.

use serde_json::{Value, json};

use crate::{
    house::{Face, House, Provider, assert_echoed, call, call_with},
    reply::Reply,
};

/// What a refusal must be.
struct Expected {
    status: u16,
    /// The code in the body, and in the header if `told`.
    error: &'static str,
    /// The parameters of the challenge, sorted.
    parameters: &'static [&'static str],
    /// The `scope` of the challenge.
    scope: Option<&'static str>,
    retry: bool,
}

const NO_CREDENTIALS: Expected = Expected {
    status: 401,
    error: "unauthorized",
    parameters: &["resource_metadata", "scope"],
    scope: Some("web-search:read"),
    retry: false,
};
const MALFORMED: Expected = Expected {
    status: 400,
    error: "invalid_request",
    parameters: &["error", "error_description", "resource_metadata"],
    scope: None,
    retry: false,
};
const INVALID: Expected = Expected {
    status: 401,
    error: "invalid_token",
    parameters: &["error", "error_description", "resource_metadata", "scope"],
    scope: Some("web-search:read"),
    retry: false,
};
const SHORT: Expected = Expected {
    status: 403,
    error: "insufficient_scope",
    parameters: &["error", "error_description", "resource_metadata", "scope"],
    scope: Some("web-search:write"),
    retry: false,
};
const LIMITED: Expected =
    Expected { status: 429, error: "rate_limited", parameters: &["resource_metadata"], scope: None, retry: true };

/// The answer is that refusal, to the letter, and audited as such.
async fn assert_refused(house: &House, face: Face, reply: &Reply, expected: &Expected, row: &str) -> Value {
    let row = format!("{:?}, {face:?}, {row}: {reply:?}", house.provider);
    assert_eq!(reply.status, expected.status, "{row}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{row}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{row}");
    let body = reply.json();
    let mut members: Vec<&String> = body.as_object().expect("an object").keys().collect();
    members.sort();
    assert_eq!(members, ["error", "error_description", "request_id"], "{row}");
    assert_eq!(body["error"], expected.error, "{row}");
    assert!(body["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{row}");
    assert_eq!(body["request_id"], reply.request_id(), "{row}");
    let challenge = reply.challenge().unwrap_or_else(|| panic!("no challenge, {row}"));
    assert_eq!(challenge.names(), expected.parameters, "{row}");
    assert_eq!(challenge.parameter("resource_metadata"), Some(&*house.metadata_url()), "{row}");
    assert_eq!(challenge.parameter("scope"), expected.scope, "{row}");
    if expected.parameters.contains(&"error") {
        assert_eq!(challenge.parameter("error"), Some(expected.error), "{row}");
        assert_eq!(challenge.parameter("error_description"), body["error_description"].as_str(), "{row}");
    }
    assert_eq!(reply.retry_after().is_some_and(|seconds| seconds >= 1), expected.retry, "{row}");
    let record = house.server.audited(reply.request_id()).await;
    assert_eq!(record["decision"], "refuse", "{row}: {record}");
    assert_eq!(record["reason"], expected.error, "{row}: {record}");
    assert_eq!((&record["face"], &record["endpoint"]), (&json!(face.name()), &json!("web-search")), "{row}: {record}");
    record
}

async fn assert_permitted(house: &House, face: Face, reply: &Reply, tool: &str, row: &str) -> Value {
    let row = format!("{:?}, {face:?}, {row}", house.provider);
    assert_echoed(face, reply, &row);
    assert!(reply.challenge().is_none(), "{row}: {reply:?}");
    let record = house.server.audited(reply.request_id()).await;
    assert_eq!(record["decision"], "permit", "{row}: {record}");
    assert_eq!(record["outcome"], "ok", "{row}: {record}");
    assert_eq!((&record["tool"], &record["face"]), (&json!(tool), &json!(face.name())), "{row}: {record}");
    record
}

#[tokio::test]
async fn without_credentials_a_caller_is_told_where_to_get_them() {
    for provider in Provider::ASKING {
        let house = House::of(provider).await;
        for face in Face::BOTH {
            for (row, authorization) in
                [("none", &[][..]), ("another scheme", &["Basic YTpi"]), ("a scheme that begins alike", &["Bearer2 x"])]
            {
                let reply = call(&house.server, face, "read", authorization).await;
                assert_refused(&house, face, &reply, &NO_CREDENTIALS, row).await;
            }
        }
    }
}

#[tokio::test]
async fn several_credentials_or_blanks_inside_one_are_a_bad_request() {
    for provider in Provider::ASKING {
        let house = House::of(provider).await;
        let token = house.reader().await;
        let bearer = format!("Bearer {token}");
        let twice = format!("Bearer {token} {token}");
        let listed = format!("Bearer {token}, Bearer {token}");
        let tabbed = format!("Bearer {token}\tx");
        for face in Face::BOTH {
            for (row, authorization) in [
                ("the same twice", &[&*bearer, &*bearer][..]),
                ("two schemes", &["Basic YTpi", &bearer]),
                ("two tokens", &[&twice]),
                ("a list", &[&listed]),
                ("a tab inside", &[&tabbed]),
            ] {
                let reply = call(&house.server, face, "read", authorization).await;
                assert_refused(&house, face, &reply, &MALFORMED, row).await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_valid_token_is_refused_as_such() {
    for provider in Provider::ASKING {
        let house = House::of(provider).await;
        for face in Face::BOTH {
            for (row, value) in [
                ("a word", "Bearer word"),
                ("nothing", "Bearer"),
                ("a blank", "Bearer "),
                ("parts", "Bearer a.b.c"),
                ("beyond the characters of tokens", "Bearer {\"token\"}"),
            ] {
                let reply = call(&house.server, face, "read", &[value]).await;
                let record = assert_refused(&house, face, &reply, &INVALID, row).await;
                assert_eq!(record["principal"], Value::Null, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_without_the_tools_scope_is_told_which_to_ask_for() {
    for provider in Provider::ASKING {
        let house = House::of(provider).await;
        let token = house.reader().await;
        for face in Face::BOTH {
            let reply = call_with(&house.server, face, "write", &token).await;
            let record = assert_refused(&house, face, &reply, &SHORT, "write with a token for reading").await;
            assert_eq!(record["missing_scopes"], json!(["web-search:write"]), "{record}");
            assert_eq!(record["tool"], "write", "{record}");
            assert!(record["principal"]["subject"].is_string(), "{record}");
            let description = reply.json()["error_description"].as_str().map(str::to_owned);
            assert!(description.as_deref().is_some_and(|text| text.contains("'write'")), "{description:?}");
        }
    }
}

#[tokio::test]
async fn a_valid_token_opens_what_its_scopes_reach() {
    for provider in Provider::ASKING {
        let house = House::of(provider).await;
        let (reader, writer) = (house.reader().await, house.writer().await);
        for face in Face::BOTH {
            for (row, tool, token) in [
                ("read with its scope", "read", &reader),
                ("read by implication", "read", &writer),
                ("write with its scope", "write", &writer),
                ("any valid token", "open", &reader),
            ] {
                let reply = call_with(&house.server, face, tool, token).await;
                let record = assert_permitted(&house, face, &reply, tool, row).await;
                assert!(record["principal"]["subject"].is_string(), "{record}");
                assert!(record["duration_ms"].is_number(), "{record}");
            }
            for scheme in ["bearer", "BEARER", "bEaReR"] {
                let reply = call(&house.server, face, "read", &[&format!("{scheme} {reader}")]).await;
                assert_permitted(&house, face, &reply, "read", scheme).await;
            }
        }
    }
}

#[tokio::test]
async fn a_caller_over_the_limit_is_told_when_to_come_back() {
    for provider in Provider::ASKING {
        let house = House::of(provider).await;
        let token = house.reader().await;
        // One count for both faces.
        let first = call_with(&house.server, Face::Rest, "limited", &token).await;
        assert_permitted(&house, Face::Rest, &first, "limited", "the first").await;
        for face in Face::BOTH {
            let reply = call_with(&house.server, face, "limited", &token).await;
            assert_refused(&house, face, &reply, &LIMITED, "the second").await;
            let wait = reply.retry_after().expect("Retry-After");
            assert!((1..=60).contains(&wait), "{wait}");
        }
        // Other tools are not concerned.
        assert_echoed(Face::Mcp, &call_with(&house.server, Face::Mcp, "open", &token).await, "another tool");
    }
}

#[tokio::test]
async fn with_no_provider_everyone_may_call_and_the_audit_says_so() {
    let house = House::of(Provider::None).await;
    for face in Face::BOTH {
        for (row, tool, authorization) in [
            ("nothing", "write", &[][..]),
            ("a token", "read", &["Bearer word"]),
            ("another scheme", "open", &["Basic YTpi"]),
        ] {
            let reply = call(&house.server, face, tool, authorization).await;
            let record = assert_permitted(&house, face, &reply, tool, row).await;
            assert_eq!(record["principal"]["subject"], "anonymous", "{record}");
        }
    }
    assert_eq!(call(&house.server, Face::Rest, "limited", &[]).await.status, 200);
    let reply = call(&house.server, Face::Mcp, "limited", &[]).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (429, Some("rate_limited")), "{reply:?}");
    assert!(reply.retry_after().is_some());
}

#[tokio::test]
async fn what_is_not_there_is_said_behind_the_gate() {
    let house = House::of(Provider::Scalekit).await;
    let token = house.reader().await;
    let unknown = call_with(&house.server, Face::Rest, "no_such_tool", &token).await;
    assert_eq!((unknown.status, unknown.json()["error"].as_str()), (404, Some("unknown_tool")), "{unknown:?}");
    assert_eq!(unknown.json()["request_id"], unknown.request_id());
    assert_eq!(house.server.audited(unknown.request_id()).await["reason"], "unknown_tool");
    let unknown = call_with(&house.server, Face::Mcp, "no_such_tool", &token).await;
    assert_eq!(unknown.json()["error"]["code"], -32602, "{unknown:?}");
    assert_eq!(house.server.audited(unknown.request_id()).await["reason"], "unknown_tool");
    // Without a token nobody learns what there is.
    let anonymous = call(&house.server, Face::Rest, "no_such_tool", &[]).await;
    assert_refused(&house, Face::Rest, &anonymous, &NO_CREDENTIALS, "no such tool, no token").await;
}

#[tokio::test]
async fn wrong_arguments_are_a_400_over_http_and_a_result_over_mcp() {
    let house = House::of(Provider::OAuth).await;
    let token = house.reader().await;
    for face in Face::BOTH {
        let request = crate::house::request(&house.server, face, "read", &json!({ "text": 7 }));
        let reply = Reply::of(request.bearer_auth(&token).send().await.expect("an answer")).await;
        let text = match face {
            Face::Rest => {
                assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_arguments")));
                reply.json()["error_description"].to_string()
            }
            Face::Mcp => {
                assert_eq!(reply.status, 200, "{reply:?}");
                let result = face.result(&reply);
                assert_eq!(result["isError"], true, "{result}");
                result["content"][0]["text"].to_string()
            }
        };
        assert!(text.contains("/text"), "{face:?} names the path: {text}");
        assert_eq!(house.server.audited(reply.request_id()).await["outcome"], "invalid_arguments");
    }
}
