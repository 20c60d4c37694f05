//! One function of a `#[tools]` block: what its signature says, and the code that offers and runs it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Ident, ImplItemFn, Lit, Meta, ReceiverKind, Result, ReturnType, Type,
    ext::IdentExt, spanned::Spanned,
};

use crate::options::{Options, check_name};

/// A function marked `#[tool]`, understood.
pub(crate) struct Tool {
    function: Ident,
    pub(crate) name: String,
    /// Where the name stands, for complaints about it.
    pub(crate) span: Span,
    description: String,
    options: Options,
    /// The parameters after `&self`, in their order.
    parameters: Vec<Parameter>,
    returns: Type,
    /// `#[cfg(…)]`: the function may not be there.
    pub(crate) cfgs: Vec<Attribute>,
}

enum Parameter {
    Arguments(Box<Type>),
    Context,
}

impl Tool {
    /// Understand a function; `mark` is its `#[tool(…)]`. Tells everything that is wrong at once.
    pub(crate) fn read(function: &ImplItemFn, mark: &Meta) -> Result<Self> {
        let signature = &function.sig;
        let mut wrong = Wrong::default();
        wrong.unless(signature_of("a tool", function));
        let options = wrong.unless(Options::read(mark)).unwrap_or_default();
        let (name, span) = match &options.name {
            Some(name) => (name.value(), name.span()),
            None => (signature.ident.unraw().to_string(), signature.ident.span()),
        };
        wrong.unless(check_name(&name, span));
        let description = description(&function.attrs);
        if description.is_empty() {
            let message = "a tool needs a description for the models that call it; write a doc comment (`/// …`)";
            wrong.add(Error::new(signature.ident.span(), message));
        }
        let parameters = wrong.unless(parameters(function)).unwrap_or_default();
        let returns = wrong.unless(returns(function));
        let cfgs = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect();
        match (wrong.0, returns) {
            (Some(error), _) => Err(error),
            (None, Some(returns)) => Ok(Self {
                function: signature.ident.clone(),
                name,
                span,
                description,
                options,
                parameters,
                returns,
                cfgs,
            }),
            (None, None) => Err(Error::new(span, "the tool cannot be understood")),
        }
    }

    /// Whether the function takes the context.
    pub(crate) fn takes_context(&self) -> bool {
        self.parameters.iter().any(|parameter| matches!(parameter, Parameter::Context))
    }

