//! What the attributes say to an author who slips, and where they point.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{File, Item, Macro};

use crate::{
    derived::{self, Kind},
    test, tools,
};

/// The messages of the `compile_error!`s in what was written.
fn complaints(written: TokenStream) -> Vec<String> {
    let file: File = syn::parse2(written).expect("what is written is Rust");
    let macros = file.items.into_iter().filter_map(|item| match item {
        Item::Macro(item) => Some(item.mac),
        _ => None,
    });
    let told = macros.map(|mac: Macro| mac.parse_body::<syn::LitStr>().expect("a message").value());
    told.collect()
}

/// What is said of a function in a block of `#[tools]`.
fn of_function(function: &TokenStream) -> Vec<String> {
    complaints(tools::expand(TokenStream::new(), quote!(impl Hello { #function })))
}

#[test]
fn a_tool_that_is_wrong_is_told_what_to_write() {
    let cases = [
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                fn greet(&self) -> String {}
            ),
            "a tool is async; write `async fn`",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet() -> String {}
            ),
            "a tool is called on a plugin that others call too; take `&self`",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet(&mut self) -> String {}
            ),
            "a tool is called on a plugin that others call too; take `&self`",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet(self) -> String {}
            ),
            "a tool is called on a plugin that others call too; take `&self`",
        ),
        (
            quote!(
                #[tool]
                async fn greet(&self) -> String {}
            ),
            "a tool needs a description for the models that call it; write a doc comment (`/// …`)",
        ),
        (
            quote!(
                #[doc = "  "]
                #[tool]
                async fn greet(&self) -> String {}
            ),
            "a tool needs a description for the models that call it; write a doc comment (`/// …`)",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet(&self, name: Name, other: Name) -> String {}
            ),
            "a tool takes one struct of arguments; make this a field of it",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet(&self, cx: CallContext, other: kit::CallContext) -> String {}
            ),
            "there is one `CallContext` a call; drop the second",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet(&self, cx: &CallContext) -> String {}
            ),
            "a tool owns what it is called with; drop the `&`",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet<T>(&self, args: T) -> String {}
            ),
            "a tool has no parameters of type or lifetime; name the types",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async unsafe fn greet(&self) -> String {}
            ),
            "a tool is safe to call; drop the `unsafe`",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet(&self) {}
            ),
            "a tool answers something; return `String`, a struct with `#[output]`, or a `Result` of one",
        ),
        (
            quote!(
                #[doc = "Greets."]
                #[tool]
                async fn greet(&self) -> impl Reply {}
            ),
            "the output schema comes from the type; name it instead of `impl …`",
        ),
        (
            quote!(
                #[health]
                fn health(&self) -> Health {}
            ),
            "`#[health]` is async; write `async fn`",
        ),
        (
            quote!(
                #[shutdown]
                async fn end(&self, cx: CallContext) {}
            ),
            "`#[shutdown]` takes nothing but `&self`; drop the rest",
        ),
        (
            quote!(
                #[health(x)]
                async fn health(&self) -> Health {}
            ),
            "`#[health]` has no options; drop them",
        ),
        (
            quote!(
                #[tool]
                #[health]
                #[doc = "Is."]
                async fn health(&self) -> String {}
            ),
            "a function is one thing; drop the second mark",
        ),
        (
            quote!(
                async fn greet(&self) -> String {}
            ),
            "there is no tool here; mark an `async fn` with `#[tool]`",
        ),
    ];
    for (function, message) in cases {
        assert_eq!(of_function(&function), [message], "{function}");
    }
}

