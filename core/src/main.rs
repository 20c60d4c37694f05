//! The `toolgate` binary: hands the command line to [`toolgate::cli`].

fn main() -> std::process::ExitCode {
    toolgate::cli::main()
}
