//! How a worker ended, in words: for those whose calls it had, for `/readyz`, and for the log.

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use rustix::process::Signal;

use super::life::{Death, End};

impl Death {
    /// What the plugin did: "crashed (SIGSEGV)".
    pub(super) fn words(&self) -> String {
        match (&self.end, self.status) {
            (End::Condemned(reason), _) => reason.clone(),
            (End::Left, Some(status)) => match self.starved {
                // Allocators abort. What else ended it was something else, whatever it said.
                Some(memory) if status.signal() == Some(Signal::ABORT.as_raw()) => {
                    format!("{}: it got no more memory than the {memory} of limits.memory", status_words(status))
                }
                _ => status_words(status),
            },
            (End::Left, None) => "ended, nobody knows how".into(),
        }
    }
}

fn status_words(status: ExitStatus) -> String {
    match (status.signal().and_then(Signal::from_named_raw), status.signal(), status.code()) {
        // The supervisor's own ends have their reason; this came from elsewhere.
        (Some(Signal::KILL), ..) => "was killed (SIGKILL), perhaps because the machine ran out of memory".into(),
        (Some(signal), ..) => format!("crashed ({})", name(signal)),
        (None, Some(signal), _) => format!("crashed (signal {signal})"),
        (None, None, Some(code)) => format!("ended itself (exit status {code})"),
        (None, None, None) => "ended, nobody knows how".into(),
    }
}

fn name(signal: Signal) -> String {
    [
        (Signal::ABORT, "SIGABRT"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ]
    .into_iter()
    .find(|(known, _)| *known == signal)
    .map_or_else(|| format!("signal {}", signal.as_raw()), |(_, name)| name.to_owned())
}

/// A duration for people.
pub(super) fn humantime(duration: Duration) -> String {
    ::humantime::format_duration(duration).to_string()
}

/// "3rd".
pub(super) fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Size;

    #[test]
    fn each_way_of_dying_has_its_words() {
        // Wait statuses as wait(2) lays them out: the signal in the low bits, the exit code in the next byte.
        let table: &[(i32, &str)] = &[
            (11, "crashed (SIGSEGV)"),
            (6, "crashed (SIGABRT)"),
            (9, "was killed (SIGKILL), perhaps because the machine ran out of memory"),
            (3 << 8, "ended itself (exit status 3)"),
            (0, "ended itself (exit status 0)"),
        ];
        for (raw, expected) in table {
            let death = Death { end: End::Left, status: Some(ExitStatus::from_raw(*raw)), starved: None };
            assert_eq!(death.words(), *expected, "status {raw}");
        }
        let starved =
            Death { end: End::Left, status: Some(ExitStatus::from_raw(6)), starved: Some(Size::mebibytes(64)) };
        assert_eq!(starved.words(), "crashed (SIGABRT): it got no more memory than the 64.0 MiB of limits.memory");
        let liar = Death { end: End::Left, status: Some(ExitStatus::from_raw(11)), starved: Some(Size::mebibytes(64)) };
        assert_eq!(liar.words(), "crashed (SIGSEGV)", "allocators abort");
        let hung = Death { end: End::Condemned("hung".into()), status: Some(ExitStatus::from_raw(9)), starved: None };
        assert_eq!(hung.words(), "hung", "the supervisor's reason wins over the signal that it sent");
    }

    #[test]
    fn ordinals_are_english() {
        let table = [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th"), (22, "22nd")];
        for (number, expected) in table {
            assert_eq!(ordinal(number), expected);
        }
    }
}
