//! One tool a way to misbehave, and a few that ask what the sandbox lets through.

use std::{
    env, fs, hint,
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    process::{self, Command},
    ptr, thread,
    time::Duration,
};

use rustix::{pipe::pipe, process as unix};
use serde_json::{Map, Value, json};
use toolgate_abi::code;

use crate::border::{Answer, Instance};

/// Name, what it does, and its arguments with their types.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const TOOLS: &[Row] = &[
    ("fine", "Behave: give back `text`", &[("text", "string")]),
    ("pid", "The process that the plugin runs in", &[]),
    ("segfault", "Write where nothing is", &[]),
    ("abort", "Abort the process", &[]),
    ("exit", "Exit the process with status 0", &[]),
    ("overflow", "Use up the stack", &[]),
    ("leak", "Allocate and touch memory, up to `mib` (default: until there is none)", &[("mib", "integer")]),
    ("block", "Block the thread forever", &[]),
    ("spin", "Compute forever", &[]),
    ("sleep", "Answer after `ms` from another thread", &[("ms", "integer")]),
    ("panic", "Panic, and catch it as the kit does", &[]),
    ("panic_escapes", "Panic through the border, which aborts", &[]),
    ("twice", "Answer twice, and once more to an id that is not there", &[]),
    ("never", "Never answer", &[]),
    ("huge", "Answer with `mib` MiB of text (default 100)", &[("mib", "integer")]),
    ("garbage", "Answer with what is not JSON", &[]),
    ("not_utf8", "Answer with what is not UTF-8", &[]),
    ("wrong_shape", "Answer with JSON that is no result", &[]),
    ("fork", "Run /bin/true", &[]),
    (
        "open_files",
        "Open files until there are `count` (default 4096), and say how many there were",
        &[("count", "integer")],
    ),
    ("connect", "Connect to `address`, such as 127.0.0.1:80", &[("address", "string")]),
    ("read_file", "Read the file `path`", &[("path", "string")]),
    ("write_file", "Write `text` to the file `path`", &[("path", "string"), ("text", "string")]),
    (
        "kill_parent",
        "Send the parent process `signal` (default 0, which only asks whether one may)",
        &[("signal", "integer")],
    ),
    ("env", "The environment, as JSON", &[]),
    ("print", "Write `text` to stdout and stderr", &[("text", "string")]),
    (
        "tell",
        "Tell the host `method` with `params`, `count` times",
        &[("method", "string"), ("params", "object"), ("count", "integer")],
    ),
    ("ask", "Ask the host `method`, and answer with its status and payload", &[("method", "string")]),
];

/// The list of tools.
pub(crate) fn list(dup: bool, bad_schema: bool) -> Vec<Value> {
    let mut tools: Vec<Value> = TOOLS.iter().map(tool).collect();
    if dup {
        tools.push(tools[0].clone());
    }
    if bad_schema {
        tools.push(json!({ "name": "bad_schema", "inputSchema": { "type": "object", "properties": 5 } }));
    }
    tools
}

fn tool((name, description, arguments): &Row) -> Value {
    let properties: Map<String, Value> =
        arguments.iter().map(|(name, kind)| ((*name).into(), json!({ "type": kind }))).collect();
    let schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    json!({ "name": name, "description": description, "inputSchema": schema })
}

