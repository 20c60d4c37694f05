//! What a worker may do, in the words of the log: somebody who reads a plugin's "Operation not permitted" there knows why.

use std::path::PathBuf;

use crate::config::Limits;

/// What these limits let a worker do.
pub(super) fn told(limits: &Limits) -> String {
    let network = if limits.network { "network" } else { "no network" };
    let programs = if limits.exec { "programs" } else { "no programs" };
    let mut files = String::from("its state folder");
    if limits.read.is_empty() && limits.write.is_empty() {
        files.push_str(" only");
    }
    for (access, paths) in [("reads", &limits.read), ("writes", &limits.write)] {
        if !paths.is_empty() {
            files.push_str(&format!(", {access} {}", quoted(paths)));
        }
    }
    format!("{network}, {programs}, files: {files}")
}

fn quoted(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("\"{}\"", path.display())).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_told_and_what_is_not() {
        let all = Limits {
            network: true,
            exec: true,
            read: vec!["/a".into(), "/b".into()],
            write: vec!["/c".into()],
            ..Limits::default()
        };
        let some = Limits { write: vec!["/c".into()], ..Limits::default() };
        let cases = [
            (Limits::default(), "no network, no programs, files: its state folder only"),
            (all, r#"network, programs, files: its state folder, reads "/a" and "/b", writes "/c""#),
            (some, r#"no network, no programs, files: its state folder, writes "/c""#),
        ];
        for (limits, expected) in cases {
            assert_eq!(told(&limits), expected);
        }
    }
}
