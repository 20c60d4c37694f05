//! Compilers of C and C++ at their strictest, and running what they make.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A compiler, with the standard that it is held to.
#[derive(Clone, Copy)]
pub(crate) struct Compiler {
    variable: &'static str,
    default: &'static str,
    flags: &'static [&'static str],
    required: bool,
}

/// C11. Has to be there, as Rust links with it.
pub(crate) const C: Compiler = Compiler { variable: "CC", default: "cc", flags: &["-std=c11"], required: true };

/// C++17. Left out where there is none.
pub(crate) const CXX: Compiler =
    Compiler { variable: "CXX", default: "c++", flags: &["-x", "c++", "-std=c++17"], required: false };

impl Compiler {
    fn command(self) -> Command {
        Command::new(env::var(self.variable).unwrap_or_else(|_| self.default.into()))
    }

    /// Whether it can be run.
    pub(crate) fn is_there(self) -> bool {
        self.required || self.command().arg("--version").output().is_ok()
    }

    /// The program made of these sources; none if the compiler is not there.
    pub(crate) fn build(self, name: &str, sources: &[&str], flags: &[&str]) -> Option<PathBuf> {
        if !self.is_there() {
            return None;
        }
        let (made, program, error) = self.run(name, sources, flags);
        assert!(made, "{} refuses {sources:?}: {error}", self.default);
        Some(program)
    }

    /// Whether the compiler takes these sources with these flags, and what it makes runs.
    pub(crate) fn takes(self, name: &str, sources: &[&str], flags: &[&str]) -> bool {
        let (made, program, _) = self.run(name, sources, flags);
        made && Command::new(program).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// What the compiler says against these sources.
    pub(crate) fn refusal(self, name: &str, sources: &[&str], flags: &[&str]) -> String {
        let (made, _, error) = self.run(name, sources, flags);
        assert!(!made, "{} takes {sources:?}", self.default);
        error
    }

    fn run(self, name: &str, sources: &[&str], flags: &[&str]) -> (bool, PathBuf, String) {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let output = self
            .command()
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(self.flags)
            .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-Iinclude", "-o"])
            .arg(&program)
            .args(flags)
            .args(sources)
            .output()
            .expect("the compiler runs");
        (output.status.success(), program, String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What a program prints when given this input.
pub(crate) fn output(program: &Path, input: &str) -> String {
    let pipes = |command: &mut Command| command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = pipes(&mut Command::new(program)).expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{} ended with {}", program.display(), output.status);
    String::from_utf8(output.stdout).expect("it prints text")
}
