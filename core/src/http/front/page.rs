//! The front page as HTML, whole without a script.

use askama::Template;

use super::{endpoint::part, files::FILES, overview::Overview};
use crate::{
    host::Registry,
    http::{
        openapi::{Operations, Readiness},
        sight::{Sight, hides},
        state::State,
    },
};

/// What it may load.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src \
                                 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Which endpoint is looked at, and what comes before a path of ours in a link.
#[derive(PartialEq, Eq)]
pub(super) struct Place {
    pub(super) endpoint: String,
    pub(super) root: String,
}

/// A choice among several endpoints.
struct Tab {
    name: String,
    /// How many tools; not where the caller sees none because they are hidden.
    tools: Option<usize>,
    chosen: bool,
}

struct Names<'a> {
    style: &'a str,
    script: &'a str,
    icon: &'a str,
}

#[derive(Template)]
#[template(path = "front/page.html")]
struct PageTemplate<'a> {
    root: &'a str,
    files: Names<'a>,
    host: &'a str,
    version: &'static str,
    count: String,
    tabs: &'a [Tab],
    state: &'a str,
    endpoint: &'a str,
}

#[derive(Template)]
#[template(path = "front/state.html")]
struct StateTemplate {
    state: Overview,
}

/// The page, as somebody may see it.
pub(super) fn page(
    state: &State,
    registry: &Registry,
    place: &Place,
    sight: &Sight,
    readiness: &Readiness,
    operations: &Operations,
) -> Option<String> {
    let config = &state.config;
    let Place { endpoint: chosen, root } = place;
    let tabs: Vec<Tab> = registry
        .endpoints()
        .map(|name| Tab {
            name: name.to_owned(),
            tools: Some(sight.tools(registry, name).count()).filter(|tools| *tools > 0 || !hides(registry, name)),
            chosen: name == chosen,
        })
        .collect();
    let overview = StateTemplate { state: Overview::of(readiness) }.render().ok()?;
    let public_url = config.public_url();
    let page = PageTemplate {
        root,
        files: Names { style: &FILES.style.path, script: &FILES.script.path, icon: &FILES.icon.path },
        host: public_url.split_once("://").map_or(public_url.as_str(), |(_, host)| host),
        version: env!("CARGO_PKG_VERSION"),
        count: counted(&tabs),
        tabs: &tabs,
        state: &overview,
        endpoint: &part(state, registry, place, sight, operations)?,
    };
    page.render().ok()
}

fn counted(tabs: &[Tab]) -> String {
    let tools: usize = tabs.iter().filter_map(|tab| tab.tools).sum();
    let tools = match tools {
        0 if tabs.iter().any(|tab| tab.tools.is_none()) => "Tools".to_owned(),
        0 => "No tools".to_owned(),
        1 => "1 tool".to_owned(),
        tools => format!("{tools} tools"),
    };
    if tabs.len() > 1 { format!("{tools} at {} endpoints", tabs.len()) } else { tools }
}
