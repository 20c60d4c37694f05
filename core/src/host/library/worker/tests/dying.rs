//! Each way to misbehave ends the calls it concerns, with words, and nothing else.

use std::time::Duration;

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use toolgate_plugin::Health;

use super::{super::super::link::Pending, *};

/// Patience for tests in which a worker is to be ended for the want of it.
fn impatient() -> Patience {
    Patience { grace: Duration::from_millis(200), ..Patience::default() }
}

async fn cancel_and_wait(link: &dyn Link, name: &str) -> String {
    let pending = link.request("tools/call", format!(r#"{{"name":"{name}"}}"#).into_bytes(), None);
    link.notify("notifications/cancelled", format!(r#"{{"requestId":{}}}"#, pending.id).into_bytes());
    gone(pending.reply.await.expect("answered"))
}

/// Wait for the end of any process.
async fn ended(pid: i32) {
    let pid = Pid::from_raw(pid).expect("a process id");
    let waits = move || match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("{error}"),
        Ok(process) => drop(poll(&mut [PollFd::new(&process, PollFlags::IN)], None).expect("waits")),
    };
    tokio::task::spawn_blocking(waits).await.expect("no panic");
}

#[tokio::test]
async fn an_answer_comes_back_as_it_was_given() {
    for blocking in [true, false] {
        let mut bench = Bench::new();
        bench.blocking = blocking;
        let link = bench.start().await;
        match call(&*link, "echo", "hello").await {
            Reply::Result(bytes) => assert_eq!(bytes, br#"{"name":"echo","arg":"hello"}"#),
            other => panic!("{other:?}"),
        }
        assert!(matches!(call(&*link, "later", "").await, Reply::Result(bytes) if bytes == br#"{"later":true}"#));
        assert_eq!(link.health(), Health::Ready);
        link.close().await;
    }
}

#[tokio::test]
async fn each_way_of_dying_ends_the_call_with_its_reason_and_the_next_call_works() {
    let mut bench = Bench::new();
    bench.patience = impatient();
    bench.limits.memory = crate::config::Size::mebibytes(64);
    bench.limits.cpu = crate::config::Duration(Duration::from_millis(300));
    // Stacks of waiting threads may be reserved beyond limits.memory: few of them, so that malloc gives up.
    bench.limits.concurrency = 4;
    let table = [
        ("segv", "", "crashed (SIGSEGV)"),
        ("abort", "", "crashed (SIGABRT)"),
        ("overflow", "", "crashed (SIG"),
        ("exit", "3", "ended itself (exit status 3)"),
        ("exit", "0", "ended itself (exit status 0)"),
        ("leak", "", ""),
        ("mmap", "", "used "),
        ("spin", "", "of processor time without finishing a call (limits.cpu)"),
        ("page-tables", "60", " of memory, more than the 64.0 MiB of limits.memory"),
        ("first-thread", "", " of memory, more than the 64.0 MiB of limits.memory"),
        ("many-threads", "5000", " threads, more than the 644 that it may have"),
        ("noise", "", "spoke nonsense"),
        ("hang-up", "", "closed its connection to the server"),
    ];
    let link = bench.start().await;
    for (name, arg, expected) in table {
        let why = gone(call(&*link, name, arg).await);
        assert!(why.starts_with("the plugin \"crash\" "), "{name}: {why}");
        assert!(why.contains(expected), "{name}: {why}");
        assert!(
            why.ends_with(" while it worked on this call; it is being started again, so try again in a moment"),
            "{name}: {why}"
        );
        assert!(matches!(call(&*link, "echo", name).await, Reply::Result(_)), "after {name}");
    }
    link.close().await;
}

#[tokio::test]
async fn a_death_takes_every_call_under_way_with_it_and_none_that_comes_after() {
    let link = Bench::new().start().await;
    let under_way: Vec<_> =
        (0..20).map(|_| link.request("tools/call", br#"{"name":"never"}"#.to_vec(), None).reply).collect();
    let why = gone(call(&*link, "segv", "").await);
    assert!(why.contains("crashed (SIGSEGV)"), "{why}");
    for pending in under_way {
        assert!(gone(pending.await.expect("answered")).contains("while it worked on this call"));
    }
    assert!(matches!(call(&*link, "echo", "").await, Reply::Result(_)));
    link.close().await;
}

#[tokio::test]
async fn a_call_that_goes_on_after_its_cancellation_ends_the_worker() {
    for name in ["block", "never"] {
        let mut bench = Bench::new();
        bench.patience = impatient();
        let link = bench.start().await;
        let why = cancel_and_wait(&*link, name).await;
        assert!(why.contains("hung: it did not end a call within 200ms of its cancellation"), "{name}: {why}");
        assert!(matches!(call(&*link, "echo", name).await, Reply::Result(_)), "after {name}");
        link.close().await;
    }
}

fn cancel(link: &dyn Link, pending: &Pending) {
    link.notify("notifications/cancelled", format!(r#"{{"requestId":{}}}"#, pending.id).into_bytes());
}

#[tokio::test]
async fn a_call_that_is_given_up_may_go_on_until_its_time_is_over() {
    let mut bench = Bench::new();
    bench.patience = impatient();
    let link = bench.start().await;
    let block = |time: Duration| {
        let deadline = std::time::Instant::now().checked_add(time);
        link.request("tools/call", br#"{"name":"block"}"#.to_vec(), deadline)
    };
    // Nobody waits for this one; it must not take the others with it, though they last longer than the grace.
    let given_up = block(Duration::from_secs(600));
    cancel(&*link, &given_up);
    assert_eq!(number(&*link, "sleep", "1500").await, 0);
    // This one's time is over soon.
    let overdue = block(Duration::from_millis(300));
    cancel(&*link, &overdue);
    let why = gone(overdue.reply.await.expect("answered"));
    assert!(why.contains("hung: it did not end a call that was given up within 200ms of its time limit"), "{why}");
    link.close().await;
}

#[tokio::test]
async fn calls_that_are_given_up_may_not_occupy_every_thread() {
    let mut bench = Bench::new();
    bench.patience = impatient();
    bench.limits.concurrency = 2;
    let link = bench.start().await;
    let deadline = std::time::Instant::now().checked_add(Duration::from_secs(600));
    let block = || link.request("tools/call", br#"{"name":"block"}"#.to_vec(), deadline);
    let blocked: Vec<_> = (0..7).map(|_| block()).collect();
    for given_up in &blocked[..2] {
        cancel(&*link, given_up);
    }
    for pending in blocked {
        let why = gone(pending.reply.await.expect("answered"));
        assert!(why.contains("hung: 2 calls that were given up occupy its threads (limits.concurrency)"), "{why}");
    }
    assert!(matches!(call(&*link, "echo", "").await, Reply::Result(_)));
    link.close().await;
}

#[tokio::test]
async fn words_about_memory_are_believed_of_none_but_an_allocator() {
    let link = Bench::new().start().await;
    assert_eq!(number(&*link, "say", "memory allocation of 5 bytes failed").await, 0);
    let why = gone(call(&*link, "segv", "").await);
    assert!(why.contains("crashed (SIGSEGV) while it worked"), "{why}");
    assert_eq!(number(&*link, "say", "memory allocation of 5 bytes failed").await, 0);
    let why = gone(call(&*link, "abort", "").await);
    assert!(why.contains("crashed (SIGABRT): it got no more memory"), "{why}");
    link.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_floods_still_answers() {
    let link = Bench::new().start().await;
    assert_eq!(number(&*link, "flood", "4").await, 0);
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let asked = std::time::Instant::now();
        let echo = tokio::time::timeout(Duration::from_secs(10), call(&*link, "echo", ""));
        assert!(matches!(echo.await, Ok(Reply::Result(_))));
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    link.close().await;
}

#[tokio::test]
async fn a_worker_that_does_not_read_is_ended() {
    let mut bench = Bench::new();
    bench.patience = impatient();
    // Answers on the one thread that reads.
    bench.blocking = false;
    let link = bench.start().await;
    let blocked = link.request("tools/call", br#"{"name":"block"}"#.to_vec(), None);
    let large = link.request("tools/call", vec![b' '; 4 << 20], None);
    assert!(gone(blocked.reply.await.expect("answered")).contains("hung: it did not take in what it was asked"));
    assert!(matches!(large.reply.await.expect("answered"), Reply::Gone(_)));
    link.close().await;
}

#[tokio::test]
async fn odd_answers_harm_nobody() {
    let mut bench = Bench::new();
    bench.limits.result = crate::config::Size::mebibytes(1);
    let link = bench.start().await;
    assert!(matches!(call(&*link, "twice", "").await, Reply::Result(bytes) if bytes == br#"{"n":1}"#));
    assert!(matches!(call(&*link, "stranger", "").await, Reply::Result(_)));
    assert!(matches!(call(&*link, "huge", "100").await, Reply::TooLarge(size) if size == 100 << 20));
    for (name, expected) in [
        ("bad-error", "it answered with an error that is no JSON-RPC error"),
        ("bad-status", "it answered with the unknown status 7"),
    ] {
        let Reply::Error(error) = call(&*link, name, "").await else { panic!("{name}: no error") };
        assert_eq!((error.code, &*error.message), (toolgate_abi::code::INTERNAL, expected), "{name}");
    }
    assert_eq!(number(&*link, "print", "50000").await, 0);
    assert_eq!(number(&*link, "tell", "").await, 0);
    assert_eq!(*bench.told.lock().expect("no panic"), [r#"notifications/message {"level":"info","data":"hi"}"#]);
    let before = number(&*link, "pid", "").await;
    link.close().await;
    ended(before).await;
}

#[tokio::test]
async fn calls_that_block_keep_nobody_waiting() {
    let mut bench = Bench::new();
    bench.limits.concurrency = 16;
    let link = bench.start().await;
    let blocked: Vec<_> = (0..16).map(|_| link.request("tools/call", br#"{"name":"block"}"#.to_vec(), None)).collect();
    for _ in 0..100 {
        assert!(matches!(call(&*link, "echo", "").await, Reply::Result(_)));
    }
    let threads = number(&*link, "threads", "").await;
    assert!((17..=22).contains(&threads), "{threads}: 16 calls, 4 to spare, one that watches, one of the test harness");
    link.close().await;
    for pending in blocked {
        assert!(gone(pending.reply.await.expect("answered")).contains("is being shut down"));
    }
}

#[tokio::test]
async fn what_keeps_a_plugin_from_starting_is_told_in_its_words() {
    let mut bench = Bench::new();
    bench.patience.start = Duration::from_millis(1500);
    let table = [
        ("refuse", "no such place", Some("a.b")),
        ("crash", "the plugin \"crash\" crashed (SIGSEGV) when it was to start", None),
        ("hang", "the plugin \"crash\" did not start within 1s 500ms", None),
    ];
    for (start, message, setting) in table {
        let opened = open(bench.spec()).await.expect("opens");
        assert_eq!(opened.manifest().name, "misbehaving");
        let refusal = opened.create(format!(r#"{{"start":"{start}"}}"#).into_bytes()).await.map(|_| ());
        let refusal = refusal.expect_err(start);
        assert_eq!((&*refusal.message, refusal.setting.as_deref()), (message, setting));
    }
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_refused_under_the_name_that_the_operator_knows() {
    let bench = Bench::new();
    let file = bench.folder.path().join("copy.so");
    std::fs::write(&file, "text").expect("written");
    let refusal = open(Spec { library: file, ..bench.spec() }).await.map(|_| ()).expect_err("no library");
    assert!(refusal.message.starts_with("\"plugins/libcrash.so\" is "), "{}", refusal.message);
    assert!(!refusal.help.is_empty());
}

#[tokio::test]
async fn a_plugin_that_keeps_dying_is_given_up_visibly() {
    let mut bench = Bench::new();
    bench.limits.restarts = 2;
    let state = bench.folder.path().join("state");
    bench.params = format!(r#"{{"once":"{}"}}"#, state.join("started").display());
    let link = bench.start().await;
    assert!(gone(call(&*link, "segv", "").await).contains("it is being started again"));
    // Waits for a life, and there is none.
    let why = gone(call(&*link, "echo", "").await);
    assert!(
        why.contains("that was the 3rd time in a row, so it stays down; it is started again when the configuration is"),
        "{why}"
    );
    assert_eq!(gone(call(&*link, "echo", "").await), why, "answered at once");
    assert_eq!(link.health(), Health::Degraded(why));
    assert!(bench.down.load(std::sync::atomic::Ordering::Acquire), "whoever reloads can tell");
    link.close().await;
}

#[tokio::test]
async fn a_link_that_is_let_go_takes_its_process_with_it() {
    let link = Bench::new().start().await;
    let pid = number(&*link, "pid", "").await;
    drop(link);
    ended(pid).await;
}

#[tokio::test]
async fn what_a_plugin_has_started_ends_with_it() {
    let mut bench = Bench::new();
    bench.limits.exec = true;
    let link = bench.start().await;
    let child = number(&*link, "fork", "").await;
    assert!(child > 0);
    link.close().await;
    ended(child).await;
}

#[tokio::test]
async fn a_spin_that_rests_now_and_then_is_a_spin() {
    let mut bench = Bench::new();
    bench.patience = impatient();
    bench.limits.cpu = crate::config::Duration(Duration::from_millis(500));
    let link = bench.start().await;
    let pid = number(&*link, "spin-and-rest", "").await;
    ended(pid).await;
    link.close().await;
}

#[tokio::test]
async fn programs_are_measured_with_the_plugin_that_started_them() {
    let mut bench = Bench::new();
    bench.patience = impatient();
    bench.limits.memory = crate::config::Size::mebibytes(64);
    bench.limits.exec = true;
    let link = bench.start().await;
    let table = [
        ("child-memory", " of memory, more than the 64.0 MiB of limits.memory"),
        ("many-processes", " processes, more than the 128 that it may have"),
    ];
    for (name, expected) in table {
        let why = gone(call(&*link, name, "400").await);
        assert!(why.contains(expected), "{name}: {why}");
    }
    link.close().await;
}

#[tokio::test]
async fn a_guard_ends_as_its_worker_ended() {
    let mut bench = Bench::new();
    bench.limits.exec = true;
    let link = bench.start().await;
    for (name, expected) in
        [("segv", "crashed (SIGSEGV)"), ("abort", "crashed (SIGABRT)"), ("exit", "ended itself (exit status 3)")]
    {
        let child = number(&*link, "fork", "").await;
        let why = gone(call(&*link, name, "3").await);
        assert!(why.contains(expected), "{name}: {why}");
        ended(child).await;
    }
    link.close().await;
}

#[tokio::test]
async fn a_plugin_that_gives_one_result_a_life_is_not_started_without_pause() {
    let link = Bench::new().start().await;
    let began = std::time::Instant::now();
    for _ in 0..10 {
        assert!(matches!(call(&*link, "echo", "").await, Reply::Result(_)));
        assert!(matches!(call(&*link, "segv", "").await, Reply::Gone(_)));
    }
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    link.close().await;
}

#[tokio::test]
async fn errors_do_not_make_a_life_useful() {
    let mut bench = Bench::new();
    bench.limits.restarts = 1;
    let link = bench.start().await;
    for _ in 0..2 {
        assert!(matches!(call(&*link, "bad-error", "").await, Reply::Error(_)));
        assert!(matches!(call(&*link, "segv", "").await, Reply::Gone(_)));
    }
    assert!(gone(call(&*link, "echo", "").await).contains("that was the 2nd time in a row"));
    link.close().await;
}

// === In processes of their own ===

/// This test binary with one ignored test in it.
fn alone(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    let name = format!("host::library::worker::tests::dying::{name}");
    command.args([&*name, "--exact", "--ignored", "--nocapture", "--quiet", "--test-threads=1"]);
    command
}

#[test]
fn crashes_leave_nothing_behind() {
    let output = alone("fifty_crashes").output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "counts what this process has; started by another test"]
async fn fifty_crashes() {
    fn count(folder: &str) -> usize {
        std::fs::read_dir(folder).expect("readable").count()
    }
    fn children() -> String {
        let tasks = std::fs::read_dir("/proc/self/task").expect("readable").flatten();
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok()).collect()
    }
    let bench = Bench::new();
    let round = async |rounds: usize| {
        let link = bench.start().await;
        for round in 0..rounds {
            let name = ["segv", "abort", "exit", "overflow", "noise"][round % 5];
            assert!(matches!(call(&*link, name, "1").await, Reply::Gone(_)));
            assert!(matches!(call(&*link, "echo", "").await, Reply::Result(_)));
        }
        link.close().await;
    };
    round(5).await;
    let before = (count("/proc/self/fd"), count("/proc/self/task"), children());
    round(50).await;
    assert_eq!((count("/proc/self/fd"), count("/proc/self/task"), children()), before);
    assert!(before.2.is_empty());
}

#[test]
fn a_worker_ends_with_its_server_whatever_its_plugin_does() {
    use std::io::{BufRead as _, BufReader};
    let mut server = alone("a_server_that_waits").stdout(std::process::Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let pid = lines.find_map(|line| line.strip_prefix("worker ")?.parse().ok()).expect("says its worker's id");
    server.kill().expect("killed");
    server.wait().expect("reaped");
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(ended(pid));
}

#[tokio::test]
#[ignore = "a server to be killed; started by another test"]
async fn a_server_that_waits() {
    use std::io::Write as _;
    let mut bench = Bench::new();
    bench.blocking = false;
    let link = bench.start().await;
    let pid = number(&*link, "pid", "").await;
    // The one thread that reads the socket never comes back.
    let blocked = link.request("tools/call", br#"{"name":"block"}"#.to_vec(), None);
    writeln!(std::io::stdout(), "\nworker {pid}").expect("written");
    let _ = blocked.reply.await;
}
