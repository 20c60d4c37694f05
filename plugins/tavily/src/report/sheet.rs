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
    /// Most bytes of an address; a title has half of it.
    widest: usize,
    /// Whether images are shown.
    with_images: bool,
    /// Whether Tavily's id of the request is shown.
    with_request: bool,
}

/// A text, and what we say of it.
pub(crate) struct Labelled {
    pub(crate) label: &'static str,
    pub(crate) prose: Prose,
}

/// What a note about a cut takes at most, in bytes.
const NOTE: usize = 120;
/// An address that is longer is read by nobody.
const WIDEST: usize = 1000;
/// Lists for programs have so many bytes, however little room the text has.
const LIST: usize = 16 * 1024;
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
            widest: WIDEST,
            with_images: true,
            with_request: true,
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
        // Where the same result is to be the same text, what differs from request to request has no place.
        self.with_request = matches!(marks, Marks::Random);
        self.fit(most);
        let text = marks.around(|envelope| self.render(envelope));
        self.bound(most.max(LIST));
        text
    }

    /// Bound the lists that the value has beside its text.
    fn bound(&mut self, room: usize) {
        let told = &mut self.told;
        let mut cut = keep(&mut told.dropped, &mut room.clone(), |dropped| dropped.url.len() + dropped.reason.len());
        cut |= keep(&mut told.failed, &mut room.clone(), |failed| failed.url.len() + failed.error.len());
        let mut left = room;
        cut |= keep(&mut self.images, &mut left, Image::size);
        for source in &mut self.sources {
            cut |= keep(&mut source.images, &mut left, Image::size);
        }
        told.truncated |= cut;
    }

    fn fit(&mut self, most: usize) {
        let sample = Envelope::sample();
        if self.omitted() == 0 && self.render(&sample).len() <= most {
            return;
        }
        self.widest = WIDEST.min(most / 4);
        // Frames first: what stands around the texts.
        let bare = |source: &Source| self.entry(&sample, source, false).len() + NOTE;
        let frames: Vec<usize> = self.sources.iter().map(bare).collect();
        let frame = |sheet: &Self| sheet.frame(&sample).len() + 2 * NOTE;
        let mut rest = frame(self);
        if rest + frames.iter().min().unwrap_or(&0) > most {
            self.with_images = false;
            rest = frame(self);
        }
        let lines: Vec<usize> = self.links.iter().map(|link| self.link_line(link).len() + 1).collect();
        let for_links = if self.answer.is_some() { most / 2 } else { most.saturating_sub(rest) };
        let kept_links = how_many(&lines, for_links);
        rest += lines[..kept_links].iter().sum::<usize>();
        let frames = self.keep_best(&frames, most.saturating_sub(rest) * 3 / 4);
        for link in self.links.drain(kept_links..) {
            self.told.dropped.push(Dropped::new(&link.url, NO_ROOM));
        }
        self.cut(most.saturating_sub(rest + frames));
        self.told.truncated = self.told.dropped.iter().any(|dropped| dropped.reason == NO_ROOM) || self.omitted() > 0;
        // Where there is next to no room, what can be spared goes.
        let spare: [fn(&mut Self); 5] = [
            |sheet| sheet.with_images = false,
            |sheet| sheet.list_room = 0,
            |sheet| sheet.if_cut = "",
            |sheet| sheet.widest /= 2,
            |sheet| sheet.with_request = false,
        ];
        for spare in spare {
            if self.render(&sample).len() <= most {
                break;
            }
            spare(self);
        }
    }

    /// Keep the sources of the highest scores whose frames fit, at least one, in their order; how long these are.
    fn keep_best(&mut self, frames: &[usize], room: usize) -> usize {
        let mut ranks: Vec<usize> = (0..frames.len()).collect();
        let score = |index: usize| self.sources[index].score.unwrap_or(0.5);
        ranks.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
        let (mut kept, mut used) = (vec![false; frames.len()], 0);
        for (rank, index) in ranks.into_iter().enumerate() {
            if rank == 0 || used + frames[index] <= room {
                kept[index] = true;
                used += frames[index];
            }
        }
        let sources = std::mem::take(&mut self.sources);
        for (mut source, kept) in sources.into_iter().zip(kept) {
            if kept {
                source.n = self.sources.len() + 1;
                self.sources.push(source);
            } else {
                self.told.dropped.push(Dropped::new(&source.url, NO_ROOM));
            }
        }
        used
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
            if !full || !prose.text.is_empty() {
                envelope.wrap(&mut out, if full { prose.text.as_str() } else { "" });
            }
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
            let lines: Vec<String> = self.links.iter().map(|link| self.link_line(link)).collect();
            envelope.wrap(&mut out, if full { lines.join("\n") } else { String::new() }.as_str());
            out.push('\n');
        }
        if self.with_images && !self.images.is_empty() {
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
        let mut body = self.line(source.n, source.title.as_deref(), &source.url);
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
        if self.with_images && !source.images.is_empty() {
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

    /// The line that a source is cited by.
    fn line(&self, n: usize, named: Option<&str>, url: &str) -> String {
        // Whole, unless it is longer than anybody reads, or than there is room for.
        let url: Cow<'_, str> = if url.len() <= self.widest { url.into() } else { text::line(url, self.widest).into() };
        match named {
            Some(named) => format!("[{n}] {} — {url}", title(named, self.widest / 2)),
            None => format!("[{n}] {url}"),
        }
    }

    fn link_line(&self, link: &Link) -> String {
        self.line(link.n, link.title.as_deref(), &link.url)
    }

    /// What was left out, of which request it is, and what it cost.
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
        if let Some(id) = self.told.request_id.as_deref().filter(|id| self.with_request && is_plain(id)) {
            let _ = writeln!(out, "Request: {id}");
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

/// Whether an id is one of Tavily's, which feedback names, and may stand outside of marks: it says nothing to anybody.
fn is_plain(id: &str) -> bool {
    // A handle of this server's own means nothing to Tavily.
    !id.starts_with("here-")
        && (1..=64).contains(&id.len())
        && id.bytes().any(|b| b.is_ascii_digit())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Keep the beginning of a list that fits, and say whether something was left out.
fn keep<T>(list: &mut Vec<T>, room: &mut usize, size: impl Fn(&T) -> usize) -> bool {
    let lengths: Vec<usize> = list.iter().map(size).collect();
    let kept = how_many(&lengths, *room);
    *room -= lengths[..kept].iter().sum::<usize>();
    list.truncate(kept);
    kept < lengths.len()
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

/// A title in which nothing can be taken for the number or the address of another source.
fn title(given: &str, limit: usize) -> String {
    let plain: String = given
        .chars()
        .map(|c| match c {
            '[' | '［' | '【' | '〔' | '⟦' => '(',
            ']' | '］' | '】' | '〕' | '⟧' => ')',
            '—' | '―' | '⸺' | '⸻' | '–' | '﹘' => '-',
            c => c,
        })
        .collect();
    text::line(&plain.replace("://", ": //"), limit)
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
