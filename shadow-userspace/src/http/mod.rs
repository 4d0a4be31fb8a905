//! HTTP/1 decoding, sans-IO: bytes in, events out; no clock and no socket.
//!
//! Invariant 3 (no holes) at the level of HTTP: where RFC 9112 leaves the framing of a message open, or makes it an
//! error, it is [`Ambiguous`](crate::ledger::DropReason::Ambiguous) and nothing after it is believed. A server
//! may be more lenient; a copy that is framed otherwise than v1 framed it would be worse than none.

mod body;
mod chunked;
mod classify;
mod fields;
mod framing;
mod head;
mod headers;
mod limits;
mod request;
mod response;
mod response_head;
mod section;
pub(crate) mod target;
mod trailers;

pub use classify::Protocol;
pub(crate) use classify::{Class, classify};
pub use framing::{BodyFraming, HeadError, MAX_HEADERS, ResponseFraming, ResponseTo, Version};
pub use head::RequestHead;
pub use limits::DecoderLimits;
pub use request::{RequestDecoder, RequestEvent};
pub use response::{ResponseDecoder, ResponseEvent};
pub use response_head::ResponseHead;
