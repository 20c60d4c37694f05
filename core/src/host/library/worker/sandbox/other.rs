//! Systems without landlock and seccomp: everything but resource limits is missing, and said to be.

use super::{super::handshake::Orders, Report};

pub(super) fn enter(_: &Orders, report: &mut Report<'_>) {
    let system = std::env::consts::OS;
    report.missing(format_args!("{system} has no landlock"), "may read and write every file that this account may");
    report.missing(format_args!("{system} has no seccomp"), "may use the network, start programs and signal others");
    report
        .missing(format_args!("{system} has no /proc"), "is not ended when it uses too much memory or processor time");
}
