//! A result as text: what models read, within the room that it has, everything from outside between marks.

use std::{borrow::Cow, fmt::Write};

use super::{Dropped, FailedUrl, Image, Link, Source, Told, room};
use crate::safety::{
    envelope::{Envelope, Marks},
    text::{self, Prose},
};

/// A result before it is written.
pub(crate) struct Sheet {
    /// What we say before anything else.
    pub(crate) lead: String,
    /// A text that no single source has: an answer, a report.
    pub(crate) answer: Option<Labelled>,
    /// Sources with their text.
    pub(crate) sources: Vec<Source>,
    /// Sources without text.
    pub(crate) links: Vec<Link>,
    /// What we say of the links.
    pub(crate) links_label: &'static str,
    /// Images of the whole result.
    pub(crate) images: Vec<Image>,
    /// What there is to do about texts that were cut.
    pub(crate) if_cut: &'static str,
    /// What there is to do about pages that came back empty.
    pub(crate) if_empty: &'static str,
    /// The rest.
    pub(crate) told: Told,
    /// Most bytes of a list of addresses.
    list_room: usize,
}

/// A text, and what we say of it.
pub(crate) struct Labelled {
    pub(crate) label: &'static str,
    pub(crate) prose: Prose,
}

/// What a note about a cut takes at most, in bytes.
const NOTE: usize = 120;
/// The reason of what had no room.
const NO_ROOM: &str = "no room within max_output_tokens";

impl Sheet {
    /// A result with nothing in it yet.
    pub(crate) fn new(told: Told) -> Self {
        Self {
            lead: String::new(),
            answer: None,
            sources: Vec::new(),
            links: Vec::new(),
            links_label: "",
            images: Vec::new(),
            if_cut: "",
            if_empty: "",
            told,
            list_room: usize::MAX,
        }
    }

    /// More text than this of one source is of no use to a result of so many tokens.
    pub(crate) fn limit(tokens: u32) -> usize {
        room::bytes(tokens)
    }

    /// Cut texts, and leave out what has no room even for its first line, until the text has at most so many tokens;
    /// then write it.
    pub(crate) fn write(&mut self, tokens: u32, marks: &Marks) -> String {
        let most = room::bytes(tokens);
        self.list_room = most / 8;
        self.fit(most);
        marks.around(|envelope| self.render(envelope))
    }

    fn fit(&mut self, most: usize) {
        let sample = Envelope::sample();
        if self.omitted() == 0 && self.render(&sample).len() <= most {
            return;
        }
        // Frames first: what stands around the texts.
        let bare = |source: &Source| self.entry(&sample, source, false).len() + NOTE;
        let frames: Vec<usize> = self.sources.iter().map(bare).collect();
        let mut rest = self.frame(&sample).len() + 2 * NOTE;
        let lines: Vec<usize> = self.links.iter().map(|link| link_line(link).len() + 1).collect();
        let for_links = if self.answer.is_some() { most / 2 } else { most.saturating_sub(rest) };
        let kept_links = how_many(&lines, for_links);
        rest += lines[..kept_links].iter().sum::<usize>();
        let kept = how_many(&frames, most.saturating_sub(rest) * 3 / 4).max(usize::from(!frames.is_empty()));
        for source in self.sources.drain(kept..) {
            self.told.dropped.push(Dropped::new(&source.url, NO_ROOM));
        }
        for link in self.links.drain(kept_links..) {
            self.told.dropped.push(Dropped::new(&link.url, NO_ROOM));
        }
        let frames: usize = frames[..kept].iter().sum();
        self.cut(most.saturating_sub(rest + frames));
        self.told.truncated = self.told.dropped.iter().any(|dropped| dropped.reason == NO_ROOM) || self.omitted() > 0;
    }

    fn cut(&mut self, room: usize) {
        let score = |source: &Source| source.score.unwrap_or(f64::NAN);
        let mut wishes: Vec<(usize, f64)> = self.answer.iter().map(|answer| (answer.prose.text.len(), 1.0)).collect();
        for source in &self.sources {
            wishes.push((source.text.len(), score(source)));
            wishes.extend(source.raw.as_ref().map(|raw| (raw.len(), score(source))));
        }
        let mut shares = room::share(room, &wishes).into_iter();
        let mut cut = |text: &mut String| room::cut(text, shares.next().unwrap_or(0));
        if let Some(answer) = &mut self.answer {
            answer.prose.omitted += cut(&mut answer.prose.text);
        }
        for source in &mut self.sources {
            source.omitted += cut(&mut source.text) + source.raw.as_mut().map_or(0, &mut cut);
            source.truncated = source.omitted > 0;
            source.omitted_tokens = source.truncated.then(|| room::tokens(source.omitted));
        }
    }

    fn omitted(&self) -> usize {
        let answer = self.answer.as_ref().map_or(0, |answer| answer.prose.omitted);
        answer + self.sources.iter().map(|source| source.omitted).sum::<usize>()
    }

    // === writing ===

    fn render(&self, envelope: &Envelope) -> String {
        self.whole(envelope, true)
    }

    /// All but the sources' entries, the links' lines and the answer's text.
    fn frame(&self, envelope: &Envelope) -> String {
        self.whole(envelope, false)
    }

