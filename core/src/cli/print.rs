//! What every command prints alike: diagnostics and failures, on standard error; results on standard output.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use crate::{
    config::{self, Diagnostic, Diagnostics, Environment, Loaded, Source},
    host::{BuildError, Registry},
    http::StartError,
    policy::Finding,
};

/// One line of a result. A reader that has gone (a closed pipe) is no failure.
pub(super) fn line(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// One line for people, beside the result.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A text from outside, safe for a terminal: its control characters could move the cursor or rewrite lines. A pipe
/// gets it as it is.
pub(super) fn untrusted(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if io::stdout().is_terminal() && text.contains(acts) {
        return text.chars().filter(|c| !acts(*c)).collect::<String>().into();
    }
    text.into()
}

/// Why the command failed.
pub(super) fn failure(text: &str) -> ExitCode {
    note(format_args!("error: {text}"));
    ExitCode::from(1)
}

/// Load the configuration; warnings are printed, errors end the command.
pub(super) fn load(path: &Path) -> Result<Loaded, ExitCode> {
    match config::load(path, &Environment::from_process()) {
        Ok(loaded) => {
            diagnostics(&loaded.warnings);
            Ok(loaded)
        }
        Err(Diagnostics(found)) => {
            diagnostics(&found);
            Err(ExitCode::from(1))
        }
    }
}

pub(super) fn diagnostics(found: &[Diagnostic]) {
    for diagnostic in found {
        note(diagnostic);
    }
}

/// Findings of the policy, at their place in the file.
pub(super) fn findings(source: &Source, findings: &[Finding]) {
    findings.iter().for_each(|finding| note(finding.diagnostic(source)));
}

/// Plugins that do not start and rules that do not fit, at their place in the file.
pub(super) fn build_error(source: &Source, error: &BuildError) -> ExitCode {
    diagnostics(&error.diagnostics(source));
    ExitCode::from(1)
}

/// Plugins that do not serve while others do, at their place in the file; how many.
pub(super) fn failures(source: &Source, registry: &Registry) -> usize {
    let failed = registry.failures().map(|(_, errors)| errors.iter().for_each(|error| note(error.diagnostic(source))));
    failed.count()
}

/// Why the server cannot start, at its place in the file where it has one.
pub(super) fn start_error(source: &Source, error: &StartError) -> ExitCode {
    match error {
        StartError::Plugins(error) => build_error(source, error),
        StartError::Audit(error) => {
            note(source.error(
                &["audit", "sink"],
                None,
                error.to_string(),
                "name a file in a folder that is there and that this account may write to, or write \"stderr\"",
            ));
            ExitCode::from(1)
        }
        other => failure(&other.to_string()),
    }
}
