//! `docs/write-a-plugin.md`, followed by the letter: its commands are run, its files written, and what it shows as output
//! is what comes out.
//!
//! The info string of a fenced block says what it is:
//!
//! - `sh run`: typed into the author's terminal; `sh run until`: typed again until the output that follows comes;
//! - `sh run server`: typed into the second terminal, where it goes on;
//! - `text output`: lines of what was just run, in this order, `…` for what is not shown;
//! - `toml file=…`, `rust file=…`: the file with this content.
//!
//! What differs here: the port, which is a free one, and the kit's versions, which are those at hand.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;
use toolgate_tests::server::workspace;

use crate::desk::{environment, eventually, pin};

/// The port that the page speaks of.
const PORT: &str = "10000";

/// A fenced block.
#[derive(Debug)]
struct Block {
    line: usize,
    info: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block { line: index + 1, info: info.into(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    blocks
}

/// A terminal: a shell that keeps its folder and its variables from one command to the next, and ends at the first
/// that fails.
struct Terminal {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What stands alone on a line when a block has run.
const DONE: &str = "-- that was all --";

impl Terminal {
    fn open(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        command.arg("-e").current_dir(folder).env_clear().envs(environment()).envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().expect("a shell");
        let (input, output) = (shell.stdin.take(), shell.stdout.take());
        Self { shell, input: input.expect("its input"), output: BufReader::new(output.expect("its output")) }
    }

    fn type_in(&mut self, text: &str) {
        // What reads its standard input must not read the commands that follow.
        self.input.write_all(text.as_bytes()).expect("the shell reads");
        self.input.flush().expect("the shell reads");
    }

    /// Run a block to its end; its output.
    fn run(&mut self, block: &Block, text: &str) -> String {
        self.type_in(&format!("{{\n{text}}} </dev/null 2>&1\necho '{DONE}'\n"));
        let mut told = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("the shell's output");
            assert!(read > 0, "line {} of the page fails:\n{text}\n{told}", block.line);
            if line.trim_end() == DONE {
                return told;
            }
            told.push_str(&line);
        }
    }

    /// Start a server; the port that it listens on.
    fn serve(&mut self, text: &str) -> String {
        self.type_in(&format!("exec {text}"));
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the server's output");
        let port = line.trim_end().rsplit_once(':').map(|(_, port)| port.to_owned());
        port.unwrap_or_else(|| panic!("{text} says {line:?}"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A server that is asked to end takes its workers with it.
        let _ = Command::new("sh").args(["-c", "kill -s TERM \"$0\"", &self.shell.id().to_string()]).status();
        let _ = self.shell.wait();
    }
}

/// Whether `shown`, but for its `…`, stands in `told`, in this order. A line that ends in `…` shows its beginning.
fn shows(told: &str, shown: &str) -> Result<(), String> {
    let mut told_lines = told.lines().map(str::trim_end);
    for line in shown.lines().map(str::trim_end).filter(|line| !line.is_empty() && *line != "…") {
        let found = match line.strip_suffix('…') {
            Some(beginning) => told_lines.any(|told| told.starts_with(beginning)),
            None => told_lines.any(|told| told == line),
        };
        if !found {
            return Err(format!("the page shows {line:?}, and this came:\n{told}"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_tells_is_what_happens() {
    let page = fs::read_to_string(workspace().join("docs/write-a-plugin.md")).expect("the page");
    let blocks = blocks(&page);
    let folder = TempDir::with_prefix("author-").expect("an empty folder");
    let mut port = PORT.to_owned();
    let mut terminal = Terminal::open(folder.path(), &[]);
    let mut server = None;
    let mut told = String::new();
    let mut ran = 0;
    for (index, block) in blocks.iter().enumerate() {
        let text = block.text.replace(PORT, &port);
        match block.info.split_once(' ').unwrap_or((&block.info, "")) {
            ("sh", "run") => {
                told = terminal.run(block, &text);
                ran += 1;
            }
            ("sh", "run until") => {
                let shown = blocks.get(index + 1).expect("the output that comes").text.replace(PORT, &port);
                told = eventually(&shown, async || {
                    let told = terminal.run(block, &text);
                    shows(&told, &shown).map(|()| told)
                })
                .await;
                ran += 1;
            }
            ("sh", "run server") => {
                let listen = [("TOOLGATE_SERVER__LISTEN", "127.0.0.1:0")];
                let mut second = Terminal::open(folder.path(), &listen);
                port = second.serve(&text);
                terminal.type_in(&format!("export PORT={port}\n"));
                server = Some(second);
                ran += 1;
            }
            ("text", "output") => {
                shows(&told, &text).unwrap_or_else(|why| panic!("line {} of the page: {why}", block.line));
            }
            (_, rest) => {
                if let Some(file) = rest.strip_prefix("file=") {
                    // The port of the file stays: the server takes its own from the environment.
                    fs::write(folder.path().join(file), &block.text).expect("a file of the page");
                }
            }
        }
        for entry in fs::read_dir(folder.path()).expect("the folder").flatten() {
            pin(&entry.path());
        }
    }
    assert!(ran >= 10 && server.is_some(), "the page has commands: {ran}");
}
