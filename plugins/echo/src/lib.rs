//! The smallest plugin: one tool `echo` with one argument `text`. For trying, for tests, for measuring.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolgate_plugin::{Described, ToolAnnotations, ToolProvider, ToolSet, ToolSpec, schemars};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Echo {
    /// The text to give back.
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Echoed {
    /// The text as it came.
    text: String,
}

/// The echo plugin.
pub fn provider() -> impl ToolProvider {
    let spec = ToolSpec {
        name: "echo".into(),
        title: Some("Echo".into()),
        description: "Give back the text as it came. For trying a connection; reaches nothing.".into(),
        annotations: Some(ToolAnnotations::read_only().idempotent(true).open_world(false)),
    };
    ToolSet::new(()).tool_with(spec, |_state, args: Echo, _cx| async move {
        Ok(Described { text: args.text.clone(), value: Echoed { text: args.text } })
    })
}

#[cfg(test)]
mod tests {
    use toolgate_plugin::{CallContext, Outcome, ToolCall, ToolProvider, serde_json::json};

    #[tokio::test]
    async fn text_comes_back_as_text_and_as_structured_content() {
        let arguments = json!({ "text": "hi" }).as_object().cloned().unwrap_or_default();
        let call = ToolCall { name: "echo".into(), arguments };
        let Ok(Outcome::Complete(result)) = super::provider().call(call, CallContext::for_tests()).await else {
            panic!("echo failed");
        };
        assert_eq!(result.content[0].as_text(), Some("hi"));
        assert_eq!(result.structured_content, Some(json!({ "text": "hi" })));
    }
}
