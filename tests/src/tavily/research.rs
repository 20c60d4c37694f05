//! Research at the stand-in: tasks that are done after a few looks, and streams in all the ways that they end.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// How a stream is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// As documented, with a blank line behind the last event.
    Whole,
    /// Ending right behind `event: done`, as the real one does.
    NoBlank,
    /// Broken off within the report.
    Cut,
    /// An error as data without a name, as documented.
    ErrorData,
    /// An error under its own name.
    ErrorEvent,
    /// The report as an object.
    Object,
    /// The report as an object, in the form of text in parts.
    ObjectInParts,
    /// Silent for ever after its first steps.
    Silent,
    /// Done without a report.
    Empty,
    /// With carriage returns, comments, unknown events and odd chunks between.
    Odd,
    /// One byte at a time.
    Bytewise,
    /// Its connection breaks right behind the last event.
    Abrupt,
}

/// How an answer that comes in parts ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Broken,
    Never,
}

/// The tasks of all keys.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: HashMap<String, Task>,
    count: u64,
}

#[derive(Debug)]
struct Task {
    input: String,
    model: String,
    looks: u32,
    object: bool,
    credits: u64,
    charged: bool,
}

/// The sources of every report.
pub(super) fn sources() -> Value {
    json!([
        { "title": "Runtime comparison", "url": "https://blog.example/rt", "favicon": "https://blog.example/favicon.ico" },
        { "title": "Release notes", "url": "https://news.example/1" },
    ])
}

fn content(input: &str, object: bool) -> Value {
    if object { json!({ "answer": format!("What is known about {input}.") }) } else { report(input).into() }
}

fn report(input: &str) -> String {
    format!("# Report\n\nWhat is known about {input} [1].\n\nAnd what is new [2].")
}

impl Tasks {
    /// Accept a task; what is answered.
    pub(super) fn create(&mut self, body: &Map<String, Value>, credits: u64) -> Value {
        self.count += 1;
        let text = |name: &str, otherwise: &str| body.get(name).and_then(Value::as_str).unwrap_or(otherwise).to_owned();
        let (input, model) = (text("input", ""), text("model", "auto"));
        let object = body.get("output_schema").is_some_and(Value::is_object);
        let id = format!("research-{:08x}-{}", self.count.wrapping_mul(0x9e37_79b9) & 0xffff_ffff, self.count);
        let answer = json!({
            "request_id": id, "created_at": "2026-11-22T08:00:00Z", "status": "pending", "input": input, "model": model,
            "response_time": 0.3,
        });
        self.tasks.insert(id, Task { input, model, looks: 0, object, credits, charged: false });
        answer
    }

    /// Look at a task: its answer, and what is to be charged for it now.
    pub(super) fn look(&mut self, id: &str, with_usage: bool, looks: u32) -> Option<(u16, Value, u64)> {
        let task = self.tasks.get_mut(id)?;
        task.looks += 1;
        if task.looks <= looks {
            let status = if task.looks == 1 { "pending" } else { "in_progress" };
            return Some((202, json!({ "request_id": id, "status": status, "response_time": 0.1 }), 0));
        }
        let charge = if std::mem::replace(&mut task.charged, true) { 0 } else { task.credits };
        let mut answer = json!({
            "request_id": id, "created_at": "2026-11-22T08:00:00Z", "status": "completed", "model": task.model,
            "content": content(&task.input, task.object), "sources": sources(), "response_time": 61.4,
        });
        if with_usage {
            answer["usage"] = json!({ "credits": task.credits });
        }
        Some((200, answer, charge))
    }
}

/// A stream about this, in parts, and how it ends.
pub(super) fn stream(input: &str, telling: Telling) -> (Vec<Bytes>, End) {
    let mut events = Vec::new();
    let mut tell = |delta: Value| {
        let chunk = json!({
            "id": format!("evt_{:03}", events.len() + 1), "object": "chat.completion.chunk", "model": "mini",
            "created": 1_770_000_000, "choices": [{ "delta": delta }],
        });
        events.push(format!("data: {chunk}\n\n"));
    };
    let call = |name: &str, more: Value| {
        let mut call = json!({ "name": name, "id": format!("call_{name}"), "arguments": format!("{name} it") });
        for (key, value) in more.as_object().into_iter().flatten() {
            call[key] = value.clone();
        }
        json!({ "role": "assistant", "tool_calls": { "type": "tool_call", "tool_call": [call] } })
    };
    let response = |name: &str, sources: Value| {
        let mut response = json!({ "name": name, "id": format!("call_{name}"), "arguments": "done" });
        if !sources.is_null() {
            response["sources"] = sources;
        }
        json!({ "role": "assistant", "tool_calls": { "type": "tool_response", "tool_response": [response] } })
    };
    tell(call("Planning", json!({})));
    tell(response("Planning", Value::Null));
    tell(call("WebSearch", json!({ "queries": [format!("{input} overview"), format!("{input} news")] })));
    tell(response("WebSearch", sources()));
    tell(call("Generating", json!({})));
    tell(response("Generating", Value::Null));
    let part = |content: Value| json!({ "role": "assistant", "content": content });
    match telling {
        Telling::Silent => return (parts(&events, telling), End::Never),
        Telling::ErrorData => {
            events.push(
                "data: {\"id\":\"evt_e\",\"object\":\"error\",\"error\":\"The research ran aground.\"}\n\n".into(),
            );
            return (parts(&events, telling), End::Whole);
        }
        Telling::ErrorEvent => {
            events.push("event: error\ndata: {\"error\":\"The research ran aground.\"}\n\n".into());
            return (parts(&events, telling), End::Whole);
        }
        Telling::Object => tell(part(content(input, true))),
        Telling::ObjectInParts => {
            let text = content(input, true).to_string();
            let (one, two) = text.split_at(text.len() / 2);
            tell(part(one.into()));
            tell(part(two.into()));
        }
        Telling::Empty => {}
        _ => {
            let text = report(input);
            let (one, two) = text.split_at(text.len() / 2);
            tell(part(one.into()));
            if telling == Telling::Cut {
                return (parts(&events, telling), End::Whole);
            }
            tell(part(two.into()));
        }
    }
    tell(json!({ "role": "assistant", "sources": sources() }));
    let last = if telling == Telling::NoBlank { "event: done" } else { "event: done\n\n" };
    events.push(last.into());
    (parts(&events, telling), if telling == Telling::Abrupt { End::Broken } else { End::Whole })
}

fn parts(events: &[String], telling: Telling) -> Vec<Bytes> {
    match telling {
        Telling::Bytewise => events.concat().bytes().map(|byte| Bytes::copy_from_slice(&[byte])).collect(),
        Telling::Odd => {
            let between =
                ": keep-alive\r\n\r\nevent: ping\r\ndata: {}\r\n\r\ndata: not json\r\n\r\nid: 7\r\nretry: 100\r\n";
            events.iter().flat_map(|event| [between.to_owned(), event.replace('\n', "\r\n")]).map(Bytes::from).collect()
        }
        _ => events.iter().map(|event| Bytes::from(event.clone())).collect(),
    }
}
