//! JSON pointers (RFC 6901), and one more thing: the segment `*` stands for every element or member.

use std::{fmt, str::FromStr};

/// Which values of a JSON document are meant.
///
/// `/a/0/b~1c` is the member `b/c` of the first element of `a`; of several members with one name, all. `/a/*/b` is `b`
/// in every element of `a`, or every member of it. The empty pointer is the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPointer {
    text: Box<str>,
    segments: Box<[Segment]>,
}

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::shadow) enum Segment {
    /// To all that there is.
    Every,
    /// To the members of this name, or to the element of this number.
    Named {
        name: Box<str>,
        /// Digits without a zero before them are an element's number as well.
        index: Option<usize>,
    },
}

/// Why a text is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It names something without the slash.
    #[error("a JSON pointer begins with `/`")]
    Start,
    /// A tilde that stands for nothing.
    #[error("in a JSON pointer `~` is written `~0`, and `/` in a name `~1`")]
    Escape,
    /// It has more than 64 segments.
    #[error("a JSON pointer may have at most 64 segments")]
    Deep,
}

/// What is deeper can't be found: the reader follows 128 levels.
const MAX_SEGMENTS: usize = 64;

impl JsonPointer {
    pub(in crate::shadow) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl FromStr for JsonPointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        let mut segments = text.split('/');
        if segments.next().is_some_and(|before| !before.is_empty()) {
            return Err(PointerError::Start);
        }
        let segments: Box<[Segment]> = segments.map(Segment::read).collect::<Result<_, _>>()?;
        if segments.len() > MAX_SEGMENTS {
            return Err(PointerError::Deep);
        }
        Ok(Self { text: text.into(), segments })
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Segment {
    fn read(text: &str) -> Result<Self, PointerError> {
        if text == "*" {
            return Ok(Self::Every);
        }
        if text.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
            return Err(PointerError::Escape);
        }
        let name = text.replace("~1", "/").replace("~0", "~");
        let is_number =
            name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        let index = if is_number { name.parse().ok() } else { None };
        Ok(Self::Named { name: name.into(), index })
    }

    pub(in crate::shadow) fn is_member(&self, member: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Named { name, .. } => **name == *member,
        }
    }

    pub(in crate::shadow) fn is_element(&self, number: usize) -> bool {
        match self {
            Self::Every => true,
            Self::Named { index, .. } => *index == Some(number),
        }
    }
}
