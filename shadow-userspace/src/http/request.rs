//! The HTTP/1 request decoder.

/// What the decoder tells.
pub enum RequestEvent {}

/// Decodes one direction of a connection.
pub struct RequestDecoder {}
