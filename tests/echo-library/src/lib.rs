//! The echo plugin as a library. It does what the compiled-in one does, so that what a call costs more is the
//! boundary's share.
#![forbid(unsafe_code)]

use toolgate_plugin::{
    CallContext, HostHandle, Outcome, Plugin, ProviderError, Tool, ToolCall, ToolError, ToolProvider, async_trait,
};

struct Echo(Box<dyn ToolProvider>);

#[async_trait]
impl ToolProvider for Echo {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        self.0.tools().await
    }

    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError> {
        self.0.call(call, cx).await
    }
}

impl Plugin for Echo {
    type Settings = ();

    async fn start((): (), _host: HostHandle) -> Result<Self, ProviderError> {
        Ok(Self(Box::new(toolgate_echo::provider())))
    }
}

toolgate_plugin::export_plugin!(Echo);
