//! `toolgate plugin new`: a folder with a plugin that builds and passes its test, and what to do with it.
//!
//! Writes new files only. What it writes stands in `template/`, with `{{name}}` and the like in it.

use std::{
    env::{self, consts::DLL_SUFFIX},
    fs, io,
    path::{self, Path, PathBuf},
    process::ExitCode,
};

use toml_edit::{Document, Value as Toml};

use super::lines::{Lines, library_name};
use crate::cli::print;

/// Where the kit is in the checkout that this binary was built from: until the kit is published, there is no other.
const KIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/sdk");

#[derive(clap::Args)]
pub(super) struct Options {
    /// The plugin's name, with a folder before it if it is not to go here.
    name: PathBuf,
    /// What it is written in.
    #[arg(long, value_enum, default_value = "rust")]
    lang: Lang,
    /// For Rust: the folder of the kit, `plugins/sdk` of a checkout of Toolgate [default: that of this binary].
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Lang {
    /// A crate on `toolgate-plugin`.
    Rust,
    /// One file and the header.
    C,
}

/// Why there is no new plugin.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("\"{name}\" cannot name a plugin: {why}; {help}")]
    Name { name: String, why: &'static str, help: String },
    #[error("\"{}\" is there already, and nothing is overwritten; choose another name, or move it away", .0.display())]
    Exists(PathBuf),
    #[error("\"{}\" is not the plugin kit ({why}); give the folder plugins/sdk of a checkout of Toolgate: --sdk PATH", path.display())]
    Kit { path: PathBuf, why: String },
    #[error("\"{}\" cannot be written: {source}; choose a folder that this account may write to", path.display())]
    Write { path: PathBuf, source: io::Error },
}

pub(super) fn run(config: &Path, options: &Options) -> ExitCode {
    match write(options) {
        Ok(made) => {
            print::line(made.next(config));
            ExitCode::SUCCESS
        }
        Err(refused @ Refused::Name { .. }) => {
            print::failure(&refused.to_string());
            ExitCode::from(2)
        }
        Err(refused) => print::failure(&refused.to_string()),
    }
}

/// A plugin that was written.
struct Made {
    name: String,
    folder: PathBuf,
    lang: Lang,
}

fn write(options: &Options) -> Result<Made, Refused> {
    let name = name(&options.name)?;
    let folder = &options.name;
    let files = match options.lang {
        Lang::Rust => rust(&name, &kit(options.sdk.as_deref())?),
        Lang::C => c(&name),
    };
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Refused::Write { path, source }
    };
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).map_err(failed(above))?;
    }
    match fs::create_dir(folder) {
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
            // An empty folder is as good as none.
            let empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
            if !empty {
                return Err(Refused::Exists(folder.clone()));
            }
        }
        made => made.map_err(failed(folder))?,
    }
    for (file, text) in files {
        let file = folder.join(file);
        if let Some(above) = file.parent() {
            fs::create_dir_all(above).map_err(failed(above))?;
        }
        fs::write(&file, text).map_err(failed(&file))?;
    }
    Ok(Made { name, folder: folder.clone(), lang: options.lang })
}

/// The last part of the path, if it can name a crate, a library, a section of the configuration and a scope.
fn name(path: &Path) -> Result<String, Refused> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let why = if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "it must begin with a lower-case letter"
    } else if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)) {
        "it may hold lower-case letters, digits, - and _ only"
    } else if name.len() > 64 {
        "it is longer than 64 characters"
    } else if TAKEN.contains(&name.replace('-', "_").as_str()) {
        "it means something else to Rust, to its linker or in the kit"
    } else {
        return Ok(name);
    };
    let help = format!("write {:?}, or another name", suggestion(&name));
    Err(Refused::Name { name, why, help })
}

/// A name that would do and looks like this one.
fn suggestion(name: &str) -> String {
    let plain = name.to_lowercase().replace(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit(), "-");
    let plain: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
    let plain: String = plain.join("-").chars().take(50).collect();
    if plain.starts_with(|c: char| c.is_ascii_lowercase()) && !TAKEN.contains(&plain.replace('-', "_").as_str()) {
        plain
    } else {
        format!("my-{plain}").trim_end_matches('-').to_owned()
    }
}

