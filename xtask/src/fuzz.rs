//! `cargo xtask fuzz TARGET`: builds a fuzz target with libFuzzer and lets it run.
//!
//! The installed stable compiler does it: coverage is the LLVM pass that libFuzzer reads. What calls for a nightly one is
//! AddressSanitizer, which has nothing to find where there is no unsafe code.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    build, machine,
    setup::{self, Need},
};

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Which target; without it they are listed.
    target: Option<String>,
    /// How long, in seconds. 60 if nothing else is said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// How many inputs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Run this input alone, such as one from `fuzz/crashes`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seconds", "runs"])]
    input: Option<PathBuf>,
}

/// Coverage as libFuzzer wants it: counters, the table of their places, and what is compared with what.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The most memory that a target may need, in MiB, and the longest that one input may take, in seconds.
const LIMITS: &[&str] = &["-rss_limit_mb=512", "-timeout=5"];

/// Lists the targets, or runs one.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let fuzz = build::workspace()?.join("fuzz");
    let targets = targets(&fuzz)?;
    let Some(target) = &arguments.target else {
        println!("{}", targets.join("\n"));
        return Ok(ExitCode::SUCCESS);
    };
    if !targets.contains(target) {
        bail!("there is no target {target:?}; there are: {}", targets.join(", "));
    }
    // Its path means what it means here.
    let input = arguments.input.as_deref().map(fs::canonicalize).transpose().context("--input")?;
    setup::ensure(&[Need::Build, Need::Fuzz])?;
    let mut command = Command::new(build(target)?);
    command.args(LIMITS).arg(format!("-max_len={}", max_len(target)));
    let crashes = fuzz.join("crashes").join(target);
    match input {
        Some(input) => _ = command.arg(input),
        None => search(&mut command, arguments, target, &fuzz, &crashes)?,
    }
    if command.status().context("the target did not start")?.success() {
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.input.is_none() {
        report(target, &crashes)?;
    }
    Ok(ExitCode::FAILURE)
}

/// The names of all targets.
fn targets(fuzz: &Path) -> Result<Vec<String>> {
    let directory = fuzz.join("targets");
    let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut names: Vec<String> =
        paths.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}

/// The longest input worth trying, in bytes. Files have headers before the first packet, or many keys.
fn max_len(target: &str) -> u32 {
    match target {
        "reassembly" => 256,
        "config" | "pcap" | "pcapng" => 4096,
        _ => 1024,
    }
}

/// Builds the target and says where it lies.
fn build(target: &str) -> Result<PathBuf> {
    let workspace = build::workspace()?;
    let host = host()?;
    let mut command = machine::cargo();
    // With a target named, build scripts and macros are built without the flags.
    command.current_dir(&workspace).env("RUSTFLAGS", COVERAGE.join(" "));
    command.args(["build", "--profile", "fuzz", "--target", &host]);
    command.args(["--package", "shadow-fuzz", "--features", "libfuzzer", "--bin", target]);
    if !command.status().context("cargo did not start")?.success() {
        bail!("`{}` failed", machine::describe(&command));
    }
    Ok(build::target_directory(&workspace).join(host).join("fuzz").join(target))
}

/// The platform that the compiler builds for.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc did not start")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

/// What is found goes beside the build; only what is worth keeping belongs into the repository's corpus.
fn search(
    command: &mut Command,
    arguments: &Arguments,
    target: &str,
    fuzz: &Path,
    crashes: &Path,
) -> Result<()> {
    let found = build::target_directory(&build::workspace()?).join("corpus").join(target);
    for directory in [&found, crashes] {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let seconds = arguments.seconds.or(arguments.runs.is_none().then_some(60));
    command.args(seconds.map(|seconds| format!("-max_total_time={seconds}")));
    command.args(arguments.runs.map(|runs| format!("-runs={runs}")));
    command.arg("-print_final_stats=1").arg(format!("-artifact_prefix={}/", crashes.display()));
    command.arg(found).arg(fuzz.join("corpus").join(target));
    Ok(())
}

/// Says how the latest crash is run again.
fn report(target: &str, crashes: &Path) -> Result<()> {
    let entries = fs::read_dir(crashes).with_context(|| crashes.display().to_string())?;
    let files = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
    });
    if let Some((_, file)) = files.max() {
        eprintln!("again: cargo xtask fuzz {target} --input {}", file.display());
    }
    Ok(())
}
