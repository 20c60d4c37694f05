//! Broken configurations, each with the exact lines that a person gets.

use super::Folder;
use crate::config::Environment;

/// A configuration that loads; rows append to it, or stand alone.
const GOOD: &str = r#"[server]
listen = "127.0.0.1:10000"
[scopes."notes:read"]
[scopes."notes:write"]
implies = ["notes:read"]
[endpoints.notes]
path = "/notes/mcp"
plugins = ["echo"]
[plugins.echo]
builtin = "echo"
[plugins.echo.tools]
echo = { scopes = ["notes:read"] }
"#;

struct Row {
    name: &'static str,
    /// A part of [`GOOD`] and what stands in its place; several, one after another.
    edits: &'static [(&'static str, &'static str)],
    environment: &'static [(&'static str, &'static str)],
    expected: &'static [&'static str],
}

const fn row(
    name: &'static str,
    edits: &'static [(&'static str, &'static str)],
    environment: &'static [(&'static str, &'static str)],
    expected: &'static [&'static str],
) -> Row {
    Row { name, edits, environment, expected }
}

/// What ends [`GOOD`]; replaced by itself and more, it appends.
const END: &str = "echo = { scopes = [\"notes:read\"] }\n";

#[test]
fn the_configuration_that_rows_break_loads() {
    let loaded = Folder::with(GOOD).load(&Environment::default()).expect("it loads");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn broken_configurations_say_where_what_and_what_instead() {
    let mut failures = Vec::new();
    for row in ROWS {
        let mut text = GOOD.to_owned();
        for (old, new) in row.edits {
            assert!(text.contains(old), "{}: {old:?} is not in the configuration", row.name);
            text = text.replacen(old, new, 1);
        }
        let folder = Folder::with(&text);
        let environment: Environment = row.environment.iter().copied().collect();
        let found = match folder.load(&environment) {
            Ok(_) => "it loads".to_owned(),
            Err(diagnostics) => folder.relative(&diagnostics.to_string()),
        };
        if found != row.expected.join("\n") {
            failures.push(format!("{}:\n  expected:\n{}\n  found:\n{found}\n", row.name, row.expected.join("\n")));
        }
    }
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), ROWS.len(), failures.join("\n"));
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // The file itself.
    row("duplicate key", &[("listen = ", "listen = \"127.0.0.1:1\"\nlisten = ")], &[], &[
        r#"error: config.toml:3:1: this is not TOML: the key "listen" is given twice; keep one of the two, and put all keys of a section under one header"#,
    ]),
    row("duplicate section", &[("[scopes.\"notes:read\"]", "[server]\nmax_sessions = 1\n[scopes.\"notes:read\"]")], &[], &[
        r#"error: config.toml:3:2: this is not TOML: the key "server" is given twice; keep one of the two, and put all keys of a section under one header"#,
    ]),
    row("text without quotes", &[("\"/notes/mcp\"", "/notes/mcp")], &[], &[
        r#"error: config.toml:7:8: this is not TOML: a value is expected here; write text in quotes, such as key = "value""#,
    ]),
    row("word without quotes", &[("\"echo\"\n[plugins.echo.tools]", "echo\n[plugins.echo.tools]")], &[], &[
        r#"error: config.toml:10:11: this is not TOML: a value is expected here; write text in quotes, such as key = "value""#,
    ]),
    row("unclosed text", &[("\"/notes/mcp\"", "\"/notes/mcp")], &[], &[
        r#"error: config.toml:7:19: this is not TOML: invalid basic string, expected `"`; close the text with a quote on the same line"#,
    ]),
    row("unclosed section", &[("[server]", "[server")], &[], &[
        r#"error: config.toml:1:8: this is not TOML: unclosed table, expected `]`; close the section's header, such as [server]"#,
    ]),
    row("unclosed list", &[("[\"echo\"]", "[\"echo\"")], &[], &[
        r#"error: config.toml:9:1: this is not TOML: missing comma between array elements, expected `,`; put a comma between the elements, and ] after the last"#,
    ]),
    row("unknown escape", &[("\"/notes/mcp\"", "\"\\notes\\mcp\"")], &[], &[
        r#"error: config.toml:7:16: this is not TOML: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\`, `"`, `x`, `u`, `U`; write a backslash twice, or the text in single quotes, such as 'C:\data'"#,
    ]),
    row("number too large", &[("[server]", "[server]\nmax_sessions = 99999999999999999999")], &[], &[
        r#"error: config.toml:2:16: this is not TOML: integer number overflowed; write a smaller number"#,
    ]),
    // Keys.
    row("misspelled key", &[("listen =", "lisen =")], &[], &[
        r#"error: config.toml:2:1: server.lisen: unknown key "lisen"; did you mean "listen"?"#,
    ]),
    row("misspelled section", &[("[server]", "[sever]")], &[], &[
        r#"error: config.toml:1:2: sever: unknown key "sever"; did you mean "server"?"#,
    ]),
    row("unknown key without a near one", &[("[server]", "[server]\nthreads = 4")], &[], &[
        r#"error: config.toml:2:1: server.threads: unknown key "threads"; known here: listen, public_url, allowed_origins, allowed_hosts, max_body, max_connections, header_timeout, max_sessions, max_sessions_per_principal, session_idle, drain, state_dir"#,
    ]),
    row("unknown key in an inline table", &[("{ scopes =", "{ scope =")], &[], &[
        r#"error: config.toml:12:10: plugins.echo.tools.echo.scope: unknown key "scope"; did you mean "scopes"?"#,
    ]),
    row("setting of the plugin beside its settings", &[("builtin = \"echo\"", "builtin = \"echo\"\napi_key = \"tvly-secret\"")], &[], &[
        r#"error: config.toml:11:1: plugins.echo.api_key: unknown key "api_key"; known here: builtin, library, isolation, required, enabled, settings, tools, limits; the plugin's own settings go below [plugins.echo.settings]"#,
    ]),
    row("missing keys", &[("path = \"/notes/mcp\"\n", ""), ("builtin = \"echo\"\n", "")], &[], &[
        r#"error: config.toml:6:1: endpoints.notes.path: this key is missing; add a line such as path = "/web-search/mcp""#,
        r#"error: config.toml:8:1: plugins.echo: one of the keys builtin and library is missing; add a line such as builtin = "tavily" (one of: tavily, docs, echo), or library = "target/release/libhello.so""#,
    ]),
    row("misspelled key in a section that is not used", &[("[server]", "[auth.scalekit]\nenviroment_url = \"${UNSET}\"\n[server]")], &[], &[
        r#"error: config.toml:2:1: auth.scalekit.enviroment_url: unknown key "enviroment_url"; did you mean "environment_url"?"#,
    ]),
    row("misspelled tool's rule key", &[("{ scopes =", "{ enabeld = true, scopes =")], &[], &[
        r#"error: config.toml:12:10: plugins.echo.tools.echo.enabeld: unknown key "enabeld"; did you mean "enabled"?"#,
    ]),
    row("key of a later kind of plugin", &[("builtin = \"echo\"", "wasm = \"echo.wasm\"")], &[], &[
        r#"error: config.toml:9:1: plugins.echo: one of the keys builtin and library is missing; add a line such as builtin = "tavily" (one of: tavily, docs, echo), or library = "target/release/libhello.so""#,
        r#"error: config.toml:10:1: plugins.echo.wasm: unknown key "wasm"; known here: builtin, library, isolation, required, enabled, settings, tools, limits; the plugin's own settings go below [plugins.echo.settings]"#,
    ]),
    // Types.
    row("date for text", &[("[server]", "[audit]\nsink = 1979-05-27\n[server]")], &[], &[
        r#"error: config.toml:2:8: audit.sink: expected text, found a date or a number; write it in quotes"#,
    ]),
    row("number for a size", &[("[server]", "[server]\nmax_body = 4096")], &[], &[
        r#"error: config.toml:2:12: server.max_body: expected text, found the number 4096; write it with its unit: "4096 B""#,
    ]),
    row("table for text", &[("[server]", "[log.level]\ntoolgate = \"debug\"\n[server]")], &[], &[
        r#"error: config.toml:1:1: log.level: expected text, found a table; write "info""#,
    ]),
    row("list of tables for a section", &[("[server]", "[[server]]")], &[], &[
        r#"error: config.toml:1:1: server: expected a section, found a list; write it as a section, [server], with keys of its own"#,
    ]),
    row("text for a number", &[("[server]", "[server]\nmax_connections = \"many\"")], &[], &[
        r#"error: config.toml:2:19: server.max_connections: expected a whole number, found the text "many"; write one, such as 1024"#,
    ]),
    row("fraction for a whole number", &[("[server]", "[server]\nmax_connections = 1.5")], &[], &[
        r#"error: config.toml:2:19: server.max_connections: expected a whole number, found the number 1.5; write one, such as 1024"#,
    ]),
    row("zero connections", &[("[server]", "[server]\nmax_connections = 0")], &[], &[
        r#"error: config.toml:2:19: server.max_connections: "0" is too small; write 1 or more"#,
    ]),
    row("text for a flag", &[("path =", "default = \"yes\"\npath =")], &[], &[
        r#"error: config.toml:7:11: endpoints.notes.default: expected true or false, found the text "yes"; write it without quotes"#,
    ]),
    row("number for text", &[("builtin = \"echo\"", "builtin = 7")], &[], &[
        r#"error: config.toml:10:11: plugins.echo.builtin: expected text, found the number 7; write one of: "tavily", "docs", "echo""#,
    ]),
    row("number for a duration", &[("[server]", "[server]\ndrain = 10")], &[], &[
        r#"error: config.toml:2:9: server.drain: expected text, found the number 10; write it with its unit: "10s""#,
    ]),
    row("text for a list", &[("plugins = [\"echo\"]", "plugins = \"echo\"")], &[], &[
        r#"error: config.toml:8:11: endpoints.notes.plugins: expected a list, found the text "echo"; write ["echo"]"#,
    ]),
    row("number in a list of texts", &[("plugins = [\"echo\"]", "plugins = [\"echo\", 1]")], &[], &[
        r#"error: config.toml:8:20: endpoints.notes.plugins[1]: expected text, found the number 1; write it in quotes: "1""#,
    ]),
    row("text for a section", &[("[server]", "audit = \"stderr\"\n[server]")], &[], &[
        r#"error: config.toml:1:9: audit: expected a section, found text; write it as a section, [audit], with keys of its own"#,
    ]),
    row("settings that are not a table", &[("builtin = \"echo\"", "builtin = \"echo\"\nsettings = \"tvly-secret\"")], &[], &[
        r#"error: config.toml:11:12: plugins.echo.settings: expected a section, found text; write it as a section, [plugins.echo.settings], with keys of its own"#,
    ]),
    row("secret that is a number", &[("[server]", "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"https://a.example\"\nintrospection = { client_id = \"t\", client_secret = 12345 }\n[server]")], &[], &[
        r#"error: config.toml:5:52: auth.oauth.introspection.client_secret: expected text, found a number; write "${INTROSPECTION_SECRET}""#,
    ]),
    row("misspelled choice", &[("path =", "on_missing_scope = \"chalenge\"\npath =")], &[], &[
        r#"error: config.toml:7:20: endpoints.notes.on_missing_scope: "chalenge" is not known here; did you mean "challenge"? (one of: challenge, hide)"#,
    ]),
    row("choice without a near one", &[("[server]", "[auth]\nprovider = \"keycloak\"\n[server]")], &[], &[
        r#"error: config.toml:2:12: auth.provider: "keycloak" is not known here; write one of: dev, scalekit, oauth, none"#,
    ]),
    row("plugin that is not compiled in", &[("builtin = \"echo\"", "builtin = \"tavilly\"")], &[], &[
        r#"error: config.toml:10:11: plugins.echo.builtin: "tavilly" is not known here; did you mean "tavily"? (one of: tavily, docs, echo)"#,
    ]),
    row("misspelled algorithm", &[("[server]", "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"https://a.example\"\nalgorithms = [\"RS265\", \"HS256\"]\n[server]")], &[], &[
        r#"error: config.toml:5:15: auth.oauth.algorithms[0]: "RS265" is not known here; did you mean "RS256"? (one of: RS256, PS256, ES256, EdDSA)"#,
        r#"error: config.toml:5:24: auth.oauth.algorithms[1]: "HS256" is not known here; did you mean "RS256"? (one of: RS256, PS256, ES256, EdDSA)"#,
    ]),
    // Texts that are not what their key holds.
    row("host name for an address", &[("\"127.0.0.1:10000\"", "\"localhost:10000\"")], &[], &[
        r#"error: config.toml:2:10: server.listen: "localhost:10000" is not an IP address with a port; write them as "127.0.0.1:10000" or "[::1]:10000""#,
    ]),
    row("bad duration", &[("[server]", "[server]\nheader_timeout = \"10 parsecs\"")], &[], &[
        r#"error: config.toml:2:18: server.header_timeout: "10 parsecs" is not a duration; write it as "30s", "5m" or "1h""#,
    ]),
    row("no time at all", &[("[server]", "[server]\nheader_timeout = \"0s\"")], &[], &[
        r#"error: config.toml:2:18: server.header_timeout: "0s" is no time at all; write a longer one, such as "30s""#,
    ]),
    row("bad size", &[("[server]", "[server]\nmax_body = \"4 mops\"")], &[], &[
        r#"error: config.toml:2:12: server.max_body: "4 mops" is not a size; write it as "64 KiB" or "4 MiB""#,
    ]),
    row("no size at all", &[("[server]", "[server]\nmax_body = \"0\"")], &[], &[
        r#"error: config.toml:2:12: server.max_body: "0" lets no request through; write a size such as "4 MiB""#,
    ]),
    row("bad rate", &[("] }\n", "], rate = \"60 per minute\" }\n")], &[], &[
        r#"error: config.toml:12:42: plugins.echo.tools.echo.rate: "60 per minute" is not a rate; write it as "60/min" (per s, min, h or d)"#,
    ]),
    row("rate of nothing", &[("] }\n", "], rate = \"0/min\" }\n")], &[], &[
        r#"error: config.toml:12:42: plugins.echo.tools.echo.rate: "0/min" lets no call through; write enabled = false to leave the tool out"#,
    ]),
    row("scope with a blank", &[("[scopes.\"notes:write\"]", "[scopes.\"notes write\"]")], &[], &[
        r#"error: config.toml:4:9: scopes."notes write": "notes write" is not a scope; use printable ASCII without spaces, quotes and backslashes, such as "notes:read""#,
    ]),
    row("tool's scope with a blank", &[("scopes = [\"notes:read\"]", "scopes = [\"notes:read notes:write\"]")], &[], &[
        r#"error: config.toml:12:20: plugins.echo.tools.echo.scopes[0]: "notes:read notes:write" is not a scope; use printable ASCII without spaces, quotes and backslashes, such as "notes:read""#,
    ]),
    row("log level", &[("[server]", "[log]\nlevel = \"inof\"\n[server]")], &[], &[
        r#"error: config.toml:2:9: log.level: "inof" is not a log level; did you mean "info"?"#,
    ]),
    row("log directives", &[("[server]", "[log]\nlevel = \"info,toolgate=loud\"\n[server]")], &[], &[
        r#"error: config.toml:2:9: log.level: "info,toolgate=loud" is not a log level; write directives such as "info,toolgate=debug""#,
    ]),
    row("audit to standard output", &[("[server]", "[audit]\nsink = \"stdout\"\n[server]")], &[], &[
        r#"error: config.toml:2:8: audit.sink: "stdout" is not a sink; write "stderr", or a file's path such as "audit.jsonl""#,
    ]),
    row("several at once", &[("[server]", "[server]\ndrain = \"x\"\nlisen = 1"), ("builtin = \"echo\"", "builtin = \"ecco\"")], &[("PORT", "http")], &[
        r#"error: config.toml:2:9: server.drain: "x" is not a duration; write it as "30s", "5m" or "1h""#,
        r#"error: config.toml:3:1: server.lisen: unknown key "lisen"; did you mean "listen"?"#,
        r#"error: config.toml:12:11: plugins.echo.builtin: "ecco" is not known here; did you mean "echo"? (one of: tavily, docs, echo)"#,
        r#"error: PORT: server.listen: "http" is not a port; write a number from 0 to 65535"#,
    ]),
    // References.
    row("unset variable", &[("\"/notes/mcp\"", "\"${NOTES_PATH}\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: the variable NOTES_PATH of "${NOTES_PATH}" is unset or empty; set NOTES_PATH, or write a default as ${NOTES_PATH:-…}"#,
    ]),
    row("empty variable", &[("\"/notes/mcp\"", "\"${NOTES_PATH}\"")], &[("NOTES_PATH", "")], &[
        r#"error: config.toml:7:8: endpoints.notes.path: the variable NOTES_PATH of "${NOTES_PATH}" is unset or empty; set NOTES_PATH, or write a default as ${NOTES_PATH:-…}"#,
    ]),
    row("reference without an end", &[("\"/notes/mcp\"", "\"/${NOTES\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: a reference that begins with "${" has no end; close it with }, or write $${ for a literal ${"#,
    ]),
    row("reference that is none", &[("\"/notes/mcp\"", "\"/${NOTES PATH}\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "${NOTES PATH}" is not a reference; write ${NAME}, ${NAME:-default} or ${file:/run/secrets/name}; a literal ${ is written $${"#,
    ]),
    row("reference in a reference", &[("\"/notes/mcp\"", "\"/${A:-${B}}\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "${A:-${B}" holds a reference inside a reference; use one reference after another, or a plain default"#,
    ]),
    row("file that is not there", &[("\"/notes/mcp\"", "\"${file:secrets/path}\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: the file of "${file:secrets/path}" cannot be read: there is no such file; paths are relative to the configuration file"#,
    ]),
    row("value behind a reference is not shown", &[("\"127.0.0.1:10000\"", "\"${LISTEN}\"")], &[("LISTEN", "s3cret")], &[
        r#"error: config.toml:2:10: server.listen: "${LISTEN}" is not an IP address with a port; write them as "127.0.0.1:10000" or "[::1]:10000""#,
    ]),
    row("number behind a reference is not shown", &[("[server]", "[server]\nmax_sessions = \"${MOST}\"")], &[("MOST", "s3cret")], &[
        r#"error: config.toml:2:16: server.max_sessions: expected a whole number, found "${MOST}", which is something else; write one, such as 1000"#,
    ]),
    row("list behind a reference is not shown", &[("plugins = [\"echo\"]", "plugins = [\"${PLUGIN}\"]")], &[("PLUGIN", "s3cret")], &[
        r#"error: config.toml:8:12: endpoints.notes.plugins[0]: "${PLUGIN}" is not a plugin of this configuration; add a section for it below [plugins], or use one of: echo"#,
    ]),
    row("port behind a reference is not shown", &[("\"127.0.0.1:10000\"", "\"${LISTEN}\"")], &[("LISTEN", "0.0.0.0:4791")], &[
        r#"error: config.toml:2:10: server.listen: "${LISTEN}" reaches beyond this machine, and provider "dev" lets anyone sign in; write "127.0.0.1:10000", or choose provider = "scalekit" or "oauth""#,
    ]),
    // Variables.
    row("variable of the wrong type", &[], &[("TOOLGATE_SERVER__MAX_SESSIONS", "many")], &[
        r#"error: TOOLGATE_SERVER__MAX_SESSIONS: server.max_sessions: expected a whole number, found the text "many"; write one, such as 1000"#,
    ]),
    row("variable with an unknown choice", &[], &[("TOOLGATE_AUTH__PROVIDER", "scalekitt")], &[
        r#"error: TOOLGATE_AUTH__PROVIDER: auth.provider: "scalekitt" is not known here; did you mean "scalekit"? (one of: dev, scalekit, oauth, none)"#,
    ]),
    row("variable for a section", &[], &[("TOOLGATE_AUDIT", "stderr")], &[
        r#"error: TOOLGATE_AUDIT: audit: the variable's value is not an inline table; write { key = "value" }, or one variable for each key"#,
    ]),
    row("variable with a broken list", &[], &[("TOOLGATE_SERVER__ALLOWED_ORIGINS", "[\"https://a.example\"")], &[
        r#"error: TOOLGATE_SERVER__ALLOWED_ORIGINS: server.allowed_origins: the variable's value is not a list; write ["a", "b"], or a,b"#,
    ]),
    row("port that is none", &[], &[("PORT", "70000")], &[
        r#"error: PORT: server.listen: "70000" is not a port; write a number from 0 to 65535"#,
    ]),
    row("resource identifier that is no URL", &[], &[("RESOURCE_IDENTIFIER", "notes")], &[
        r#"error: RESOURCE_IDENTIFIER: endpoints.notes.resource: "notes" is not a URL; write the resource identifier exactly as tokens carry it, such as "https://mcp.example.com/mcp""#,
    ]),
    row("resource identifier without a default endpoint", &[(END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/b\"\nplugins = [\"echo\"]\n")], &[("RESOURCE_IDENTIFIER", "http://localhost/x")], &[
        r#"error: RESOURCE_IDENTIFIER: endpoints: there is no default endpoint that this could be the resource of; write default = true in one [endpoints.…] section"#,
    ]),
    // Providers.
    row("scalekit without its section", &[("[server]", "[auth]\nprovider = \"scalekit\"\n[server]")], &[], &[
        r#"error: config.toml:2:12: auth.provider: "scalekit" has no settings; add a section [auth.scalekit] with environment_url = "${SCALEKIT_ENVIRONMENT_URL}""#,
    ]),
    row("scalekit chosen by a variable, without its variable", &[("[server]", "[auth.scalekit]\nenvironment_url = \"${SCALEKIT_ENVIRONMENT_URL}\"\n[server]")], &[("TOOLGATE_AUTH__PROVIDER", "scalekit")], &[
        r#"error: config.toml:2:19: auth.scalekit.environment_url: the variable SCALEKIT_ENVIRONMENT_URL of "${SCALEKIT_ENVIRONMENT_URL}" is unset or empty; set SCALEKIT_ENVIRONMENT_URL, or write a default as ${SCALEKIT_ENVIRONMENT_URL:-…}"#,
    ]),
    row("resource id of another kind", &[("[server]", "[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"https://acme.scalekit.dev/\"\nresource_id = \"skc_1\"\n[server]")], &[], &[
        r#"error: config.toml:5:15: auth.scalekit.resource_id: "skc_1" is not a Scalekit resource id; write the id that the dashboard shows for the MCP server; it begins with "res_""#,
    ]),
    row("resource id that is no segment of a URL", &[("[server]", "[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"https://acme.scalekit.dev/\"\nresource_id = \"res_é b\"\n[server]")], &[], &[
        r#"error: config.toml:5:15: auth.scalekit.resource_id: "res_é b" is not a Scalekit resource id; write the id that the dashboard shows for the MCP server; it begins with "res_""#,
    ]),
    row("resource id behind a reference", &[("[server]", "[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"https://acme.scalekit.dev\"\nresource_id = \"${RES}\"\n[server]")], &[("RES", "s3cret")], &[
        r#"error: config.toml:5:15: auth.scalekit.resource_id: "${RES}" is not a Scalekit resource id; write the id that the dashboard shows for the MCP server; it begins with "res_""#,
    ]),
    row("environment over plain http", &[("[server]", "[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"http://acme.scalekit.dev\"\n[server]")], &[], &[
        r#"error: config.toml:4:19: auth.scalekit.environment_url: "http://acme.scalekit.dev" is not https; write https://…; plain http is for this machine alone"#,
    ]),
    row("environment with two slashes", &[("[server]", "[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"https://acme.scalekit.dev//\"\n[server]")], &[], &[
        r#"error: config.toml:4:19: auth.scalekit.environment_url: "https://acme.scalekit.dev//" ends with slashes; write it as the dashboard shows it, such as "https://acme.scalekit.dev""#,
    ]),
    row("issuer over plain http", &[("[server]", "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"http://auth.example.com\"\n[server]")], &[], &[
        r#"error: config.toml:4:10: auth.oauth.issuer: "http://auth.example.com" is not https; write https://…; plain http is for this machine alone"#,
    ]),
    row("issuer that is no URL", &[("[server]", "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"auth.example.com\"\n[server]")], &[], &[
        r#"error: config.toml:4:10: auth.oauth.issuer: "auth.example.com" is not a URL; write the issuer exactly as the authorization server's metadata has it, such as "https://auth.example.com""#,
    ]),
    row("issuer with a password", &[("[server]", "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"https://me:s3cret@auth.example.com\"\n[server]")], &[], &[
        r#"error: config.toml:4:10: auth.oauth.issuer: "https://…@auth.example.com" holds a user name or a password; leave them out"#,
    ]),
    row("introspection without credentials", &[("[server]", "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"https://auth.example.com\"\nvalidation = \"introspection\"\n[server]")], &[], &[
        r#"error: config.toml:5:14: auth.oauth.validation: "introspection" needs credentials of our own; add introspection = { client_id = "toolgate", client_secret = "${INTROSPECTION_SECRET}" }"#,
    ]),
    row("no algorithm", &[("[server]", "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"https://auth.example.com\"\nalgorithms = []\n[server]")], &[], &[
        r#"error: config.toml:5:14: auth.oauth.algorithms: no algorithm is allowed, so no token can be valid; write ["RS256"], or leave the key out"#,
    ]),
    row("endpoint's provider without its section", &[("path =", "auth = { provider = \"oauth\" }\npath =")], &[], &[
        r#"error: config.toml:7:21: endpoints.notes.auth.provider: "oauth" has no settings; add a section [auth.oauth] with issuer = "https://auth.example.com""#,
    ]),
    row("dev beyond this machine", &[("\"127.0.0.1:10000\"", "\"0.0.0.0:10000\"")], &[], &[
        r#"error: config.toml:2:10: server.listen: "0.0.0.0:10000" reaches beyond this machine, and provider "dev" lets anyone sign in; write "127.0.0.1:10000", or choose provider = "scalekit" or "oauth""#,
    ]),
    row("dev beyond this machine, by a variable", &[], &[("TOOLGATE_SERVER__LISTEN", "0.0.0.0:8080")], &[
        r#"error: TOOLGATE_SERVER__LISTEN: server.listen: "0.0.0.0:8080" reaches beyond this machine, and provider "dev" lets anyone sign in; write "127.0.0.1:8080", or choose provider = "scalekit" or "oauth""#,
    ]),
    row("none beyond this machine", &[("[server]", "[auth]\nprovider = \"none\"\n[server]"), ("\"127.0.0.1:10000\"", "\"[::]:10000\"")], &[], &[
        r#"error: config.toml:4:10: server.listen: "[::]:10000" reaches beyond this machine, and provider "none" asks nobody who they are; write "127.0.0.1:10000", or choose provider = "scalekit" or "oauth""#,
    ]),
    row("dev in public", &[("[server]", "[server]\npublic_url = \"https://mcp.example.com\"")], &[], &[
        r#"error: config.toml:2:14: server.public_url: "https://mcp.example.com" is open to others, and provider "dev" lets anyone sign in; choose provider = "scalekit" or "oauth"; if you mean it, write allow_public = true in [auth.dev]"#,
    ]),
    row("dev in public, by the resource identifier", &[], &[("RESOURCE_IDENTIFIER", "https://mcp.example.com/notes/mcp")], &[
        r#"error: RESOURCE_IDENTIFIER: server.public_url: "https://mcp.example.com" is open to others, and provider "dev" lets anyone sign in; choose provider = "scalekit" or "oauth"; if you mean it, write allow_public = true in [auth.dev]"#,
    ]),
    row("documents from this machine for everybody", &[
        ("[server]", "[server]\npublic_url = \"https://mcp.example.com\""),
        (END, "echo = { scopes = [\"notes:read\"] }\n[auth.dev]\nallow_public = true\nclient_metadata_from_loopback = true\n"),
    ], &[], &[
        r#"error: config.toml:16:33: auth.dev.client_metadata_from_loopback: whoever reaches server.public_url could make the server send requests to this machine; write false, or develop clients with a public_url of this machine"#,
    ]),
    // URLs, origins, hosts.
    row("public URL with a slash", &[("[server]", "[server]\npublic_url = \"http://localhost:10000/\"")], &[], &[
        r#"error: config.toml:2:14: server.public_url: "http://localhost:10000/" ends with a slash; write "http://localhost:10000""#,
    ]),
    row("public URL below which the server's own pages are", &[("[server]", "[server]\npublic_url = \"http://localhost:10000/docs/a\"")], &[], &[
        r#"error: config.toml:2:14: server.public_url: "http://localhost:10000/docs/a" has a path below which the server's own pages are; write another, such as "https://mcp.example.com/tools""#,
    ]),
    row("two endpoints under one address outside", &[
        ("[server]", "[server]\npublic_url = \"http://localhost:10000/notes\""),
        (END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/mcp\"\nplugins = [\"echo\"]\n"),
    ], &[], &[
        r#"error: config.toml:8:8: endpoints.notes.path: "/notes/mcp" would be taken for the endpoint "b", which is at public_url + "/mcp"; write a path that does not begin with "/notes""#,
    ]),
    row("an endpoint where a page of the server is outside", &[
        ("[server]", "[server]\npublic_url = \"http://localhost:10000/notes\""),
        ("/notes/mcp", "/notes/docs"),
    ], &[], &[
        r#"error: config.toml:8:8: endpoints.notes.path: "/notes/docs" would be taken for the server's own /docs, which is at public_url + "/docs"; write a path that does not begin with "/notes""#,
    ]),
    row("an endpoint where the front page is outside", &[
        ("[server]", "[server]\npublic_url = \"http://localhost:10000/notes\""),
        ("/notes/mcp", "/notes"),
    ], &[], &[
        r#"error: config.toml:8:8: endpoints.notes.path: "/notes" would be taken for the page for people, which is at public_url; write a path that does not begin with "/notes""#,
    ]),
    row("an endpoint that is like a page of the server outside", &[
        ("[server]", "[server]\npublic_url = \"http://localhost:10000/api\""),
        ("/notes/mcp", "/tools/mcp"),
    ], &[], &[
        r#"error: config.toml:8:8: endpoints.notes.path: "/tools/mcp" behind the path of public_url would be taken for the server's own /api/tools; write another, such as "/mcp""#,
    ]),
    row("two resources with metadata in one place", &[
        (END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/mcp\"\nplugins = [\"echo\"]\nresource = \"https://other.example/notes/mcp/\"\n"),
    ], &[], &[
        r#"error: config.toml:16:12: endpoints.b.resource: the metadata of this resource would be where those of the endpoint "notes" are; give each resource a path of its own, or leave the key out: the default is public_url + path"#,
    ]),
    row("metadata at the root where another's are below", &[
        ("[server]", "[server]\npublic_url = \"http://localhost:10000/tools\""),
        (END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/mcp\"\nplugins = [\"echo\"]\nresource = \"http://localhost:10000/notes/mcp\"\n"),
    ], &[], &[
        r#"error: config.toml:17:12: endpoints.b.resource: the metadata of this resource would be where those of the endpoint "notes" are; give each resource a path of its own, or leave the key out: the default is public_url + path"#,
    ]),
    row("public URL with a query", &[("[server]", "[server]\npublic_url = \"http://localhost:10000/a?b=c\"")], &[], &[
        r#"error: config.toml:2:14: server.public_url: "http://localhost:10000/a?b=c" holds a query or a fragment; write "http://localhost:10000/a""#,
    ]),
    row("public URL with a password", &[("[server]", "[server]\npublic_url = \"http://me:s3cret@localhost\"")], &[], &[
        r#"error: config.toml:2:14: server.public_url: "http://…@localhost" holds a user name or a password; write "http://localhost""#,
    ]),
    row("public URL of another scheme", &[("[server]", "[server]\npublic_url = \"localhost:10000\"")], &[], &[
        r#"error: config.toml:2:14: server.public_url: "localhost:10000" is not an http or https URL; write one such as "https://mcp.example.com""#,
    ]),
    row("public URL that is none", &[("[server]", "[server]\npublic_url = \"mcp.example.com\"")], &[], &[
        r#"error: config.toml:2:14: server.public_url: "mcp.example.com" is not a URL; write a whole one, such as "https://mcp.example.com""#,
    ]),
    row("origins that are none", &[("[server]", "[server]\nallowed_origins = [\"https://app.example.com/\", \"*\", \"https://ok.example.com\"]")], &[], &[
        r#"error: config.toml:2:20: server.allowed_origins[0]: "https://app.example.com/" is not an origin; write "https://app.example.com""#,
        r#"error: config.toml:2:48: server.allowed_origins[1]: "*" is not an origin; write scheme, host and port, such as "https://app.example.com"; there is no wildcard"#,
    ]),
    row("host that is a URL", &[("[server]", "[server]\nallowed_hosts = [\"https://mcp.example.com\"]")], &[], &[
        r#"error: config.toml:2:18: server.allowed_hosts[0]: "https://mcp.example.com" is not a host name; write one such as "mcp.example.com" or "10.0.0.5:8080""#,
    ]),
    // Endpoints.
    row("no endpoint", &[("[endpoints.notes]\npath = \"/notes/mcp\"\nplugins = [\"echo\"]\n", "")], &[], &[
        r#"error: config.toml: endpoints: there is no endpoint, so there is nothing to serve; add a section such as [endpoints.web-search] with path = "/web-search/mcp" and plugins = ["web-search"]"#,
    ]),
    row("path without a slash", &[("\"/notes/mcp\"", "\"notes/mcp\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "notes/mcp" does not begin with a slash; write "/notes/mcp""#,
    ]),
    row("path with a slash at its end", &[("\"/notes/mcp\"", "\"/notes/mcp/\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "/notes/mcp/" ends with a slash; leave the last slash out"#,
    ]),
    row("path with a query", &[("\"/notes/mcp\"", "\"/notes/mcp?x=1\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "/notes/mcp?x=1" holds a query or a fragment; write the path alone, such as "/mcp""#,
    ]),
    row("path with a pattern", &[("\"/notes/mcp\"", "\"/notes/:id\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "/notes/:id" is not a plain path; use letters, digits, - . _ and ~ between single slashes, such as "/web-search/mcp""#,
    ]),
    row("path with a line break", &[("\"/notes/mcp\"", "\"/notes\\n\\u001b[31m\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "/notes\n\u{1b}[31m" is not a plain path; use letters, digits, - . _ and ~ between single slashes, such as "/web-search/mcp""#,
    ]),
    row("long path", &[("\"/notes/mcp\"", "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx?\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" does not begin with a slash; write "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx""#,
    ]),
    row("path at the root", &[("\"/notes/mcp\"", "\"/\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "/" is the page for people; write a path such as "/mcp""#,
    ]),
    row("path that is taken", &[("\"/notes/mcp\"", "\"/api/notes\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "/api/notes" is taken: the server itself answers /api; write a path such as "/mcp""#,
    ]),
    row("path where the files of pages are", &[("\"/notes/mcp\"", "\"/assets/mcp\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "/assets/mcp" is taken: the server itself answers /assets; write a path such as "/mcp""#,
    ]),
    row("path of the icon", &[("\"/notes/mcp\"", "\"/favicon.ico\"")], &[], &[
        r#"error: config.toml:7:8: endpoints.notes.path: "/favicon.ico" is taken: the server itself answers /favicon.ico; write a path such as "/mcp""#,
    ]),
    row("the same path twice", &[(END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/notes/mcp\"\nplugins = [\"echo\"]\n")], &[], &[
        r#"error: config.toml:14:8: endpoints.b.path: "/notes/mcp" is the path of the endpoint "notes" too; give each its own"#,
    ]),
    row("endpoint whose name is a number, with a misspelled key", &[("[endpoints.notes]", "[endpoints.2]\nplugin = []")], &[], &[
        r#"error: config.toml:7:1: endpoints.2.plugin: unknown key "plugin"; did you mean "plugins"?"#,
    ]),
    row("name with a slash", &[("[endpoints.notes]", "[endpoints.\"no/tes\"]")], &[], &[
        r#"error: config.toml:6:1: endpoints."no/tes": "no/tes" cannot name an endpoint; use letters, digits, - and _: the name is part of /api/tools/{endpoint}/{tool}"#,
    ]),
    row("unknown plugin", &[("plugins = [\"echo\"]", "plugins = [\"ecko\"]")], &[], &[
        r#"error: config.toml:8:12: endpoints.notes.plugins[0]: "ecko" is not a plugin of this configuration; did you mean "echo"?"#,
    ]),
    row("unknown plugin without a near one", &[("plugins = [\"echo\"]", "plugins = [\"echo\", \"web-search\"]")], &[], &[
        r#"error: config.toml:8:20: endpoints.notes.plugins[1]: "web-search" is not a plugin of this configuration; add a section for it below [plugins], or use one of: echo"#,
    ]),
    row("plugin twice", &[("plugins = [\"echo\"]", "plugins = [\"echo\", \"echo\"]")], &[], &[
        r#"error: config.toml:8:20: endpoints.notes.plugins[1]: "echo" is named twice; name it once"#,
    ]),
    row("no plugins", &[("plugins = [\"echo\"]", "plugins = []")], &[], &[
        r#"error: config.toml:8:11: endpoints.notes.plugins: the endpoint has no plugins, so it offers no tools; name one, such as plugins = ["web-search"]"#,
    ]),
    row("two defaults", &[("path =", "default = true\npath ="), (END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/b\"\nplugins = [\"echo\"]\ndefault = true\n")], &[], &[
        r#"error: config.toml:17:11: endpoints.b.default: the endpoint "notes" is the default already; keep default = true in one of them"#,
    ]),
    row("resource with a fragment", &[("path =", "resource = \"https://mcp.example.com/#notes\"\npath =")], &[], &[
        r#"error: config.toml:7:12: endpoints.notes.resource: "https://mcp.example.com/#notes" holds a fragment; write the resource identifier exactly as tokens carry it, such as "https://mcp.example.com/mcp""#,
    ]),
    row("the same resource twice", &[("path =", "resource = \"http://localhost:10000/b\"\npath ="), (END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/b\"\nplugins = [\"echo\"]\n")], &[], &[
        r#"error: config.toml:14:1: endpoints.b.resource: the endpoint "notes" has the same resource, so a token for one would open the other; give each its own, or leave the key out: the default is public_url + path"#,
    ]),
    row("the same resource id for two", &[("[server]", "[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"https://acme.scalekit.dev\"\nresource_id = \"res_1\"\n[server]"), (END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/b\"\nplugins = [\"echo\"]\n")], &[], &[
        r#"error: config.toml:18:1: endpoints.b: the endpoint "notes" accepts the same audience, so a token for one would open the other; give each its own, such as auth = { provider = "scalekit", resource_id = "res_…" }"#,
    ]),
    row("the same audience for two", &[("[server]", "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"https://auth.example.com\"\naudience = [\"tools\"]\n[server]"), (END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/b\"\nplugins = [\"echo\"]\n")], &[], &[
        r#"error: config.toml:18:1: endpoints.b: the endpoint "notes" accepts the same audience, so a token for one would open the other; give each its own, such as auth = { provider = "oauth", audience = ["…"] }"#,
    ]),
    row("the same audience behind Scalekit, once as plain OAuth", &[("path =", "auth = { provider = \"scalekit\", environment_url = \"https://acme.scalekit.dev\", resource_id = \"res_1\" }\npath ="), (END, "echo = { scopes = [\"notes:read\"] }\n[endpoints.b]\npath = \"/b\"\nplugins = [\"echo\"]\nauth = { provider = \"oauth\", issuer = \"https://acme.scalekit.dev/resources/res_1\", audience = [\"res_1\"] }\n")], &[], &[
        r#"error: config.toml:14:1: endpoints.b: the endpoint "notes" accepts the same audience, so a token for one would open the other; give each its own, such as auth = { provider = "oauth", audience = ["…"] }"#,
    ]),
    // Scopes.
    row("tool with a misspelled scope", &[("scopes = [\"notes:read\"]", "scopes = [\"note:read\"]")], &[], &[
        r#"error: config.toml:12:20: plugins.echo.tools.echo.scopes[0]: "note:read" is not a declared scope; did you mean "notes:read"? otherwise add a section [scopes."note:read"]"#,
    ]),
    row("tool with an undeclared scope", &[("scopes = [\"notes:read\"]", "scopes = [\"calendar\"]")], &[], &[
        r#"error: config.toml:12:20: plugins.echo.tools.echo.scopes[0]: "calendar" is not a declared scope; add a section [scopes.calendar]"#,
    ]),
    row("implication of an undeclared scope", &[("implies = [\"notes:read\"]", "implies = [\"notes:raed\"]")], &[], &[
        r#"error: config.toml:5:12: scopes."notes:write".implies[0]: "notes:raed" is not a declared scope; did you mean "notes:read"? otherwise add a section [scopes."notes:raed"]"#,
    ]),
    row("undeclared initial scope", &[("path =", "initial_scopes = [\"notes\"]\npath =")], &[], &[
        r#"error: config.toml:7:19: endpoints.notes.initial_scopes[0]: "notes" is not a declared scope; add a section [scopes.notes]"#,
    ]),
    row("scopes in a circle", &[("[scopes.\"notes:read\"]", "[scopes.\"notes:read\"]\nimplies = [\"notes:write\"]")], &[], &[
        r#"error: config.toml:4:11: scopes."notes:read".implies: the scopes imply one another in a circle: notes:read → notes:write → notes:read; take one of these implications away"#,
    ]),
    row("scope that implies itself", &[("[scopes.\"notes:read\"]", "[scopes.\"notes:read\"]\nimplies = [\"notes:read\"]")], &[], &[
        r#"error: config.toml:4:11: scopes."notes:read".implies: the scopes imply one another in a circle: notes:read → notes:read; take one of these implications away"#,
    ]),
    // Plugins.
    row("rule for the rest without scopes", &[(END, "\"*\" = { rate = \"60/min\" }\n")], &[], &[
        r#"error: config.toml:12:7: plugins.echo.tools."*": nothing says who may call this tool; add scopes = ["notes:read"] to it; [] means any valid token"#,
    ]),
    row("tool without scopes", &[("{ scopes = [\"notes:read\"] }", "{ rate = \"60/min\" }")], &[], &[
        r#"error: config.toml:12:8: plugins.echo.tools.echo: nothing says who may call this tool; add scopes = ["notes:read"] to it; [] means any valid token"#,
    ]),
    row("rule for the rest that renames", &[(END, "\"*\" = { scopes = [], name = \"x\" }\n")], &[], &[
        r#"error: config.toml:12:29: plugins.echo.tools."*".name: "x" would be the name of many tools; rename each tool in its own rule"#,
    ]),
    row("tool with a bad new name", &[(END, "echo = { scopes = [], name = \"say it\" }\n")], &[], &[
        r#"error: config.toml:12:30: plugins.echo.tools.echo.name: "say it" cannot name a tool; use 1 to 128 letters, digits, _ - and ., but not . or .. alone"#,
    ]),
    row("tool with a name that leads elsewhere", &[(END, "echo = { scopes = [], name = \"..\" }\n")], &[], &[
        r#"error: config.toml:12:30: plugins.echo.tools.echo.name: ".." cannot name a tool; use 1 to 128 letters, digits, _ - and ., but not . or .. alone"#,
    ]),
    row("two tools with one new name", &[(END, "echo = { scopes = [], name = \"x\" }\nother = { scopes = [], name = \"x\" }\n")], &[], &[
        r#"error: config.toml:13:31: plugins.echo.tools.other.name: "x" is the new name of "echo" too; give each tool its own"#,
    ]),
    row("tool without time", &[("] }\n", "], timeout = \"0s\" }\n")], &[], &[
        r#"error: config.toml:12:45: plugins.echo.tools.echo.timeout: "0s" is no time at all; write a longer one, such as "30s""#,
    ]),
    row("plugin's name with a dot", &[("[plugins.echo]\nbuiltin = \"echo\"\n", "[plugins.\"../x\"]\nbuiltin = \"echo\"\n[plugins.echo]\nbuiltin = \"echo\"\n")], &[], &[
        r#"error: config.toml:9:1: plugins."../x": "../x" cannot name a plugin; use letters, digits, - and _: the name is also that of its state folder"#,
    ]),
];
