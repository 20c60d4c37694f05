//! The options of `#[tool(…)]`: what there are, and how they are written.

use proc_macro2::Span;
use quote::{ToTokens, quote};
use syn::{Error, LitBool, LitStr, Meta, Result, Token, meta::ParseNestedMeta};

const NAMES: [&str; 6] = ["name", "title", "read_only", "destructive", "idempotent", "open_world"];

/// What `#[tool(…)]` says.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) title: Option<LitStr>,
    hints: Hints,
}

/// What it says of the tool's behaviour; `ToolAnnotations` without the title.
#[derive(Default, Clone, Copy, PartialEq)]
struct Hints {
    read_only: Option<bool>,
    destructive: Option<bool>,
    idempotent: Option<bool>,
    open_world: Option<bool>,
}

impl Options {
    /// Read `#[tool]` or `#[tool(…)]`.
    pub(crate) fn read(mark: &Meta) -> Result<Self> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        match mark {
            Meta::Path(_) => {}
            Meta::List(list) => list.parse_nested_meta(|option| options.take(&option, &mut seen))?,
            Meta::NameValue(_) => {
                return Err(Error::new_spanned(mark, "options stand in brackets; write `#[tool(…)]`"));
            }
        }
        match (options.hints.read_only, options.hints.destructive) {
            (Some(true), Some(true)) => {
                return Err(Error::new_spanned(mark, "a tool that only reads destroys nothing; drop one of the two"));
            }
            (Some(true), None) => options.hints.destructive = Some(false),
            _ => {}
        }
        Ok(options)
    }

    fn take(&mut self, option: &ParseNestedMeta<'_>, seen: &mut Vec<String>) -> Result<()> {
        let name = option.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if seen.contains(&name) {
            return Err(option.error(format!("`{name}` is given twice; drop one")));
        }
        match name.as_str() {
            "name" => self.name = Some(text(option)?),
            "title" => self.title = Some(text(option)?),
            "read_only" => self.hints.read_only = Some(yes(option)?),
            "destructive" => self.hints.destructive = Some(yes(option)?),
            "idempotent" => self.hints.idempotent = Some(yes(option)?),
            "open_world" => self.hints.open_world = Some(yes(option)?),
            "description" => return Err(option.error("the description is the doc comment; write it there")),
            _ => return Err(option.error(unknown(&name))),
        }
        seen.push(name);
        Ok(())
    }

    /// The hints as an `Option<ToolAnnotations>`.
    pub(crate) fn annotations(&self) -> impl ToTokens {
        if self.hints == Hints::default() {
            return quote!(::core::option::Option::None);
        }
        let [read_only, destructive, idempotent, open_world] =
            [self.hints.read_only, self.hints.destructive, self.hints.idempotent, self.hints.open_world].map(maybe);
        quote!(::core::option::Option::Some(::toolgate_plugin::__macros::annotations(
            #read_only, #destructive, #idempotent, #open_world
        )))
    }

    /// The title as an `Option<&str>`.
    pub(crate) fn title(&self) -> impl ToTokens {
        maybe(self.title.as_ref())
    }
}

/// `Some(…)` or `None`, as tokens.
fn maybe(value: Option<impl ToTokens>) -> proc_macro2::TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

fn text(option: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let text: LitStr = option.value()?.parse()?;
    if text.value().trim().is_empty() {
        return Err(Error::new(text.span(), "nothing stands here; write it, or drop the option"));
    }
    Ok(text)
}

fn yes(option: &ParseNestedMeta<'_>) -> Result<bool> {
    if option.input.peek(Token![=]) { Ok(option.value()?.parse::<LitBool>()?.value) } else { Ok(true) }
}

fn unknown(name: &str) -> String {
    let near = NAMES.iter().map(|known| (strsim::jaro_winkler(known, name), known));
    match near.max_by(|left, right| left.0.total_cmp(&right.0)).filter(|(nearness, _)| *nearness > 0.7) {
        Some((_, known)) => format!("unknown option `{name}`; did you mean `{known}`?"),
        None => format!("unknown option `{name}`; there are {}", NAMES.map(|known| format!("`{known}`")).join(", ")),
    }
}

/// What MCP asks of a tool's name: 1 to 128 of `A-Z a-z 0-9 _ - .`.
pub(crate) fn check_name(name: &str, span: Span) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
        let message = format!("\"{name}\" is no name of a tool; use 1 to 128 of A-Z a-z 0-9 _ - . (`name = \"…\"`)");
        return Err(Error::new(span, message));
    }
    Ok(())
}
