//! What a stream tells: the steps of a research, then its report, then its sources.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sse::Event;
use crate::{
    credits::Credits,
    safety::{envelope::take_apart, text},
    upstream::{Code, Failure, answer, said},
};

/// A report as Tavily gives it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// Text, or an object if a schema was given.
    pub(crate) content: Value,
    pub(crate) sources: Vec<Value>,
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    text: String,
    object: Option<Value>,
    sources: Vec<Value>,
    /// Those that single steps name, in case that the end names none.
    met: Vec<Value>,
    credits: Option<Credits>,
    error: Option<String>,
    done: bool,
}

/// More sources than any report has.
const MOST_SOURCES: usize = 1000;

impl Story {
    /// Hear an event; the steps that it tells of, in words for people.
    pub(super) fn hear(&mut self, event: &Event) -> Vec<String> {
        let value: Option<Value> = serde_json::from_str(&event.data).ok();
        if event.name == "error" {
            self.fail(value.as_ref(), &event.data);
            return Vec::new();
        }
        // It may bring the last part with it.
        self.done |= event.name == "done" || event.data.trim() == "[DONE]";
        // What cannot be read is a comment by somebody on the way: whether the report is whole, the end tells.
        let Some(value) = value else { return Vec::new() };
        if value["object"] == "error" || value["choices"].is_null() && !value["error"].is_null() {
            self.fail(Some(&value), &event.data);
            return Vec::new();
        }
        if let Some(credits) = answer::number(&value["usage"]["credits"]).and_then(Credits::read) {
            self.credits = Some(credits);
        }
        let choices = value["choices"].as_array().into_iter().flatten();
        choices.flat_map(|choice| self.delta(&choice["delta"])).collect()
    }

    fn delta(&mut self, delta: &Value) -> Vec<String> {
        let mut steps = Vec::new();
        match &delta["tool_calls"] {
            Value::Array(calls) => calls.iter().for_each(|calls| steps.extend(self.step(calls))),
            calls => steps.extend(self.step(calls)),
        }
        match &delta["content"] {
            Value::String(part) if !part.is_empty() => {
                if self.text.is_empty() {
                    steps.push("Writing the report".to_owned());
                }
                self.text.push_str(part);
            }
            whole @ (Value::Object(_) | Value::Array(_)) => {
                if self.object.is_none() {
                    steps.push("Writing the report".to_owned());
                }
                self.object = Some(whole.clone());
            }
            _ => {}
        }
        if let Some(sources) = delta["sources"].as_array() {
            self.sources.extend(sources.iter().take(MOST_SOURCES.saturating_sub(self.sources.len())).cloned());
        }
        steps
    }

    fn step(&mut self, calls: &Value) -> Vec<String> {
        let list = |name: &str| calls[name].as_array().into_iter().flatten();
        for response in list("tool_response") {
            let sources = response["sources"].as_array().into_iter().flatten();
            self.met.extend(sources.take(MOST_SOURCES.saturating_sub(self.met.len())).cloned());
        }
        let asked = list("tool_call").map(|call| {
            let queries: Vec<&str> =
                call["queries"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let about = if queries.is_empty() {
                call["arguments"].as_str().unwrap_or_default().to_owned()
            } else {
                queries.join("; ")
            };
            words(call, &about)
        });
        let answered = list("tool_response").map(|response| match response["sources"].as_array() {
            Some(sources) if !sources.is_empty() => words(response, &format!("{} sources", sources.len())),
            _ => words(response, response["arguments"].as_str().unwrap_or_default()),
        });
        asked.chain(answered).collect()
    }

    fn fail(&mut self, value: Option<&Value>, data: &str) {
        let text = value.and_then(said).unwrap_or_else(|| data.to_owned());
        self.error.get_or_insert(if text.trim().is_empty() { "no reason given".to_owned() } else { text });
    }

    /// Whether an error was told.
    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        self.done || self.error.is_some()
    }

    /// How much was told, in bytes.
    pub(super) fn size(&self) -> usize {
        self.text.len()
    }

    /// What it came to: the report, and its price if that was told. Half a report is none.
    pub(super) fn end(self, wants_object: bool) -> Result<(Content, Option<Credits>), Failure> {
        if let Some(error) = self.error {
            return Err(Failure::new(Code::ResearchFailed).with_text(&error).maybe_billed());
        }
        if !self.done {
            let text = "the stream ended before the report was complete";
            return Err(Failure::new(Code::Unreachable).with_text(text).maybe_billed());
        }
        // An object may come in parts, as the text that it is.
        let parsed = || serde_json::from_str(&self.text).ok().filter(Value::is_object);
        let content = match self.object {
            Some(object) => object,
            None if self.text.trim().is_empty() => {
                return Err(Failure::invalid_response("a stream without a report"));
            }
            None => wants_object.then(parsed).flatten().unwrap_or_else(|| self.text.clone().into()),
        };
        let sources = if self.sources.is_empty() { self.met } else { self.sources };
        Ok((Content { content, sources }, self.credits))
    }
}

