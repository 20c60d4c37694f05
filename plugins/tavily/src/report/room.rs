//! How much text a result may hold: an estimate of tokens, its sharing among sources by their score, and cuts that fall
//! at the end of a paragraph.

/// Seven bytes of UTF-8 count as two tokens. Measured with two public vocabularies (o200k and cl100k): 3.3 to 4.2 bytes
/// a token for English prose, code, Markdown, JSON and URLs, 2.5 to 9 for other languages, 2 for tables of digits.
const BYTES_OF_TWO_TOKENS: usize = 7;

/// About how many tokens so many bytes are.
pub(super) fn tokens(bytes: usize) -> usize {
    bytes.saturating_mul(2).div_ceil(BYTES_OF_TWO_TOKENS)
}

/// The bytes that so many tokens may have.
pub(super) fn bytes(tokens: u32) -> usize {
    tokens as usize * BYTES_OF_TWO_TOKENS / 2
}

/// Share `room` among texts of these lengths by their weights: nobody gets more than it needs, and what it does not need
/// goes to the others.
pub(super) fn share(room: usize, wishes: &[(usize, f64)]) -> Vec<usize> {
    let mut given = vec![0; wishes.len()];
    let mut open: Vec<usize> = (0..wishes.len()).collect();
    let mut left = room;
    while !open.is_empty() {
        let weights: f64 = open.iter().map(|&index| weight(wishes[index].1)).sum();
        let fair = |index: usize| (left as f64 * weight(wishes[index].1) / weights + 1e-6) as usize;
        let (content, wanting): (Vec<usize>, Vec<usize>) =
            open.iter().copied().partition(|&index| wishes[index].0 <= fair(index));
        if content.is_empty() {
            for index in wanting {
                given[index] = fair(index).min(wishes[index].0);
            }
            return given;
        }
        for index in content {
            given[index] = wishes[index].0;
            left -= wishes[index].0;
        }
        open = wanting;
    }
    given
}

/// A score as a weight: the least relevant source still has a voice.
fn weight(score: f64) -> f64 {
    if score.is_finite() { score.clamp(0.1, 1.0) } else { 0.5 }
}

/// Cut a text to at most `limit` bytes, and say how many were cut off. It ends where a paragraph or a passage does, or
/// else a sentence, a word, a character.
pub(super) fn cut(text: &mut String, limit: usize) -> usize {
    let whole = text.len();
    if whole <= limit {
        return 0;
    }
    if limit < LEAST {
        text.clear();
        return whole;
    }
    let head = &text[..text.floor_char_boundary(limit)];
    // An end right at the limit is one as well.
    let last = |end: &str| text[..text.floor_char_boundary(limit + end.len())].rfind(end);
    let paragraph = ["\n\n", PASSAGE, "\n#"].iter().filter_map(|end| last(end)).max();
    // A later end of less weight is better than one that gives most of the room away.
    let worth = |end: &usize| *end >= head.len() / 3;
    let sentence = || {
        [". ", ".\n", "! ", "? ", "。", "\n"]
            .iter()
            .filter_map(|end| head.rfind(end).map(|at| at + end.trim_end().len()))
            .max()
    };
    let word = || head.rfind(char::is_whitespace);
    let end = paragraph.filter(worth).or_else(|| sentence().filter(worth)).or_else(|| word().filter(worth));
    let end = end.unwrap_or(head.len());
    text.truncate(end);
    text.truncate(text.trim_end().len());
    whole - text.len()
}

/// Fewer bytes than this say nothing.
const LEAST: usize = 20;

