//! Lists of `name=value`, as queries and cookies are: takes one, gives it with some values replaced.
//!
//! Servers don't agree on what separates pairs. What any of them may take for a secret's value is replaced.

use super::REDACTED;

/// How a list's pairs are written.
#[derive(Clone, Copy, Debug)]
pub(in crate::shadow) struct Syntax {
    /// What stands between pairs.
    separator: u8,
    /// What some servers take for a separator, too.
    other: u8,
    /// Whether some servers let a value in double quotes have separators in it.
    quotes: bool,
}

/// The query of a URL (`application/x-www-form-urlencoded`).
pub(in crate::shadow) const QUERY: Syntax = Syntax { separator: b'&', other: b';', quotes: false };

/// The header Cookie (RFC 6265 section 4.2.1; the other separator and the quotes are those of RFC 2109).
pub(in crate::shadow) const COOKIES: Syntax = Syntax { separator: b';', other: b',', quotes: true };

/// `list` with the values of secret names replaced; `None`: it has none. In time linear in its length.
pub(in crate::shadow) fn redacted(
    list: &[u8],
    syntax: Syntax,
    is_secret: impl Fn(&[u8]) -> bool,
) -> Option<Vec<u8>> {
    let mut redacted = Vec::new();
    let mut found = false;
    let mut quoted = false;
    for (index, pair) in list.split(|byte| *byte == syntax.separator).enumerate() {
        if quoted {
            // Still the secret.
            quoted = closes(pair).is_none();
            continue;
        }
        if index > 0 {
            redacted.push(syntax.separator);
        }
        match value_at(pair, syntax.other, &is_secret).and_then(|at| pair.split_at_checked(at)) {
            None => redacted.extend_from_slice(pair),
            Some((name, value)) => {
                redacted.extend_from_slice(name);
                redacted.extend_from_slice(REDACTED.as_bytes());
                found = true;
                let text = value.trim_ascii_start().strip_prefix(b"\"").filter(|_| syntax.quotes);
                quoted = text.is_some_and(|text| closes(text).is_none());
            }
        }
    }
    found.then_some(redacted)
}

/// Where the first secret value begins in what stands between two separators; it ends where that ends.
fn value_at(pair: &[u8], other: u8, is_secret: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let secret = |part: &[u8]| {
        let name = part.iter().position(|byte| *byte == b'=')?;
        is_secret(part.get(..name)?).then_some(name + 1)
    };
    let in_parts = || {
        let mut start = 0;
        pair.split(|byte| *byte == other).find_map(|part| {
            let at = secret(part).map(|at| start + at);
            start += part.len() + 1;
            at
        })
    };
    // For those who take `other` for a part of names the value begins at the first `=`, before all others.
    secret(pair).or_else(in_parts)
}

/// Where a quoted string ends in `text`.
fn closes(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })
}

/// A name of a query as servers read it: `+` is a space, `%41` is `A`; what is no escape stays.
pub(in crate::shadow) fn decoded(name: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'+' => Some(b' '),
            b'%' => match after
                .split_at_checked(2)
                .and_then(|(digits, after)| Some((hexadecimal(digits)?, after)))
            {
                Some((byte, after)) => {
                    rest = after;
                    Some(byte)
                }
                None => Some(b'%'),
            },
            byte => Some(*byte),
        }
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        u8::try_from(digit).ok().map(|digit| value << 4 | digit)
    })
}
