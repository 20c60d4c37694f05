//! What a worker can reach: nothing that its section does not grant.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::json;
use tokio::net::TcpListener;
use toolgate_tests::server::binary;

use super::house::{House, Plan, crashing};

async fn open(section: &str) -> House {
    Plan::new().library("p", &crashing(), section).open().await
}

/// Whether a tool that tries something succeeds, and what it says.
async fn tries(house: &House, tool: &str, arguments: serde_json::Value) -> (bool, String) {
    let answer = house.call("p", tool, arguments).await.expect("an answer");
    assert!(answer.is_result(), "{tool}: {answer:?}");
    (answer.is_good(), answer.text().to_owned())
}

#[tokio::test]
async fn the_environment_is_empty() {
    let house = open("").await;
    assert_eq!(house.text("p", "env", json!({})).await, "{}");
}

#[tokio::test]
async fn a_worker_is_another_process_and_a_child_of_the_server() {
    let house = open("").await;
    let worker = house.worker("p").await;
    assert_ne!(worker, house.pid());
    assert_eq!(toolgate_tests::process::children(house.pid()), [worker]);
}

#[tokio::test]
async fn files_are_read_and_written_where_the_section_grants_it_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for name in ["read", "write", "none"] {
        fs::create_dir(path(name)).expect("a folder");
        fs::write(path(&format!("{name}/file")), "content").expect("a file");
    }
    let house = open(&format!("limits = {{ read = [{:?}], write = [{:?}] }}", path("read"), path("write"))).await;
    let config = house.server.folder().join("config.toml").display().to_string();
    let escaped = format!("{}-escaped", folder.path().display());
    let state = house.server.folder().join("state/plugins/p/own").display().to_string();
    let rows = [
        ("read_file", path("read/file"), true),
        ("read_file", path("write/file"), true),
        ("read_file", path("none/file"), false),
        ("read_file", config, false),
        ("read_file", "/etc/passwd".into(), false),
        ("read_file", format!("/proc/{}/environ", house.pid()), false),
        ("write_file", path("write/new"), true),
        ("write_file", path("read/file"), false),
        ("write_file", path("none/new"), false),
        ("write_file", escaped.clone(), false),
        ("write_file", state.clone(), true),
        ("read_file", state, true),
    ];
    let mut failures = Vec::new();
    for (tool, path, allowed) in rows {
        let arguments =
            if tool == "read_file" { json!({ "path": path }) } else { json!({ "path": path, "text": "x" }) };
        let (good, text) = tries(&house, tool, arguments).await;
        if good != allowed {
            failures.push(format!("{tool} {path}: {text}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(!fs::exists(escaped).expect("an answer"));
}

#[tokio::test]
async fn the_network_is_off_until_it_is_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address").to_string();
    for (section, allowed) in [("", false), ("limits.network = true", true)] {
        let house = open(section).await;
        let (good, text) = tries(&house, "connect", json!({ "address": address })).await;
        assert_eq!(good, allowed, "{section}: {text}");
    }
}

#[test]
fn a_plugin_that_is_run_alone_may_use_the_network_if_it_is_told_to() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address").to_string();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": "connect", "arguments": { "address": address }, "_meta": meta });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    for (limits, allowed) in [("{}", false), ("{\"network\":true}", true)] {
        let mut command = Command::new(binary());
        command.args(["plugin", "run", "--limits", limits]).arg(crashing()).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = command.spawn().expect("toolgate runs");
        let mut input = client.stdin.take().expect("its input");
        writeln!(input, "{call}").expect("it reads");
        drop(input);
        let ended = client.wait_with_output().expect("it ends");
        let answer: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        assert!(answer["result"].is_object(), "{limits}: {answer}");
        assert_eq!(answer["result"]["isError"] != true, allowed, "{limits}: {answer}");
    }
}

#[tokio::test]
async fn programs_are_not_started_until_it_is_granted() {
    for (section, allowed) in [("", false), ("limits = { exec = true, read = [\"/bin\", \"/usr\", \"/lib\"] }", true)] {
        let house = open(section).await;
        let (good, text) = tries(&house, "fork", json!({})).await;
        assert_eq!(good, allowed, "{section}: {text}");
    }
}

#[tokio::test]
async fn the_server_is_out_of_reach_of_signals() {
    let house = open("").await;
    // 15 is SIGTERM, 9 SIGKILL, 0 asks whether one may.
    for signal in [0, 15, 9] {
        let answer = house.call("p", "kill_parent", json!({ "signal": signal })).await.expect("the server lives");
        assert!(answer.is_result() && !answer.is_good(), "{signal}: {answer:?}");
    }
    assert!(house.echoes().await);
}

#[tokio::test]
async fn memory_ends_at_its_limit() {
    let house = open("limits.memory = \"64 MiB\"").await;
    house.text("p", "leak", json!({ "mib": 16 })).await;
    let answer = house.call("p", "leak", json!({ "mib": 1024 })).await.expect("an answer");
    assert!(answer.is_error(), "{answer:?}");
    assert!(house.echoes().await);
    house.worker("p").await;
}

#[tokio::test]
async fn open_files_end_at_their_limit() {
    let house = open("limits.files = 64").await;
    let text = house.text("p", "open_files", json!({ "count": 1000 })).await;
    let (opened, why) = text.split_once(": ").expect("a count and why it ended");
    assert!(opened.parse::<u32>().is_ok_and(|opened| opened < 64), "{text}");
    assert!(why.contains("files"), "{text}");
}

#[tokio::test]
async fn processor_time_without_an_answer_ends_the_worker() {
    let house = open("limits = { cpu = \"1s\", timeout = \"20s\" }").await;
    let before = house.worker("p").await;
    let answer = house.call("p", "spin", json!({})).await.expect("an answer");
    assert!(answer.is_error(), "{answer:?}");
    assert_ne!(house.worker("p").await, before);
    assert!(house.echoes().await);
}

#[tokio::test]
async fn what_a_plugin_prints_is_in_the_log_and_nowhere_else() {
    let house = open("").await;
    house.text("p", "print", json!({ "text": "a line from the plugin" })).await;
    house.server.stderr_with("a line from the plugin").await;
    assert!(!house.server.stdout().contains("a line from the plugin"));
}
