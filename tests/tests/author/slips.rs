//! What the compiler says to an author who slips: one message a slip, with the remedy in it.

use std::fs;

use tempfile::TempDir;

use crate::desk::{new, shell};

/// A plugin with one slip of each kind, and what is right among them.
const SLIPS: &str = r#"
use toolgate_plugin::{JsonObject, Plugin, ToolError, settings, tools};

#[derive(Plugin)]
pub struct Right;

#[tools]
impl Right {
    /// Takes anything.
    #[tool]
    async fn anything(&self, args: JsonObject) -> String {
        args.len().to_string()
    }
}

#[settings]
#[derive(Plugin)]
pub struct AlsoRight {}

#[tools]
impl AlsoRight {
    /// Reads a file.
    #[tool]
    async fn read(&self) -> Result<String, ToolError> {
        Ok(std::fs::read_to_string("notes").map_err(ToolError::because)?)
    }
}

#[derive(Plugin)]
pub struct Unmarked {
    pub word: String,
}

pub struct Own {
    pub name: String,
}

#[tools]
impl Unmarked {
    /// Takes a text.
    #[tool]
    async fn text(&self, name: String) -> String {
        name
    }

    /// Takes a struct without a mark.
    #[tool]
    async fn own(&self, args: Own) -> String {
        args.name
    }

    /// Takes a list.
    #[tool]
    async fn list(&self, names: Vec<u8>) -> String {
        names.len().to_string()
    }

    /// Fails with an error of another crate.
    #[tool]
    async fn fails(&self) -> Result<String, std::io::Error> {
        std::fs::read_to_string("notes")
    }
}
"#;

#[test]
fn the_compiler_names_the_remedy() {
    let folder = TempDir::with_prefix("author-").expect("an empty folder");
    let slips = new(folder.path(), "slips", &[]).folder;
    fs::write(slips.join("src/lib.rs"), SLIPS).expect("the source");
    let told = shell(&slips, "cargo check --quiet --lib").stderr;
    let remedy = "put the arguments into a struct marked `#[arguments]`";
    for (slip, remedy) in [
        ("`Unmarked` is not marked `#[settings]`", "put `#[settings]` above `#[derive(Plugin)]`"),
        ("`std::string::String` is no struct of arguments", remedy),
        ("`Vec<u8>` is no struct of arguments", remedy),
        ("`Own` is no struct of arguments", remedy),
        ("a tool cannot fail with `std::io::Error`", ".map_err(ToolError::because)?"),
    ] {
        let (_, after) = told.split_once(&format!("error[E0277]: {slip}")).unwrap_or_else(|| panic!("{slip}: {told}"));
        let message = after.split("error[").next().unwrap_or_default();
        assert!(message.contains(remedy), "{slip}: {message}");
    }
    assert_eq!(told.matches("error[").count(), 5, "one message a slip: {told}");
}
