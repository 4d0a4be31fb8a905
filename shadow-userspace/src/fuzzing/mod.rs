//! What fuzz targets call: any bytes in, a panic where something that must hold does not.
//!
//! The targets themselves are in `fuzz/targets`, five lines each, and their corpus in `fuzz/corpus`. A new one needs an
//! entry in [`TARGETS`], a file of its name there, its `[[bin]]` in `fuzz/Cargo.toml`, and a corpus; a test says what is
//! missing. The same test runs every target on its corpus and on changed copies of it.

mod capture;
mod http1;
mod log;
mod pieces;
mod redact;

pub use capture::{capture_file as pcap, capture_file as pcapng};
pub use http1::{requests as http1_requests, responses as http1_responses};
pub use redact::redact;

/// Takes any bytes; panics where something doesn't hold.
pub type Target = fn(&[u8]);

/// Every target's name, and what it calls.
pub const TARGETS: &[(&str, Target)] = &[
    ("config", config),
    ("http1_requests", http1_requests),
    ("http1_responses", http1_responses),
    ("packet_headers", packet_headers),
    ("pcap", pcap),
    ("pcapng", pcapng),
    ("reassembly", reassembly),
    ("redact", redact),
];

/// A configuration file.
///
/// # Panics
/// If what is told about it isn't in lines.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = crate::config::ConfigSource::default().parse("shadow.yaml", text) {
        assert!(!error.lines().is_empty());
        assert!(error.lines().iter().all(|line| !line.contains(char::is_control)), "{error:?}");
    }
}

/// A frame's way to its TCP segment.
///
/// # Panics
/// If what is found isn't in the frame.
pub fn packet_headers(data: &[u8]) {
    crate::capture::file::packet_headers(data);
}

/// The reassembler beside its model.
///
/// # Panics
/// If they differ.
pub fn reassembly(data: &[u8]) {
    crate::tcp::model::run(data);
}

#[cfg(test)]
mod tests;