    fn whole(&self, envelope: &Envelope, full: bool) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail, here and below.
        if !self.lead.is_empty() {
            let _ = writeln!(out, "{}", self.lead);
        }
        let foreign = self.answer.is_some() || !self.sources.is_empty() || !self.links.is_empty();
        if foreign || !self.images.is_empty() || !self.told.failed.is_empty() {
            let _ = writeln!(out, "{}\n", envelope.notice());
        }
        if let Some(Labelled { label, prose }) = &self.answer {
            let _ = writeln!(out, "{label}");
            envelope.wrap(&mut out, if full { prose.text.as_str() } else { "" });
            out.push_str(&cut_note(prose.omitted, self.if_cut));
            out.push('\n');
        }
        if full {
            for source in &self.sources {
                out.push_str(&self.entry(envelope, source, true));
            }
        }
        if !self.links.is_empty() {
            let _ = writeln!(out, "{}", self.links_label);
            let lines: Vec<String> = self.links.iter().map(link_line).collect();
            envelope.wrap(&mut out, if full { lines.join("\n") } else { String::new() }.as_str());
            out.push('\n');
        }
        if !self.images.is_empty() {
            let lines = few(self.images.iter().map(|image| text::line(&image.line(), 400)), self.list_room);
            out.push_str("Images:\n");
            envelope.wrap(&mut out, &lines);
            out.push('\n');
        }
        if !self.told.failed.is_empty() {
            let line = |FailedUrl { url, error }: &FailedUrl| format!("- {}: {error}", text::line(url, 300));
            out.push_str("Pages that could not be read:\n");
            envelope.wrap(&mut out, &few(self.told.failed.iter().map(line), self.list_room));
            out.push('\n');
        }
        out.push_str(&self.closing());
        out
    }

    fn entry(&self, envelope: &Envelope, source: &Source, full: bool) -> String {
        let mut body = line(source.n, source.title.as_deref(), &source.url);
        let score = source.score.map(|score| format!("score {score:.2}"));
        let published = source.published.as_deref().map(|date| format!("published {date}"));
        let about: Vec<String> = score.into_iter().chain(published).collect();
        if !about.is_empty() {
            let _ = write!(body, " ({})", about.join(", "));
        }
        if full {
            let _ = write!(body, "\n{}", source.text);
        }
        if let Some(raw) = &source.raw {
            let _ = write!(body, "\n\nWhole page:\n{}", if full { raw.as_str() } else { "" });
        }
        if !source.images.is_empty() {
            let lines = source.images.iter().map(|image| format!("Image: {}", text::line(&image.line(), 400)));
            let lines = few(lines, self.list_room / 4);
            let _ = write!(body, "\n{lines}");
        }
        let mut out = String::with_capacity(body.len() + 2 * NOTE);
        envelope.wrap(&mut out, &body);
        let empty = source.omitted == 0 && source.text.trim().is_empty() && source.raw.is_none();
        if empty && !self.if_empty.is_empty() {
            let _ = writeln!(out, "(the page came back empty; {})", self.if_empty);
        }
        out.push_str(&cut_note(source.omitted, self.if_cut));
        out.push('\n');
        out
    }

    /// What was left out, and what it cost.
    fn closing(&self) -> String {
        let mut out = String::new();
        let mut reasons: Vec<(&str, usize)> = Vec::new();
        for dropped in &self.told.dropped {
            match reasons.iter_mut().find(|(reason, _)| *reason == dropped.reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((dropped.reason, 1)),
            }
        }
        for (reason, count) in reasons {
            let results = if count == 1 { "1 result was" } else { &format!("{count} results were") };
            let _ = writeln!(out, "{results} left out: {reason}.");
        }
        let cost = self.told.cost;
        let _ = match (self.told.cached, cost.estimated) {
            (true, _) => write!(out, "Cost: none; remembered since {}.", self.told.fetched_at),
            (false, true) => write!(out, "Cost: at most {:#} (Tavily did not say).", cost.credits),
            (false, false) => write!(out, "Cost: {:#}.", cost.credits),
        };
        out
    }
}

/// How many of these lengths fit into so much, in their order.
fn how_many(lengths: &[usize], room: usize) -> usize {
    let mut left = room;
    lengths.iter().take_while(|length| left.checked_sub(**length).map(|rest| left = rest).is_some()).count()
}

fn cut_note(omitted: usize, advice: &str) -> String {
    match room::tokens(omitted) {
        0 => String::new(),
        tokens if advice.is_empty() => format!("(cut: about {tokens} tokens of this were left out)\n"),
        tokens => format!("(cut: about {tokens} tokens of this were left out; {advice})\n"),
    }
}

/// The line that a source is cited by.
fn line(n: usize, title: Option<&str>, url: &str) -> String {
    match title {
        Some(title) => format!("[{n}] {title} — {}", shown(url)),
        None => format!("[{n}] {}", shown(url)),
    }
}

fn link_line(link: &Link) -> String {
    line(link.n, link.title.as_deref(), &link.url)
}

/// An address as it is read: whole, unless it is longer than anybody reads.
fn shown(url: &str) -> Cow<'_, str> {
    if url.len() <= 1000 { url.into() } else { text::line(url, 1000).into() }
}

/// The first lines of a list, at most 20 and about `room` bytes; the value for programs has all of them.
fn few(lines: impl ExactSizeIterator<Item = String>, room: usize) -> String {
    let (all, mut left) = (lines.len(), room);
    let fits = |line: &String| left.checked_sub(line.len()).map(|rest| left = rest).is_some();
    let mut shown: Vec<String> = lines.take(20).take_while(fits).collect();
    if shown.len() < all {
        shown.push(format!("… and {} more", all - shown.len()));
    }
    shown.join("\n")
}
