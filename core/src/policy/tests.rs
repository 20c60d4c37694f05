//! Claims about rules and decisions, on configurations as an operator writes them.

use std::sync::Arc;

use super::*;
use crate::{
    config::Audit as AuditSection,
    policy::{Ending, Face, Permit, Reason, Refusal, Request},
    telemetry::audit::Audit,
    tokens::Verified,
};

const SCOPES: &str = r#"
[scopes."notes:read"]
[scopes."notes:write"]
implies = ["notes:read"]
[endpoints.notes]
path = "/notes"
plugins = ["notes"]
"#;

fn config(rules: &str) -> Config {
    toml_edit::de::from_str(&format!("{SCOPES}\n[plugins.notes]\nbuiltin = \"echo\"\n[plugins.notes.tools]\n{rules}"))
        .unwrap()
}

fn plugin(name: &str, misfits: Misfits, tools: &[&str]) -> PluginTools {
    let tools = tools.iter().map(|name| (*name).into()).collect();
    PluginTools { plugin: name.into(), tools, misfits, permits: TaskTracker::new() }
}

fn tools(names: &[&str]) -> Vec<PluginTools> {
    vec![plugin("notes", Misfits::Refuse, names)]
}

fn compile(rules: &str, names: &[&str]) -> Policy {
    Policy::compile(&config(rules), &tools(names), None).unwrap().0
}

fn principal(scopes: &[&str]) -> Arc<Principal> {
    somebody("ann", scopes)
}

fn somebody(subject: &str, scopes: &[&str]) -> Arc<Principal> {
    let verified = Verified {
        provider: "dev".into(),
        issuer: "http://localhost/dev/auth".into(),
        subject: subject.into(),
        client_id: None,
        scopes: scopes.iter().map(|scope| Arc::from(*scope)).collect(),
        expires_at: std::time::SystemTime::now() + Duration::from_secs(60),
        organisation: None,
        token_id: None,
    };
    Arc::new(Principal::from(&verified))
}

struct Trail {
    audit: Audit,
    path: std::path::PathBuf,
}