/// Misbehave as `name` says.
pub(crate) fn call(instance: &Instance, name: &str, arguments: &Value, answer: Answer) {
    let text = |key: &str| arguments[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str, default: u64| arguments[key].as_u64().unwrap_or(default);
    match name {
        "fine" => answer.text(text("text")),
        "pid" => answer.text(process::id().to_string()),
        "segfault" => segfault(),
        "abort" => process::abort(),
        "exit" => process::exit(0),
        "overflow" => answer.text(overflow(0).to_string()),
        "leak" => answer.text(format!("{} MiB", leak(number("mib", u64::MAX)))),
        "block" => loop {
            thread::park();
        },
        "spin" => loop {
            hint::spin_loop();
        },
        "sleep" => {
            let time = Duration::from_millis(number("ms", 0));
            let slept = move || {
                thread::sleep(time);
                answer.text("slept");
            };
            if thread::Builder::new().spawn(slept).is_err() {
                answer.fail(code::INTERNAL, "there is no thread to sleep on");
            }
        }
        "panic" => panic!("told to panic"),
        "panic_escapes" => {
            extern "C" fn escapes() {
                panic!("told to panic through the border");
            }
            escapes();
        }
        "twice" => {
            answer.text("once");
            answer.text("twice");
            answer.under(u64::MAX).text("to nobody");
        }
        "never" => {}
        "huge" => answer.text("x".repeat(usize::try_from(number("mib", 100) << 20).unwrap_or(usize::MAX))),
        "garbage" => answer.raw(toolgate_abi::OK, br#"{"content": [{"type": "te"#),
        "not_utf8" => answer.raw(toolgate_abi::OK, b"{\"content\": [{\"type\": \"text\", \"text\": \"\xff\xfe\"}]}"),
        "wrong_shape" => answer.ok(&json!({ "content": 5 })),
        "fork" => said(answer, Command::new("/bin/true").status().map(|status| status.to_string())),
        "open_files" => open_files(number("count", 4096), answer),
        "connect" => said(answer, connect(&text("address"))),
        "read_file" => said(answer, fs::read(text("path")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        "write_file" => said(answer, fs::write(text("path"), text("text")).map(|()| "written".into())),
        "kill_parent" => said(answer, kill_parent(number("signal", 0))),
        "env" => {
            let all: Map<String, Value> = env::vars_os()
                .map(|(key, value)| (key.to_string_lossy().into(), value.to_string_lossy().into()))
                .collect();
            answer.text(Value::Object(all).to_string());
        }
        "print" => {
            let line = text("text");
            let printed = writeln!(io::stdout(), "{line}").and_then(|()| writeln!(io::stderr(), "{line}"));
            said(answer, printed.map(|()| "printed".into()));
        }
        "tell" => {
            for _ in 0..number("count", 1) {
                instance.tell(&text("method"), &arguments["params"]);
            }
            answer.text("told");
        }
        "ask" => instance.ask(&text("method"), answer),
        other => answer.fail(code::UNKNOWN_TOOL, &format!("unknown tool \"{other}\"")),
    }
}

/// Asked for the tools, says so to the log and nothing to the host.
pub(crate) fn speechless() {
    let _ = writeln!(io::stderr(), "asked for the tools again");
}

/// What became of something that a sandbox may forbid; failures are results with `isError`.
fn said(answer: Answer, result: io::Result<String>) {
    match result {
        Ok(text) => answer.text(text),
        Err(error) => {
            let text = format!("{:?}: {error}", error.kind());
            answer.ok(&json!({ "content": [{ "type": "text", "text": text }], "isError": true }));
        }
    }
}

/// A real one: a signal, not a panic of a check that the compiler has put in.
pub(crate) fn segfault() -> ! {
    // SAFETY: none; the first page is never mapped, and that is the point.
    unsafe { ptr::without_provenance_mut::<u8>(64).write_volatile(1) };
    process::abort()
}

#[expect(unconditional_recursion, reason = "its stack has to end")]
fn overflow(depth: u64) -> u64 {
    let room = hint::black_box([depth; 128]);
    overflow(depth + 1) + hint::black_box(room[64])
}

/// Leaks as many MiB, each page of them written to.
fn leak(mib: u64) -> u64 {
    for _ in 0..mib {
        hint::black_box(vec![1_u8; 1 << 20].leak());
    }
    mib
}

fn open_files(count: u64, answer: Answer) {
    let mut files = Vec::new();
    let ended = loop {
        if files.len() as u64 >= count {
            break "as many as asked for".to_owned();
        }
        match pipe() {
            Ok((read, write)) => files.extend([read, write]),
            Err(error) => break error.to_string(),
        }
    };
    let opened = files.len();
    drop(files);
    answer.text(format!("{opened}: {ended}"));
}

fn connect(address: &str) -> io::Result<String> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).map(|_| "connected".into())
}

fn kill_parent(signal: u64) -> io::Result<String> {
    let parent = unix::getppid().ok_or_else(|| io::Error::other("there is no parent"))?;
    match i32::try_from(signal).ok().and_then(unix::Signal::from_named_raw) {
        Some(signal) => unix::kill_process(parent, signal)?,
        None => unix::test_kill_process(parent)?,
    }
    Ok("sent".into())
}
