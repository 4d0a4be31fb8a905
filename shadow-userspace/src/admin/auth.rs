//! Who may change things: whoever comes by the Unix socket, which only its owner can open, and whoever has the token.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A shorter token could be guessed, in characters.
const MIN_TOKEN: usize = 16;

/// A longer file is something else than a token, in bytes.
const MAX_TOKEN: u64 = 4096;

/// How a caller comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// By the Unix socket.
    Unix,
    /// By the network.
    Tcp,
}

impl Origin {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        }
    }
}

/// The bearer token's hash: so that comparing takes the same time whatever is given, and however long it is.
#[derive(Clone)]
pub(super) struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Why a file is not taken as token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It can't be read.
    #[error("can't read the token file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner can read or write it.
    #[error(
        "others may read or write the token file {} (mode {mode:03o}): run `chmod 600` on it and write a new token",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It isn't a token.
    #[error(
        "the token file {} must hold one token of {MIN_TOKEN} to {MAX_TOKEN} printable characters without spaces, \
         such as `openssl rand -hex 32` prints",
        path.display()
    )]
    Invalid {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// Reads the token that a file holds; white space around it doesn't count.
    pub(super) fn read(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        // Of the open file, so that it is the one that is read.
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Open { path: path.to_owned(), mode });
        }
        let mut text = Vec::new();
        file.take(MAX_TOKEN + 1).read_to_end(&mut text).map_err(failed)?;
        let token = text.trim_ascii();
        let is_token = token.len() >= MIN_TOKEN
            && text.len() as u64 <= MAX_TOKEN
            && token.iter().all(u8::is_ascii_graphic);
        if is_token { Ok(Self::of(token)) } else { Err(TokenError::Invalid { path: path.to_owned() }) }
    }

    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether the request has it as its bearer token.
    fn is_given(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(AUTHORIZATION).into_iter();
        let (Some(only), None) = (given.next(), given.next()) else { return false };
        let Some((scheme, token)) = only.as_bytes().split_at_checked(b"Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(Self::of(token.trim_ascii()).0.ct_eq(&self.0))
    }
}

/// Whether the request may change things.
pub(super) fn may_change(origin: Origin, token: Option<&Token>, headers: &HeaderMap) -> bool {
    match origin {
        Origin::Unix => true,
        Origin::Tcp => token.is_some_and(|token| token.is_given(headers)),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn only_the_socket_or_the_token_may_change_things() {
        let token = Token::of(TOKEN.as_bytes());
        let right = &*format!("Bearer {TOKEN}");
        for (origin, known, given, may) in [
            (Origin::Unix, None, &[][..], true),
            (Origin::Unix, Some(&token), &["Bearer wrong"], true),
            (Origin::Tcp, None, &[right], false),
            (Origin::Tcp, Some(&token), &[], false),
            (Origin::Tcp, Some(&token), &[right], true),
            (Origin::Tcp, Some(&token), &["bearer  0123456789abcdef "], true),
            (Origin::Tcp, Some(&token), &["Bearer 0123456789abcdeF"], false),
            (Origin::Tcp, Some(&token), &["Bearer 0123456789abcde"], false),
            (Origin::Tcp, Some(&token), &["Bearer 0123456789abcdef0"], false),
            (Origin::Tcp, Some(&token), &["Bearer "], false),
            (Origin::Tcp, Some(&token), &["Bear"], false),
            (Origin::Tcp, Some(&token), &["Basic 0123456789abcdef"], false),
            (Origin::Tcp, Some(&token), &["Digest 0123456789abcdef"], false),
            (Origin::Tcp, Some(&token), &[TOKEN], false),
            (Origin::Tcp, Some(&token), &["Bearer wrong", right], false),
        ] {
            assert_eq!(may_change(origin, known, &headers(given)), may, "{origin:?} {known:?} {given:?}");
        }
        assert!(!format!("{token:?}").contains(TOKEN));
    }

    #[test]
    fn files_are_read_only_if_they_are_secret_and_hold_a_token() {
        let directory = crate::admin::testing::Directory::new();
        let path = directory.path().join("token");
        let read = |text: &str, mode: u32| {
            // Who isn't root can't write into a file that it may only read.
            fs::remove_file(&path).ok();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Token::read(&path)
        };
        for mode in [0o600, 0o400] {
            let token = read(&format!(" {TOKEN}\n\n"), mode).unwrap();
            assert!(may_change(Origin::Tcp, Some(&token), &headers(&[&format!("Bearer {TOKEN}")])));
        }
        for mode in [0o640, 0o604, 0o620, 0o602, 0o666] {
            let error = read(TOKEN, mode).unwrap_err().to_string();
            assert!(error.contains(&format!("{mode:o}")) && error.contains("chmod 600"), "{error}");
        }
        let long = "x".repeat(4097);
        for text in [
            "",
            "0123456789abcde",
            "0123456789 abcdef",
            "0123456789abcdef\n0123456789abcdef",
            &long,
            "é23456789abcdefg",
        ] {
            let error = read(text, 0o600).unwrap_err().to_string();
            assert!(error.contains("16 to 4096"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(Token::read(&path).unwrap_err().to_string().contains("No such file"));
    }
}
