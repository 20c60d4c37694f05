//! How much memory and processor time a worker uses, and how many threads it has, from `/proc` (proc_pid_status(5),
//! proc_pid_stat(5)).
//!
//! A limit that the worker sets on itself bounds what it may reserve; this bounds what it really has, and time without
//! an answer. Where a worker may start programs, they are measured with it: they cannot leave its process group. Where
//! there is no `/proc`, nothing is measured; the worker reports that as missing.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::obituary::humantime;
use crate::config::{Limits, Size};

/// Threads beyond those that work on calls. Runtimes have pools for what blocks (tokio's grows to 512) and a thread or
/// two for each processor.
const POOLS: u64 = 640;
/// And these, of all programs together, where they may be started.
const THREADS_OF_PROGRAMS: u64 = 1024;
/// Processes where programs may be started, the worker and its guard included.
const PROCESSES: usize = 128;
/// While no call is under way, processor time is forgiven at one part in so many of the time that goes by: what a
/// plugin does to keep house costs it nothing, and one that spins earns nothing by a short rest.
const FORGIVEN: u32 = 10;

/// Watches one process, or a group of them.
pub(super) struct Gauge {
    pid: Pid,
    /// Whether there may be more than one process.
    exec: bool,
    memory: Size,
    cpu: Duration,
    threads: u64,
    ticks_per_second: u64,
    /// Processor time that is held against the plugin.
    spent: Duration,
    last: (Instant, Duration),
    answers: u64,
}

impl Gauge {
    /// `pid` is a process, and with `limits.exec` the leader of a group.
    pub(super) fn new(pid: Pid, limits: &Limits) -> Self {
        let calls = u64::try_from(limits.concurrency).unwrap_or(u64::MAX);
        Self {
            pid,
            exec: limits.exec,
            memory: limits.memory,
            cpu: limits.cpu.0,
            threads: calls.saturating_add(POOLS + if limits.exec { THREADS_OF_PROGRAMS } else { 0 }),
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            spent: Duration::ZERO,
            last: (Instant::now(), Duration::ZERO),
            answers: 0,
        }
    }

    /// What is over its limit. `answers`: how many calls were finished so far; `busy`: whether some are under way.
    pub(super) fn over(&mut self, answers: u64, busy: bool) -> Option<String> {
        let used = self.used()?;
        if used.processes > PROCESSES {
            return Some(format!("started {} processes, more than the {PROCESSES} that it may have", used.processes));
        }
        if used.threads > self.threads {
            return Some(format!("started {} threads, more than the {} that it may have", used.threads, self.threads));
        }
        if used.memory > self.memory {
            return Some(format!("used {} of memory, more than the {} of limits.memory", used.memory, self.memory));
        }
        let (at, before) = std::mem::replace(&mut self.last, (Instant::now(), used.processor));
        self.spend(used.processor.saturating_sub(before), at.elapsed(), answers, busy);
        (self.spent > self.cpu)
            .then(|| format!("used {} of processor time without finishing a call (limits.cpu)", humantime(self.cpu)))
    }

    fn spend(&mut self, used: Duration, elapsed: Duration, answers: u64, busy: bool) {
        if answers != self.answers {
            self.answers = answers;
            self.spent = Duration::ZERO;
            return;
        }
        self.spent += used;
        if !busy {
            self.spent = self.spent.saturating_sub(elapsed / FORGIVEN);
        }
    }

    /// `None`: it has ended.
    fn used(&self) -> Option<Used> {
        let members = if self.exec { members(self.pid) } else { vec![self.pid] };
        let stats: Vec<(Pid, Stat)> = members.into_iter().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect();
        if stats.is_empty() {
            return None;
        }
        let ticks: u64 = stats.iter().map(|(_, stat)| stat.ticks).sum();
        Some(Used {
            processes: stats.len(),
            threads: stats.iter().map(|(_, stat)| stat.threads).sum(),
            memory: Size(stats.iter().filter_map(|(pid, _)| memory(*pid)).sum()),
            processor: Duration::from_millis(ticks.saturating_mul(1000) / self.ticks_per_second),
        })
    }
}

/// What all processes together have.
struct Used {
    processes: usize,
    threads: u64,
    memory: Size,
    processor: Duration,
}

/// The processes of a group, dead ones that nobody has waited for included.
pub(super) fn members(group: Pid) -> Vec<Pid> {
    let group = group.as_raw_nonzero().get();
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = listed.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    processes.filter(|pid| Stat::of(*pid).is_some_and(|stat| stat.group == group)).collect()
}

/// Private memory that is really there, or swapped out, and the page tables for it.
fn memory(pid: Pid) -> Option<u64> {
    let pid = pid.as_raw_nonzero();
    if let Some(memory) = resident(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?) {
        return Some(memory);
    }
    // The first thread has ended, and has taken these lines with it; another still has them.
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok()).find_map(|status| resident(&status))
}

/// In bytes; `None` of what has ended.
fn resident(status: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let rest = ["RssShmem:", "VmPTE:", "VmSwap:"].iter().filter_map(|name| field(name)).sum::<u64>();
    Some((field("RssAnon:")? + rest) * 1024)
}

/// What `/proc/PID/stat` tells.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    group: i32,
    /// Its own and of the children that it has waited for.
    ticks: u64,
    threads: u64,
}

impl Stat {
    fn of(pid: Pid) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
    }

    /// Field 5; 14 to 17; 20. The second is the command in brackets, which may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // The first of these is the third.
        let field = |number: usize| fields.get(number - 3);
        let ticks = (14..=17).map(|number| field(number)?.parse::<u64>().ok()).sum::<Option<u64>>()?;
        Some(Self { group: field(5)?.parse().ok()?, ticks, threads: field(20)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge() -> Gauge {
        Gauge::new(rustix::process::getpid(), &Limits::default())
    }

    #[test]
    fn fields_are_found_behind_a_hostile_name() {
        let stat = "7 (a) b (c) R 1 9 7 0 -1 4194304 1 0 0 0 250 50 3 4 20 0 11 0 5 6 7";
        assert_eq!(Stat::parse(stat), Some(Stat { group: 9, ticks: 307, threads: 11 }));
        let status =
            "Name:\tx\nRssAnon:\t    2048 kB\nRssFile:\t 99 kB\nRssShmem:\t    1 kB\nVmPTE:\t 2 kB\nVmSwap:\t 3 kB\n";
        assert_eq!(resident(status), Some(2054 * 1024));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_process_can_be_measured() {
        let used = gauge().used().expect("it lives");
        assert!(used.memory.0 > 0 && used.threads > 0 && used.processes == 1);
    }

    #[test]
    fn a_short_rest_does_not_pay_for_a_long_spin_and_keeping_house_is_free() {
        let (second, tick) = (Duration::from_secs(1), Duration::from_millis(250));
        let mut gauge = gauge();
        for _ in 0..59 {
            gauge.spend(second, second, 0, false);
        }
        let spun = gauge.spent;
        gauge.spend(Duration::ZERO, tick * 3, 0, false);
        assert!(spun > second * 50 && gauge.spent + second > spun, "{spun:?}, then {:?}", gauge.spent);
        gauge.spend(Duration::ZERO, second * 600, 0, false);
        for _ in 0..100_000 {
            gauge.spend(tick / 10, tick, 0, false);
        }
        assert_eq!(gauge.spent, Duration::ZERO);
        gauge.spend(second, second, 0, true);
        assert_eq!(gauge.spent, second, "a call under way is not forgiven");
        gauge.spend(second, second, 1, true);
        assert_eq!(gauge.spent, Duration::ZERO, "a call has ended");
    }
}
