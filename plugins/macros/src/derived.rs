//! `#[arguments]`, `#[settings]`, `#[output]` and `derive(Plugin)`: the derives of serde and schemars, reached
//! through `toolgate_plugin` so that a plugin has one dependency.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, Meta, Result};

/// What a type is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Arguments,
    Settings,
    Output,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Arguments => "#[arguments]",
            Self::Settings => "#[settings]",
            Self::Output => "#[output]",
        }
    }

    /// serde's derive.
    fn derive(self) -> &'static str {
        if self == Self::Output { "Serialize" } else { "Deserialize" }
    }
}

/// The type with its derives; in place of what cannot be understood, errors.
pub(crate) fn expand(kind: Kind, attribute: TokenStream, item: TokenStream) -> TokenStream {
    match derived(kind, attribute, item.clone()) {
        Ok(derived) => derived,
        Err(error) => {
            let error = error.to_compile_error();
            quote!(#item #error)
        }
    }
}

fn derived(kind: Kind, attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let name = kind.name();
    if !attribute.is_empty() {
        let message = format!("`{name}` has no options; use `#[serde(…)]` or `#[schemars(…)]`");
        return Err(Error::new_spanned(attribute, message));
    }
    let input: DeriveInput = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), format!("`{name}` stands on a struct or an enum; move it there")))?;
    already_derived(kind, &input.attrs)?;
    let derive = Ident::new(kind.derive(), proc_macro2::Span::call_site());
    let deny = (kind != Kind::Output && may_deny_unknown(&input)).then(|| quote!(, deny_unknown_fields));
    let reply = (kind == Kind::Output && has_named_fields(&input.data)).then(|| reply(&input));
    let mark = match kind {
        Kind::Arguments => is_object(&input).then(|| marked(&input, "Arguments")),
        Kind::Settings => Some(marked(&input, "Settings")),
        Kind::Output => None,
    };
    Ok(quote! {
        #[derive(::toolgate_plugin::serde::#derive, ::toolgate_plugin::schemars::JsonSchema)]
        #[serde(crate = "::toolgate_plugin::serde" #deny)]
        #[schemars(crate = "::toolgate_plugin::schemars")]
        #input
        #reply
        #mark
    })
}

/// Derived twice, the compiler would speak of conflicting implementations and not of the cause.
fn already_derived(kind: Kind, attributes: &[Attribute]) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        attribute.parse_nested_meta(|meta| match meta.path.segments.last() {
            Some(last) if last.ident == kind.derive() || last.ident == "JsonSchema" => {
                Err(meta.error(format!("`{}` derives `{}` already; drop it here", kind.name(), last.ident)))
            }
            _ => Ok(()),
        })?;
    }
    Ok(())
}

/// serde refuses unknown members of named fields only, and not beside a flattened field.
fn may_deny_unknown(input: &DeriveInput) -> bool {
    let flattened = |fields: &Fields| fields.iter().any(|field| says(&field.attrs, "flatten"));
    let free = match &input.data {
        Data::Struct(data) => !flattened(&data.fields),
        Data::Enum(data) => !data.variants.iter().any(|variant| flattened(&variant.fields)),
        Data::Union(_) => false,
    };
    let settled = ["deny_unknown_fields", "transparent", "from", "try_from"];
    has_named_fields(&input.data) && free && !settled.iter().any(|word| says(&input.attrs, word))
}

/// Whether its JSON is an object, so that it can be what a tool takes and not only a part of it.
fn is_object(input: &DeriveInput) -> bool {
    let named = |fields: &Fields| matches!(fields, Fields::Named(_));
    match &input.data {
        Data::Struct(data) => named(&data.fields),
        Data::Enum(data) => says(&input.attrs, "tag") || data.variants.iter().all(|variant| named(&variant.fields)),
        Data::Union(_) => false,
    }
}

/// The mark by which `#[tool]` knows arguments and `derive(Plugin)` settings.
fn marked(input: &DeriveInput, mark: &str) -> TokenStream {
    let (name, mark) = (&input.ident, Ident::new(mark, proc_macro2::Span::call_site()));
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let bounds = bounds.map(|bounds| {
        let predicates = bounds.predicates.iter();
        quote!(#(#predicates,)*)
    });
    quote! {
        impl #generics ::toolgate_plugin::__macros::#mark for #name #arguments
        where
            Self: ::toolgate_plugin::serde::de::DeserializeOwned
                + ::toolgate_plugin::schemars::JsonSchema
                + ::core::marker::Send
                + 'static,
            #bounds
        {
        }
    }
}

fn has_named_fields(data: &Data) -> bool {
    let named = |fields: &Fields| matches!(fields, Fields::Named(_));
    match data {
        Data::Struct(data) => named(&data.fields),
        Data::Enum(data) => data.variants.iter().any(|variant| named(&variant.fields)),
        Data::Union(_) => false,
    }
}

/// Whether one of the `#[serde(…)]` attributes holds this word.
fn says(attributes: &[Attribute], word: &str) -> bool {
    let serde = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
    serde
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) => Some(list.tokens.clone()),
            _ => None,
        })
        .flatten()
        .any(|token| matches!(token, TokenTree::Ident(ident) if ident == word))
}

/// A struct is a reply as `Json` of it would be.
fn reply(input: &DeriveInput) -> Option<TokenStream> {
    // The root of an output schema is an object.
    if !matches!(input.data, Data::Struct(_)) {
        return None;
    }
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let bounds = bounds.map(|bounds| {
        let predicates = bounds.predicates.iter();
        quote!(#(#predicates,)*)
    });
    Some(quote! {
        impl #generics ::toolgate_plugin::Reply for #name #arguments
        where
            Self: ::toolgate_plugin::serde::Serialize + ::toolgate_plugin::schemars::JsonSchema + ::core::marker::Send,
            #bounds
        {
            fn output_schema() -> ::core::option::Option<::toolgate_plugin::JsonObject> {
                ::core::option::Option::Some(::toolgate_plugin::schema_of::<Self>())
            }

            fn into_result(
                self,
            ) -> ::core::result::Result<::toolgate_plugin::ToolResult, ::toolgate_plugin::ToolError> {
                ::toolgate_plugin::Reply::into_result(::toolgate_plugin::Json(self))
            }
        }
    })
}

/// `derive(Plugin)`.
pub(crate) fn plugin(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    if !input.generics.params.is_empty() {
        let message = "a plugin has no parameters; implement `Plugin` for one type";
        return Error::new_spanned(&input.generics, message).to_compile_error();
    }
    let name = &input.ident;
    // Nothing in it, nothing to set: `()` stands for that, with or without `#[settings]`.
    let empty = matches!(&input.data, Data::Struct(data) if data.fields.is_empty());
    let (settings, pattern, plugin) = if empty {
        (quote!(()), quote!(()), quote!(Self {}))
    } else {
        (quote!(#name), quote!(settings), quote!(settings))
    };
    // The bound names the remedy, and spares the author what follows from its absence.
    let bound = (!empty).then(|| quote!(where #name: ::toolgate_plugin::__macros::Settings));
    quote! {
        impl ::toolgate_plugin::Plugin for #name #bound {
            type Settings = #settings;

            async fn start(
                #pattern: #settings,
                _host: ::toolgate_plugin::HostHandle,
            ) -> ::core::result::Result<Self, ::toolgate_plugin::ProviderError> {
                ::core::result::Result::Ok(#plugin)
            }
        }
    }
}
