//! The `shadow-agent` binary: everything is in the library's `cli` module.
fn main() -> std::process::ExitCode {
    shadow_userspace::cli::main()
}
