//! What the workspace depends on: only crates of the registry, only under licences that its own two can be given with.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, bail};

use crate::{build, machine};

/// Licences that ask for no more than to be named.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks every crate of the lock file that this platform's build takes in.
///
/// # Errors
/// Names the crates that don't fit.
pub fn check() -> Result<()> {
    let workspace = build::workspace()?;
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).context("Cargo.lock")?;
    let foreign: Vec<&str> = foreign_sources(&lock).collect();
    if !foreign.is_empty() {
        bail!("not from the registry: {}", foreign.join(", "));
    }
    let mut command = machine::cargo();
    command.current_dir(&workspace);
    command.args([
        "tree",
        "--workspace",
        "--all-features",
        "--locked",
        "--prefix",
        "none",
        "--format",
        "{l}|{p}",
    ]);
    let output = command.output().context("cargo did not start")?;
    if !output.status.success() {
        bail!("`{}`: {}", machine::describe(&command), String::from_utf8_lossy(&output.stderr).trim());
    }
    let tree = String::from_utf8(output.stdout).context("cargo tree")?;
    // A crate that stands there again is marked.
    let crates: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let refused: Vec<&str> = crates
        .into_iter()
        .filter(|line| line.split_once('|').is_some_and(|(licence, _)| !is_accepted(licence)))
        .collect();
    if !refused.is_empty() {
        bail!("licences that are not accepted: {}", refused.join(", "));
    }
    Ok(())
}

/// The `source` lines that name no registry; the workspace's own crates have none.
fn foreign_sources(lock: &str) -> impl Iterator<Item = &str> {
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    sources.filter(|source| !source.starts_with("\"registry+"))
}

/// Whether an SPDX expression leaves a way that only needs accepted licences. `/` is what `OR` was written as once.
fn is_accepted(expression: &str) -> bool {
    let expression = expression.trim();
    let split = |operators: &[&str]| top_level_split(expression, operators);
    if let Some((left, right)) = split(&[" OR ", " / ", "/"]) {
        return is_accepted(left) || is_accepted(right);
    }
    if let Some((left, right)) = split(&[" AND "]) {
        return is_accepted(left) && is_accepted(right);
    }
    match expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => is_accepted(inner),
        None => ACCEPTED.contains(&expression),
    }
}

/// Splits at the first of the operators that stands outside parentheses.
fn top_level_split<'a>(expression: &'a str, operators: &[&str]) -> Option<(&'a str, &'a str)> {
    let mut depth = 0_usize;
    for (at, byte) in expression.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let rest = expression.get(at..)?;
        if depth == 0
            && let Some(operator) = operators.iter().find(|operator| rest.starts_with(**operator))
        {
            return Some((expression.get(..at)?, rest.get(operator.len()..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_needs_one_accepted_way() {
        for (expression, accepted) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only", false),
            ("", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-2.0-only", false),
            ("GPL-2.0-only OR (MIT AND Zlib)", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH Other-exception", false),
        ] {
            assert_eq!(is_accepted(expression), accepted, "{expression}");
        }
    }

    #[test]
    fn only_the_registry_is_a_source() {
        let lock =
            "name = \"a\"\nsource = \"registry+x\"\n\nname = \"b\"\n\nname = \"c\"\nsource = \"git+y\"\n";
        assert_eq!(foreign_sources(lock).collect::<Vec<_>>(), ["\"git+y\""]);
    }
}
