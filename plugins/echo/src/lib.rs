//! The smallest plugin: one tool `echo` with one argument `text`. For trying, for tests, for measuring.

use toolgate_plugin::{Described, ToolProvider, arguments, output, tools};

#[arguments]
struct Text {
    /// The text to give back.
    text: String,
}

#[output]
struct Echoed {
    /// The text as it came.
    text: String,
}

struct Echo;

#[tools]
impl Echo {
    /// Give back the text as it came. For trying a connection; reaches nothing.
    #[tool(title = "Echo", read_only, idempotent, open_world = false)]
    async fn echo(&self, Text { text }: Text) -> Described<Echoed> {
        Described { text: text.clone(), value: Echoed { text } }
    }
}

/// The echo plugin.
pub fn provider() -> impl ToolProvider {
    Echo
}

#[cfg(test)]
mod tests {
    use toolgate_plugin::{
        serde_json::{self, json},
        testing::{Host, test},
    };

    #[test]
    async fn text_comes_back_as_text_and_as_structured_content() {
        let echo = Host::of(super::provider()).await.expect("echo starts");
        let answer = echo.call("echo", json!({ "text": "hi" })).await;
        assert_eq!(answer.text(), "hi");
        assert_eq!(answer.structured(), &json!({ "text": "hi" }));
    }

    #[test]
    async fn echo_is_listed_as_a_tool_that_reaches_nothing() {
        let echo = Host::of(super::provider()).await.expect("echo starts");
        let schema = |description: &str| {
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": { "text": { "description": description, "type": "string" } },
                "required": ["text"],
            })
        };
        let mut input = schema("The text to give back.");
        input["additionalProperties"] = false.into();
        let expected = json!([{
            "name": "echo",
            "title": "Echo",
            "description": "Give back the text as it came. For trying a connection; reaches nothing.",
            "inputSchema": input,
            "outputSchema": schema("The text as it came."),
            "annotations": {
                "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
            },
        }]);
        assert_eq!(serde_json::to_value(echo.tools().collect::<Vec<_>>()).expect("tools are JSON"), expected);
    }
}
