//! Linux: privileges, files (landlock), system calls (seccomp).

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use super::{super::handshake::Orders, Report, files, syscalls};

pub(super) fn enter(orders: &Orders, report: &mut Report<'_>) {
    // Before privileges go: when memory runs out, the kernel takes the worker and not the server.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    if let Err(error) = set_no_new_privs(true) {
        report.missing(
            format_args!("no_new_privs cannot be set: {error}"),
            "may gain rights through programs that are set-user-id",
        );
    }
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    if let Err(error) = set_capabilities(None, none) {
        report.missing(format_args!("capabilities cannot be dropped: {error}"), "keeps those of the server");
    }
    let scoped = files::confine(orders, report);
    syscalls::confine(orders, scoped, report);
}
