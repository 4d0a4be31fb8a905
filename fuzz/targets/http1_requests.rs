//! What a client sends on an HTTP/1 connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadow_userspace::fuzzing::http1_requests(data));