/// Keywords of Rust, its own crates, the crates that a new plugin uses, and the libraries that all are linked with: a
/// `libc.so` beside the others would be taken for that of C.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "c",
    "const",
    "continue",
    "core",
    "crate",
    "dl",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gcc_s",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "m",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pthread",
    "pub",
    "ref",
    "return",
    "rt",
    "schemars",
    "self",
    "serde",
    "serde_json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tokio",
    "toolgate_plugin",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "util",
    "virtual",
    "where",
    "while",
    "yield",
];

/// The folder of the kit.
fn kit(given: Option<&Path>) -> Result<PathBuf, Refused> {
    // Two parts back are taken off, so that the path reads well in the new Cargo.toml.
    let own = Path::new(KIT).components().fold(PathBuf::new(), |mut path, part| {
        match part {
            path::Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
        path
    });
    let kit = given.map_or_else(|| Ok(own), path::absolute);
    let kit =
        kit.map_err(|error| Refused::Kit { path: given.unwrap_or(Path::new("")).into(), why: error.to_string() })?;
    let why = match fs::read_to_string(kit.join("Cargo.toml")) {
        Ok(manifest) if crate_name(&manifest).as_deref() == Some("toolgate-plugin") => return Ok(kit),
        Ok(_) => "its Cargo.toml is that of another crate".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "there is no Cargo.toml".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Refused::Kit { path: kit, why })
}

fn crate_name(manifest: &str) -> Option<String> {
    Some(Document::parse(manifest).ok()?.get("package")?.get("name")?.as_str()?.to_owned())
}

type Files = Vec<(String, String)>;

fn rust(name: &str, kit: &Path) -> Files {
    let library = format!("target/release/{}", library_name(name));
    let kit = Toml::from(kit.to_string_lossy().as_ref()).to_string();
    let values = [
        ("name", name),
        ("crate", &name.replace('-', "_")),
        ("Type", &type_name(name)),
        ("kit", &kit),
        ("library", &library),
        ("rust-version", env!("CARGO_PKG_RUST_VERSION")),
    ];
    [
        ("Cargo.toml", include_str!("template/rust/Cargo.toml.in")),
        ("src/lib.rs", include_str!("template/rust/lib.rs.in")),
        ("tests/tools.rs", include_str!("template/rust/tools.rs.in")),
        ("README.md", include_str!("template/rust/README.md.in")),
        (".gitignore", "/target\n"),
    ]
    .map(|(file, template)| (file.to_owned(), filled(template, &values)))
    .into()
}

fn c(name: &str) -> Files {
    let library = library_name(name);
    let values = [("name", name), ("library", &library), ("cc", &compile(name))];
    vec![
        (format!("{name}.c"), filled(include_str!("template/c/plugin.c.in"), &values)),
        ("toolgate_plugin.h".into(), toolgate_abi::HEADER.into()),
        ("README.md".into(), filled(include_str!("template/c/README.md.in"), &values)),
        (".gitignore".into(), format!("*{DLL_SUFFIX}\n")),
    ]
}

/// The one command that builds a plugin in C.
fn compile(name: &str) -> String {
    format!("cc -O2 -Wall -Wextra -fPIC -shared -o {} {name}.c", library_name(name))
}

fn filled(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value))
}

/// `web-search` as the name of a type: `WebSearch`; `option`, which is one already: `OptionPlugin`.
fn type_name(name: &str) -> String {
    let words = name.split(['-', '_']).filter(|word| !word.is_empty());
    let mut name: String = words.map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect();
    if KNOWN_TYPES.contains(&name.as_str()) {
        name.push_str("Plugin");
    }
    name
}

/// Types and traits that a new plugin names, and those that an author and the macros expect to mean what they always
/// mean.
const KNOWN_TYPES: &[&str] = &[
    // The template and its tests.
    "Answer",
    "Greet",
    "Host",
    "Plugin",
    "Value",
    // What else the kit has for plugins.
    "CallContext",
    "Caller",
    "Content",
    "Described",
    "Health",
    "HostHandle",
    "Json",
    "JsonObject",
    "LogLevel",
    "Outcome",
    "Progress",
    "ProviderError",
    "Reply",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolProvider",
    "ToolResult",
    "ToolSet",
    // The prelude of Rust, and what is derived or used at every turn.
    "AsMut",
    "AsRef",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Deserialize",
    "Display",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "Err",
    "Error",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "Hash",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "JsonSchema",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Self",
    "Send",
    "Serialize",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
];

