//! What a day has cost so far, in a file that survives the process: one line for what is reserved, one for what it came
//! to in the end.
//!
//! Every change is made under the file's lock, after what others have written in the meantime was read, and is on the
//! disk before it counts. So instances in one process, and processes with one state folder, share one budget, and a
//! reservation that nobody settles – its process died – counts in full. A line that ends early is a write that a crash
//! cut short, which nobody has acted on: it is taken off. Anything else that cannot be read is damage, and nothing is
//! spent on that day until somebody has looked at the file.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use time::{Date, Duration, macros::format_description};

use super::{Ceiling, amount::Credits};

/// How long the files of days before are kept, for people who want to know.
const KEPT: Duration = Duration::days(31);

/// What is asked of the journal.
#[derive(Debug)]
pub(super) enum Op {
    /// Set aside an amount, unless that would go over a ceiling.
    Reserve { id: String, subject: String, amount: Credits, ceilings: [Option<Credits>; 2] },
    /// What a reservation of today came to. One that is settled already, or of another day, stays as it is.
    Settle { id: String, amount: Credits },
    /// How much a subject has used, and all together.
    Look { subject: String },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Done,
    Over { ceiling: Ceiling, most: Credits, used: Credits },
    Used { subject: Credits, all: Credits },
}

/// The journal cannot be trusted, or cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("line {line} of \"{file}\" cannot be read; mend the line, or remove the file to begin the day anew")]
    Damaged { file: String, line: usize },
    #[error("\"{file}\" cannot be used: {cause}; let the server's user write there, the folder is in server.state_dir")]
    Io { file: String, cause: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    Head { version: u8, day: String, unit: String },
    Reserve { reserve: String, subject: String, amount: u64 },
    Settle { settle: String, amount: u64 },
}

/// The files of a folder.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    today: Option<Day>,
}

/// A day as it was read so far.
#[derive(Debug)]
struct Day {
    date: Date,
    read: u64,
    lines: usize,
    used: HashMap<String, Credits>,
    all: Credits,
    open: HashMap<String, (String, Credits)>,
}

impl Journal {
    /// The journal in a folder, which is made when it is first needed.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, today: None }
    }

    /// Do what is asked, in order, with one write.
    pub(super) fn transact(&mut self, date: Date, ops: &[Op]) -> Result<Vec<Reply>, Trouble> {
        let path = self.path(date);
        let io = |error: io::Error| Trouble::Io { file: path.display().to_string(), cause: error.to_string() };
        let mut file = self.open(&path).map_err(io)?;
        file.lock().map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        // What is read already stays read, unless the file is another one.
        let today = match self.today.take() {
            Some(day) if day.date == date && day.read <= length => day,
            _ => {
                self.forget_old_days(date);
                Day::new(date)
            }
        };
        let mut day = today.catch_up(&mut file, &path, io)?;
        let (mut replies, mut written) = (Vec::with_capacity(ops.len()), Vec::new());
        let mut add = |day: &mut Day, line: Line| {
            // Cannot fail: strings and numbers only.
            let _ = serde_json::to_writer(&mut written, &line);
            written.push(b'\n');
            day.lines += 1;
            day.apply(line);
        };
        if day.read == 0 {
            let day_text = date.to_string();
            add(&mut day, Line::Head { version: 1, day: day_text, unit: "thousandth of a credit".into() });
        }
        for op in ops {
            replies.push(match op {
                Op::Reserve { id, subject, amount, ceilings } => match day.over(subject, *amount, ceilings) {
                    Some(over) => over,
                    None => {
                        let (reserve, subject, amount) = (id.clone(), subject.clone(), amount.thousandths());
                        add(&mut day, Line::Reserve { reserve, subject, amount });
                        Reply::Done
                    }
                },
                Op::Settle { id, amount } => {
                    if day.open.contains_key(id) {
                        add(&mut day, Line::Settle { settle: id.clone(), amount: amount.thousandths() });
                    }
                    Reply::Done
                }
                Op::Look { subject } => Reply::Used { subject: day.used(subject), all: day.all },
            });
        }
        if !written.is_empty() {
            let begun = day.read;
            if let Err(error) = file.write_all(&written).and_then(|()| file.sync_data()) {
                // Half of it may be there; the next one reads the file anew.
                let _ = file.set_len(begun);
                return Err(io(error));
            }
            if begun == 0 {
                sync_folder(&self.folder);
            }
            day.read += written.len() as u64;
        }
        self.today = Some(day);
        Ok(replies)
    }

    fn path(&self, date: Date) -> PathBuf {
        self.folder.join(format!("{date}.jsonl"))
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        if !self.folder.is_dir() {
            make_folder(&self.folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }

    /// Files that nobody looks at any more; one that stays does no harm.
    fn forget_old_days(&self, today: Date) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jsonl"));
            let date = name.and_then(|name| Date::parse(name, format_description!("[year]-[month]-[day]")).ok());
            if date.is_some_and(|date| date < today - KEPT) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Day {
    fn new(date: Date) -> Self {
        Self { date, read: 0, lines: 0, used: HashMap::new(), all: Credits::default(), open: HashMap::new() }
    }

    /// Read what was written since.
    fn catch_up(
        mut self,
        file: &mut File,
        path: &Path,
        io: impl Fn(io::Error) -> Trouble + Copy,
    ) -> Result<Self, Trouble> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.read)).map_err(io)?;
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            file.set_len(self.read + whole as u64).map_err(io)?;
        }
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            self.lines += 1;
            let damaged = || Trouble::Damaged { file: path.display().to_string(), line: self.lines };
            let line: Line = serde_json::from_slice(line).map_err(|_| damaged())?;
            let in_order = match &line {
                Line::Head { version, day, .. } => self.lines == 1 && *version == 1 && *day == self.date.to_string(),
                Line::Reserve { reserve, .. } => self.lines > 1 && !self.open.contains_key(reserve),
                Line::Settle { settle, .. } => self.open.contains_key(settle),
            };
            if !in_order {
                return Err(damaged());
            }
            self.apply(line);
        }
        self.read += whole as u64;
        Ok(self)
    }

    fn apply(&mut self, line: Line) {
        match line {
            Line::Head { .. } => {}
            Line::Reserve { reserve, subject, amount } => {
                let amount = Credits::from_thousandths(amount);
                self.all = self.all + amount;
                let used = self.used.entry(subject.clone()).or_default();
                *used = *used + amount;
                self.open.insert(reserve, (subject, amount));
            }
            Line::Settle { settle, amount } => {
                let Some((subject, reserved)) = self.open.remove(&settle) else { return };
                let amount = Credits::from_thousandths(amount);
                self.all = self.all.minus(reserved) + amount;
                let used = self.used.entry(subject).or_default();
                *used = used.minus(reserved) + amount;
            }
        }
    }

    fn used(&self, subject: &str) -> Credits {
        self.used.get(subject).copied().unwrap_or_default()
    }

    fn over(&self, subject: &str, amount: Credits, [each, all]: &[Option<Credits>; 2]) -> Option<Reply> {
        let over = |ceiling, most: &Option<Credits>, used: Credits| {
            let most = (*most)?;
            (used + amount > most).then_some(Reply::Over { ceiling, most, used })
        };
        over(Ceiling::Subject, each, self.used(subject)).or_else(|| over(Ceiling::Day, all, self.all))
    }
}

/// A folder that only the server's user can look into.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A new file is there after a power cut only if its folder was written, too. Where folders cannot be, nothing is lost
/// but that.
pub(crate) fn sync_folder(path: &Path) {
    if cfg!(unix) {
        let _ = File::open(path).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
