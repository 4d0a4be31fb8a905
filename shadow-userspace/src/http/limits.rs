//! What a message may make its decoder hold or skip.

/// Bounds of one message. A head has at most [`MAX_HEADERS`](super::MAX_HEADERS) headers too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderLimits {
    /// Bytes of a head, from the first line to the empty line.
    pub max_head_bytes: usize,
    /// Bytes of a trailer section with its empty line.
    pub max_trailer_bytes: usize,
    /// Bytes of the extensions of one chunk.
    pub max_chunk_extension: usize,
    /// Empty lines before a request line.
    pub max_empty_lines: usize,
}

impl Default for DecoderLimits {
    fn default() -> Self {
        Self {
            max_head_bytes: 64 << 10,
            max_trailer_bytes: 16 << 10,
            max_chunk_extension: 1 << 10,
            max_empty_lines: 8,
        }
    }
}