impl Made {
    /// What to do now.
    fn next(&self, config: &Path) -> String {
        let library = library_name(&self.name);
        let (library, steps) = match self.lang {
            Lang::Rust => {
                let library = target().join("release").join(library);
                let steps = vec!["cargo test".into(), "cargo build --release".into()];
                (library, steps)
            }
            Lang::C => (PathBuf::from(library), vec![compile(&self.name)]),
        };
        let steps: String = steps.iter().map(|step: &String| format!("  {step}\n")).collect();
        let lines = Lines {
            name: &self.name,
            library: &self.folder.join(&library),
            settings: Vec::new(),
            tools: vec!["greet".into()],
        };
        format!(
            "{written} is written. Build it:\n\n  cd {folder}\n{steps}  toolgate plugin inspect {library}\n\n\
             and add to {config}:\n\n{lines}\n\
             A running server picks it up, and what you build later.",
            written = self.folder.display(),
            folder = typed(&self.folder),
            library = typed(&library),
            config = config.display(),
            lines = lines.text(config),
        )
    }
}

/// Where cargo puts what it builds, as seen from the crate.
fn target() -> PathBuf {
    let given = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"].into_iter().filter_map(env::var_os);
    given.map(PathBuf::from).find(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| "target".into())
}

/// A path as one types it into a shell.
fn typed(path: &Path) -> String {
    let text = path.to_string_lossy();
    // A `-` in front would be an option.
    let path = if text.starts_with('-') { format!("./{text}") } else { text.into_owned() };
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_a_crate_and_a_refusal_offers_another() {
        for good in ["hello", "web-search", "a", "h2_o", "my-test"] {
            assert!(name(Path::new(good)).is_ok(), "{good}");
            assert_eq!(name(&Path::new("some/where").join(good)).ok().as_deref(), Some(good));
        }
        for (bad, offered) in [
            ("Hello", "hello"),
            ("my plugin", "my-plugin"),
            ("2d", "my-2d"),
            ("-x", "x"),
            ("fn", "my-fn"),
            ("test", "my-test"),
            ("toolgate-plugin", "my-toolgate-plugin"),
            ("größe", "gr-e"),
            ("..", "my"),
            ("", "my"),
        ] {
            let refused = name(Path::new(bad)).map_err(|refused| refused.to_string());
            let told = refused.expect_err(bad);
            assert!(told.contains(&format!("write {offered:?}")), "{bad}: {told}");
            assert!(name(Path::new(offered)).is_ok(), "{offered}");
        }
        assert!(name(Path::new(&"a".repeat(65))).is_err());
    }

    #[test]
    fn a_type_is_named_after_the_plugin() {
        for (name, expected) in [("hello", "Hello"), ("web-search", "WebSearch"), ("a__b-2", "AB2")] {
            assert_eq!(type_name(name), expected);
        }
    }

    #[test]
    fn a_type_has_no_name_that_means_something_else() {
        let names = "answer as-ref box clone copy default drop eq err error from greet host into json none ok option \
                     plugin reply result send some string sync to-string tool tool-error value vec";
        for name in names.split(' ') {
            let plain: String =
                name.split('-').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect();
            assert_eq!(type_name(name), format!("{plain}Plugin"));
        }
        for name in ["tools", "settings", "arguments", "output", "export-plugin"] {
            assert!(!type_name(name).ends_with("PluginPlugin"), "{name}");
        }
        let template = [include_str!("template/rust/lib.rs.in"), include_str!("template/rust/tools.rs.in")].concat();
        let filled = template.replace("{{Type}}", "").replace("{{crate}}", "");
        let code = filled.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code: String = code.flat_map(|line| [line, "\n"]).collect();
        // Texts are no names.
        let code: String = code.split('"').step_by(2).collect();
        for word in code.split(|c: char| !c.is_alphanumeric()) {
            let is_type = word.starts_with(|c: char| c.is_ascii_uppercase());
            assert!(!is_type || KNOWN_TYPES.contains(&word), "{word} of the template");
        }
    }

    #[test]
    fn a_path_is_shown_as_a_shell_takes_it() {
        for (path, expected) in [
            ("hello", "hello"),
            ("/srv/größe/x_1.2", "/srv/größe/x_1.2"),
            ("my plugins/hello", "'my plugins/hello'"),
            ("it's", r"'it'\''s'"),
            ("$HOME;x", "'$HOME;x'"),
            ("-x", "./-x"),
        ] {
            assert_eq!(typed(Path::new(path)), expected);
        }
    }
}
