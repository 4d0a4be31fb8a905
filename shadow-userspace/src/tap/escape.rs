//! Bytes from the wire as text that drives no terminal.

use std::io::Write as _;

/// Whether a terminal could act on it, or show something else than what stands there: control characters (also those
/// of ISO 6429's second set, some terminals obey them in UTF-8), line separators, and those that reorder text.
pub(super) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// Puts `bytes` down; what isn't UTF-8 as `\xNN`, unsafe characters as `\xNN` or `\u{N}`, a backslash as two.
pub(super) fn put_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e) && *byte != b'\\') {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            put_character(out, character);
        }
        for byte in chunk.invalid() {
            put_byte(out, *byte);
        }
    }
}

fn put_character(out: &mut Vec<u8>, character: char) {
    match character {
        '\\' => out.extend_from_slice(b"\\\\"),
        '\0'..='\x7f' if character.is_control() => put_byte(out, character as u8),
        _ if is_unsafe(character) => put(out, format_args!("\\u{{{:x}}}", u32::from(character))),
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn put_byte(out: &mut Vec<u8>, byte: u8) {
    put(out, format_args!("\\x{byte:02x}"));
}

/// Puts our own words down.
pub(super) fn put(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    // Writing to memory can't fail.
    out.write_fmt(words).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        put_escaped(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_is_unsafe_is_escaped() {
        for (bytes, shown) in [
            (&b""[..], ""),
            (b"/a b?c=%20d~", "/a b?c=%20d~"),
            ("gr\u{fc}n \u{4e2d}".as_bytes(), "gr\u{fc}n \u{4e2d}"),
            (b"a\\x1b", "a\\\\x1b"),
            (b"\x1b[31m\r\n\t\0\x7f", "\\x1b[31m\\x0d\\x0a\\x09\\x00\\x7f"),
            ("a\u{9b}31m".as_bytes(), "a\\u{9b}31m"),
            ("\u{202e}gpj.exe\u{2028}".as_bytes(), "\\u{202e}gpj.exe\\u{2028}"),
            (b"a\xff\xfeb\xc3", "a\\xff\\xfeb\\xc3"),
        ] {
            assert_eq!(escaped(bytes), shown);
        }
    }
}