/// What Tavily puts between the passages of a page.
const PASSAGE: &str = " [...] ";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_estimate_is_near_what_tokenizers_count() {
        // Counted with o200k: (text, tokens).
        let cases = [
            (
                "Tokio is an asynchronous runtime for the Rust programming language. It provides the building blocks needed for writing network applications.",
                23,
            ),
            ("https://docs.example.com/en/guides/7/how-to-install?ref=nav&utm_source=x7", 22),
            ("政府周三决定增加对可再生能源的支持。一位发言人在北京表示,这将使气候目标更快实现。", 30),
        ];
        for (text, counted) in cases {
            let estimated = tokens(text.len());
            assert!((counted * 2 / 3..=counted * 2).contains(&estimated), "{estimated} for {counted}: {text}");
        }
        assert_eq!((tokens(0), tokens(1), tokens(7), tokens(8)), (0, 1, 2, 3));
        for count in [1, 200, 1_000_000] {
            assert!(tokens(bytes(count)) <= count as usize);
        }
    }

    #[test]
    fn room_goes_to_those_who_need_it_by_their_score() {
        type Case<'a> = (usize, &'a [(usize, f64)], &'a [usize]);
        let cases: [Case<'_>; 7] = [
            (100, &[(50, 0.9), (50, 0.1)], &[50, 50]),
            (100, &[(1000, 0.5), (1000, 0.5)], &[50, 50]),
            (100, &[(1000, 0.8), (1000, 0.2)], &[80, 20]),
            (100, &[(10, 0.8), (1000, 0.2), (1000, 0.2)], &[10, 45, 45]),
            (0, &[(10, 0.8), (20, 0.2)], &[0, 0]),
            (100, &[(1000, f64::NAN), (1000, 0.5)], &[50, 50]),
            (100, &[], &[]),
        ];
        for (room, wishes, expected) in cases {
            assert_eq!(share(room, wishes), expected, "{room} {wishes:?}");
        }
    }

    #[test]
    fn nobody_gets_more_than_there_is_or_than_it_needs() {
        for seed in 0..2000_u64 {
            let number =
                |n: u64| (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n * 1_442_695) >> 40) as usize;
            let wishes: Vec<(usize, f64)> =
                (0..seed % 9).map(|n| (number(n) % 300, number(n + 50) as f64 % 100.0 / 100.0)).collect();
            let room = number(99) % 900;
            let given = share(room, &wishes);
            assert!(given.iter().sum::<usize>() <= room, "{room} {wishes:?} {given:?}");
            assert!(given.iter().zip(&wishes).all(|(given, (wish, _))| given <= wish), "{wishes:?} {given:?}");
            let needed: usize = wishes.iter().map(|(wish, _)| wish).sum();
            assert!(needed > room || given.iter().sum::<usize>() == needed, "{room} {wishes:?} {given:?}");
        }
    }

    #[test]
    fn cuts_fall_where_a_paragraph_ends_or_else_a_sentence_a_word_a_character() {
        let cases = [
            ("paragraph one\n\nparagraph two\n\nthree", 29, "paragraph one\n\nparagraph two"),
            ("paragraph one\n\nparagraph two\n\nthree", 28, "paragraph one\n\nparagraph two"),
            ("paragraph one\n\nparagraph two\n\nthree", 27, "paragraph one"),
            ("paragraph one\n\nparagraph two\n\nthree", 100, "paragraph one\n\nparagraph two\n\nthree"),
            ("the first [...] the second [...] third", 28, "the first [...] the second"),
            ("some text\n# Head\nmore text here", 22, "some text"),
            ("A sentence. Another one. And a third", 30, "A sentence. Another one."),
            ("one line\nanother line\nand one more", 24, "one line\nanother line"),
            ("word word word word word word", 22, "word word word word"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 25, "aaaaaaaaaaaaaaaaaaaaaaaaa"),
            ("ääääääääääääääää", 21, "ääääääääää"),
            ("too short to say anything", 19, ""),
            ("a\n\nbbbbbbbbbbbbbbbbbbbb bbbbbbbbbb bbb", 30, "a\n\nbbbbbbbbbbbbbbbbbbbb"),
            ("anything", 0, ""),
        ];
        for (given, limit, expected) in cases {
            let mut text = given.to_owned();
            let off = cut(&mut text, limit);
            assert_eq!((text.as_str(), off), (expected, given.len() - expected.len()), "{given:?} at {limit}");
        }
    }
    proptest! {
        #[test]
        fn a_cut_text_is_the_beginning_of_it_and_no_longer_than_it_may_be(text in "(\\PC|\n| |ä|政){0,200}", limit in 0..400_usize) {
            let mut kept = text.clone();
            let omitted = cut(&mut kept, limit);
            prop_assert!(text.starts_with(&kept));
            prop_assert!(kept.len() <= limit || kept == text && text.len() <= limit);
            prop_assert_eq!(omitted, text.len() - kept.len());
        }
    }
}
