//! System calls: seccomp(2). What is denied fails with EPERM; everything else goes on to the kernel's own checks.
//!
//! A list of what is denied and not of what is allowed: a plugin is any code in any language, and what it may reach is
//! for landlock to say. Denied is what goes around landlock (other processes, sockets of every kind, permissions of
//! files that cannot be opened), what escapes the limits (memory that belongs to nobody, new sessions), and the parts
//! of the kernel that a tool has no business with and that most of its holes were found in.

use std::collections::BTreeMap;

use libc::{self as c, c_long};
use rustix::process::getpid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::{super::handshake::Orders, Report};

/// Calls that `libc` does not name, or not for every processor; these numbers are the same on all of them.
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_SETATTR: c_long = 469;

/// Denied to every worker.
const NEVER: &[c_long] = &[
    // Other processes.
    c::SYS_ptrace,
    c::SYS_process_vm_readv,
    c::SYS_process_vm_writev,
    c::SYS_process_madvise,
    c::SYS_process_mrelease,
    c::SYS_kcmp,
    c::SYS_pidfd_getfd,
    c::SYS_migrate_pages,
    c::SYS_move_pages,
    c::SYS_setpriority,
    c::SYS_ioprio_set,
    // The supervisor ends a worker with all that it has started by its process group.
    c::SYS_setsid,
    c::SYS_setpgid,
    // Attributes of files, which landlock does not restrict; those of files that are open (fchmod, futimens) stay.
    c::SYS_fchmodat,
    FCHMODAT2,
    c::SYS_fchownat,
    c::SYS_setxattr,
    c::SYS_lsetxattr,
    SETXATTRAT,
    c::SYS_removexattr,
    c::SYS_lremovexattr,
    REMOVEXATTRAT,
    FILE_SETATTR,
    c::SYS_name_to_handle_at,
    c::SYS_open_by_handle_at,
    // Watching files; instances are counted by account, so that a plugin could use up the server's own.
    c::SYS_fanotify_init,
    c::SYS_inotify_init1,
    // Memory outside of limits.memory, some of which outlives the process.
    c::SYS_memfd_create,
    c::SYS_memfd_secret,
    c::SYS_shmget,
    c::SYS_shmat,
    c::SYS_shmctl,
    c::SYS_msgget,
    c::SYS_msgsnd,
    c::SYS_msgrcv,
    c::SYS_msgctl,
    c::SYS_semget,
    c::SYS_semop,
    c::SYS_semtimedop,
    c::SYS_semctl,
    c::SYS_mq_open,
    c::SYS_mq_unlink,
    // Namespaces and mounts.
    c::SYS_unshare,
    c::SYS_setns,
    c::SYS_chroot,
    c::SYS_pivot_root,
    c::SYS_mount,
    c::SYS_umount2,
    c::SYS_mount_setattr,
    c::SYS_move_mount,
    c::SYS_open_tree,
    OPEN_TREE_ATTR,
    c::SYS_fsopen,
    c::SYS_fsconfig,
    c::SYS_fsmount,
    c::SYS_fspick,
    // The kernel and the machine.
    c::SYS_io_uring_setup,
    c::SYS_io_uring_enter,
    c::SYS_io_uring_register,
    c::SYS_userfaultfd,
    c::SYS_bpf,
    c::SYS_perf_event_open,
    c::SYS_add_key,
    c::SYS_request_key,
    c::SYS_keyctl,
    c::SYS_init_module,
    c::SYS_finit_module,
    c::SYS_delete_module,
    c::SYS_kexec_load,
    c::SYS_reboot,
    c::SYS_swapon,
    c::SYS_swapoff,
    c::SYS_acct,
    c::SYS_syslog,
    c::SYS_quotactl,
    c::SYS_quotactl_fd,
    c::SYS_personality,
    c::SYS_sethostname,
    c::SYS_setdomainname,
    c::SYS_settimeofday,
    c::SYS_clock_settime,
    c::SYS_vhangup,
];