    /// An expression: the tool as `tools/list` shows it.
    pub(crate) fn listed(&self) -> TokenStream {
        let Self { name, description, options, returns, cfgs, .. } = self;
        let (title, annotations) = (options.title(), options.annotations());
        let input = self.parameters.iter().find_map(|parameter| match parameter {
            Parameter::Arguments(arguments) => Some(
                quote_spanned!(arguments.span()=> <#arguments as ::toolgate_plugin::__macros::Arguments>::schema()),
            ),
            Parameter::Context => None,
        });
        let input = input.unwrap_or_else(|| quote!(::toolgate_plugin::__macros::no_arguments()));
        let output = quote_spanned!(returns.span()=> <#returns as ::toolgate_plugin::Reply>::output_schema());
        quote! {
            #(#cfgs)*
            ::toolgate_plugin::__macros::tool(#name, #title, #description, #annotations, #input, #output)
        }
    }

    /// A match arm: the tool's name to its result.
    pub(crate) fn arm(&self, call: &Ident, context: &Ident) -> TokenStream {
        let Self { function, name, returns, cfgs, .. } = self;
        let parameters = self.parameters.iter().map(|parameter| match parameter {
            Parameter::Arguments(arguments) => quote_spanned! {arguments.span()=>
                <#arguments as ::toolgate_plugin::__macros::Arguments>::read(#call.arguments)?
            },
            Parameter::Context => context.to_token_stream(),
        });
        let result = quote_spanned!(returns.span()=> <#returns as ::toolgate_plugin::Reply>::into_result);
        quote! {
            #(#cfgs)*
            #name => {
                let reply: #returns = Self::#function(self, #(#parameters),*).await;
                #result(reply).map(::toolgate_plugin::Outcome::Complete)
            }
        }
    }
}

/// What every marked function has in common: `async fn(&self, …)`, nothing generic.
pub(crate) fn signature_of(what: &str, function: &ImplItemFn) -> Result<()> {
    let signature = &function.sig;
    let mut wrong = Wrong::default();
    if signature.asyncness.is_none() {
        wrong.add(Error::new(signature.fn_token.span, format!("{what} is async; write `async fn`")));
    }
    let by_reference = |kind: &ReceiverKind| matches!(kind, ReceiverKind::Reference(_, _, None));
    if !signature.receiver().is_some_and(|receiver| by_reference(&receiver.kind)) {
        let span = signature.receiver().map_or_else(|| signature.ident.span(), Spanned::span);
        wrong.add(Error::new(span, format!("{what} is called on a plugin that others call too; take `&self`")));
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        wrong.add(Error::new_spanned(
            &signature.generics,
            format!("{what} has no parameters of type or lifetime; name the types"),
        ));
    }
    if matches!(signature.safety, syn::Safety::Unsafe(_)) {
        wrong.add(Error::new(signature.ident.span(), format!("{what} is safe to call; drop the `unsafe`")));
    }
    wrong.0.map_or(Ok(()), Err)
}

fn parameters(function: &ImplItemFn) -> Result<Vec<Parameter>> {
    let mut wrong = Wrong::default();
    let mut parameters = Vec::new();
    let (mut arguments, mut context) = (false, false);
    for input in &function.sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        let (inner, borrowed) = match &*input.ty {
            Type::Reference(reference) => (&*reference.elem, true),
            owned => (owned, false),
        };
        if borrowed {
            wrong.add(Error::new_spanned(&input.ty, "a tool owns what it is called with; drop the `&`"));
        }
        let is_context = matches!(inner, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "CallContext"));
        if is_context {
            if context {
                wrong.add(Error::new_spanned(&input.ty, "there is one `CallContext` a call; drop the second"));
            }
            context = true;
            parameters.push(Parameter::Context);
        } else {
            if arguments {
                let message = "a tool takes one struct of arguments; make this a field of it";
                wrong.add(Error::new_spanned(&input.ty, message));
            }
            arguments = true;
            parameters.push(Parameter::Arguments(input.ty.clone()));
        }
    }
    wrong.0.map_or(Ok(parameters), Err)
}

fn returns(function: &ImplItemFn) -> Result<Type> {
    match &function.sig.output {
        ReturnType::Default => {
            let message = "a tool answers something; return `String`, a struct with `#[output]`, or a `Result` of one";
            Err(Error::new(function.sig.ident.span(), message))
        }
        ReturnType::Type(_, returned) => match &**returned {
            Type::ImplTrait(_) => {
                Err(Error::new_spanned(returned, "the output schema comes from the type; name it instead of `impl …`"))
            }
            named => Ok(named.clone()),
        },
    }
}

/// A doc comment as models read it: paragraphs on one line each, as in the schemas of arguments.
fn description(attributes: &[Attribute]) -> String {
    let mut paragraphs = vec![String::new()];
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(value) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &value.value else { continue };
        // `/** … */` is one attribute of many lines.
        for line in text.value().lines().map(str::trim) {
            match paragraphs.last_mut() {
                Some(last) if !line.is_empty() => {
                    if !last.is_empty() {
                        last.push(' ');
                    }
                    last.push_str(line);
                }
                Some(last) if last.is_empty() => {}
                _ => paragraphs.push(String::new()),
            }
        }
        // `lines` of an empty string are none, but `///` alone ends a paragraph.
        if text.value().is_empty() && paragraphs.last().is_some_and(|last| !last.is_empty()) {
            paragraphs.push(String::new());
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs.join("\n\n")
}

/// Everything that is wrong, told at once.
#[derive(Default)]
pub(crate) struct Wrong(pub(crate) Option<Error>);

impl Wrong {
    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn unless<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }
}
