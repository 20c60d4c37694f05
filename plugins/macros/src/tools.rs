//! `#[tools]`: an `impl` block, kept as it is, and beside it the `ToolProvider` that its marked functions make.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Error, Ident, ImplItem, ImplItemFn, Item, ItemImpl, Meta, Result, parse_quote};

use crate::tool::{Tool, Wrong, signature_of};

const MARKS: [&str; 3] = ["tool", "health", "shutdown"];

/// The block and its provider; in place of what cannot be understood, errors.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut block = match block(attribute, item.clone()) {
        Ok(block) => block,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#item #error);
        }
    };
    let mut wrong = Wrong::default();
    let marked = Marked::take(&mut block, &mut wrong);
    let provider = marked.provider(&block);
    // The provider of what is right is written anyway: errors about its absence would drown the cause.
    let error = wrong.0.map(|error| error.to_compile_error());
    quote!(#block #provider #error)
}

fn block(attribute: TokenStream, item: TokenStream) -> Result<ItemImpl> {
    let block = match syn::parse2(item.clone())? {
        Item::Impl(block) => block,
        _ => return Err(Error::new_spanned(item, "`#[tools]` stands on an `impl` block; move it there")),
    };
    if !attribute.is_empty() {
        return Err(Error::new_spanned(attribute, "`#[tools]` has no options; those of a tool stand in `#[tool(…)]`"));
    }
    if let Some((of, _)) = &block.trait_ {
        let message =
            "`#[tools]` stands on the type's own `impl` block, not on that of a trait; write `impl Type { … }`";
        return Err(Error::new_spanned(of, message));
    }
    if !block.generics.params.is_empty() {
        let message = "a plugin's tools are the same for all; write the `impl` block for one type without parameters";
        return Err(Error::new_spanned(&block.generics, message));
    }
    Ok(block)
}

/// The marked functions of a block.
#[derive(Default)]
struct Marked {
    tools: Vec<Tool>,
    health: Option<ImplItemFn>,
    shutdown: Option<ImplItemFn>,
}

impl Marked {
    /// Takes the marks off a block's functions.
    fn take(block: &mut ItemImpl, wrong: &mut Wrong) -> Self {
        let mut marked = Self::default();
        let mut any = false;
        for item in &mut block.items {
            let ImplItem::Fn(function) = item else { continue };
            let marks: Vec<Attribute> = function.attrs.extract_if(.., |attribute| is_mark(attribute)).collect();
            let Some(mark) = marks.first() else { continue };
            any = true;
            // Both are asked for here, whether the function needs them or not.
            function.attrs.push(parse_quote!(#[allow(clippy::unused_async, clippy::unused_self)]));
            if let Some(second) = marks.get(1) {
                wrong.add(Error::new_spanned(second, "a function is one thing; drop the second mark"));
            }
            if mark.path().is_ident("tool") {
                if let Some(tool) = wrong.unless(Tool::read(function, &mark.meta)) {
                    marked.tools.push(tool);
                }
            } else if let Some(place) = wrong.unless(marked.place(function, &mark.meta)) {
                *place = Some(function.clone());
            }
        }
        if !any {
            let message = "there is no tool here; mark an `async fn` with `#[tool]`";
            wrong.add(Error::new_spanned(&block.self_ty, message));
        }
        marked.tell_duplicates(wrong);
        marked
    }

    /// Where a function marked `#[health]` or `#[shutdown]` goes.
    fn place(&mut self, function: &ImplItemFn, mark: &Meta) -> Result<&mut Option<ImplItemFn>> {
        let health = mark.path().is_ident("health");
        let what = if health { "`#[health]`" } else { "`#[shutdown]`" };
        if !matches!(mark, Meta::Path(_)) {
            return Err(Error::new_spanned(mark, format!("{what} has no options; drop them")));
        }
        signature_of(what, function)?;
        if let Some(parameter) = function.sig.inputs.iter().nth(1) {
            return Err(Error::new_spanned(parameter, format!("{what} takes nothing but `&self`; drop the rest")));
        }
        let place = if health { &mut self.health } else { &mut self.shutdown };
        if place.is_some() {
            return Err(Error::new_spanned(mark, format!("{what} is there already; drop one")));
        }
        Ok(place)
    }

    fn tell_duplicates(&self, wrong: &mut Wrong) {
        for (index, tool) in self.tools.iter().enumerate() {
            let same = |earlier: &&Tool| earlier.name == tool.name && earlier.cfgs.is_empty() && tool.cfgs.is_empty();
            if self.tools[..index].iter().any(|earlier| same(&earlier)) {
                let message = format!("there is a tool \"{}\" already; choose another `name`", tool.name);
                wrong.add(Error::new(tool.span, message));
            }
        }
    }

    fn provider(&self, block: &ItemImpl) -> TokenStream {
        let plugin = &block.self_ty;
        let cfgs = block.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        let (call, context, unused) = (word("call"), word("cx"), word("_cx"));
        let parameter = if self.tools.iter().any(Tool::takes_context) { &context } else { &unused };
        let listed = self.tools.iter().map(Tool::listed);
        let arms = self.tools.iter().map(|tool| tool.arm(&call, &context));
        let health = self.health.as_ref().map(|ImplItemFn { sig, .. }| {
            let function = &sig.ident;
            quote! {
                async fn health(&self) -> ::toolgate_plugin::Health {
                    Self::#function(self).await
                }
            }
        });
        let shutdown = self.shutdown.as_ref().map(|ImplItemFn { sig, .. }| {
            let function = &sig.ident;
            quote! {
                async fn shutdown(&self) {
                    Self::#function(self).await
                }
            }
        });
        quote! {
            #(#cfgs)*
            #[::toolgate_plugin::async_trait]
            impl ::toolgate_plugin::ToolProvider for #plugin {
                async fn tools(
                    &self,
                ) -> ::core::result::Result<::std::vec::Vec<::toolgate_plugin::Tool>, ::toolgate_plugin::ProviderError>
                {
                    static TOOLS: ::std::sync::OnceLock<::std::vec::Vec<::toolgate_plugin::Tool>> =
                        ::std::sync::OnceLock::new();
                    let listed = || ::std::vec::Vec::from([#(#listed),*]);
                    ::core::result::Result::Ok(TOOLS.get_or_init(listed).clone())
                }

                async fn call(
                    &self,
                    #call: ::toolgate_plugin::ToolCall,
                    #parameter: ::toolgate_plugin::CallContext,
                ) -> ::core::result::Result<::toolgate_plugin::Outcome, ::toolgate_plugin::ToolError> {
                    match #call.name.as_str() {
                        #(#arms)*
                        _ => ::core::result::Result::Err(::toolgate_plugin::ToolError::UnknownTool(#call.name)),
                    }
                }

                #health
                #shutdown
            }
        }
    }
}

fn is_mark(attribute: &Attribute) -> bool {
    MARKS.iter().any(|mark| attribute.path().is_ident(mark))
}

/// A name of ours, which nothing that an author writes can meet.
fn word(name: &str) -> Ident {
    Ident::new(name, proc_macro2::Span::mixed_site())
}