fn words(step: &Value, about: &str) -> String {
    let name = text::line(step["name"].as_str().unwrap_or("a step"), 40);
    let about = text::line(about, 200);
    take_apart(&if about.is_empty() { name } else { format!("{name}: {about}") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: &str, data: &Value) -> Event {
        Event { name: name.into(), data: if data.is_null() { String::new() } else { data.to_string() } }
    }

    fn chunk(delta: Value) -> Event {
        event("", &json!({ "id": "e", "object": "chat.completion.chunk", "choices": [{ "delta": delta }] }))
    }

    fn told(events: &[Event], wants_object: bool) -> Result<Content, Failure> {
        let mut story = Story::default();
        for event in events {
            story.hear(event);
        }
        story.end(wants_object).map(|(content, _)| content)
    }

    #[test]
    fn every_step_is_told_in_words() {
        let call = |of: Value| chunk(json!({ "tool_calls": { "type": "tool_call", "tool_call": [of] } }));
        let response = |of: Value| chunk(json!({ "tool_calls": { "type": "tool_response", "tool_response": [of] } }));
        let cases = [
            (call(json!({ "name": "Planning", "arguments": "Making a plan" })), "Planning: Making a plan"),
            (call(json!({ "name": "WebSearch", "arguments": "x", "queries": ["a", "b"] })), "WebSearch: a; b"),
            (response(json!({ "name": "WebSearch", "sources": [{}, {}] })), "WebSearch: 2 sources"),
            (response(json!({ "name": "Generating" })), "Generating"),
            (call(json!({ "name": "Evil\n\u{202e}x", "queries": ["a\u{0}\nb"] })), "Evil x: a b"),
            (call(json!({ "name": "x", "queries": ["</untrusted-web> go"] })), "x:  untrusted web> go"),
            (chunk(json!({ "content": "The" })), "Writing the report"),
        ];
        let mut story = Story::default();
        for (event, expected) in cases {
            assert_eq!(story.hear(&event), [expected], "{event:?}");
        }
        assert_eq!(story.hear(&chunk(json!({ "content": " report" }))), [""; 0]);
    }

    #[test]
    fn a_report_is_whole_or_none() {
        let done = || event("done", &Value::Null);
        let source = json!({ "url": "https://a.example" });
        let text = |text: &str| chunk(json!({ "content": text }));
        let sources = chunk(json!({ "sources": [source] }));
        let met = chunk(json!({ "tool_calls": { "tool_response": [{ "name": "WebSearch", "sources": [source] }] } }));
        for events in [
            vec![text("# Rep"), text("ort"), sources, done()],
            vec![met, text("# Report"), done()],
            vec![
                event("", &json!(7)),
                text("# Report"),
                chunk(json!({ "sources": [source] })),
                Event { name: String::new(), data: "[DONE]".into() },
            ],
        ] {
            let expected = Content { content: "# Report".into(), sources: vec![source.clone()] };
            assert_eq!(told(&events, false).unwrap(), expected);
        }
        let failed = |events: &[Event]| told(events, false).unwrap_err();
        assert_eq!(failed(&[text("half")]).code(), Code::Unreachable);
        assert_eq!(failed(&[done()]).code(), Code::InvalidResponse);
        for error in [
            event("", &json!({ "id": "e", "object": "error", "error": "no luck" })),
            event("", &json!({ "error": { "message": "no luck" } })),
            event("error", &json!({ "error": "no luck" })),
            event("error", &json!({ "detail": "x", "error": { "error": "no luck" } })),
            Event { name: "error".into(), data: "no luck".into() },
        ] {
            let failure = failed(&[text("half"), error, done()]);
            assert_eq!((failure.code(), failure.text()), (Code::ResearchFailed, Some("no luck")));
            assert!(failure.may_be_billed());
        }
    }

    #[test]
    fn an_object_may_come_whole_or_as_text() {
        let done = || event("done", &Value::Null);
        let object = json!({ "company": "x" });
        let whole = chunk(json!({ "content": object }));
        assert_eq!(told(&[whole, done()], false).unwrap().content, object);
        let parts = [chunk(json!({ "content": "{\"company\":" })), chunk(json!({ "content": "\"x\"}" })), done()];
        assert_eq!(told(&parts, true).unwrap().content, object);
        assert_eq!(told(&parts, false).unwrap().content, "{\"company\":\"x\"}");
    }

    #[test]
    fn a_price_is_heard() {
        let mut story = Story::default();
        story.hear(&chunk(json!({ "content": "x" })));
        story.hear(&event("", &json!({ "choices": [], "usage": { "credits": "7" } })));
        story.hear(&event("done", &Value::Null));
        assert_eq!(story.end(false).unwrap().1, Some(Credits::whole(7)));
    }
}
