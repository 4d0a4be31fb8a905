//! Whatever a file holds, it is read or refused in lines.

use proptest::prelude::*;

use super::{load, maximal::FILE};

/// Loads, and looks at what is told.
fn is_told_in_lines(text: &str) {
    if let Err(error) = load(text) {
        assert!(!error.lines().is_empty());
        for line in error.lines() {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn a_small_file_does_not_become_a_large_tree() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    let error = load(&text).unwrap_err().to_string();
    assert!(error.contains("no valid YAML"), "{error}");
    is_told_in_lines(&"[".repeat(10_000));
    is_told_in_lines(&"{a: ".repeat(10_000));
    is_told_in_lines(&"- ".repeat(10_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text(text in ".{0,200}") {
        is_told_in_lines(&text);
    }

    #[test]
    fn a_file_with_something_else_in_it(from in 0..FILE.len(), length in 0..40usize, put in "[ -~\n]{0,12}") {
        let to = (from + length).min(FILE.len());
        if FILE.is_char_boundary(from) && FILE.is_char_boundary(to) {
            is_told_in_lines(&format!("{}{put}{}", &FILE[..from], &FILE[to..]));
        }
    }
}
