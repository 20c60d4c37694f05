//! `toolgate worker`: what the server starts for a plugin with `isolation = "process"`. Hidden, and of no use by hand.

use std::process::ExitCode;

use super::print;
use crate::host;

/// Be a worker; on a socket from a server only.
pub(super) fn run() -> ExitCode {
    match host::work() {
        Ok(code) => code,
        Err(not_a_worker) => {
            print::note(format_args!("error: {not_a_worker}"));
            ExitCode::from(2)
        }
    }
}
