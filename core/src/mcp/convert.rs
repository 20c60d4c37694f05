//! Between the plugin kit's types and rmcp's; both are MCP's JSON shapes.

use rmcp::model::{CallToolResult, ContentBlock, MetaObject, Tool as WireTool, ToolAnnotations};
use serde_json::Value;
use toolgate_plugin::{Content, Tool, ToolResult};

/// A tool for `tools/list`.
pub(super) fn tool(tool: &Tool) -> WireTool {
    let mut wire = WireTool::new_with_raw(
        tool.name.clone(),
        tool.description.clone().map(Into::into),
        std::sync::Arc::clone(&tool.input_schema),
    );
    wire.title = tool.title.clone();
    wire.output_schema = tool.output_schema.clone();
    wire.annotations = tool.annotations.as_ref().map(|hints| {
        let mut wire = ToolAnnotations::default();
        wire.title = hints.title.clone();
        wire.read_only_hint = hints.read_only_hint;
        wire.destructive_hint = hints.destructive_hint;
        wire.idempotent_hint = hints.idempotent_hint;
        wire.open_world_hint = hints.open_world_hint;
        wire
    });
    wire.meta = tool.meta.clone().map(MetaObject);
    wire
}

/// A result for `tools/call`.
pub(super) fn result(result: ToolResult) -> CallToolResult {
    let content = result.content.into_iter().map(block).collect();
    let mut wire = if result.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    wire.structured_content = result.structured_content;
    wire.meta = result.meta.map(MetaObject);
    wire
}

fn block(content: Content) -> ContentBlock {
    match content {
        Content::Text { text, annotations: None, meta: None } => ContentBlock::text(text),
        other => {
            let value = serde_json::to_value(&other).unwrap_or(Value::Null);
            serde_json::from_value(value).unwrap_or_else(|error| {
                tracing::warn!(%error, "a plugin answered with a block that MCP does not know");
                ContentBlock::text("[a block that this server could not pass on]")
            })
        }
    }
}
