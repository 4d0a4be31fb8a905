//! HTTP/1 decoding, sans-IO: bytes in, events out; no clock and no socket.
//!
//! Invariant 3 (no holes) at the level of HTTP: where RFC 9112 leaves the framing of a request open, or makes it an
//! error, the request is [`Ambiguous`](crate::ledger::DropReason::Ambiguous) and nothing after it is believed. A server
//! may be more lenient; a copy that is framed otherwise than v1 framed it would be worse than none.

mod chunked;
mod classify;
mod fields;
mod framing;
mod head;
mod request;
mod response_head;
mod section;

pub use classify::Protocol;
pub use framing::{BodyFraming, HeadError, MAX_HEADERS, Version};
pub use head::RequestHead;
pub use request::{DecoderLimits, RequestDecoder, RequestEvent};
pub use response_head::ResponseHead;
