//! HTTP decoding, sans-IO: bytes in, events out; no clock and no socket.

pub mod head;
pub mod request;

pub use head::{BodyFraming, RequestHead, Version};
pub use request::{RequestDecoder, RequestEvent};
