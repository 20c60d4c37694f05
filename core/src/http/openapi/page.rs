//! The page to browse and try the document: Swagger UI as poem-openapi bundles it, cut out of the page that
//! poem-openapi renders and served in files of its own, so that a strict content security policy holds and nothing
//! comes from elsewhere. Must not know the document: the page fetches it.

use std::{collections::BTreeSet, sync::LazyLock};

use bytes::Bytes;
use poem_openapi::OpenApiService;
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

const TEMPLATE: &str = include_str!("web/page.html");
const RECEIVER: &str = include_str!("web/receiver.html");

/// Our own files of the page, by name.
const FILES: [(&str, &str); 8] = [
    ("palette.css", include_str!("../../../templates/palette.css")),
    ("page.css", include_str!("web/page.css")),
    ("receiver.css", include_str!("web/receiver.css")),
    ("sign-in.js", include_str!("web/sign-in.js")),
    ("answers.js", include_str!("web/answers.js")),
    ("access.js", include_str!("web/access.js")),
    ("page.js", include_str!("web/page.js")),
    ("receiver.js", include_str!("web/receiver.js")),
];

/// What the page needs to know.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The page's title.
    pub title: String,
    /// Where calls go: the `public_url` of the document.
    pub public_url: String,
    /// How to sign in, one entry a security scheme.
    pub sign_in: Vec<SignIn>,
}

/// How the page gets a token for one security scheme.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    /// The scheme's name in the document.
    pub scheme: String,
    /// A client that is registered for the page; without one the page registers itself.
    pub client_id: Option<String>,
    /// Where the page registers itself (RFC 7591), absolute or relative to the page: `oauth/register`.
    pub registration_url: Option<String>,
    /// The authorization server's issuer: an answer that names another (RFC 9207) is refused.
    pub issuer: Option<String>,
    /// Whether it promises to name itself in every answer: one without a name is refused.
    pub names_issuer: bool,
    /// Where a code becomes a token; the page may connect to its origin.
    pub token_url: Option<String>,
    /// The scopes that are ticked at first.
    pub scopes: Vec<String>,
    /// The resource identifier to ask a token for (RFC 8707).
    pub resource: Option<String>,
    /// Whether the document shows tools to those alone whose token reaches them.
    pub hides: bool,
}

/// A page and the policy that it must be served with.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// HTML.
    pub html: String,
    /// Value of `Content-Security-Policy`.
    pub content_security_policy: String,
}

/// A file of the page.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Value of `ETag`, quotes included.
    pub etag: String,
    /// The file.
    pub body: Bytes,
}

/// The page, for `GET /docs`. Its links are relative to a path without a slash at the end, so that it also works
/// behind a proxy that adds a prefix.
pub fn docs_page(page: &Page) -> Rendered {
    let sign_in: serde_json::Map<_, _> = page
        .sign_in
        .iter()
        .map(|how| {
            let value = json!({
                "clientId": how.client_id,
                "registrationUrl": how.registration_url,
                "issuer": how.issuer,
                "namesIssuer": how.names_issuer,
                "tokenUrl": how.token_url,
                "scopes": how.scopes,
                "resource": how.resource,
                "hides": how.hides,
            });
            (how.scheme.clone(), value)
        })
        .collect();
    let settings = json!({ "title": page.title, "document": "openapi.json", "signIn": sign_in });
    // `<` is all that could end the element or open a comment in it (HTML, section 4.12.1.3).
    let settings = settings.to_string().replace('<', "\\u003c");

    // The settings go in last: nothing is replaced within them.
    let html = TEMPLATE.replace("{title}", &escaped(&page.title)).replace("{settings}", &settings);
    Rendered { html, content_security_policy: content_security_policy(page) }
}

/// The page that the authorization server sends the person back to, for `GET /docs/oauth-receiver.html`.
pub fn receiver_page() -> Rendered {
    Rendered {
        html: RECEIVER.to_owned(),
        content_security_policy:
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
                .to_owned(),
    }
}

/// A file of the page, for `GET /docs/assets/{name}`.
pub fn asset(name: &str) -> Option<Asset> {
    const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
    const CSS: &str = "text/css; charset=utf-8";
    let (content_type, body) = match name {
        "swagger-ui.js" => (JAVASCRIPT, SWAGGER_UI.as_ref()?.script.clone()),
        "swagger-ui.css" => (CSS, SWAGGER_UI.as_ref()?.style.clone()),
        name => {
            let (_, text) = FILES.iter().find(|(known, _)| *known == name)?;
            (if name.ends_with(".css") { CSS } else { JAVASCRIPT }, Bytes::from_static(text.as_bytes()))
        }
    };
    let digest = Sha256::digest(&body);
    let etag = digest.iter().take(12).fold(String::from("\""), |tag, byte| format!("{tag}{byte:02x}")) + "\"";
    Some(Asset { content_type, etag, body })
}

