//! `#[test]` of the test kit: an async function as a test.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, Result};

/// The test; in place of what cannot be understood, errors.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> TokenStream {
    match test(attribute, item) {
        Ok(test) => test,
        Err(error) => error.to_compile_error(),
    }
}

fn test(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(Error::new_spanned(attribute, "`#[test]` has no options; drop them"));
    }
    let mut function: ItemFn = syn::parse2(item)?;
    if function.sig.asyncness.take().is_none() {
        return Err(Error::new(function.sig.fn_token.span, "this test is async; write `async fn`"));
    }
    if let Some(parameter) = function.sig.inputs.first() {
        return Err(Error::new_spanned(parameter, "a test takes nothing; drop the parameter"));
    }
    let ItemFn { attrs, vis, sig, block, .. } = function;
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis #sig {
            ::toolgate_plugin::testing::run(async move #block)
        }
    })
}
