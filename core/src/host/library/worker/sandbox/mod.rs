//! What a worker may do: confined before it opens its library, and not to be undone.
//!
//! Each part is tried by itself; what this system does not have is told, a sentence each, and the server logs it.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(target_os = "linux")]
mod syscalls;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::handshake::Orders;

/// The stack of a thread that std starts.
const STACK: u64 = 2 * 1024 * 1024;

/// Largest file that a plugin writes.
const FILE: u64 = 1024 * 1024 * 1024;

/// Addresses that may be reserved beyond `limits.memory`: runtimes reserve many and use few. It bounds the page tables
/// (a part in 512) that can come to be between two measurements.
#[cfg(target_os = "linux")]
const ADDRESSES: u64 = 64 * 1024 * 1024 * 1024;

/// Confine this process, which must have one thread. What is missing, for people.
pub(super) fn enter(orders: &Orders) -> Vec<String> {
    let mut report = Report { plugin: &orders.plugin, missing: Vec::new() };
    limits(orders, &mut report);
    system::enter(orders, &mut report);
    report.missing
}

/// Collects what is missing.
struct Report<'a> {
    plugin: &'a str,
    missing: Vec<String>,
}

impl Report<'_> {
    /// "{why}; the plugin "x" {so}".
    fn missing(&mut self, why: impl std::fmt::Display, so: impl std::fmt::Display) {
        self.missing.push(format!("{why}; the plugin \"{}\" {so}", self.plugin));
    }
}

/// Limits that every Unix has. Soft and hard ones alike, so that the plugin cannot raise them.
fn limits(orders: &Orders, report: &mut Report<'_>) {
    // The stacks of threads that wait for calls count when they are reserved, whatever is used of them; what is
    // really used is measured by the server.
    let stacks = STACK.saturating_mul(u64::try_from(orders.threads).unwrap_or(u64::MAX));
    let table = [
        (Resource::Data, orders.bounds.memory.saturating_add(stacks), "limits.memory", "may use all memory"),
        (Resource::Nofile, orders.bounds.files, "limits.files", "may open as many files as this account may"),
        #[cfg(target_os = "linux")]
        (
            Resource::As,
            orders.bounds.memory.saturating_add(stacks).saturating_add(ADDRESSES),
            "address space",
            "may use memory for page tables until it is measured",
        ),
        (Resource::Fsize, FILE, "the size of files", "may write files of any size"),
        (Resource::Core, 0, "core dumps", "may leave a core dump with its settings in it"),
    ];
    for (resource, value, name, so) in table {
        // Never above what the server itself was given.
        let value = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        if let Err(error) = setrlimit(resource, limit) {
            report.missing(format_args!("{name} cannot be set: {error}"), so);
        }
    }
}