#[test]
fn an_option_that_is_wrong_is_told_what_to_write() {
    let unknown =
        "unknown option `colour`; there are `name`, `title`, `read_only`, `destructive`, `idempotent`, `open_world`";
    let contradiction = "a tool that only reads destroys nothing; drop one of the two";
    let name =
        |name: &str| format!("\"{name}\" is no name of a tool; use 1 to 128 of A-Z a-z 0-9 _ - . (`name = \"…\"`)");
    let long = "x".repeat(129);
    let cases = [
        (quote!((readonly)), "unknown option `readonly`; did you mean `read_only`?".to_owned()),
        (quote!((openworld = false)), "unknown option `openworld`; did you mean `open_world`?".to_owned()),
        (quote!((colour = "red")), unknown.to_owned()),
        (quote!((description = "Greets.")), "the description is the doc comment; write it there".to_owned()),
        (quote!((read_only, read_only = false)), "`read_only` is given twice; drop one".to_owned()),
        (quote!((read_only, destructive)), contradiction.to_owned()),
        (quote!((read_only = "yes")), "expected boolean literal".to_owned()),
        (quote!((title = "")), "nothing stands here; write it, or drop the option".to_owned()),
        (quote!((name = "say hello")), name("say hello")),
        (quote!((name = "grüße")), name("grüße")),
        (quote!((name = #long)), name(&long)),
        (quote!(= "greet"), "options stand in brackets; write `#[tool(…)]`".to_owned()),
    ];
    for (options, message) in cases {
        let function = quote!(#[doc = "Greets."] #[tool #options] async fn greet(&self) -> String {});
        assert_eq!(of_function(&function), [message], "{options}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let function = quote!(
        #[tool(nam = "x")]
        fn greet() {}
    );
    let told = of_function(&function);
    assert_eq!(told.len(), 5, "{told:?}");
}

#[test]
fn a_second_tool_of_a_name_is_refused_unless_only_one_is_built() {
    let message = "there is a tool \"greet\" already; choose another `name`";
    let first = quote!(
        #[doc = "Greets."]
        #[tool]
        async fn greet(&self) -> String {}
    );
    let second = quote!(
        #[doc = "Greets."]
        #[tool(name = "greet")]
        async fn hail(&self) -> String {}
    );
    assert_eq!(of_function(&quote!(#first #second)), [message]);
    assert_eq!(of_function(&quote!(#[cfg(unix)] #first #[cfg(windows)] #second)), [""; 0]);
}

#[test]
fn what_is_right_is_offered_beside_what_is_wrong() {
    let right = quote!(
        #[doc = "Greets."]
        #[tool]
        async fn greet(&self) -> String {}
    );
    let wrong = quote!(
        #[doc = "Hails."]
        #[tool]
        fn hail(&self) -> String {}
    );
    let written = tools::expand(TokenStream::new(), quote!(impl Hello { #right #wrong })).to_string();
    assert!(written.contains("ToolProvider for Hello") && written.contains("\"greet\""), "{written}");
}

#[test]
fn tools_stand_on_the_block_of_one_type() {
    let none = TokenStream::new;
    let cases = [
        (
            none(),
            quote!(
                struct Hello;
            ),
            "`#[tools]` stands on an `impl` block; move it there",
        ),
        (
            none(),
            quote!(impl Greets for Hello {}),
            "`#[tools]` stands on the type's own `impl` block, not on that of a trait; write `impl Type { … }`",
        ),
        (
            none(),
            quote!(
                impl<T> Hello<T> {}
            ),
            "a plugin's tools are the same for all; write the `impl` block for one type without parameters",
        ),
        (quote!(read_only), quote!(impl Hello {}), "`#[tools]` has no options; those of a tool stand in `#[tool(…)]`"),
    ];
    for (attribute, item, message) in cases {
        assert_eq!(complaints(tools::expand(attribute, item.clone())), [message], "{item}");
    }
}

#[test]
fn a_type_that_is_derived_wrong_is_told_what_to_write() {
    let none = TokenStream::new;
    let cases = [
        (
            Kind::Arguments,
            none(),
            quote!(
                #[derive(Debug, serde::Deserialize)]
                struct Greet {
                    name: String,
                }
            ),
            "`#[arguments]` derives `Deserialize` already; drop it here",
        ),
        (
            Kind::Output,
            none(),
            quote!(
                #[derive(JsonSchema)]
                struct Greeting {
                    text: String,
                }
            ),
            "`#[output]` derives `JsonSchema` already; drop it here",
        ),
        (
            Kind::Settings,
            quote!(default),
            quote!(
                struct Settings {
                    name: String,
                }
            ),
            "`#[settings]` has no options; use `#[serde(…)]` or `#[schemars(…)]`",
        ),
        (
            Kind::Settings,
            none(),
            quote!(
                fn settings() {}
            ),
            "`#[settings]` stands on a struct or an enum; move it there",
        ),
    ];
    for (kind, attribute, item, message) in cases {
        assert_eq!(complaints(derived::expand(kind, attribute, item.clone())), [message], "{item}");
    }
}

#[test]
fn unknown_members_are_refused_where_serde_can() {
    let cases = [
        (
            Kind::Arguments,
            quote!(
                struct Greet {
                    name: String,
                }
            ),
            true,
        ),
        (
            Kind::Settings,
            quote!(
                enum Mode {
                    Plain,
                    Loud { times: u8 },
                }
            ),
            true,
        ),
        (
            Kind::Arguments,
            quote!(
                enum Mode {
                    Plain,
                    Loud,
                }
            ),
            false,
        ),
        (
            Kind::Arguments,
            quote!(
                struct Greet {
                    #[serde(default, flatten)]
                    rest: Rest,
                }
            ),
            false,
        ),
        (
            Kind::Arguments,
            quote!(
                #[serde(transparent)]
                struct Greet {
                    name: String,
                }
            ),
            false,
        ),
        (
            Kind::Arguments,
            quote!(
                struct Greet(String);
            ),
            false,
        ),
        (
            Kind::Output,
            quote!(
                struct Greeting {
                    text: String,
                }
            ),
            false,
        ),
    ];
    for (kind, item, refused) in cases {
        let written = derived::expand(kind, TokenStream::new(), item.clone()).to_string();
        assert_eq!(written.contains("deny_unknown_fields"), refused, "{item}");
    }
    let stated = quote!(
        #[serde(deny_unknown_fields)]
        struct Greet {
            name: String,
        }
    );
    let written = derived::expand(Kind::Arguments, TokenStream::new(), stated).to_string();
    assert_eq!(written.matches("deny_unknown_fields").count(), 1, "{written}");
}

#[test]
fn a_test_is_an_async_function_without_parameters() {
    let cases = [
        (
            TokenStream::new(),
            quote!(
                fn greets() {}
            ),
            "this test is async; write `async fn`",
        ),
        (
            TokenStream::new(),
            quote!(
                async fn greets(name: &str) {}
            ),
            "a test takes nothing; drop the parameter",
        ),
        (
            quote!(flavor = "x"),
            quote!(
                async fn greets() {}
            ),
            "`#[test]` has no options; drop them",
        ),
    ];
    for (attribute, item, message) in cases {
        assert_eq!(complaints(test::expand(attribute, item.clone())), [message], "{item}");
    }
}
