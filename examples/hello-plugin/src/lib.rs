//! The smallest plugin with settings: one tool that greets.

use toolgate_plugin::{Plugin, arguments, export_plugin, settings, tools};

/// Greets people; its settings are all that it holds.
#[settings]
#[derive(Plugin)]
pub struct Hello {
    /// What a greeting begins with; "Hello" if left out.
    greeting: Option<String>,
}

#[arguments]
struct Greet {
    /// Whom to greet.
    name: String,
}

#[tools]
impl Hello {
    /// Greet somebody by name.
    #[tool(read_only)]
    async fn greet(&self, args: Greet) -> String {
        let greeting = self.greeting.as_deref().unwrap_or("Hello");
        format!("{greeting}, {}!", args.name)
    }
}

export_plugin!(Hello);
