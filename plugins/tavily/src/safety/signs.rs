//! Single signs as a reader takes them: unescaped, and as the letter that they look like.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::text::is_hidden;

/// The sign at the start of `text`, escaped or not, and how many bytes it is written with.
pub(super) fn sign(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    Some(match first {
        '&' | '%' | '\\' => escaped(text).unwrap_or((first, 1)),
        _ => (first, first.len_utf8()),
    })
}

/// The sign at the end of `text`, escaped or not, and where it begins.
pub(super) fn last_sign(text: &str) -> Option<(usize, char)> {
    let last = text.chars().next_back()?;
    // No escape that stands for one of our signs is longer, and all are ASCII.
    let tail = text.bytes().rev().take(12).take_while(u8::is_ascii).count();
    let starts = (text.len() - tail..text.len()).rev().filter(|at| matches!(text.as_bytes()[*at], b'&' | b'%' | b'\\'));
    for at in starts {
        if let Some((c, length)) = escaped(&text[at..])
            && at + length == text.len()
        {
            return Some((at, c));
        }
    }
    Some((text.len() - last.len_utf8(), last))
}

/// An escaped sign at the start of `text`: `&#60;`, `&#x3c;`, `&lt;`, `%3c`, `\u003c`, `\x3c`. Other names than those of
/// our signs stand for one that counts as nothing.
fn escaped(text: &str) -> Option<(char, usize)> {
    let code = |digits: &str, radix: u32, before: usize, after: usize| {
        let c = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
        Some((c, before + digits.len() + after))
    };
    let hexadecimal = |from: usize, length: usize| {
        let digits = text.get(from..from + length)?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| code(digits, 16, from, 0))?
    };
    let run = |from: usize, of: fn(&u8) -> bool| {
        let rest = text.get(from..).unwrap_or_default();
        &rest[..rest.bytes().take(10).take_while(of).count()]
    };
    let semicolon = |at: usize| usize::from(text.as_bytes().get(at) == Some(&b';'));
    match text.as_bytes() {
        [b'&', b'#', b'x' | b'X', ..] => {
            let digits = run(3, u8::is_ascii_hexdigit);
            code(digits, 16, 3, semicolon(3 + digits.len()))
        }
        [b'&', b'#', ..] => {
            let digits = run(2, u8::is_ascii_digit);
            code(digits, 10, 2, semicolon(2 + digits.len()))
        }
        [b'&', ..] => {
            let name = run(1, u8::is_ascii_alphabetic);
            let end = semicolon(1 + name.len());
            let c = match name.to_ascii_lowercase().as_str() {
                "lt" => '<',
                "sol" if end == 1 => '/',
                "bsol" if end == 1 => '\\',
                "hyphen" | "dash" | "ndash" | "mdash" | "lowbar" | "nbsp" if end == 1 => '-',
                name if name.len() >= 2 && end == 1 => '\u{ad}',
                _ => return None,
            };
            Some((c, 1 + name.len() + end))
        }
        [b'%', ..] => hexadecimal(1, 2),
        [b'\\', b'u', ..] => hexadecimal(2, 4),
        [b'\\', b'x', ..] => hexadecimal(2, 2),
        _ => None,
    }
}

/// A character for comparison: the letter that it looks like, in lower case; `None` for what stands on or between
/// letters.
pub(super) fn folded(c: char) -> Option<char> {
    if c.is_ascii() {
        return Some(c.to_ascii_lowercase());
    }
    // Han, kana and hangul look like no letter, and there are many of them.
    if matches!(c, '\u{3400}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}') {
        return Some(c);
    }
    let nothing = matches!(c, '\u{200c}' | '\u{200d}' | '\u{34f}' | '\u{fe00}'..='\u{fe0f}');
    if nothing || is_combining_mark(c) || !c.is_control() && is_hidden(c) {
        return None;
    }
    // Fullwidth, mathematical, circled and accented forms.
    let plain = c.nfkd().next().unwrap_or(c);
    let plain = plain.to_lowercase().next().unwrap_or(plain);
    Some(match plain {
        // Squared letters, dark and light.
        '\u{1f130}'..='\u{1f149}' => offset('a', plain, '\u{1f130}'),
        '\u{1f150}'..='\u{1f169}' => offset('a', plain, '\u{1f150}'),
        '\u{1f170}'..='\u{1f189}' => offset('a', plain, '\u{1f170}'),
        // Letters of other scripts, as far as the name of a mark can be spelled with them; all in lower case.
        'υ' | 'ս' | 'ц' | 'ʋ' | 'ᴜ' | 'μ' | 'ꓴ' => 'u',
        'п' | 'ո' | 'ռ' | 'η' | 'ɴ' | 'ν' | 'и' | 'ɳ' | 'ŋ' | 'ƞ' | 'ꓠ' => 'n',
        'т' | 'τ' | 'ᴛ' | 'ŧ' | 'ʈ' | 'ƭ' | 'ꭲ' | 'ꓔ' => 't',
        'г' | 'ʀ' | 'ɾ' | 'ɹ' | 'ɽ' | 'я' | 'ꭱ' | 'ꮢ' | 'ꓣ' => 'r',
        'ѕ' | 'ꜱ' | 'ſ' | 'ʂ' | 'ȿ' | 'ꮪ' | 'ꓢ' => 's',
        'е' | 'є' | 'ε' | 'ɛ' | 'ᴇ' | 'ҽ' | 'ɇ' | 'ꭼ' | 'ꓰ' => 'e',
        'ԁ' | 'ժ' | 'ɗ' | 'đ' | 'ᴅ' | 'ɖ' | 'ƌ' | 'ꭰ' | 'ꓓ' => 'd',
        'ԝ' | 'ѡ' | 'ω' | 'ա' | 'ᴡ' | 'ɯ' | 'ш' | 'щ' | 'ʍ' | 'ꮃ' | 'ꮤ' | 'ꓪ' => 'w',
        'ь' | 'ъ' | 'в' | 'β' | 'ʙ' | 'ƀ' | 'ɓ' | 'ƃ' | 'ƅ' | 'ᏼ' | 'ꓐ' => 'b',
        other => other,
    })
}

/// The letter as far from `to` as `c` is from `from`.
fn offset(to: char, c: char, from: char) -> char {
    char::from_u32(u32::from(to) + u32::from(c) - u32::from(from)).unwrap_or(c)
}
