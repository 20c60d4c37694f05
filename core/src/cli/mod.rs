//! The commands, one file each. Prints, never decides.

/// Run the command line; the exit status is 0, 1 for a finding, 2 for wrong usage.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
