//! How much memory and processor time a worker uses, from `/proc` (proc_pid_status(5), proc_pid_stat(5)).
//!
//! A limit that the worker sets on itself bounds what it may reserve; this bounds what it really has, and time without
//! an answer. Where there is no `/proc`, nothing is measured; the worker reports that as missing.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::obituary::humantime;
use crate::config::{Limits, Size};

/// Watches one process.
pub(super) struct Gauge {
    pid: i32,
    memory: Size,
    cpu: Duration,
    ticks_per_second: u64,
    /// Processor time at the last sign of progress.
    base: Duration,
    last: (Instant, Duration),
    answers: u64,
}

impl Gauge {
    pub(super) fn new(pid: Pid, limits: &Limits) -> Self {
        Self {
            pid: pid.as_raw_nonzero().get(),
            memory: limits.memory,
            cpu: limits.cpu.0,
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            base: Duration::ZERO,
            last: (Instant::now(), Duration::ZERO),
            answers: 0,
        }
    }

    /// What is over its limit. `answers`: how many calls were finished so far; `busy`: whether some are under way.
    pub(super) fn over(&mut self, answers: u64, busy: bool) -> Option<String> {
        let memory = Size(self.memory()?);
        if memory > self.memory {
            return Some(format!("used {memory} of memory, more than the {} of limits.memory", self.memory));
        }
        let used = self.processor()?;
        let (at, before) = std::mem::replace(&mut self.last, (Instant::now(), used));
        // An idle plugin may tick over; one that spins may not.
        let idles = !busy && used.saturating_sub(before) * 10 < at.elapsed();
        if answers != self.answers || idles {
            (self.answers, self.base) = (answers, used);
        }
        (used.saturating_sub(self.base) > self.cpu)
            .then(|| format!("used {} of processor time without finishing a call (limits.cpu)", humantime(self.cpu)))
    }

    /// Private memory that is really there.
    fn memory(&self) -> Option<u64> {
        resident(&fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?)
    }

    fn processor(&self) -> Option<Duration> {
        let ticks = processor_ticks(&fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?)?;
        Some(Duration::from_millis(ticks.saturating_mul(1000) / self.ticks_per_second))
    }
}

/// `RssAnon` and `RssShmem`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some((field("RssAnon:")? + field("RssShmem:")?) * 1024)
}

/// `utime` and `stime`: the 14th and 15th field. The second is the command in brackets, which may hold anything.
fn processor_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_a_hostile_name() {
        let stat = "7 (a) b (c) R 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(processor_ticks(stat), Some(300));
        let status = "Name:\tx\nRssAnon:\t    2048 kB\nRssFile:\t 99 kB\nRssShmem:\t    1 kB\n";
        assert_eq!(resident(status), Some(2049 * 1024));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_process_can_be_measured() {
        let gauge = Gauge::new(rustix::process::getpid(), &Limits::default());
        assert!(gauge.memory().is_some_and(|bytes| bytes > 0));
        assert!(gauge.processor().is_some());
    }
}
