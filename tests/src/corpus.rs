//! A folder of documents as large as it is wanted, the same one each time: words as often as in a language, of every
//! kind of document.

use std::{fmt::Write, fs, io, path::Path};

/// How many words the language has.
const VOCABULARY: u64 = 40_000;

/// Words as they come in texts: few of them often, most of them rarely (Zipf's law).
#[derive(Debug, Clone)]
pub struct Words(u64);

impl Words {
    /// The same words each time for a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The word that comes most often.
    pub fn common() -> String {
        word(0)
    }

    fn random(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random() % bound
    }

    /// The next word.
    #[expect(clippy::should_implement_trait, reason = "there is no end")]
    pub fn next(&mut self) -> String {
        // The logarithm of the rank is spread evenly.
        let share = self.random() as f64 / u64::MAX as f64;
        word(((VOCABULARY as f64).powf(share) - 1.0) as u64)
    }

    fn some(&mut self, least: u64, most: u64, out: &mut String) {
        for index in 0..least + self.below(most - least + 1) {
            if index > 0 {
                out.push(if index % 13 == 0 { '\n' } else { ' ' });
            }
            out.push_str(&self.next());
        }
    }
}

/// The word of this rank.
fn word(rank: u64) -> String {
    const SYLLABLES: [&str; 32] = [
        "ka", "to", "mi", "re", "su", "no", "la", "pe", "di", "vo", "ru", "sha", "ben", "tal", "gor", "min", "fel",
        "dra", "qui", "zo", "hun", "pli", "wex", "yor", "cam", "tri", "bla", "sno", "gra", "lum", "fi", "ost",
    ];
    let mut text = String::new();
    let mut rest = rank + 40;
    while rest > 0 {
        text.push_str(SYLLABLES[(rest % 32) as usize]);
        rest /= 32;
    }
    text
}

/// Write so many documents into a folder, a hundred to a folder within it; how many bytes they have.
///
/// # Errors
/// As the system has them.
pub fn write(folder: &Path, files: usize) -> io::Result<u64> {
    let mut bytes = 0;
    for number in 0..files {
        let within = folder.join(["a", "b", "c", "d", "e"][number / 100 % 5]).join(format!("{:04}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&within)?;
        }
        let (name, text) = document(number);
        bytes += text.len() as u64;
        fs::write(within.join(name), text)?;
    }
    Ok(bytes)
}

/// One document: its name and its text.
pub fn document(number: usize) -> (String, String) {
    let mut words = Words::seeded(number as u64 + 1);
    let mut text = String::new();
    let mut title = String::new();
    words.some(2, 5, &mut title);
    let sections = 1 + words.below(5);
    let kind = ["md", "md", "md", "md", "md", "md", "txt", "html", "rst", "rs"][number % 10];
    let _ = match kind {
        "md" => writeln!(text, "# {title}\n"),
        "html" => writeln!(text, "<!doctype html><html><head><title>{title}</title></head><body>"),
        "rst" => writeln!(text, "{title}\n{}\n", "=".repeat(title.len())),
        _ => writeln!(text, "{}{title}\n", if kind == "rs" { "//! " } else { "" }),
    };
    for _ in 0..sections {
        let mut heading = String::new();
        words.some(1, 4, &mut heading);
        let _ = match kind {
            "md" => writeln!(text, "## {heading}\n"),
            "html" => writeln!(text, "<h2>{heading}</h2>"),
            "rst" => writeln!(text, "{heading}\n{}\n", "-".repeat(heading.len())),
            _ => Ok(()),
        };
        for _ in 0..1 + words.below(3) {
            let mut paragraph = String::new();
            words.some(20, 120, &mut paragraph);
            let _ = match kind {
                "html" => writeln!(text, "<p>{paragraph}</p>"),
                "rs" => writeln!(text, "/// {}\nfn f() {{}}\n", paragraph.replace('\n', "\n/// ")),
                _ => writeln!(text, "{paragraph}\n"),
            };
        }
    }
    (format!("{number:06}.{kind}"), text)
}
