//! A captured frame, of any link type.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadow_userspace::fuzzing::packet_headers(data));
