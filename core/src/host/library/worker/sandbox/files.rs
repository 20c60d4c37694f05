//! Files, and who can be reached: landlock(7).
//!
//! Opening a library needs the right to read it and not the right to execute it, so that `limits.exec = false` grants
//! execution of nothing at all.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::{super::handshake::Orders, Report};

/// The newest that was read and tested; older kernels have less.
const NEWEST: ABI = ABI::V7;

/// Code and data that programs of every language need to start: libraries and their search path.
const LIBRARIES: &[&str] = &[
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
];

/// What C libraries and TLS stacks read. Nothing here is secret or says who has an account.
const SYSTEM: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/kernel/mm/transparent_hugepage",
    "/usr/share/ca-certificates",
    "/usr/share/i18n",
    "/usr/share/locale",
    "/usr/share/pki",
    "/usr/share/zoneinfo",
];

/// What runtimes read of their own process. Not what it tells of the machine: mounts and network connections.
const OWN: &[&str] = &[
    "auxv",
    "cgroup",
    "cmdline",
    "comm",
    "environ",
    "io",
    "limits",
    "maps",
    "oom_score_adj",
    "smaps",
    "smaps_rollup",
    "stat",
    "statm",
    "status",
];

/// Folders there whose entries are listed, and not read: they lead to the same files again, and to more.
const OWN_LISTED: &[&str] = &["fd", "task"];

/// Where programs are.
const PROGRAMS: &[&str] = &["/bin", "/sbin", "/usr", "/nix/store", "/gnu/store", "/lib", "/lib64"];

/// Whether signals to others are stopped here.
pub(super) fn confine(orders: &Orders, report: &mut Report<'_>) -> bool {
    let status = match restrict(orders, report) {
        Ok(status) => status,
        Err(error) => {
            report.missing(format_args!("landlock failed: {error}"), "may use every file that this account may");
            return false;
        }
    };
    let LandlockStatus::Available { effective_abi: abi, .. } = status.landlock else {
        report.missing("the kernel has no landlock", "may read and write every file that this account may");
        return false;
    };
    if status.ruleset == RulesetStatus::NotEnforced {
        report.missing("landlock is not enforced", "may read and write every file that this account may");
        return false;
    }
    let partly = [
        (ABI::V3, "truncate files that it may not write"),
        (ABI::V4, "is kept from TCP by seccomp alone where limits.network is false"),
        (ABI::V6, "may connect to abstract sockets where limits.exec lets it start programs"),
    ];
    for (needed, so) in partly.into_iter().filter(|(needed, _)| abi < *needed) {
        report.missing(format_args!("the kernel's landlock has version {abi:?}, not {needed:?}"), so);
    }
    abi >= ABI::V6
}

fn restrict(orders: &Orders, report: &mut Report<'_>) -> Result<RestrictionStatus, RulesetError> {
    let bounds = &orders.bounds;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if !bounds.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = read | AccessFs::Execute;
    // Neither devices nor sockets are made, nor are programs run from where a plugin may write.
    let write = (AccessFs::from_all(NEWEST) & !AccessFs::Execute)
        & !(AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::MakeSock | AccessFs::IoctlDev);
    let mut rules = Vec::new();
    let mut grant = |path: &Path, access: BitFlags<AccessFs>| match rule(path, access) {
        Ok(rule) => {
            rules.push(Ok::<_, RulesetError>(rule));
            Ok(())
        }
        Err(error) => Err(error),
    };
    for path in LIBRARIES.iter().chain(SYSTEM) {
        // Each system has some of these.
        let _ = grant(Path::new(path), read);
    }
    for name in OWN {
        let _ = grant(&Path::new("/proc/self").join(name), read);
    }
    for name in OWN_LISTED {
        let _ = grant(&Path::new("/proc/self").join(name), AccessFs::ReadDir.into());
    }
    let _ = grant(Path::new("/dev/null"), read | AccessFs::WriteFile);
    if bounds.exec {
        for path in PROGRAMS {
            let _ = grant(Path::new(path), run);
        }
    }
    let granted = if bounds.exec { run } else { read };
    let own = [(&orders.library, read, "library"), (&bounds.state_dir, write, "server.state_dir")];
    let read_keys = bounds.read.iter().map(|path| (path, granted, "limits.read"));
    let write_keys = bounds.write.iter().map(|path| (path, write, "limits.write"));
    for (path, access, key) in own.into_iter().chain(read_keys).chain(write_keys) {
        let path: &PathBuf = path;
        if let Err(error) = grant(path, access) {
            report.missing(format_args!("{key} \"{}\": {error}", path.display()), "cannot use it");
        }
    }
    ruleset.create()?.add_rules(rules)?.restrict_self()
}

/// A file has fewer rights than a folder, and the kernel insists.
fn rule(path: &Path, access: BitFlags<AccessFs>) -> Result<PathBeneath<PathFd>, String> {
    let folder = std::fs::metadata(path).map_err(|error| error.to_string())?.is_dir();
    let access = if folder { access } else { access & AccessFs::from_file(NEWEST) };
    Ok(PathBeneath::new(PathFd::new(path).map_err(|error| error.to_string())?, access))
}
