//! What a worker can reach, tried from inside.

use std::net::TcpListener;

use libc::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, EACCES, EPERM, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM};

use super::*;

/// What a call is expected to answer with.
type Row<'a> = (&'a str, String, i32);

async fn holds(bench: &Bench, rows: Vec<Row<'_>>) {
    let link = bench.start().await;
    for (name, arg, expected) in rows {
        assert_eq!(number(&*link, name, &arg).await, expected, "{name} {arg}");
    }
    link.close().await;
}

fn socket(family: i32, kind: i32) -> String {
    (family * 100 + kind).to_string()
}

fn parent() -> String {
    std::process::id().to_string()
}

#[tokio::test]
async fn files_outside_are_out_of_reach() {
    let bench = Bench::new();
    let at = |name: &str| bench.folder.path().join(name).display().to_string();
    std::fs::write(at("secret"), "secret").expect("written");
    holds(
        &bench,
        vec![
            ("read", at("secret"), EACCES),
            ("list", at(""), EACCES),
            ("write", at("secret"), EACCES),
            ("write", at("new"), EACCES),
            ("chmod", at("secret"), EPERM),
            ("read", "/etc/passwd".into(), EACCES),
            ("list", "/".into(), EACCES),
            ("list", "/tmp".into(), EACCES),
            ("list", "/proc".into(), EACCES),
            ("read", format!("/proc/{}/environ", parent()), EACCES),
            ("read", format!("/proc/{}/mem", parent()), EACCES),
            ("write", "/dev/shm/toolgate-test".into(), EACCES),
            ("write", "/lib/toolgate-test".into(), EACCES),
            ("read", "/proc/self/status".into(), 0),
            ("read", "/proc/self/maps".into(), 0),
            ("list", "/proc/self/task".into(), 0),
            ("list", "/proc/self/fd".into(), 0),
            ("read", "/proc/self/net/tcp".into(), EACCES),
            ("read", "/proc/self/mountinfo".into(), EACCES),
            ("read", "/proc/thread-self/mountinfo".into(), EACCES),
            ("read", "/dev/urandom".into(), 0),
            ("read", "/etc/hosts".into(), 0),
            ("write", "/dev/null".into(), 0),
            ("write", at("state/own"), 0),
            ("read", at("state/own"), 0),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_the_limits_grant_is_granted_and_no_more() {
    let mut bench = Bench::new();
    let root = bench.folder.path().to_owned();
    let at = |name: &str| root.join(name).display().to_string();
    for name in ["readable", "writable"] {
        std::fs::create_dir(at(name)).expect("made");
        std::fs::write(at(name) + "/file", "text").expect("written");
    }
    std::fs::write(at("one"), "text").expect("written");
    bench.limits.read = vec![root.join("readable"), root.join("one")];
    bench.limits.write = vec![root.join("writable"), root.join("not-there")];
    holds(
        &bench,
        vec![
            ("read", at("readable/file"), 0),
            ("write", at("readable/file"), EACCES),
            ("write", at("readable/new"), EACCES),
            ("read", at("one"), 0),
            ("write", at("one"), EACCES),
            ("read", at("writable/file"), 0),
            ("write", at("writable/new"), 0),
        ],
    )
    .await;
}

#[tokio::test]
async fn without_network_there_is_no_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("bound").port().to_string();
    let mut bench = Bench::new();
    let closed = [(AF_INET, SOCK_STREAM), (AF_INET6, SOCK_DGRAM), (AF_UNIX, SOCK_STREAM), (AF_NETLINK, SOCK_RAW)];
    let mut rows: Vec<Row<'_>> = vec![
        ("connect", port.clone(), EPERM),
        ("pair", SOCK_STREAM.to_string(), 0),
        ("pair", SOCK_DGRAM.to_string(), EPERM),
    ];
    rows.extend(closed.map(|(family, kind)| ("socket", socket(family, kind), EPERM)));
    holds(&bench, rows).await;

    bench.limits.network = true;
    let rows = vec![
        ("connect", port, 0),
        ("socket", socket(AF_INET6, SOCK_DGRAM), 0),
        ("socket", socket(AF_NETLINK, SOCK_RAW), 0),
        ("socket", socket(AF_UNIX, SOCK_STREAM), EPERM),
        ("socket", socket(AF_INET, SOCK_RAW), EPERM),
    ];
    holds(&bench, rows).await;
}

#[tokio::test]
async fn programs_start_where_they_may() {
    let mut bench = Bench::new();
    let own = bench.folder.path().join("state/program").display().to_string();
    holds(&bench, vec![("exec", "/bin/true".into(), EPERM), ("fork", String::new(), EPERM)]).await;
    std::fs::copy("/bin/true", &own).expect("copied");
    bench.limits.exec = true;
    let rows = vec![
        ("exec", "/bin/true".into(), 0),
        // Neither what it has written itself, nor what lies elsewhere.
        ("exec", own, EACCES),
        ("kill-child", String::new(), 0),
        ("kill", parent(), EPERM),
        ("setsid", String::new(), EPERM),
    ];
    holds(&bench, rows).await;
}

#[tokio::test]
async fn other_processes_and_the_kernel_are_out_of_reach() {
    let denied = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_perf_event_open,
        libc::SYS_inotify_init1,
        libc::SYS_keyctl,
        libc::SYS_shmget,
        libc::SYS_open_by_handle_at,
        libc::SYS_setpriority,
        libc::SYS_reboot,
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_ptrace | 0x4000_0000),
    ];
    let mut rows: Vec<Row<'_>> = denied.map(|call| ("syscall", call.to_string(), EPERM)).into();
    rows.extend([
        ("syscall", libc::SYS_clone3.to_string(), libc::ENOSYS),
        ("kill", parent(), EPERM),
        ("kill", "-1".into(), EPERM),
        ("raise", String::new(), 0),
        ("inotify", String::new(), EPERM),
        ("parent-death", String::new(), EPERM),
        ("setsid", String::new(), EPERM),
        ("memfd", String::new(), EPERM),
        ("shared", String::new(), EPERM),
        ("environment", String::new(), 0),
    ]);
    holds(&Bench::new(), rows).await;
}

#[tokio::test]
async fn files_and_memory_are_bounded() {
    let mut bench = Bench::new();
    bench.limits.files = 64;
    bench.limits.memory = crate::config::Size::mebibytes(64);
    bench.limits.concurrency = 4;
    let link = bench.start().await;
    let large = bench.folder.path().join("state/large").display().to_string();
    assert_eq!(number(&*link, "large-file", &large).await, libc::EFBIG);
    let files = number(&*link, "files", "").await;
    assert!((32..64).contains(&files), "{files} files");
    let memory = number(&*link, "memory", "").await;
    assert!((40..=80).contains(&memory), "{memory} MiB, untouched ones and the stacks of eight threads included");
    link.close().await;
}

#[tokio::test]
async fn a_state_folder_is_for_this_account_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    bench.start().await.close().await;
    let mode = bench.folder.path().join("state").metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