/// Calls that only some processors have.
#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[c_long] = &[
    c::SYS_chmod,
    c::SYS_chown,
    c::SYS_lchown,
    c::SYS_utime,
    c::SYS_utimes,
    c::SYS_futimesat,
    c::SYS_inotify_init,
    c::SYS_kexec_file_load,
    c::SYS_ioperm,
    c::SYS_iopl,
    c::SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[c_long] = &[];

/// The ways to another program, where `limits.exec` is false.
const EXEC: &[c_long] = &[c::SYS_execve, c::SYS_execveat];
#[cfg(target_arch = "x86_64")]
const FORK: &[c_long] = &[c::SYS_fork, c::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORK: &[c_long] = &[];

const NAMESPACES: &[i32] = &[
    c::CLONE_NEWNS,
    c::CLONE_NEWCGROUP,
    c::CLONE_NEWUTS,
    c::CLONE_NEWIPC,
    c::CLONE_NEWUSER,
    c::CLONE_NEWPID,
    c::CLONE_NEWNET,
];

/// The low bits of a socket's type; the others are flags.
const SOCKET_TYPE: u64 = 0xf;

pub(super) fn confine(orders: &Orders, scoped: bool, report: &mut Report<'_>) {
    // The newest filter is the first to be asked; each says no to calls of its own.
    let filters = [(unknown(), c::ENOSYS), (denied(orders, scoped), c::EPERM)];
    for (rules, errno) in filters {
        let applied = compile(rules, errno).and_then(|program| apply_filter(&program).map_err(|e| e.to_string()));
        if let Err(error) = applied {
            report.missing(
                format_args!("seccomp failed: {error}"),
                "may use the network, start programs and signal other processes of this account",
            );
            return;
        }
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn compile(rules: Result<Rules, String>, errno: i32) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let deny = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules?, SeccompAction::Allow, deny, arch).map_err(|error| error.to_string())?;
    filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())
}

/// `clone3` takes its flags in memory, where no filter can look: C libraries know how to do without it.
fn unknown() -> Result<Rules, String> {
    Ok(Rules::from([(c::SYS_clone3, Vec::new())]))
}

/// One argument that must be so for a rule to hold.
struct When(u8, Width, Op, u64);

fn denied(orders: &Orders, scoped: bool) -> Result<Rules, String> {
    let bounds = &orders.bounds;
    let mut list = List(Rules::new());
    for call in NEVER.iter().chain(NEVER_HERE) {
        list.always(*call);
    }
    processes(&mut list, bounds.exec, scoped)?;
    sockets(&mut list, bounds.network)?;
    if !bounds.exec {
        for call in EXEC.iter().chain(FORK) {
            list.always(*call);
        }
        // A thread is not a process.
        list.when(c::SYS_clone, [When(0, Width::Dword, Op::MaskedEq(bits(c::CLONE_THREAD)), 0)])?;
        // Nobody to share it with, and RLIMIT_DATA does not count it.
        let shared = bits(c::MAP_SHARED | c::MAP_ANONYMOUS);
        list.when(c::SYS_mmap, [When(3, Width::Dword, Op::MaskedEq(shared), shared)])?;
    }
    for flag in NAMESPACES {
        list.when(c::SYS_clone, [When(0, Width::Dword, Op::MaskedEq(bits(*flag)), bits(*flag))])?;
    }
    // It is what ends a worker with its server.
    list.when(c::SYS_prctl, [When(0, Width::Dword, Op::Eq, bits(c::PR_SET_PDEATHSIG))])?;
    // Times of a file by its path; without one they are those of an open file.
    list.when(c::SYS_utimensat, [When(1, Width::Qword, Op::Ne, 0)])?;
    // Words put into a terminal's mouth, and signals by way of a descriptor.
    for request in [bits_of(c::TIOCSTI), bits_of(c::TIOCLINUX), 0x8901, 0x8902] {
        list.when(c::SYS_ioctl, [When(1, Width::Dword, Op::Eq, request)])?;
    }
    for command in [c::F_SETOWN, 15] {
        list.when(c::SYS_fcntl, [When(1, Width::Dword, Op::Eq, bits(command))])?;
    }
    Ok(list.0)
}

