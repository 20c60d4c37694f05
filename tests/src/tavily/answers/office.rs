//! What the stand-in answers about accounts: usage, feedback, logs, organisations.

use serde_json::{Map, Value, json};

use crate::tavily::{account::Account, contract::Endpoint};

/// An answer of `/usage`.
pub(in crate::tavily) fn usage(account: &Account) -> Value {
    let used = |kind: &str| account.used.get(kind).copied().unwrap_or(0);
    let by_kind = |all: &mut Value| {
        for kind in ["search", "extract", "map", "crawl", "research"] {
            all[format!("{kind}_usage")] = used(kind).into();
        }
    };
    let total = account.total();
    let mut key = json!({ "usage": total, "limit": account.limit });
    by_kind(&mut key);
    let mut whole = json!({
        "current_plan": "Bootstrap", "plan_usage": 400 + total, "plan_limit": 15_000, "paygo_usage": 0,
        "paygo_limit": 100,
    });
    by_kind(&mut whole);
    json!({ "key": key, "account": whole })
}

/// An answer of `/feedback`.
pub(in crate::tavily) fn feedback(request: u64) -> Value {
    json!({ "success": true, "feedback_id": format!("feedback-{request}"), "response_time": 0.05 })
}

/// An answer of `/logs`: paying customers alone have them.
pub(in crate::tavily) fn logs(endpoint: Endpoint, key: &str, account: &Account) -> Result<Value, (u16, Value)> {
    if key.starts_with("tvly-dev-") {
        return Err((403, endpoint.error(403)));
    }
    let end = &key[key.len().saturating_sub(4)..];
    let logs: Vec<Value> = account
        .used
        .iter()
        .map(|(kind, credits)| {
            json!({
                "timestamp": "2026-11-22T08:00:00Z", "endpoint": kind, "depth": "basic", "response_time": 0.9,
                "credits": credits, "api_key": format!("****{end}"), "request_id": "stand-in-0",
            })
        })
        .collect();
    Ok(json!({ "count": logs.len(), "logs": logs, "response_time": 0.1 }))
}

/// An answer of `/org-usage`: for the owner's personal key, of one organisation.
pub(in crate::tavily) fn organisation(
    endpoint: Endpoint,
    key: &str,
    body: &Map<String, Value>,
    account: &Account,
) -> Result<Value, (u16, Value)> {
    if !key.starts_with("tvly-owner-") {
        return Err((403, endpoint.error(403)));
    }
    if body["organization_name"] != "Stand-in" {
        return Err((404, endpoint.error(404)));
    }
    let total = account.total();
    Ok(json!({
        "organization": { "name": "Stand-in" },
        "totals": { "usage": total, "paygo_cost_usd": 0.0, "request_count": account.requests, "by_type": {} },
        "keys": [],
    }))
}