fn content_security_policy(page: &Page) -> String {
    let addresses = page.sign_in.iter().flat_map(|how| [how.token_url.as_deref(), how.registration_url.as_deref()]);
    let origins: BTreeSet<String> = std::iter::once(Some(page.public_url.as_str()))
        .chain(addresses)
        .flatten()
        .filter_map(|address| Url::parse(address).ok())
        .filter(|address| address.origin().is_tuple())
        .map(|address| address.origin().ascii_serialization())
        .collect();
    let origins: String = origins.iter().map(|origin| format!(" {origin}")).collect();
    // Swagger UI sets style attributes, and its icons are data URLs.
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'{origins}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Swagger UI's files.
struct SwaggerUi {
    script: Bytes,
    style: Bytes,
}

/// Cut out once, when a browser first asks: an idle server holds no copy on its heap. `None` only if poem-openapi
/// changes its page, which a test notices.
static SWAGGER_UI: LazyLock<Option<SwaggerUi>> = LazyLock::new(|| {
    let page = Bytes::from(OpenApiService::new((), "", "").swagger_ui_html());
    let between = |open: &str, close: &str| {
        let html = std::str::from_utf8(&page).ok()?;
        let start = html.find(open)? + open.len();
        let end = start + html.get(start..)?.find(close)?;
        Some(page.slice(start..end))
    };
    let style = between("<style charset=\"UTF-8\">", "</style>")?;
    let script = between("<script charset=\"UTF-8\">", "</script>")?;
    Some(SwaggerUi { script, style })
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swagger_ui_is_cut_out_whole() {
        let script = asset("swagger-ui.js").unwrap().body;
        let script = std::str::from_utf8(&script).unwrap();
        assert!(script.contains("SwaggerUIBundle") && script.len() > 1_000_000, "{} bytes", script.len());
        assert!(script.trim_end().ends_with(';'), "the script ends where it should");
        let style = asset("swagger-ui.css").unwrap().body;
        assert!(style.starts_with(b".swagger-ui") && style.len() > 100_000, "{} bytes", style.len());
        assert!(!std::str::from_utf8(&style).unwrap().contains("<script"));
    }

    #[test]
    fn every_file_that_the_pages_link_is_there_and_nothing_comes_from_elsewhere() {
        let page = docs_page(&Page { title: "Toolgate".to_owned(), ..Page::default() }).html;
        let mut linked = 0;
        for html in [page.as_str(), RECEIVER] {
            for part in html.split("=\"").skip(1) {
                let value = part.split('"').next().unwrap_or_default();
                assert!(!value.contains("//"), "{value}");
                if let Some((_, name)) = value.split_once("assets/") {
                    assert!(asset(name).is_some(), "{name}");
                    linked += 1;
                }
            }
        }
        // The palette is linked by both.
        assert_eq!(linked, FILES.len() + 3);
        assert!(asset("../page.js").is_none());
    }

    #[test]
    fn nothing_in_the_settings_ends_the_element_that_holds_them() {
        let hostile = "</script><script>alert(1)</script><!--".to_owned();
        let page = Page {
            title: hostile.clone(),
            public_url: hostile.clone(),
            sign_in: vec![SignIn {
                scheme: hostile.clone(),
                client_id: Some(hostile.clone()),
                registration_url: Some(hostile.clone()),
                issuer: Some(hostile.clone()),
                names_issuer: true,
                token_url: Some(hostile.clone()),
                scopes: vec![hostile.clone(), "{title}".to_owned()],
                resource: Some(hostile.clone()),
                hides: true,
            }],
        };
        let rendered = docs_page(&page);
        assert_eq!(rendered.html.matches("</script>").count(), TEMPLATE.matches("</script>").count());
        assert!(!rendered.html.contains("<!--") && !rendered.html.contains("alert(1)<"));
        assert!(!rendered.content_security_policy.contains("alert"));
        let start = rendered.html.find("application/json\">").unwrap() + "application/json\">".len();
        let end = start + rendered.html[start..].find("</script>").unwrap();
        let settings: serde_json::Value = serde_json::from_str(&rendered.html[start..end]).unwrap();
        assert_eq!(settings["signIn"][&hostile]["resource"], hostile.as_str());
        assert_eq!(settings["signIn"][&hostile]["scopes"][1], "{title}");
    }

    #[test]
    fn the_policy_names_the_origins_that_the_page_talks_to_and_no_others() {
        let page = Page {
            public_url: "http://localhost:10000".to_owned(),
            sign_in: vec![SignIn {
                token_url: Some("https://auth.example.com/oauth/token".to_owned()),
                registration_url: Some("oauth/register".to_owned()),
                ..SignIn::default()
            }],
            ..Page::default()
        };
        let policy = docs_page(&page).content_security_policy;
        assert!(policy.contains("connect-src 'self' http://localhost:10000 https://auth.example.com;"), "{policy}");
        assert!(policy.contains("script-src 'self';"), "{policy}");
    }

    #[test]
    fn an_etag_tells_files_apart() {
        let names = FILES.iter().map(|(name, _)| *name).chain(["swagger-ui.css", "swagger-ui.js"]);
        let tags: BTreeSet<String> = names.map(|name| asset(name).unwrap().etag).collect();
        assert_eq!(tags.len(), FILES.len() + 2);
        assert!(tags.iter().all(|tag| tag.len() == 26 && tag.starts_with('"') && tag.ends_with('"')));
    }
}