fn processes(list: &mut List, exec: bool, scoped: bool) -> Result<(), String> {
    let own = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
    let other = |argument| [When(argument, Width::Dword, Op::Ne, own), When(argument, Width::Dword, Op::Ne, 0)];
    // Where landlock keeps signals in, a worker may end the programs that it has started.
    if !(exec && scoped) {
        for call in [c::SYS_kill, c::SYS_tgkill, c::SYS_rt_sigqueueinfo, c::SYS_rt_tgsigqueueinfo] {
            list.when(call, other(0))?;
        }
        list.always(c::SYS_tkill);
        list.always(c::SYS_pidfd_send_signal);
    }
    if exec && !scoped {
        // The guard is in the same process group.
        list.when(c::SYS_kill, [When(0, Width::Dword, Op::Eq, 0)])?;
    }
    list.when(c::SYS_prlimit64, other(0))?;
    let schedule = [c::SYS_sched_setaffinity, c::SYS_sched_setscheduler, c::SYS_sched_setparam, c::SYS_sched_setattr];
    for call in schedule {
        list.when(call, [When(0, Width::Dword, Op::Ne, 0)])?;
    }
    Ok(())
}

fn sockets(list: &mut List, network: bool) -> Result<(), String> {
    let is = |argument, value| When(argument, Width::Dword, Op::Eq, bits(value));
    let is_not = |argument, value| When(argument, Width::Dword, Op::Ne, bits(value));
    let of_type = |value| When(1, Width::Dword, Op::MaskedEq(SOCKET_TYPE), bits(value));
    // A pair of datagram sockets may be told to talk to somebody else.
    for kind in [c::SOCK_DGRAM, c::SOCK_RAW] {
        list.when(c::SYS_socketpair, [of_type(kind)])?;
    }
    if !network {
        list.always(c::SYS_socket);
        return Ok(());
    }
    // Netlink's routes are how a C library learns which addresses there are.
    list.when(c::SYS_socket, [is_not(0, c::AF_INET), is_not(0, c::AF_INET6), is_not(0, c::AF_NETLINK)])?;
    list.when(c::SYS_socket, [is(0, c::AF_NETLINK), is_not(2, c::NETLINK_ROUTE)])?;
    for family in [c::AF_INET, c::AF_INET6] {
        list.when(c::SYS_socket, [is(0, family), of_type(c::SOCK_RAW)])?;
    }
    Ok(())
}

fn bits(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

/// `ioctl` requests, which are unsigned long in one C library and int in another; none of these is negative.
fn bits_of(value: impl TryInto<u64>) -> u64 {
    value.try_into().unwrap_or(u64::MAX)
}

struct List(Rules);

impl List {
    fn always(&mut self, call: c_long) {
        self.0.insert(call, Vec::new());
        // The x32 variant of the same call, on kernels that have it.
        #[cfg(target_arch = "x86_64")]
        self.0.insert(call | X32, Vec::new());
    }

    fn when<const N: usize>(&mut self, call: c_long, conditions: [When; N]) -> Result<(), String> {
        let conditions: Result<Vec<_>, _> = conditions
            .into_iter()
            .map(|When(argument, width, op, value)| SeccompCondition::new(argument, width, op, value))
            .collect();
        let rule = conditions.and_then(SeccompRule::new).map_err(|error| error.to_string())?;
        #[cfg(target_arch = "x86_64")]
        self.0.insert(call | X32, Vec::new());
        self.0.entry(call).or_default().push(rule);
        Ok(())
    }
}

#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;