impl Trail {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("toolgate-audit-{}", uuid::Uuid::new_v4()));
        let sink = path.to_str().unwrap().to_owned();
        Self { audit: Audit::open(&AuditSection { sink, ..AuditSection::default() }).unwrap(), path }
    }

    async fn decide(&self, policy: &Policy, principal: &Arc<Principal>, tool: &str) -> Result<Permit, Refusal> {
        let request_id = Arc::from("r1");
        let request = Request { face: Face::Mcp, request_id: &request_id, endpoint: "notes", tool, arguments: None };
        policy.decide(principal, request, self.audit.reserve().await.unwrap())
    }

    fn records(self) -> Vec<serde_json::Value> {
        self.audit.close(Duration::from_secs(5));
        let text = std::fs::read_to_string(&self.path).unwrap();
        std::fs::remove_file(&self.path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn every_decision_leaves_one_record_however_it_ends() {
    let policy = compile(
        r#"read = { scopes = ["notes:read"], rate = "1/h" }
           write = { scopes = ["notes:write"] }"#,
        &["read", "write"],
    );
    let trail = Trail::new();
    let reader = principal(&["notes:read"]);
    trail.decide(&policy, &reader, "read").await.unwrap().finish(Ending::Ok);
    assert!(matches!(trail.decide(&policy, &reader, "read").await.unwrap_err().reason, Reason::RateLimited { .. }));
    let refusal = trail.decide(&policy, &reader, "write").await.unwrap_err();
    assert_eq!(refusal.reason, Reason::InsufficientScope { required: Arc::from([Arc::from("notes:write")]) });
    assert_eq!(trail.decide(&policy, &reader, "burn").await.unwrap_err().reason, Reason::UnknownTool);
    drop(trail.decide(&policy, &principal(&["notes:write"]), "write").await.unwrap());

    let seen: Vec<(String, String)> = trail
        .records()
        .iter()
        .map(|record| {
            let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            (word("decision"), if word("reason").is_empty() { word("outcome") } else { word("reason") })
        })
        .collect();
    let expected = [
        ("permit", "ok"),
        ("refuse", "rate_limited"),
        ("refuse", "insufficient_scope"),
        ("refuse", "unknown_tool"),
        ("permit", "cancelled"),
    ];
    assert_eq!(seen, expected.map(|(decision, why)| (decision.to_owned(), why.to_owned())));
}

#[tokio::test]
async fn a_rate_counts_each_principal_alone() {
    let policy = compile(r#"read = { scopes = [], rate = "1/h" }"#, &["read"]);
    let trail = Trail::new();
    let ann = principal(&[]);
    let bob = somebody("bob", &[]);
    trail.decide(&policy, &ann, "read").await.unwrap().finish(Ending::Ok);
    trail.decide(&policy, &bob, "read").await.unwrap().finish(Ending::Ok);
    assert!(trail.decide(&policy, &ann, "read").await.is_err());
}

#[tokio::test]
async fn a_hidden_tool_is_called_unknown_and_recorded_as_hidden() {
    let mut config = config(r#"read = { scopes = ["notes:read"] }"#);
    config.endpoints["notes"].on_missing_scope = OnMissingScope::Hide;
    let (policy, _) = Policy::compile(&config, &tools(&["read"]), None).unwrap();
    let trail = Trail::new();
    assert_eq!(trail.decide(&policy, &principal(&[]), "read").await.unwrap_err().reason, Reason::UnknownTool);
    assert_eq!(policy.visible("notes", None).count(), 0);
    assert_eq!(policy.visible("notes", Some(&principal(&[]))).count(), 0);
    assert_eq!(policy.visible("notes", Some(&principal(&["notes:write"]))).count(), 1);
    let record = &trail.records()[0];
    assert_eq!(record["reason"], "hidden");
    assert_eq!(record["missing_scopes"], serde_json::json!(["notes:read"]));
}

#[test]
fn rules_that_do_not_fit_the_tools_are_found() {
    let cases = [
        ("no rule", "", &["read"][..], true, "the tool \"read\" has no rule, so nobody would know who may call it"),
        ("no scopes", "read = { rate = \"1/s\" }", &["read"], true, "the rule for \"read\" names no scopes"),
        (
            "a tool that is not there",
            "reed = { scopes = [] }\n\"*\" = { scopes = [] }",
            &["read"],
            false,
            "the plugin \"notes\" has no tool \"reed\"",
        ),
        ("a bad name", "read = { scopes = [], name = \"a b\" }", &["read"], true, "\"a b\" is no tool name"),
        ("dots", "\"*\" = { scopes = [] }", &[".."], true, "\"..\" is no tool name"),
        ("a dot", "\"*\" = { scopes = [] }", &["."], true, "\".\" is no tool name"),
        (
            "two of one name",
            "read = { scopes = [], name = \"write\" }\nwrite = { scopes = [] }",
            &["read", "write"],
            true,
            "the endpoint \"notes\" would have two tools \"write\": from the plugins \"notes\" and \"notes\"",
        ),
    ];
    for (name, rules, names, fatal, message) in cases {
        let findings = match Policy::compile(&config(rules), &tools(names), None) {
            Ok((_, findings)) | Err(findings) => findings,
        };
        assert_eq!(findings.len(), 1, "{name}: {findings:?}");
        let as_grave = (findings[0].consequence == Consequence::Refused) == fatal;
        assert_eq!((as_grave, findings[0].message.as_str()), (true, message), "{name}");
    }
}

#[test]
fn the_rest_rule_is_for_tools_without_a_rule_of_their_own() {
    let policy = compile(
        r#""*" = { scopes = ["notes:write"], rate = "1/h" }
           read = { scopes = ["notes:read"] }
           gone = { enabled = false }"#,
        &["read", "other", "gone"],
    );
    let names: Vec<&str> = policy.visible("notes", None).map(|tool| &*tool.name).collect();
    assert_eq!(names, ["read", "other"]);
    let endpoint = policy.endpoint("notes").unwrap();
    assert_eq!(endpoint.tools["read"].requirement.scopes().as_ref(), [Arc::from("notes:read")]);
    assert!(endpoint.tools["read"].rate.is_none());
    assert_eq!(endpoint.tools["other"].requirement.scopes().as_ref(), [Arc::from("notes:write")]);
    assert!(endpoint.tools["other"].rate.is_some());

    let policy = compile("\"*\" = { enabled = false }\nread = { scopes = [] }", &["read", "other"]);
    let names: Vec<&str> = policy.visible("notes", None).map(|tool| &*tool.name).collect();
    assert_eq!(names, ["read"], "a rest that is off leaves the tools with rules on");
}

#[test]
fn a_first_challenge_asks_for_the_least_that_opens_something() {
    let policy = compile(
        r#"read = { scopes = ["notes:read"] }
           write = { scopes = ["notes:write"] }"#,
        &["read", "write"],
    );
    assert_eq!(policy.endpoint("notes").unwrap().initial_scopes.as_ref(), [Arc::from("notes:read")]);
}

#[test]
fn what_becomes_of_a_tool_without_a_rule_depends_on_its_plugin() {
    let cases = [
        ("compiled in", Misfits::Refuse, Some(Consequence::Refused)),
        ("new", Misfits::KeepOut, Some(Consequence::KeptOut)),
        ("serves already", Misfits::Hide, None),
    ];
    for (name, misfits, refused) in cases {
        let compiled =
            Policy::compile(&config("read = { scopes = [] }"), &[plugin("notes", misfits, &["read", "write"])], None);
        match (compiled, refused) {
            (Err(findings), Some(consequence)) => {
                assert_eq!((findings.len(), findings[0].consequence), (1, consequence), "{name}");
                assert_eq!(findings[0].plugin.as_deref(), Some("notes"), "{name}");
                assert!(findings[0].help.contains("write = { scopes"), "{name}: {}", findings[0].help);
            }
            (Ok((policy, findings)), None) => {
                assert_eq!(
                    policy.endpoint("notes").unwrap().tools.keys().map(|name| &**name).collect::<Vec<_>>(),
                    ["read"]
                );
                assert_eq!((findings.len(), findings[0].consequence), (1, Consequence::Warning), "{name}");
                let message = &findings[0].message;
                let next = "; it stays hidden; at the next start the whole plugin is kept out until a rule names it";
                assert!(message.contains("\"write\"") && message.ends_with(next), "{name}: {message}");
            }
            (compiled, _) => panic!("{name}: {compiled:?}"),
        }
    }
}

#[test]
fn of_two_tools_of_one_name_the_one_that_need_not_run_makes_way() {
    let rules = r#""*" = { scopes = [] }
        [plugins.more]
        library = "libmore.so"
        tools."*" = { scopes = [] }"#;
    let cases = [
        ("a library after a compiled-in one", ["notes", "more"], Misfits::Refuse, Misfits::KeepOut, "more"),
        ("a library before a compiled-in one", ["more", "notes"], Misfits::Refuse, Misfits::KeepOut, "more"),
        ("two libraries", ["more", "notes"], Misfits::KeepOut, Misfits::KeepOut, "notes"),
        ("one that serves already", ["more", "notes"], Misfits::Refuse, Misfits::Hide, "more"),
        ("two compiled-in ones", ["notes", "more"], Misfits::Refuse, Misfits::Refuse, "more"),
    ];
    for (name, order, notes, more, culprit) in cases {
        let mut config = config(rules);
        config.endpoints["notes"].plugins = order.map(str::to_owned).into();
        if notes != Misfits::Refuse {
            config.plugins["notes"].builtin = None;
        }
        let plugins = [plugin("notes", notes, &["read"]), plugin("more", more, &["read"])];
        let findings = match Policy::compile(&config, &plugins, None) {
            Ok((policy, findings)) => {
                assert_eq!(&*policy.endpoint("notes").unwrap().tools["read"].plugin, "notes", "{name}");
                findings
            }
            Err(findings) => findings,
        };
        assert_eq!((findings.len(), findings[0].plugin.as_deref()), (1, Some(culprit)), "{name}: {findings:?}");
    }
}

#[test]
fn a_name_stays_with_whoever_had_it() {
    const NOTES: &str = r#""*" = { scopes = [] }"#;
    let library = |name: &str, rules: &str| format!("[plugins.{name}]\nlibrary = \"lib{name}.so\"\n{rules}\n");
    let any = r#"tools."*" = { scopes = [] }"#;
    // The endpoint's list; which plugins list what before and after; the rules of `more`; who has `read` in the end, and
    // of whom something is hidden.
    let had = |plugin, tools| (plugin, tools);
    let cases = [
        (
            "compiled in, after the library",
            ["more", "notes"],
            [had("notes", "read"), had("more", "")],
            any,
            "notes",
            "more",
        ),
        ("compiled in, before it", ["notes", "more"], [had("notes", "read"), had("more", "")], any, "notes", "more"),
        ("a library, after it", ["more", "other"], [had("other", "read"), had("more", "")], any, "other", "more"),
        ("a library, before it", ["other", "more"], [had("other", "read"), had("more", "")], any, "other", "more"),
        (
            "not there before: the list counts",
            ["more", "other"],
            [had("other", ""), had("more", "")],
            any,
            "more",
            "other",
        ),
        (
            "compiled in, listed only now",
            ["more", "notes"],
            [had("notes", ""), had("more", "read")],
            any,
            "notes",
            "more",
        ),
        (
            "renamed",
            ["more", "other"],
            [had("other", "read"), had("more", "")],
            "tools.read = { scopes = [], name = \"read\" }",
            "other",
            "more",
        ),
    ];
    for (name, order, before, rules, winner, hidden) in cases {
        let more = library("more", rules) + &library("other", any);
        let mut config = config(&format!("{NOTES}\n{more}"));
        config.endpoints["notes"].plugins = order.map(str::to_owned).into();
        let listed = |tools: &str| tools.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let plugins =
            before.map(|(name, tools)| PluginTools { tools: listed(tools), ..plugin(name, Misfits::Hide, &[]) });
        let (earlier, _) = Policy::compile(&config, &plugins, None).unwrap();
        let plugins = before.map(|(name, _)| plugin(name, Misfits::Hide, &["read"]));
        let (policy, findings) = Policy::compile(&config, &plugins, Some(&earlier)).unwrap();
        let tools = &policy.endpoint("notes").unwrap().tools;
        assert_eq!((tools.len(), &*tools["read"].plugin), (1, winner), "{name}");
        assert_eq!((findings.len(), findings[0].plugin.as_deref()), (1, Some(hidden)), "{name}: {findings:?}");
        // A rename by the rules is no other case, nor a library that is new here and is to be left out whole.
        let renamed = config_with_name(&config, hidden, "look");
        let (policy, findings) = Policy::compile(&renamed, &plugins, Some(&earlier)).unwrap();
        assert_eq!((policy.endpoint("notes").unwrap().tools.len(), findings.len()), (2, 0), "{name}: {findings:?}");
    }
}

/// The same with another name for the tool `read` of a plugin.
fn config_with_name(config: &Config, plugin: &str, name: &str) -> Config {
    let mut config = config.clone();
    let rules = &mut config.plugins[plugin].tools;
    let mut rule = rules.get("read").or_else(|| rules.get("*")).expect("a rule").clone();
    rule.name = Some(name.to_owned());
    rules.insert("read".to_owned(), rule);
    config
}

#[tokio::test]
async fn what_was_called_under_a_rate_that_stays_counts_on_after_an_edit() {
    let cases = [
        ("the same rate, other scopes", r#"read = { scopes = ["notes:read"], rate = "1/h" }"#, "read", false),
        ("the same rate, another name", r#"read = { scopes = [], rate = "1/h", name = "look" }"#, "look", false),
        ("another rate", r#"read = { scopes = [], rate = "2/h" }"#, "read", true),
        ("no rate", r#"read = { scopes = [] }"#, "read", true),
    ];
    for (name, edited, tool, permitted) in cases {
        let before = compile(r#"read = { scopes = [], rate = "1/h" }"#, &["read"]);
        let trail = Trail::new();
        let reader = principal(&["notes:read"]);
        trail.decide(&before, &reader, "read").await.unwrap().finish(Ending::Ok);
        let (after, _) = Policy::compile(&config(edited), &tools(&["read"]), Some(&before)).unwrap();
        let decided = trail.decide(&after, &reader, tool).await;
        assert_eq!(decided.is_ok(), permitted, "{name}: {:?}", decided.as_ref().err());
        drop(decided);
        drop(trail.records());
    }
}

#[tokio::test]
async fn a_plugin_knows_of_the_permits_that_are_out() {
    let plugins = tools(&["read"]);
    let (policy, _) = Policy::compile(&config("read = { scopes = [] }"), &plugins, None).unwrap();
    let trail = Trail::new();
    let permit = trail.decide(&policy, &principal(&[]), "read").await.unwrap();
    assert_eq!(plugins[0].permits.len(), 1);
    permit.finish(Ending::Ok);
    assert_eq!(plugins[0].permits.len(), 0);
    assert_eq!(trail.records().len(), 1);
}
